"""One machine's OpenBao: initialised once, set up with a root token nobody keeps, healed after a kill at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import stat
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.embedded import openbao, ports
from service.embedded.data_dir import open_data_dir
from service.embedded.http import Origin, Unanswered
from service.embedded.local_ca import ensure_certificates, server_names
from service.embedded.programs import openbao_program
from service.embedded.supervisor import Child, stop
from tests.embedded.running import Up, processes_of, wait_until

pytestmark = pytest.mark.live

PASSWORD = "correct horse battery staple"
SCRIPT = str(Path(__file__).with_name("openbao_only.py"))


def up(folder: Path, *arguments: str, password: str | None = PASSWORD) -> Up:
    environment = {"KEYSTEAD_ADMIN_PASSWORD": password} if password else {}
    return Up([sys.executable, SCRIPT, str(folder), *arguments], folder, environment)


def _vault(run: Up) -> Origin:
    parts = urlsplit(run.address("vault"))
    assert parts.hostname
    return Origin(parts.hostname, parts.port or 0, ca_file=run.folder / "ca.pem")


def sign_in(run: Up, password: str = PASSWORD) -> list[str]:
    """The policies of the administrator; Unanswered when OpenBao is down or refuses the password."""
    answer = _vault(run).json("POST", "/v1/auth/userpass/login/admin", {"password": password})
    return list(answer["auth"]["policies"])


def log_in(run: Up, process: str) -> list[str]:
    """The policies of one of the processes."""
    vault = _vault(run)
    credentials = json.loads((run.folder / "credentials" / f"{process}.json").read_text())
    return list(vault.json("POST", "/v1/auth/keystead-services/login", credentials)["auth"]["policies"])


async def stray_root_tokens(folder: Path) -> int:
    """How many root tokens a stopped data directory still honours."""
    with closing(open_data_dir(folder)) as data:
        addresses = ports.find_addresses("127.0.0.1", {"vault": 0})
        listen = addresses.listen("vault")
        openbao.write_configuration(data, listen=listen, reach=listen, for_setup=True)
        child = Child(openbao_program(data, addresses, os.environ))
        child.start()
        try:
            client = openbao.OpenBao(data, "127.0.0.1", addresses.ports["vault"])
            token = client.new_root_token(lambda: not child.running())
            strays = client.revoke_other_root_tokens(token)
            client.revoke(token)
        finally:
            await stop([child])
        return strays


def served_certificate(address: str) -> str:
    host, _, port = address.removeprefix("https://").rpartition(":")
    return ssl.get_server_certificate((host, int(port)))


@pytest.fixture(scope="module")
def established(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory after a first start and a clean stop."""
    folder = tmp_path_factory.mktemp("established") / "keystead"
    with up(folder) as run:
        run.wait_ready()
    assert run.process.returncode == 0, run.errors
    return folder


def test_everything_stored_is_for_its_owner_alone(established: Path):
    assert stat.S_IMODE(established.stat().st_mode) == 0o700
    public = {"ca.pem", "vault.pem", "web.pem", "delivery.pem"}
    for file in established.rglob("*"):
        if file.name not in public:
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_the_socket_for_setup_is_gone_afterwards(established: Path):
    assert not (established / "setup.sock").exists()
    assert "unix" not in (established / "openbao.hcl").read_text()


async def test_no_root_token_outlives_setup(established: Path):
    assert await stray_root_tokens(established) == 0


def test_a_given_password_is_written_nowhere(established: Path):
    assert not (established / "admin-password").exists()
    for file in established.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes(), file


def test_a_second_start_keeps_everything_on_other_ports_and_in_another_place(established: Path):
    with up(established) as run:
        first = run.address("vault")
        assert log_in(run, "worker") == ["keystead-worker"]
    moved = established.with_name("moved")
    established.rename(moved)
    try:
        with up(moved) as run:
            assert run.address("vault") != first
            assert "keystead-admin" in sign_in(run)
            assert log_in(run, "web") == ["keystead-index"]
    finally:
        moved.rename(established)


