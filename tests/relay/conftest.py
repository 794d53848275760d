"""A running delivery plane for the relays of each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Instance
from tests.delivery.plane import Plane, running_plane


@pytest.fixture(scope="module")
def plane(instance: Instance) -> Iterator[Plane]:
    """The delivery plane of this module's instance."""
    with running_plane(instance) as running:
        yield running
