"""What an operator does once: initialise a server, unseal it, make a root token for setup. Called without a token.

Works on both seals: a server that unseals itself (a static or cloud seal) hands out a recovery key, one with Shamir's
seal the key that opens it. One share is made: whoever wants more initialises the server without this.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from vault.errors import VaultError
from vault.wire import Server, Token, Wire

INITIALISE_LIMIT_S = 60.0
"""Integrated storage elects its first leader meanwhile."""


@dataclass(frozen=True, slots=True)
class SealStatus:
    """How a server is locked. `unseals_itself`: its key comes from elsewhere."""

    initialized: bool
    sealed: bool
    unseals_itself: bool


class Initialised:
    """What initialising gave, once. The repr shows nothing.

    Attributes:
        root: the first root token, to be revoked after setup.
        key: the recovery key, or the key that unseals, in base64.
    """

    __slots__ = ("key", "root")

    def __init__(self, root: Token, key: Token) -> None:
        self.root = root
        self.key = key


def seal_status(server: Server) -> SealStatus:
    """How the server is locked.

    Raises:
        Unreachable.
    """
    answer = Wire(server, None).call("GET", "sys/seal-status", "ask for the seal")
    itself = answer.get("type", "shamir") != "shamir" or bool(answer.get("recovery_seal"))
    return SealStatus(bool(answer.get("initialized")), bool(answer.get("sealed", True)), itself)


def initialise(server: Server, *, unseals_itself: bool) -> Initialised:
    """Initialise a new server with one share.

    Raises:
        Rejected: it is initialised already. Unreachable.
    """
    kind = "recovery" if unseals_itself else "secret"
    answer = Wire(server, None).call(
        "PUT",
        "sys/init",
        "initialise",
        body={f"{kind}_shares": 1, f"{kind}_threshold": 1},
        timeout_s=INITIALISE_LIMIT_S,
    )
    keys = answer["recovery_keys_base64" if unseals_itself else "keys_base64"]
    return Initialised(Token(answer["root_token"]), Token(keys[0]))


def unseal(server: Server, key: Token) -> None:
    """Open a server with Shamir's seal.

    Raises:
        Rejected: the key is not the right one.
    """
    Wire(server, None).call("PUT", "sys/unseal", "unseal", body={"key": key.reveal()})


def generate_root(server: Server, key: Token) -> Token:
    """A root token, made with the recovery key or the key that unseals. The caller revokes it.

    OpenBao allows this only where its listener says `disable_unauthed_generate_root_endpoints = false`.

    Raises:
        Rejected, Denied: the key is not the right one, or the server does not allow it.
    """
    wire, attempt = Wire(server, None), "sys/generate-root/attempt"
    wire.call("DELETE", attempt, "end an unfinished attempt at a root token")
    begun = wire.call("PUT", attempt, "begin to make a root token", body={})
    body = {"key": key.reveal(), "nonce": begun["nonce"]}
    made = wire.call("PUT", "sys/generate-root/update", "make a root token", body=body)
    token = _unmasked(str(made.get("encoded_token", "")), str(begun.get("otp", "")))
    if not token:
        raise VaultError("make a root token", "the server's answer is not understood")
    return Token(token)


def _unmasked(encoded: str, one_time_pad: str) -> str:
    """The token XOR a pad of its length that was sent before, in base64 without padding; empty when it is neither."""
    try:
        masked = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        return bytes(left ^ right for left, right in zip(masked, one_time_pad.encode(), strict=True)).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
