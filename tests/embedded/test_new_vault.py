"""`keystead prepare` and `keystead setup --initialize`: what docker compose runs, with its own configuration."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.embedded.openbao import binary
from tests.conftest import _free_port
from tests.embedded.running import wait_until
from vault import login
from vault.session import Server, Token, Vault, health

ROOT = Path(__file__).parents[2]


class Machine:
    """A prepared folder and a server that was never initialised."""

    def __init__(self, home: Path, configuration: str) -> None:
        self.home, self.port = home, _free_port()
        self.files, self.setup = home / "files", home / "setup"
        self.credentials = home / "credentials"
        for process in ("web", "delivery", "worker"):
            (self.credentials / process).mkdir(parents=True)
        for folder in ("vault/data", "vault/logs"):
            (home / folder).mkdir(parents=True)
        text = (ROOT / "compose" / configuration).read_text()
        text = re.sub(r'(?<=["/])/(?=(files|vault)/)', f"{home}/", text)
        text = text.replace("0.0.0.0:8200", f"127.0.0.1:{self.port}")
        text = text.replace("127.0.0.1:8201", f"127.0.0.1:{_free_port()}")
        if "generate_root" not in text:  # HashiCorp Vault allows it without being told, OpenBao does not
            text = text.replace(
                'listener "tcp" {', 'listener "tcp" {\n  disable_unauthed_generate_root_endpoints = false'
            )
        self.configuration = home / "server.hcl"
        self.configuration.write_text(text)

    @property
    def server(self) -> Server:
        return Server(f"https://127.0.0.1:{self.port}", ca_file=self.files / "ca/ca.pem")

    def keystead(self, *arguments: str | Path) -> Result:
        environment = {"VAULT_ADDR": self.server.url, "VAULT_CACERT": str(self.files / "ca/ca.pem"), "VAULT_TOKEN": ""}
        return CliRunner().invoke(main, [str(one) for one in arguments], env=environment)

    def set_up(self) -> Result:
        return self.keystead("setup", "--initialize", self.setup, "--credentials", self.credentials, "--json")

    @contextmanager
    def running(self) -> Iterator[None]:
        with (self.home / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [str(binary()), "server", f"-config={self.configuration}"],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.home)},
            )
        try:
            wait_until(lambda: process.poll() is None and _answers(self.server), "the server", limit_s=60)
            yield
        finally:
            process.kill()
            process.wait(10)


def _answers(server: Server) -> bool:
    try:
        health(server)
    except Exception:  # noqa: BLE001 - not there yet, whatever the reason
        return False
    return True


@pytest.mark.parametrize("configuration", ["openbao.hcl", "vault.hcl"])
def test_a_new_server_is_set_up_and_survives_a_restart_and_lost_credentials(tmp_path: Path, configuration: str) -> None:
    machine = Machine(tmp_path, configuration)
    assert machine.keystead("prepare", machine.files, "--host", "vault").exit_code == 0
    assert machine.keystead("prepare", machine.files, "--host", "vault").output == "nothing to do\n"
    with machine.running():
        first = machine.set_up()
        assert first.exit_code == 0, first.output
        assert len(json.loads(first.output)["credentials"]) == 3
    with machine.running():
        again = machine.set_up()
        assert (again.exit_code, json.loads(again.output)["credentials"]) == (0, []), again.output
        given = json.loads((machine.credentials / "web/web.json").read_text())
        assert login.service_login(machine.server, given["role_id"], given["secret_id"]).entity_name == "index"
        (machine.credentials / "worker/worker.json").unlink()
        healed = machine.set_up()
        assert healed.exit_code == 0, healed.output
        assert json.loads(healed.output)["credentials"] == [str(machine.credentials / "worker/worker.json")]
        password = (machine.setup / "admin-password").read_text()
        person = login.sign_in(machine.server, method="userpass", mount="userpass", username="admin", password=password)
        assert Vault(machine.server, Token(person.token.reveal())).lookup_self().display_name == "userpass-admin"
    assert not (machine.setup / "root-token").exists()
    secret = [*machine.setup.iterdir(), *machine.files.rglob("*key*")]
    modes = {file.name: file.stat().st_mode & 0o777 for file in secret}
    assert set(modes.values()) == {0o600}, modes


def test_checking_and_initialising_exclude_each_other(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["setup", "--check", "--initialize", str(tmp_path)])
    assert result.exit_code == 2
