"""`keystead setup`: the same for a Vault or OpenBao that you bring, with your token, which is used and forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.embedded.errors import EXIT_UNREACHABLE, CannotStart
from service.embedded.machine_setup import ROLES, write_credentials
from service.embedded.setup_state import ADMIN
from vault import bootstrap
from vault.bootstrap import Difference
from vault.errors import Denied, Unreachable, VaultError
from vault.session import Server, Token, Vault

EXIT_REFUSED = 1
_TOKEN_FILE = Path("~/.vault-token")
"""Where `vault login` and `bao login` leave the token."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to set up.

    Attributes:
        userpass_mount: where people sign in with a password; None leaves passwords out (LDAP, OIDC).
        credentials: the folder to write `web.json`, `delivery.json` and `worker.json` to; what is there stays.
        admin_password: makes the user `admin`, when there is none; None makes nobody.
        check: only say what differs.
    """

    userpass_mount: str | None
    credentials: Path | None
    admin_password: str | None = field(repr=False)
    check: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What setup did, or would do."""

    differences: tuple[Difference, ...]
    credentials: tuple[Path, ...]
    admin_made: bool


def set_up_own(environment: Mapping[str, str], request: Request) -> Report:
    """Set up the server that `VAULT_ADDR`, `VAULT_TOKEN`, `VAULT_CACERT` and `VAULT_NAMESPACE` name.

    Raises:
        CannotStart: a variable is missing, the server cannot be reached, or the token may not. What was done stays;
            it may be run again.
    """
    vault = _vault(environment)
    try:
        if request.check:
            return Report(bootstrap.plan(vault, userpass_mount=request.userpass_mount), (), admin_made=False)
        differences = bootstrap.apply(vault, userpass_mount=request.userpass_mount)
        admin_made = False
        if request.admin_password and request.userpass_mount:
            admin_made = bootstrap.ensure_admin(
                vault, ADMIN, request.admin_password, userpass_mount=request.userpass_mount
            )
        written = _write_all_credentials(vault, request.credentials) if request.credentials else ()
        return Report(differences, written, admin_made)
    except Unreachable as error:
        raise CannotStart(f"{vault.server.url} cannot be used: {error}", exit_code=EXIT_UNREACHABLE) from None
    except Denied as error:
        raise CannotStart(f"the token may not do this: {error}", exit_code=EXIT_REFUSED) from None
    except VaultError as error:
        raise CannotStart(str(error), exit_code=EXIT_REFUSED) from None


def _write_all_credentials(vault: Vault, folder: Path) -> tuple[Path, ...]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tuple(file for process in ROLES if write_credentials(vault, process, file := folder / f"{process}.json"))
    except OSError as error:
        raise CannotStart(f"{folder} cannot be written: {error.strerror}") from None


def _vault(environment: Mapping[str, str]) -> Vault:
    address = environment.get("VAULT_ADDR", "").rstrip("/")
    if not address:
        raise CannotStart("VAULT_ADDR is not set: the server to set up, for example https://vault.example:8200")
    token = environment.get("VAULT_TOKEN", "") or _token_of_login()
    if not token:
        raise CannotStart("VAULT_TOKEN is not set, and `vault login` has left no token")
    ca_file = Path(environment["VAULT_CACERT"]) if environment.get("VAULT_CACERT") else None
    if ca_file and not ca_file.is_file():
        raise CannotStart(f"VAULT_CACERT names {ca_file}, which is not a file")
    return Vault(Server(address, ca_file=ca_file, namespace=environment.get("VAULT_NAMESPACE", "")), Token(token))


def _token_of_login() -> str:
    try:
        return _TOKEN_FILE.expanduser().read_text("ascii").strip()
    except (OSError, ValueError, RuntimeError):
        return ""
