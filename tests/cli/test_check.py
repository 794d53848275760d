"""`keystead check`: the findings without a server, and its exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.material import Paste, paste


@pytest.fixture
def pasted(tmp_path: Path) -> Paste:
    made = paste("relay.example.com", now=datetime.now(UTC))
    (tmp_path / "key.pem").write_text(made.key)
    (tmp_path / "chain.pem").write_text(made.certificate)
    (tmp_path / "both.pem").write_text(made.certificate + made.key)
    return made


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["check", *(str(one) for one in arguments)])


def test_a_sound_pair_has_no_findings(pasted: Paste, tmp_path: Path):
    for files in (("key.pem", "chain.pem"), ("both.pem",), ("chain.pem",)):
        result = run(*(tmp_path / file for file in files), "--host", "relay.example.com", "--purpose", "server")
        assert (result.exit_code, "No findings." in result.output) == (0, True), result.output


def test_an_error_exits_with_1_and_is_json_when_asked(pasted: Paste, tmp_path: Path):
    result = run("--key", tmp_path / "key.pem", "--cert", tmp_path / "chain.pem", "--host", "x.example.com", "--json")
    assert result.exit_code == 1
    assert [one["code"] for one in json.loads(result.output)["findings"]] == ["host.not-covered"]
    assert not any(line in result.output for line in pasted.key.splitlines()[1:-1])


def test_another_time_can_be_asked_about(pasted: Paste, tmp_path: Path):
    result = run(tmp_path / "both.pem", "--at", "2099-01-01")
    assert "certificate.expired" in result.output


def test_wrong_usage_and_a_missing_file_have_their_own_codes(tmp_path: Path):
    assert run().exit_code == 2
    assert run("--at", "yesterday", tmp_path / "x").exit_code == 2
    assert run(tmp_path / "no-such-file").exit_code == 3


def test_garbage_gives_findings_and_no_traceback(tmp_path: Path):
    (tmp_path / "garbage").write_bytes(bytes(range(256)) * 8)
    result = run(tmp_path / "garbage")
    assert result.exit_code == 1
    assert "input.binary" in result.output


def test_every_command_explains_itself():
    for name in main.list_commands(None):  # type: ignore[arg-type]
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, (name, result.output)