def test_a_generated_password_lies_in_its_file_and_nowhere_else(tmp_path: Path):
    folder = tmp_path / "keystead"
    with up(folder, password=None) as run:
        run.wait_ready()
        password = (folder / "admin-password").read_text()
        assert len(password) >= 20
        assert "keystead-admin" in sign_in(run, password)
        for process in processes_of(folder):
            seen = Path(f"/proc/{process}/cmdline").read_bytes() + Path(f"/proc/{process}/environ").read_bytes()
            assert password.encode() not in seen
    assert password not in run.output + run.errors
    for file in folder.rglob("*"):
        if file.is_file() and file.name != "admin-password":
            assert password.encode() not in file.read_bytes(), file


def test_ctrl_c_and_sigterm_stop_everything_in_seconds(established: Path):
    for number in (signal.SIGINT, signal.SIGTERM):
        with up(established) as run:
            run.wait_ready()
            begun = time.monotonic()
            run.process.send_signal(number)
            assert run.process.wait(15) == 0
            assert time.monotonic() - begun < 10
            assert processes_of(established) == {}


def test_a_second_start_on_the_same_directory_is_one_clear_line(established: Path):
    with up(established) as run:
        run.wait_ready()
        other = Up([sys.executable, SCRIPT, str(established)], established.with_name("second"))
        assert other.process.wait(20) == 2
        assert other.errors.count("\n") == 1
        assert f"process {run.process.pid}" in other.errors
        run.wait_ready()


def test_a_port_in_use_is_one_clear_line_and_starts_nothing(established: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up(established, str(port)) as run:
            assert run.process.wait(20) == 2
    assert run.errors == f"port {port} on 127.0.0.1 is in use; choose another with --vault-port\n"


def test_a_killed_openbao_is_started_again_and_unseals_itself(established: Path):
    with up(established) as run:
        sign_in(run)
        (process,) = [pid for pid, command in processes_of(established).items() if "bao" in command]
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: "openbao ended (signal 9)" in run.errors, "the supervisor's word", limit_s=10)
        wait_until(lambda: signs_in(run), "OpenBao again", limit_s=20)


def signs_in(run: Up) -> bool:
    try:
        sign_in(run)
    except Unanswered:
        return False
    return True


def test_a_killed_up_takes_its_processes_with_it_and_the_next_start_works(established: Path):
    with up(established) as run:
        run.wait_ready()
        run.kill()
        with up(established) as again:  # at once: OpenBao may still be closing its storage
            sign_in(again)
            assert len([command for command in processes_of(established).values() if "bao" in command]) == 1


def test_a_certificate_near_its_end_is_issued_again_and_served(established: Path):
    with closing(open_data_dir(established)) as data:
        (data.tls / "vault.pem").unlink()
        names = server_names("127.0.0.1")
        assert ensure_certificates(data, names, datetime.now(UTC) - timedelta(days=310)) == ("vault",)
        nearly_over = (data.tls / "vault.pem").read_text()
    with up(established) as run:
        assert served_certificate(run.address("vault")) not in nearly_over
        log_in(run, "worker")


async def test_openbao_serves_a_renewed_certificate_after_its_reload_signal(established: Path):
    with closing(open_data_dir(established)) as data:
        addresses = ports.find_addresses("127.0.0.1", {"vault": 0})
        listen = addresses.listen("vault")
        openbao.write_configuration(data, listen=listen, reach=listen, for_setup=False)
        child = Child(openbao_program(data, addresses, os.environ))
        child.start()
        try:
            assert child.program.healthy
            wait_until(child.program.healthy, "OpenBao", limit_s=20)
            before = served_certificate(addresses.url("vault"))
            later = datetime.now(UTC) + timedelta(days=310)
            assert "vault" in ensure_certificates(data, server_names("127.0.0.1"), later)
            assert child.program.reload
            child.send(child.program.reload)
            wait_until(lambda: served_certificate(addresses.url("vault")) != before, "the new one", limit_s=10)
        finally:
            await stop([child])
        for server in ("vault", "web", "delivery"):
            (data.tls / f"{server}.pem").unlink()  # from the future


