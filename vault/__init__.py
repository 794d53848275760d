"""Vault (or OpenBao) as Keystead uses it: versioned documents with a public half, identities, login, setup.

This room knows no certificates and imports nothing of `service`. It is the only one that imports hvac, and no error of
hvac, requests or aiohttp leaves it: they carry response bodies.
"""

from vault.session import Health, Server, SignedIn, Token, Vault, health

__all__ = ["Health", "Server", "SignedIn", "Token", "Vault", "health"]
