"""Keystead's policies: HCL files with the names of an instance's mounts put in."""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import Final

from vault.consumers import MAX_WRAPPED_FOR_S, MIN_WRAPPED_FOR_S, TOKEN_TTL
from vault.wire import Server

POLICIES: Final = ("admin", "auditor", "consumer", "index", "worker")


def policy_text(name: str, server: Server, consumer_accessor: str) -> str:
    """A policy as it stands in Vault.

    Args:
        name: one of `POLICIES`.
        consumer_accessor: of the consumers' AppRole mount (`sys/auth`); policies refer to a mount's aliases by it.
    """
    template = (resources.files("vault") / "policies" / f"{name}.hcl").read_text(encoding="utf-8")
    return Template(template).substitute(
        mount=server.mount,
        prefix=server.mount,
        consumer_mount=server.consumer_mount,
        consumer_accessor=consumer_accessor,
        consumer_token_ttl=TOKEN_TTL,
        min_wrapped_for_s=MIN_WRAPPED_FOR_S,
        max_wrapped_for_s=MAX_WRAPPED_FOR_S,
    )
