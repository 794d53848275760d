"""One person's hands: everything that this person may do, with this person's own token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from service.index import Index
from service.inventory.certificates import Certificates
from service.inventory.jobs import Jobs
from service.inventory.providers import Providers
from service.inventory.relays import Relays
from vault.session import Vault


class Inventory:
    """What a signed-in person can do. Cheap to make, for one request.

    Args:
        vault: Vault with the person's token: its policies decide what is allowed.
        index: what is there.
        who: the person's name, for the journal and for the versions they write.
        clock: aware UTC now.
    """

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        self.certificates = Certificates(vault, index, who, clock)
        self.relays = Relays(vault, index, who, clock)
        self.providers = Providers(vault, index, who, clock)
        self.jobs = Jobs(vault, index, who, clock)
