"""How a certificate fits a consumer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.pki.coverage import coverage, covers
from service.pki.facts import BundleFacts, read_facts
from tests.material import CLIENT, NOW, paste, root


def facts_of(*hosts: str, **more: object) -> BundleFacts:
    pasted = paste(*hosts, **more)  # type: ignore[arg-type]
    return read_facts(pasted.certificate, pasted.ca)


@pytest.mark.parametrize(
    ("name", "host", "covered"),
    [
        ("relay.example.com", "relay.example.com", True),
        ("relay.example.com", "RELAY.example.com.", True),
        ("relay.example.com", "x.relay.example.com", False),
        ("*.example.com", "relay.example.com", True),
        ("*.example.com", "a.relay.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.com", "example.com", False),
        ("r*.example.com", "relay.example.com", False),
        ("xn--bcher-kva.example", "bücher.example", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
    ],
)
def test_names_are_matched_as_rfc_9525_says(name, host, covered):
    assert covers(facts_of(name).leaf, host) is covered


def test_a_name_that_looks_like_an_address_is_none():
    assert not covers(facts_of("192.0.2.7.example.com").leaf, "192.0.2.7")


def test_a_certificate_that_fits_has_only_ticks():
    fit = coverage(
        facts_of("relay.example.com", client_ca=True), hosts=["relay.example.com"], purpose="server", mtls=True, now=NOW
    )
    assert fit.ok
    assert fit.findings == ()
    assert fit.ca.applies


def test_each_reason_not_to_fit_is_given_by_itself():
    fit = coverage(
        facts_of("relay.example.com", usages=CLIENT),
        hosts=["other.example.com"],
        purpose="server",
        mtls=True,
        now=NOW + timedelta(days=400),
    )
    assert not fit.ok
    assert [finding.code for finding in fit.findings] == [
        "host.not-covered",
        "purpose.server-auth",
        "ca.missing",
        "certificate.expired",
    ]


def test_what_does_not_arise_is_not_asked():
    fit = coverage(facts_of("x.example.com", usages=CLIENT), hosts=[], purpose="client", mtls=False, now=NOW)
    assert (fit.ok, fit.host.applies, fit.ca.applies) == (True, False, False)


def test_only_the_common_name_is_said_and_not_enough():
    fit = coverage(facts_of("other.example.com"), hosts=["relay.example.com"], purpose="server", mtls=False, now=NOW)
    assert not fit.host.ok


def test_a_ca_field_of_expired_authorities_lets_nobody_in():
    pasted = paste()
    fit = coverage(read_facts(pasted.certificate, root(days=-1).pem), hosts=[], purpose="server", mtls=True, now=NOW)
    assert [finding.code for finding in fit.findings] == ["ca.all-expired"]
