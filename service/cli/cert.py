"""`keystead cert …`: certificates, through the admin API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from service.cli.client import Client, read_material
from service.cli.live import activate, rollback, rollout
from service.cli.output import EXIT_FINDINGS, json_option, show_facts, show_findings, show_json, show_table


@click.group()
def cert() -> None:
    """Certificates: list, register, rotate, delete. Keys are read from files or standard input, never arguments."""


cert.add_command(rollout)
cert.add_command(rollback)
cert.add_command(activate)

material_options = [
    click.option("--key", type=click.Path(), help="The private key, in any form. - reads standard input."),
    click.option("--cert", "chain", type=click.Path(), help="The certificate chain, or all of it in one file."),
    click.option("--ca", type=click.Path(), help="The CA of mTLS clients."),
    click.option("--passphrase-file", type=click.Path(), help="The passphrase of an encrypted key or PKCS#12 file."),
]


def _material(command: Any) -> Any:  # noqa: ANN401 - a decorator of click's
    for option in reversed(material_options):
        command = option(command)
    return command


@cert.command("list")
@click.option("-q", "--query", "query", default="", help="Words to search for.")
@click.option("--status", default=None, help="all, problem, expired, expiring, ok, in-use, unused or deleted.")
@click.option("--sort", default=None, help="name, expires, issuer, updated or used; - first turns it round.")
@json_option
def list_(query: str, status: str | None, sort: str | None, as_json: bool) -> None:
    """List certificates."""
    client, rows, cursor = Client(), [], None
    while True:
        page = client.get("certificates", q=query or None, status=status, sort=sort, limit=200, cursor=cursor)
        rows += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    if as_json:
        show_json({"items": rows})
        return
    show_table(
        ["NAME", "STATE", "COVERS", "ISSUER", "EXPIRES", "USED BY", "VERSION"],
        [
            (
                row["name"],
                row["state"],
                _covers(row["hosts"]),
                row["issuer"],
                (row["not_after"] or "")[:10],
                row["used_by"]["relays"] + row["used_by"]["providers"],
                row["version"],
            )
            for row in rows
        ],
        "No certificates. Register one: keystead cert create NAME --key FILE --cert FILE",
    )


@cert.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a certificate: its facts, findings and users."""
    _show(Client().get("certificates", name), as_json=as_json)


@cert.command()
@click.argument("name")
@_material
@click.option("--comment", default="", help="A comment for people.")
@json_option
def create(
    name: str,
    key: str | None,
    chain: str | None,
    ca: str | None,
    passphrase_file: str | None,
    comment: str,
    as_json: bool,
) -> None:
    """Register a certificate under NAME."""
    if not chain:
        raise click.UsageError("A certificate needs --cert, and --key unless its key is in the same file.")
    body = {"name": name, "comment": comment, **_body(key, chain, ca, passphrase_file)}
    _show(Client().call("POST", "certificates", body=body).json(), as_json=as_json)


@cert.command()
@click.argument("name")
@_material
@click.option("--version", type=int, help="The version you saw; the current one unless told.")
@click.option("--accept", multiple=True, metavar="CODE", help="A harmful impact that is accepted; may be repeated.")
@click.option("--canary", metavar="RELAY", help="Try it on this relay first; the others follow when it serves it.")
@click.option("--keep-ca-until", metavar="DAY", help="Keep the CA that would be dropped until then, as 2027-01-31.")
@json_option
def rotate(
    name: str,
    key: str | None,
    chain: str | None,
    ca: str | None,
    passphrase_file: str | None,
    version: int | None,
    accept: tuple[str, ...],
    canary: str | None,
    keep_ca_until: str | None,
    as_json: bool,
) -> None:
    """Replace the content of NAME by a new version. Without --key the key is kept."""
    if not (key or chain or ca):
        raise click.UsageError("Name what is new: --key, --cert or --ca.")
    client = Client()
    seen = version if version is not None else client.get("certificates", name)["version"]
    body: dict[str, Any] = {**_body(key, chain, ca, passphrase_file), "accept": list(accept)}
    if canary is not None:
        body["canary"] = canary
    if keep_ca_until is not None:
        body["keep_ca_until"] = keep_ca_until
    _show(client.call("PUT", "certificates", name, body=body, version=seen).json(), as_json=as_json)


@cert.command()
@click.argument("name")
@_material
@click.option("--at", "activate_at", metavar="TIME", help="When the worker activates it, as 2027-01-31T04:00:00Z.")
@click.option("--accept", multiple=True, metavar="CODE", help="A harmful impact that is accepted; may be repeated.")
@click.option("--discard", is_flag=True, help="Discard what stands ready instead.")
@json_option
def stage(
    name: str,
    key: str | None,
    chain: str | None,
    ca: str | None,
    passphrase_file: str | None,
    activate_at: str | None,
    accept: tuple[str, ...],
    discard: bool,
    as_json: bool,
) -> None:
    """Prepare the next version of NAME: checked, stored apart, given to nobody until it is activated."""
    client = Client()
    if discard:
        client.call("DELETE", "certificates", name, "staged")
        click.echo(f"Nothing stands ready for {name}.")
        return
    if not (key or chain or ca):
        raise click.UsageError("Name what is new: --key, --cert or --ca.")
    body: dict[str, Any] = {**_body(key, chain, ca, passphrase_file), "accept": list(accept)}
    if activate_at is not None:
        body["activate_at"] = activate_at
    ready = client.call("PUT", "certificates", name, "staged", body=body).json()
    if as_json:
        show_json(ready)
        return
    when = f"the worker activates it at {ready['activate_at']}" if ready["activate_at"] else "activate it when you want"
    click.echo(f"The next version of {name} stands ready; {when}.")


