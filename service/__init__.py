"""Keystead: every private key and certificate of a platform in one place, in Vault.

Rooms, from the outside in: cli, app, web | delivery | worker | agent | embedded, inventory, index | audit, records,
errors, pki, settings. An inner room imports nothing of an outer one (`docs/architecture.md`).
"""
