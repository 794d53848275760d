"""`keystead setup` against a server that somebody else runs."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli.setup import setup
from tests.conftest import Bao
from vault import login
from vault.session import Server

pytestmark = pytest.mark.live


def run(bao: Bao, *arguments: str, **environment: str) -> Result:
    variables = {"VAULT_ADDR": bao.url, "VAULT_TOKEN": bao.root_token, "VAULT_CACERT": str(bao.ca_file)}
    return CliRunner(env={"HOME": "/nonexistent", **variables, **environment}).invoke(setup, arguments)


def test_check_then_setup_then_nothing_to_do(bao: Bao, tmp_path: Path):
    folder = tmp_path / "credentials"
    before = run(bao, "--check", "--json")
    assert before.exit_code == 1
    differences = json.loads(before.output)["differences"]
    assert {"subject": "policy keystead-admin", "action": "create"} in differences

    password = tmp_path / "password"
    password.write_text("a password from a file\n")
    done = run(bao, "--credentials", str(folder), KEYSTEAD_ADMIN_PASSWORD_FILE=str(password))
    assert done.exit_code == 0, done.output
    assert "create policy keystead-admin" in done.output
    assert 'made the user "admin"' in done.output

    again = run(bao, "--credentials", str(folder), KEYSTEAD_ADMIN_PASSWORD="another")
    assert (again.exit_code, again.output) == (0, "nothing to do\n")
    assert run(bao, "--check").exit_code == 0

    server = Server(bao.url, ca_file=bao.ca_file)
    login.sign_in(server, method="userpass", mount="userpass", username="admin", password="a password from a file")
    for process, role in {"web": "index", "delivery": "index", "worker": "worker"}.items():
        file = folder / f"{process}.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        credentials = json.loads(file.read_text())
        assert login.service_login(server, credentials["role_id"], credentials["secret_id"]).entity_name == role
        assert credentials["secret_id"] not in done.output


@pytest.mark.parametrize(
    ("environment", "exit_code", "said"),
    [
        ({"VAULT_ADDR": ""}, 2, "VAULT_ADDR is not set"),
        ({"VAULT_TOKEN": ""}, 2, "VAULT_TOKEN is not set"),
        ({"VAULT_CACERT": "/nonexistent.pem"}, 2, "not a file"),
        ({"VAULT_ADDR": "https://127.0.0.1:1"}, 3, "cannot be used"),
        ({"VAULT_TOKEN": "s.canary-token"}, 1, "the token may not do this"),
        ({"KEYSTEAD_ADMIN_PASSWORD_FILE": "/nonexistent"}, 2, "/nonexistent cannot be read"),
    ],
)
def test_every_mistake_is_one_line_with_its_exit_code(bao: Bao, environment: dict[str, str], exit_code: int, said: str):
    result = run(bao, "--check", **environment)
    assert result.exit_code == exit_code, result.output
    assert said in result.output
    assert result.output.count("\n") == 1
    assert "canary" not in result.output
