"""Sets up this machine's OpenBao with a root token that lives for seconds, in memory only (ADR 0003).

It runs at the first start, after an upgrade that brings other policies, after a crash in the middle of itself, and when
a service's credentials are missing. Every step may be repeated.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from service.embedded.data_dir import DataDir, write_file
from service.embedded.openbao import OpenBao
from service.embedded.setup_state import ADMIN, credentials_file, note_setup_done
from vault import bootstrap
from vault.session import Server, Token, Vault

ROLES: dict[str, bootstrap.ServiceRole] = {"web": "index", "delivery": "index", "worker": "worker"}
"""Which role each process signs in with. Each has a SecretID of its own."""
_PASSWORD_BYTES = 18


def set_up(
    data: DataDir, openbao: OpenBao, server: Server, admin_password: str | None, give_up: Callable[[], bool]
) -> None:
    """Initialise OpenBao when it is new; bring mounts, policies, roles, administrator and credentials to what is due.

    Raises:
        CannotStart, Unanswered, vault.errors.VaultError: OpenBao ended, did not answer, or refused. After a new start
            of it this may be called again: nothing is lost, and no root token stays valid.
    """
    interrupted = data.setup_open.exists()
    root_token = openbao.first_root_token(give_up) or openbao.new_root_token(give_up)
    if interrupted:
        openbao.revoke_other_root_tokens(root_token)
    vault = Vault(server, Token(root_token))
    bootstrap.apply(vault)
    if not data.setup_done.exists():
        _ensure_admin(data, vault, admin_password)
    for process in ROLES:
        write_credentials(vault, process, credentials_file(data, process))
    openbao.revoke(root_token)
    note_setup_done(data)


def write_credentials(vault: Vault, process: str, file: Path) -> bool:
    """Issue a process's credentials into `file`, unless it is there. Returns whether it was written."""
    if file.exists():
        return False
    role_id, secret_id = bootstrap.issue_service_credentials(vault, ROLES[process])
    write_file(file, json.dumps({"role_id": role_id, "secret_id": secret_id}).encode())
    return True


def _ensure_admin(data: DataDir, vault: Vault, password: str | None) -> None:
    """The first administrator, once: what people change later is theirs."""
    if not password and data.admin_password.exists():
        password = data.admin_password.read_text("ascii")  # a first start that a crash cut short
    if not password:
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        write_file(data.admin_password, password.encode())
    bootstrap.ensure_admin(vault, ADMIN, password)
