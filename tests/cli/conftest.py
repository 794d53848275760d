"""The command line against a console that listens, as an administrator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.conftest import Instance
from tests.web.conftest import Api, make_console, served


@dataclass
class Shell:
    """Runs commands with the environment of somebody who is signed in."""

    environment: dict[str, str]
    api: Api

    def __call__(self, *arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [str(one) for one in arguments], env=self.environment)


@pytest.fixture(scope="module")
def shell(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The shell of this module."""
    console, folder = make_console(instance), tmp_path_factory.mktemp("tls")
    with served(console, "127.0.0.1", folder) as port:
        environment = {
            "KEYSTEAD_URL": f"https://127.0.0.1:{port}",
            "KEYSTEAD_CACERT": str(folder / "ca.pem"),
            "KEYSTEAD_TOKEN": instance.admin.token.reveal(),
        }
        yield Shell(environment, console.api())
