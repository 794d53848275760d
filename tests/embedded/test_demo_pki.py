"""The demonstration's certificates are what our own checks accept without a word."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.embedded.demo_pki import DemoPki
from service.pki.bundle import check_bundle
from service.pki.finding import Severity

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_leaf_passes_our_checks_without_a_warning(tmp_path: Path):
    pki = DemoPki(tmp_path / "demo", NOW)
    for purpose, hosts in (("server", ["*.relay.example.com", "127.0.0.1"]), ("client", [])):
        issued = pki.issue("relay", hosts, purpose=purpose, lifetime=timedelta(days=90))
        checked = check_bundle(
            private_key=issued.private_key, certificate=issued.certificate, ca=issued.ca, purpose=purpose, now=NOW
        )
        assert [finding for finding in checked.findings if finding.severity != Severity.INFO] == []
        assert checked.facts
        assert checked.facts.chain_complete


def test_a_second_start_goes_on_under_the_same_root(tmp_path: Path):
    first = DemoPki(tmp_path / "demo", NOW)
    assert DemoPki(tmp_path / "demo", NOW + timedelta(days=3)).root_pem == first.root_pem
    assert stat.S_IMODE((tmp_path / "demo" / "intermediate.pem").stat().st_mode) == 0o600


def test_an_issued_key_does_not_show_itself(tmp_path: Path):
    issued = DemoPki(tmp_path, NOW).issue("x", [], purpose="client", lifetime=timedelta(days=1))
    assert "PRIVATE" not in repr(issued)
    issued.write(tmp_path / "next")
    assert stat.S_IMODE((tmp_path / "next" / "key.pem").stat().st_mode) == 0o600
