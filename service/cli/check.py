"""`keystead check`: the findings about a key, a certificate and a CA, without a server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import IO, Literal

import click

from service.cli.output import EXIT_FINDINGS, EXIT_UNREACHABLE, json_option, show_facts, show_findings, show_json
from service.pki.bundle import Checked, check_bundle
from service.pki.codes import shown
from service.pki.finding import Finding
from service.pki.pem import MAX_FIELD_BYTES
from service.pki.recognised import Recognised


@click.command()
@click.argument("files", nargs=-1, type=click.Path())
@click.option("--key", type=click.Path(), help="The private key. - reads standard input.")
@click.option("--cert", type=click.Path(), help="The certificate chain.")
@click.option("--ca", type=click.Path(), help="The CA of mTLS clients.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name that clients use; may be repeated.")
@click.option("--purpose", type=click.Choice(["server", "client"]), help="What the certificate is for.")
@click.option("--at", "at", metavar="TIME", help="Check at this time (ISO 8601) instead of now.")
@click.option("--passphrase-file", type=click.Path(), help="The passphrase of an encrypted key or PKCS#12 file.")
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

    FILE may hold keys and certificates in any mix, order and form: PEM, DER, PKCS#7, PKCS#12, JSON, YAML.
    Without a key the certificate alone is checked. Exit 1 when a finding is an error.
    """
    if not (files or key or cert or ca):
        raise click.UsageError("Name at least one file.")
    now = _time(at)
    given = {"private_key": key, "certificate": cert, "ca": ca}
    parts = {field: [_read(name)] if name else [] for field, name in given.items()}
    parts["certificate"] += [_read(name) for name in files]
    checked = check_bundle(
        private_key=parts["private_key"],
        certificate=parts["certificate"],
        ca=parts["ca"],
        passphrase=_passphrase(passphrase_file),
        hosts=hosts,
        purpose=purpose,
        now=now,
    )
    checked = replace(checked, findings=_worth_saying(checked, parts, cert))
    if as_json:
        show_json(_as_json(checked))
    else:
        _show(checked)
    if checked.blocked:
        raise SystemExit(EXIT_FINDINGS)


def _worth_saying(checked: Checked, parts: dict[str, list[bytes]], cert: str | None) -> tuple[Finding, ...]:
    """Without what concerns fields: a file that was named alone may hold anything, and nobody asked for the rest."""
    silent = {"key.in-other-field", "certificate.in-key-field"}
    if not parts["private_key"]:
        silent.add("key.missing")
    if not cert and any("rivate key" in block.what for block in checked.blocks):
        silent.add("certificate.missing")
    return tuple(one for one in checked.findings if one.code not in silent)


def _as_json(checked: Checked) -> dict[str, object]:
    return {
        "findings": [finding.as_json() for finding in checked.findings],
        "facts": checked.facts.as_json() if checked.facts else None,
        "normalized": {"certificate": checked.certificate, "ca": checked.ca},
        "blocks": [block.as_json() for block in checked.blocks],
    }


def _show(checked: Checked) -> None:
    for block in checked.blocks:
        show_block(block)
    if checked.facts is not None:
        leaf = checked.facts.leaf
        show_facts(
            [
                ("certificate", leaf.title),
                ("covers", ", ".join(map(shown, (*leaf.dns_names, *leaf.ip_addresses)))),
                ("chain", " → ".join(one.title for one in checked.facts.chain)),
                ("issuer", leaf.issuer_title),
                ("valid", f"{leaf.not_before:%Y-%m-%d} to {leaf.not_after:%Y-%m-%d}"),
                ("key", f"{leaf.key_algorithm} {leaf.key_size_bits}"),
                ("SHA-256", leaf.fingerprint_sha256),
                ("CA", ", ".join(one.title for one in checked.facts.ca)),
            ]
        )
    show_findings([finding.as_json() for finding in checked.findings])
    if not checked.findings:
        click.secho("No findings.", fg="green")


_MARKS = {
    "kept": ("✓", "green"),
    "moved": ("✓", "green"),
    "left-out": ("–", "bright_black"),
    "unreadable": ("✗", "red"),
}


def show_block(block: Recognised) -> None:
    """One line: what a block is, whose, until when, and what was done with it."""
    mark, colour = _MARKS[block.outcome]
    words = [block.what, block.whose, f"until {block.until:%Y-%m-%d}" if block.until else ""]
    source = "" if block.source == "PEM" else f" ({block.source})"
    outcome = "" if block.outcome in {"kept", "moved"} else f", {block.outcome.replace('-', ' ')}"
    click.echo(f"{click.style(mark, fg=colour)} {' · '.join(word for word in words if word)}{source}{outcome}")


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
