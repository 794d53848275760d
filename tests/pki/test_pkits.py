"""NIST PKITS (Public Key Interoperability Test Suite 1.0.1): every end entity certificate, or the reason why not.

Each path is built by the product itself from all CA certificates of the suite at once.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from service.pki.chain import check_chain, order_chain
from service.pki.facts import Unreadable, certificate_facts, load_certificate
from service.pki.finding import Severity
from service.pki.link import Link

ROOT = Path(str(files("cryptography_vectors"))) / "x509" / "PKITS_data" / "certs"
AT = datetime(2025, 1, 1, tzinfo=UTC)
"""Within the suite's validity: it was made in 2010, and ends in 2030."""
STRENGTH = {"certificate.weak-key", "certificate.weak-signature", "chain.weak-signature"}
"""PKITS is about paths; some of its keys are weak by today's rules, and that is told by other checks."""

NOT_APPLICABLE = {
    r"(Missing|Wrong|Bad|Two|Old|Unknown|pre2000|GeneralizedTime)\w*CRL|Revoked|SerialNumber|SeparateCert": (
        "4.4 revocation: no revocation list is fetched or read"
    ),
    r"BasicSelfIssued(NewWithOldTest[45]|OldWithNewTest2|CRLSigningKey)": "4.5: these turn on a revocation list",
    r"cRLSignFalse": "4.7.4, 4.7.5: the key that signs revocation lists",
    r"Policy|Policies|PolicyMapping|PointerQualifier|NoticeQualifier|AnyPolicy": (
        "4.8 to 4.12 policies: no TLS stack that is delivered to evaluates them unless told to"
    ),
    r"distributionPoint|DistributionPoint|indirectCRL|onlyContains|onlySomeReasons|cRLIssuer": (
        "4.14 distribution points: no revocation list is fetched"
    ),
    r"deltaCRL": "4.15 delta revocation lists: none is fetched",
    r"DSA": "4.1.4 to 4.1.6: DSA, which TLS 1.3 has no more and no server here is given",
}
EXPECTED = {
    r"Signature": {"chain.signature", "chain.incomplete", "chain.unrelated"},
    r"notBefore|notAfter": {
        "certificate.expired",
        "certificate.not-yet-valid",
        "chain.expired",
        "chain.not-yet-valid",
    },
    r"NameChaining": {"chain.incomplete"},
    r"cAFalse|MissingbasicConstraints": {"chain.not-a-ca"},
    r"pathLen": {"chain.path-length"},
    r"keyCertSignFalse": {"chain.key-usage"},
    r"nameConstraints": {"chain.name-constraints"},
    r"UnknownCritical": {"chain.critical-extension"},
}
"""For what is invalid, the codes of which at least one is told."""


@cache
def authorities() -> tuple[Link, ...]:
    links = []
    for position, path in enumerate(sorted(ROOT.glob("*.crt")), start=2):
        if "Test" in path.name and path.name.endswith("EE.crt"):
            continue
        try:
            certificate = load_certificate(path.read_bytes())
            links.append(Link(certificate, certificate_facts(certificate), position))
        except Unreadable:
            assert "DSA" in path.name
    return tuple(links)


def reason(name: str) -> str | None:
    return next((why for pattern, why in NOT_APPLICABLE.items() if re.search(pattern, name)), None)


def entities() -> list[str]:
    return sorted(path.stem for path in ROOT.glob("*EE.crt"))


def refusals(name: str) -> set[str]:
    """The codes of the errors; a path that does not end at the suite's anchor is refused too."""
    certificate = load_certificate((ROOT / f"{name}.crt").read_bytes())
    leaf = Link(certificate, certificate_facts(certificate), 1)
    ordered = order_chain([leaf, *authorities()], leaf.facts.spki_sha256, AT)
    top = ordered.root or ordered.chain[-1]
    anchored = top.facts.self_signed and top.facts.common_name == "Trust Anchor"
    findings = check_chain(ordered, AT, complete=anchored)
    codes = {one.code for one in findings if one.severity is Severity.ERROR} - STRENGTH
    if not anchored:
        codes |= {"chain.incomplete"} | {one.code for one in ordered.findings if one.code == "chain.signature"}
    return codes


@pytest.mark.parametrize("name", [name for name in entities() if reason(name) is None])
def test_a_path_is_accepted_or_refused_as_the_suite_says(name):
    told = refusals(name)
    if name.startswith("Valid"):
        assert told == set()
    else:
        expected = next(codes for pattern, codes in EXPECTED.items() if re.search(pattern, name))
        assert told & expected, told


def test_no_case_is_forgotten():
    counts = Counter((reason(name) or "run").split(":")[0] for name in entities())
    assert sum(counts.values()) == len(list(ROOT.glob("*EE.crt"))) == 223
    assert counts["run"] == 84