@cert.command("client-check")
@click.argument("name")
@click.argument("file", type=click.Path())
@json_option
def client_check(name: str, file: str, as_json: bool) -> None:
    """Say whether an mTLS relay with certificate NAME would accept the client certificate in FILE. Exit 1 when not."""
    answer = (
        Client().call("POST", "certificates", name, "client-checks", body={"certificate": read_material(file)}).json()
    )
    if as_json:
        show_json(answer)
    elif answer["accepted"]:
        click.secho("Accepted.", fg="green")
    else:
        show_findings(answer["findings"])
    if not answer["accepted"]:
        raise SystemExit(EXIT_FINDINGS)


@cert.command()
@click.argument("name")
@click.option("--permanent", is_flag=True, help="Destroy every version, for ever.")
@click.confirmation_option(prompt="Delete it?")
def delete(name: str, permanent: bool) -> None:
    """Delete a certificate that nobody uses."""
    Client().call("DELETE", "certificates", name, query={"permanent": "true" if permanent else None})
    click.echo(f"{'Destroyed' if permanent else 'Deleted'} {name}.")


@cert.command()
@click.argument("name")
@json_option
def restore(name: str, as_json: bool) -> None:
    """Bring a deleted certificate back."""
    _show(Client().call("POST", "certificates", name, "restore").json(), as_json=as_json)


@cert.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def import_(folder: Path, as_json: bool) -> None:
    """Register every certificate of FOLDER: one subfolder each, with key.pem, cert.pem and perhaps ca.pem.

    Names as certbot writes them (privkey.pem, fullchain.pem) and as Kubernetes does (tls.key, tls.crt, ca.crt) are
    understood too. One that is refused does not stop the others.
    """
    client = Client()
    found = sorted(path for path in folder.iterdir() if path.is_dir())
    outcomes: list[dict[str, str]] = []
    with click.progressbar(length=len(found), label="Importing", file=sys.stderr) as bar:
        for path in found:
            outcomes.append({"name": path.name, "outcome": _import_one(client, path)})
            bar.update(1)
    if as_json:
        show_json({"items": outcomes})
    else:
        show_table(["NAME", "OUTCOME"], [(one["name"], one["outcome"]) for one in outcomes], "No folders found.")
    if any(one["outcome"] != "registered" for one in outcomes):
        raise SystemExit(EXIT_FINDINGS)


_KEYS = ("key.pem", "privkey.pem", "tls.key")
_CHAINS = ("fullchain.pem", "cert.pem", "tls.crt")
_CAS = ("ca.pem", "ca.crt")


def _import_one(client: Client, path: Path) -> str:
    key, chain, ca = (_first(path, names) for names in (_KEYS, _CHAINS, _CAS))
    if key is None or chain is None:
        return "no key or no certificate in it"
    body = {"name": path.name, **_body(key, chain, ca, None)}
    try:
        client.call("POST", "certificates", body=body)
    except SystemExit as ended:
        if ended.code != EXIT_FINDINGS:
            raise
        return "refused"
    return "registered"


def _first(path: Path, names: tuple[str, ...]) -> str | None:
    return next((str(path / name) for name in names if (path / name).is_file()), None)


def _body(key: str | None, chain: str | None, ca: str | None, passphrase_file: str | None) -> dict[str, str]:
    passphrase = read_material(passphrase_file)
    given = {
        "private_key": read_material(key),
        "certificate": read_material(chain),
        "ca": read_material(ca),
        "passphrase": passphrase.rstrip("\r\n") if passphrase else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _show(one: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(one)
        return
    facts = one["facts"] or {}
    show_facts(
        [
            ("name", one["name"]),
            ("state", one["state"]),
            ("version", one["version"]),
            ("covers", ", ".join([*facts.get("dns_names", []), *facts.get("ip_addresses", [])])),
            ("issuer", facts.get("issuer_common_name") or facts.get("issuer")),
            ("valid", f"{facts['not_before'][:10]} to {facts['not_after'][:10]}" if facts else ""),
            ("SHA-256", facts.get("fingerprint_sha256")),
            ("relays", ", ".join(relay["name"] for relay in one["relays"])),
            ("providers", ", ".join(f"{bound['name']}/{bound['cluster']}" for bound in one["providers"])),
            ("comment", one["comment"]),
        ]
    )
    show_findings(one["findings"])


def _covers(hosts: list[str]) -> str:
    return f"{hosts[0]} + {len(hosts) - 1} more" if len(hosts) > 1 else "".join(hosts)
