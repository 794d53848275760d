"""`keystead setup`: the same for a Vault or OpenBao that you bring, with your token, which is used and forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.embedded.errors import EXIT_UNREACHABLE, CannotStart
from service.embedded.machine_setup import ROLES, write_credentials
from service.embedded.new_vault import Opened
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
        credentials: the folder to write `web.json`, `delivery.json` and `worker.json` to (into `web/` and so on where
            such a folder is there); what is there stays.
        admin_password: makes the user `admin`, when there is none; None makes nobody.
        check: only say what differs.
        initialize: the folder for the keys of a server that is new, or does not unseal itself; None for one that is
            looked after by others, with `VAULT_TOKEN`.
    """

    userpass_mount: str | None
    credentials: Path | None
    admin_password: str | None = field(repr=False)
    check: bool = False
    initialize: Path | None = None


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
    try:
        if request.initialize is not None:
            return _set_up_new(_server(environment), request, request.initialize)
        return _set_up(Vault(_server(environment), _token(environment)), request)
    except Unreachable as error:
        raise CannotStart(f"the server cannot be used: {error}", exit_code=EXIT_UNREACHABLE) from None
    except Denied as error:
        raise CannotStart(f"the token may not do this: {error}", exit_code=EXIT_REFUSED) from None
    except VaultError as error:
        raise CannotStart(str(error), exit_code=EXIT_REFUSED) from None


def _set_up_new(server: Server, request: Request, folder: Path) -> Report:
    """Initialise or unseal first; nothing more when this setup was done before."""
    opened = Opened(server, folder)
    try:
        opened.open()
        missing = request.credentials and not all(
            credentials_file(request.credentials, name).exists() for name in ROLES
        )
        if not missing and not opened.due():
            return Report((), (), admin_made=False)
        token = opened.root_token()
        password = request.admin_password or opened.admin_password()
        report = _set_up(Vault(server, token), replace(request, admin_password=password))
        opened.finish(token)
    except OSError as error:
        raise CannotStart(f"{folder} cannot be written: {error.strerror}") from None
    return report


def _set_up(vault: Vault, request: Request) -> Report:
    if request.check:
        return Report(bootstrap.plan(vault, userpass_mount=request.userpass_mount), (), admin_made=False)
    differences = bootstrap.apply(vault, userpass_mount=request.userpass_mount)
    admin_made = False
    if request.admin_password and request.userpass_mount:
        admin_made = bootstrap.ensure_admin(vault, ADMIN, request.admin_password, userpass_mount=request.userpass_mount)
    written = _write_all_credentials(vault, request.credentials) if request.credentials else ()
    return Report(differences, written, admin_made)


def credentials_file(folder: Path, process: str) -> Path:
    """`web.json`, in a folder of its own where there is one: containers mount one each."""
    own = folder / process
    return (own if own.is_dir() else folder) / f"{process}.json"


def _write_all_credentials(vault: Vault, folder: Path) -> tuple[Path, ...]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tuple(
            file for process in ROLES if write_credentials(vault, process, file := credentials_file(folder, process))
        )
    except OSError as error:
        raise CannotStart(f"{folder} cannot be written: {error.strerror}") from None


def _server(environment: Mapping[str, str]) -> Server:
    address = environment.get("VAULT_ADDR", "").rstrip("/")
    if not address:
        raise CannotStart("VAULT_ADDR is not set: the server to set up, for example https://vault.example:8200")
    ca_file = Path(environment["VAULT_CACERT"]) if environment.get("VAULT_CACERT") else None
    if ca_file and not ca_file.is_file():
        raise CannotStart(f"VAULT_CACERT names {ca_file}, which is not a file")
    return Server(address, ca_file=ca_file, namespace=environment.get("VAULT_NAMESPACE", ""))


def _token(environment: Mapping[str, str]) -> Token:
    token = environment.get("VAULT_TOKEN", "") or _token_of_login()
    if not token:
        raise CannotStart("VAULT_TOKEN is not set, and `vault login` has left no token")
    return Token(token)


def _token_of_login() -> str:
    try:
        return _TOKEN_FILE.expanduser().read_text("ascii").strip()
    except (OSError, ValueError, RuntimeError):
        return ""
