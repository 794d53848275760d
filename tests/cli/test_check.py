"""`keystead check`: the findings without a server, and its exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding

from service.cli import main
from tests.material import Paste, issue, paste
from tests.web.pages.conftest import pasted
from tests.web.pages.test_pasting import PASSPHRASE, mail, pkcs12


@pytest.fixture
def pasted_files(tmp_path: Path) -> Paste:
    made = paste("relay.example.com", now=datetime.now(UTC))
    (tmp_path / "key.pem").write_text(made.key)
    (tmp_path / "chain.pem").write_text(made.certificate)
    (tmp_path / "both.pem").write_text(made.certificate + made.key)
    return made


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["check", *(str(one) for one in arguments)])


def test_a_sound_pair_has_no_findings(pasted_files: Paste, tmp_path: Path):
    for files in (("key.pem", "chain.pem"), ("both.pem",), ("chain.pem",)):
        result = run(*(tmp_path / file for file in files), "--host", "relay.example.com", "--purpose", "server")
        assert (result.exit_code, "No findings." in result.output) == (0, True), result.output


def test_an_error_exits_with_1_and_is_json_when_asked(pasted_files: Paste, tmp_path: Path):
    result = run("--key", tmp_path / "key.pem", "--cert", tmp_path / "chain.pem", "--host", "x.example.com", "--json")
    assert result.exit_code == 1
    assert [one["code"] for one in json.loads(result.output)["findings"]] == ["host.not-covered"]
    assert not any(line in result.output for line in pasted_files.key.splitlines()[1:-1])


def test_each_block_is_named_with_what_became_of_it(tmp_path: Path):
    given = pasted("mail.example.com")
    (tmp_path / "mail.txt").write_text(mail(given))
    result = run(tmp_path / "mail.txt")
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if line[:1] in {"✓", "–", "✗"}]
    assert [line[:1] for line in lines] == ["✓", "–", "–", "✓", "✓", "–"]
    assert lines[2].startswith("– Certificate request · relay.example.com")
    assert lines[3] == "✓ Private key, EC 256"
    assert lines[4].startswith("✓ Server certificate · mail.example.com · until ")
    assert [one["outcome"] for one in json.loads(run(tmp_path / "mail.txt", "--json").output)["blocks"]] == [
        "kept",
        "left-out",
        "left-out",
        "moved",
        "kept",
        "left-out",
    ]


def test_binary_files_are_read_as_they_are(tmp_path: Path):
    given = pasted("binary.example.com")
    (tmp_path / "all.p12").write_bytes(pkcs12(given))
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    (tmp_path / "leaf.der").write_bytes(given.leaf.certificate.public_bytes(Encoding.DER))
    locked = run(tmp_path / "all.p12")
    assert (locked.exit_code, "key.encrypted" in locked.output) == (1, True)
    opened = run(tmp_path / "all.p12", "--passphrase-file", tmp_path / "passphrase", "--host", "binary.example.com")
    assert opened.exit_code == 0, opened.output
    assert "(PKCS#12)" in opened.output
    assert "(DER)" in run(tmp_path / "leaf.der").output


def test_standard_input_is_a_file_too(pasted_files: Paste):
    result = CliRunner().invoke(main, ["check", "-"], input=pasted_files.certificate)
    assert result.exit_code == 0, result.output
    assert "Test Intermediate" in result.output


def test_colours_are_for_terminals(pasted_files: Paste, tmp_path: Path):
    arguments = ["check", str(tmp_path / "both.pem"), "--host", "x.example.com"]
    assert "\x1b[" not in CliRunner().invoke(main, arguments).output
    assert "\x1b[31m" in CliRunner().invoke(main, arguments, color=True).output


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path):
    hostile = issue("\x1b[2Jevil\r\n\u202etxt", hosts=["h.example.com"], now=datetime.now(UTC))
    (tmp_path / "hostile.pem").write_text(hostile.pem)
    for result in (run(tmp_path / "hostile.pem"), run(tmp_path / "hostile.pem", "--json")):
        assert not set("\x1b\r\u202e") & set(result.output)


def test_another_time_can_be_asked_about(pasted_files: Paste, tmp_path: Path):
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
