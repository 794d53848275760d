"""`keystead check`: the findings about a key, a certificate and a CA, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import IO, Literal

import click

from service.cli.output import EXIT_FINDINGS, EXIT_UNREACHABLE, json_option, show_facts, show_findings, show_json
from service.pki.bundle import Checked, check_bundle
from service.pki.pem import MAX_FIELD_BYTES

_KEY_MARK = b"PRIVATE KEY-----"
_BEGIN = b"-----BEGIN "


@click.command()
@click.argument("files", nargs=-1, type=click.Path())
@click.option("--key", type=click.Path(), help="The private key, PEM. - reads standard input.")
@click.option("--cert", type=click.Path(), help="The certificate chain, PEM.")
@click.option("--ca", type=click.Path(), help="The CA of mTLS clients, PEM.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name that clients use; may be repeated.")
@click.option("--purpose", type=click.Choice(["server", "client"]), help="What the certificate is for.")
@click.option("--at", "at", metavar="TIME", help="Check at this time (ISO 8601) instead of now.")
@click.option("--passphrase-file", type=click.Path(), help="The passphrase of an encrypted key.")
@json_option
def check(
    files: tuple[str, ...],
    key: str | None,
    cert: str | None,
    ca: str | None,
    hosts: tuple[str, ...],
    purpose: Literal["server", "client"] | None,
    at: str | None,
    passphrase_file: str | None,
    as_json: bool,
) -> None:
    """Check a key, a certificate chain and a CA.

    FILE may hold keys and certificates in any mix: blocks that say PRIVATE KEY are the KEY, the others the CERT.
    Without a key the certificate alone is checked. Exit 1 when a finding is an error.
    """
    if not (files or key or cert or ca):
        raise click.UsageError("Name at least one file.")
    now = _time(at)
    parts: dict[str, list[bytes]] = {"key": [], "cert": [], "ca": []}
    for name in files:
        content = _read(name)
        (parts["key"] if _KEY_MARK in content and not _has_certificate(content) else parts["cert"]).append(content)
    for field, named in (("key", key), ("cert", cert), ("ca", ca)):
        if named:
            parts[field].append(_read(named))
    mixed = [content for content in parts["cert"] if _KEY_MARK in content]
    for content in mixed:
        keys, others = _part(content)
        parts["cert"].remove(content)
        parts["key"].append(keys)
        parts["cert"].append(others)
    checked = _check(parts, _passphrase(passphrase_file), hosts, purpose, now)
    if as_json:
        show_json(_as_json(checked))
    else:
        _show(checked)
    if checked.blocked:
        raise SystemExit(EXIT_FINDINGS)


def _check(
    parts: dict[str, list[bytes]],
    passphrase: str | None,
    hosts: tuple[str, ...],
    purpose: Literal["server", "client"] | None,
    now: datetime,
) -> Checked:
    texts = {field: b"\n".join(contents).decode("utf-8", "replace") for field, contents in parts.items()}
    checked = check_bundle(
        private_key=texts["key"] or None,
        certificate=texts["cert"] or None,
        ca=texts["ca"] or None,
        passphrase=passphrase,
        hosts=hosts,
        purpose=purpose,
        now=now,
    )
    given = {"private_key": parts["key"], "certificate": parts["cert"], "ca": parts["ca"]}
    absent = {"key.missing": "private_key", "certificate.missing": "certificate"}
    findings = tuple(one for one in checked.findings if one.code not in absent or given[absent[one.code]])
    return Checked(findings, checked.facts, checked.private_key, checked.certificate, checked.ca)


def _as_json(checked: Checked) -> dict[str, object]:
    return {
        "findings": [finding.as_json() for finding in checked.findings],
        "facts": checked.facts.as_json() if checked.facts else None,
        "normalized": {"certificate": checked.certificate, "ca": checked.ca},
    }


def _show(checked: Checked) -> None:
    if checked.facts is not None:
        leaf = checked.facts.leaf
        show_facts(
            [
                ("certificate", leaf.title),
                ("covers", ", ".join((*leaf.dns_names, *leaf.ip_addresses))),
                ("chain", " → ".join(one.title for one in checked.facts.chain)),
                ("issuer", leaf.issuer_common_name or leaf.issuer),
                ("valid", f"{leaf.not_before:%Y-%m-%d} to {leaf.not_after:%Y-%m-%d}"),
                ("key", f"{leaf.key_algorithm} {leaf.key_size_bits}"),
                ("SHA-256", leaf.fingerprint_sha256),
                ("CA", ", ".join(one.title for one in checked.facts.ca)),
            ]
        )
    show_findings([finding.as_json() for finding in checked.findings])
    if not checked.findings:
        click.secho("No findings.", fg="green")


def _part(content: bytes) -> tuple[bytes, bytes]:
    """A file with keys and certificates in it, parted into both; text before a block goes with it."""
    keys: list[bytes] = []
    others: list[bytes] = []
    pieces = content.split(_BEGIN)
    for piece in pieces[1:]:
        label = piece.split(b"-----", 1)[0]
        (keys if label.endswith(b"PRIVATE KEY") or label == b"EC PARAMETERS" else others).append(_BEGIN + piece)
    return b"".join(keys), b"".join(others)


def _has_certificate(content: bytes) -> bool:
    return b"CERTIFICATE-----" in content


def _read(name: str) -> bytes:
    """A file, as far as a field may be long; one byte more tells that it is too long."""
    try:
        with click.open_file(name, "rb") as file:
            return _bytes(file)
    except OSError as error:
        click.echo(f"Error: {name} cannot be read: {error.strerror}", err=True)
        raise SystemExit(EXIT_UNREACHABLE) from None


def _bytes(file: IO[bytes]) -> bytes:
    return file.read(MAX_FIELD_BYTES + 1)


def _passphrase(name: str | None) -> str | None:
    return _read(name).decode("utf-8", "replace").rstrip("\r\n") if name else None


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time like 2026-06-01T12:00Z.", param_hint="--at") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
