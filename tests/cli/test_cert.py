"""`keystead cert`: registering from any form of file, and what a rotation says and refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cli.conftest import Shell
from tests.material import CLIENT, issue, paste, root
from tests.web.pages.conftest import pasted
from tests.web.pages.test_pasting import PASSPHRASE, mail, pkcs12

pytestmark = pytest.mark.live

NUMBERS = count(1)


def create(shell: Shell, folder: Path, *hosts: str, client_ca: bool = False) -> str:
    """Register a certificate from PEM files; its name."""
    name, given = f"cli-{next(NUMBERS)}", pasted(*hosts, client_ca=client_ca)
    for part, content in (("key", given.key), ("cert", given.certificate), ("ca", given.ca)):
        (folder / f"{part}.pem").write_text(content)
    more = ["--ca", folder / "ca.pem"] if client_ca else []
    result = shell("cert", "create", name, "--key", folder / "key.pem", "--cert", folder / "cert.pem", *more)
    assert result.exit_code == 0, result.output
    return name


def relay(shell: Shell, name: str, host: str, certificate: str, mode: str = "tls") -> None:
    assert shell("relay", "create", name, "--host", host, "--port", "443", "--mode", mode).exit_code == 0
    assert shell("bind", "relay", name, certificate).exit_code == 0


@pytest.mark.parametrize("form", ["a PKCS#12 file", "DER", "a quoted mail", "UTF-16"])
def test_a_file_of_any_form_is_registered(shell: Shell, tmp_path: Path, form: str):
    given, name = pasted("any.example.com"), f"cli-{next(NUMBERS)}"
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    arguments: list[str | Path] = ["--cert", tmp_path / "all"]
    if form == "a PKCS#12 file":
        (tmp_path / "all").write_bytes(pkcs12(given))
        arguments += ["--passphrase-file", tmp_path / "passphrase"]
    elif form == "DER":
        (tmp_path / "all").write_bytes(given.leaf.certificate.public_bytes(Encoding.DER))
        key = given.leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "key").write_bytes(key)
        arguments += ["--key", tmp_path / "key"]
    else:
        (tmp_path / "all").write_bytes(mail(given).encode("utf-16" if form == "UTF-16" else "utf-8"))
    result = shell("cert", "create", name, *arguments)
    assert result.exit_code == 0, result.output
    assert "any.example.com" in result.output
    stored = shell.api("GET", f"/certificates/{name}").json["certificate"]
    assert stored == (given.leaf.pem if form == "DER" else given.certificate)


def test_a_rotation_that_breaks_a_relay_is_refused_with_its_name_and_goes_through_accepted(
    shell: Shell, tmp_path: Path
):
    name = create(shell, tmp_path, "a.example.com", "b.example.com", "c.example.com")
    for one in "abc":
        relay(shell, f"{name}-{one}", f"{one}.example.com", name)
    new = pasted("a.example.com", "c.example.com")
    (tmp_path / "new.pem").write_text(new.certificate + new.key)
    command = ("cert", "rotate", name, "--cert", tmp_path / "new.pem")
    refused = shell(*command)
    assert refused.exit_code == 1
    assert f"relay-{name}-b" in refused.output
    assert f"relay-{name}-a" not in refused.output
    assert shell.api("GET", f"/certificates/{name}").json["version"] == 1
    accepted = shell(*command, "--accept", "host.not-covered", "--json")
    assert accepted.exit_code == 0, accepted.output
    assert json.loads(accepted.output)["version"] == 2


def test_the_old_authority_is_kept_until_a_day(shell: Shell, tmp_path: Path):
    name = create(shell, tmp_path, "m.example.com", client_ca=True)
    relay(shell, f"{name}-m", "m.example.com", name, "mtls")
    (tmp_path / "other.pem").write_text(root("Other Clients", now=datetime.now(UTC)).pem)
    command = ("cert", "rotate", name, "--ca", tmp_path / "other.pem")
    assert "ca.dropped" in shell(*command).output
    until = str(datetime.now(UTC).date() + timedelta(days=30))
    kept = shell(*command, "--keep-ca-until", until)
    assert kept.exit_code == 0, kept.output
    assert shell.api("GET", f"/certificates/{name}").json["ca"].count("BEGIN CERTIFICATE") == 2
    wrong = shell(*command, "--keep-ca-until", "soon")
    assert wrong.exit_code == 1
    assert "soon" not in wrong.output


def test_a_clients_certificate_is_put_to_the_question(shell: Shell, tmp_path: Path):
    given = paste("q.example.com", now=datetime.now(UTC), client_ca=True)
    authority = root("Clients of mine", now=datetime.now(UTC))
    name = f"cli-{next(NUMBERS)}"
    body = {"name": name, "private_key": given.key, "certificate": given.certificate, "ca": authority.pem}
    assert shell.api("POST", "/certificates", body).status_code == 201
    client = issue("a client", issuer=authority, usages=CLIENT, now=datetime.now(UTC))
    (tmp_path / "client.pem").write_text(client.pem)
    (tmp_path / "client.der").write_bytes(client.certificate.public_bytes(Encoding.DER))
    for file in ("client.pem", "client.der"):
        result = shell("cert", "client-check", name, tmp_path / file)
        assert (result.exit_code, result.output) == (0, "Accepted.\n")
    (tmp_path / "server.pem").write_text(given.leaf.pem)
    refused = shell("cert", "client-check", name, tmp_path / "server.pem", "--json")
    assert refused.exit_code == 1
    answer = json.loads(refused.output)
    assert answer["accepted"] is False
    assert [one["code"] for one in answer["findings"]]
    assert shell("cert", "client-check", name, tmp_path / "none.pem").exit_code == 3
