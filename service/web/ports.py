"""What the console is built with. `service.app` chooses; nothing here reaches further than these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from service.index import Index
from service.inventory import Inventory
from service.inventory.people import People, Session


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the web tier that it uses.

    Attributes:
        inventory_for: the use cases, with the hands of a signed-in person.
        clock: aware UTC now.
        delivery_url, vault_url: where consumers fetch; shown to people, empty when it is not known.
        cookie_keys: Fernet keys (url-safe base64, 32 bytes): the first encrypts, all decrypt.
        trusted_hosts: the `Host` names that are answered; empty answers all.
        metrics_token: what `/metrics` asks for; empty turns it off.
        proxies: how many of our own reverse proxies stand in front; each adds to `X-Forwarded-For` and
            `X-Forwarded-Proto`, and what strangers wrote there before them is not believed.
    """

    index: Index
    people: People
    inventory_for: Callable[[Session], Inventory]
    clock: Callable[[], datetime]
    instance_name: str
    delivery_url: str
    cookie_keys: tuple[bytes, ...] = field(repr=False)
    trusted_hosts: tuple[str, ...] = ()
    metrics_token: str = field(default="", repr=False)
    proxies: int = 0
    vault_url: str = ""