def test_lost_credentials_are_issued_again(established: Path):
    (established / "credentials" / "delivery.json").unlink()
    with up(established) as run:
        assert log_in(run, "delivery") == ["keystead-index"]
        assert log_in(run, "web") == ["keystead-index"]


def test_an_upgrade_with_other_policies_sets_up_again_and_leaves_the_password_alone(established: Path):
    (established / "setup.json").write_text('{"fingerprint": "of a former version"}')
    with up(established, password="another one") as run:
        sign_in(run)
        with pytest.raises(Unanswered, match="answered with 4"):
            sign_in(run, "another one")
    assert json.loads((established / "setup.json").read_text())["fingerprint"] != "of a former version"


def test_a_lost_seal_key_is_named_and_nothing_is_made_in_its_place(established: Path):
    kept = (established / "seal-key").read_bytes()
    (established / "seal-key").unlink()
    with up(established) as run:
        assert run.process.wait(20) == 2
    assert "seal-key is missing" in run.errors
    assert not (established / "seal-key").exists()
    (established / "seal-key").write_bytes(kept)
    (established / "seal-key").chmod(0o600)


def test_lost_data_are_named_and_not_begun_again(established: Path):
    kept = established.with_name("kept")
    (established / "raft").rename(kept)
    with up(established) as run:
        assert run.process.wait(20) == 2
    assert "the data is gone" in run.errors
    (established / "raft").rmdir()
    kept.rename(established / "raft")


def test_a_lost_recovery_key_is_named_when_setup_is_due(established: Path):
    kept = (established / "recovery-key").read_bytes()
    done = (established / "setup.json").read_bytes()
    (established / "recovery-key").unlink()
    with up(established) as run:
        sign_in(run)  # an ordinary start needs none
    (established / "setup.json").unlink()
    with up(established) as run:
        assert run.process.wait(20) == 2
    assert "recovery-key cannot be read, and setup is due" in run.errors
    (established / "recovery-key").write_bytes(kept)
    (established / "recovery-key").chmod(0o600)
    (established / "setup.json").write_bytes(done)


def test_a_file_that_cannot_be_written_is_one_clear_line_and_stops_everything(established: Path):
    log = established / "logs" / "openbao.log"
    log.unlink()
    log.mkdir()
    with up(established) as run:
        assert run.process.wait(20) == 3
    assert run.errors == f"{log}: Is a directory\n"
    assert processes_of(established) == {}
    log.rmdir()


MOMENTS: dict[str, Callable[[Path], object]] = {
    "before OpenBao has begun": lambda folder: (folder / "seal-key").exists(),
    "while it initialises": lambda folder: (folder / "setup-open").exists(),
    "once initialised, before its root token is used": lambda folder: (folder / "recovery-key").exists(),
    "in the middle of setup": lambda folder: (folder / "credentials" / "web.json").exists(),
    "at the end of setup": lambda folder: (folder / "setup.json").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", ["up", "openbao"])
async def test_a_kill_during_the_first_start_heals(tmp_path: Path, victim: str, moment: str):
    folder = tmp_path / "keystead"
    with up(folder) as run:
        wait_until(lambda: MOMENTS[moment](folder), moment, limit_s=30)
        if victim == "up":
            run.kill()
        else:
            for process, command in processes_of(folder).items():
                if "openbao.hcl" in command:
                    os.kill(process, signal.SIGKILL)
            run.wait_ready()
            wait_until(lambda: signs_in(run), "OpenBao again", limit_s=20)
    with up(folder) as again:
        assert "keystead-admin" in sign_in(again)
        assert log_in(again, "worker") == ["keystead-worker"]
    assert again.process.returncode == 0
    assert not (folder / "setup-open").exists()
    assert await stray_root_tokens(folder) == 0


async def test_a_kill_during_a_later_setup_leaves_no_root_token(established: Path):
    (established / "setup.json").write_text('{"fingerprint": "of a former version"}')
    with up(established) as run:
        wait_until((established / "setup-open").exists, "setup", limit_s=30)
        await asyncio.sleep(0.03)  # into the making of a root token, or its use
        run.kill()
    with up(established) as again:
        sign_in(again)
    assert await stray_root_tokens(established) == 0
