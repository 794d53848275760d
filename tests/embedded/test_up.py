"""`keystead up`, whole: the console, the delivery plane and the worker beside OpenBao."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from service.embedded.http import Origin, Unanswered
from tests.embedded.running import Up, processes_of, wait_until

pytestmark = pytest.mark.live

PASSWORD = "correct horse battery staple"
FREE = ("--web-port=0", "--delivery-port=0", "--vault-port=0")


def up(folder: Path, *arguments: str) -> Up:
    command = [sys.executable, "-m", "service.cli", "up", f"--data-dir={folder}", *FREE, *arguments]
    return Up(command, folder, {"KEYSTEAD_ADMIN_PASSWORD": PASSWORD})


def origin(run: Up, server: str) -> Origin:
    parts = urlsplit(run.address(server))
    assert parts.hostname
    return Origin(parts.hostname, parts.port or 0, ca_file=run.folder / "ca.pem")


def sign_in(run: Up) -> str:
    body = {"method": "userpass", "username": "admin", "password": PASSWORD}
    return str(origin(run, "console").json("POST", "/api/v1/session", body, timeout_s=10)["token"])


def signs_in(run: Up) -> bool:
    try:
        sign_in(run)
    except Unanswered:
        return False
    return True


def serving(run: Up) -> bool:
    return all(origin(run, server).status("/readyz") == 200 for server in ("console", "delivery"))


def processes(run: Up, name: str) -> set[int]:
    return {pid for pid, command in processes_of(run.folder).items() if f"service.cli {name}" in command}


@pytest.fixture(scope="module")
def established(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("up") / "keystead"
    with up(folder) as run:
        run.wait_ready()
    assert run.process.returncode == 0, run.errors
    return folder


def test_everything_answers_once_ready_is_printed_and_it_is_one_line(established: Path):
    with up(established) as run:
        run.wait_ready()
        assert serving(run)
        assert sign_in(run)
        assert run.output.count("\n") == 1
    assert run.process.returncode == 0
    assert run.errors == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])
def test_another_address_is_served_with_a_certificate_for_it(established: Path, host: str):
    if host == "::1" and Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6").read_text().strip() != "0":
        pytest.skip("this machine has no IPv6 loopback")
    with up(established, f"--host={host}") as run:
        assert serving(run)
        assert sign_in(run)


def test_each_killed_process_is_replaced_and_serves_again(established: Path):
    with up(established) as run:
        run.wait_ready()
        for name in ("web", "delivery", "worker"):
            before = processes(run, name)
            os.kill(min(before), signal.SIGKILL)
            wait_until(lambda b=before, n=name: processes(run, n) and not processes(run, n) & b, name, limit_s=30)
            wait_until(lambda: serving(run), f"service after the end of {name}", limit_s=30)
        assert sign_in(run)


def test_a_killed_openbao_is_followed_by_service_within_seconds(established: Path):
    with up(established) as run:
        sign_in(run)
        (process,) = [pid for pid, command in processes_of(established).items() if "openbao.hcl" in command]
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: "openbao ended" in run.errors, "the supervisor's word", limit_s=10)
        wait_until(lambda: signs_in(run), "service", limit_s=30)


def test_nothing_outlives_a_killed_up_and_the_same_ports_serve_the_next(established: Path):
    with up(established) as run:
        run.wait_ready()
        run.kill()
        wait_until(lambda: not processes_of(established), "the end of every process", limit_s=15)
    with up(established) as again:
        assert sign_in(again)


def test_a_process_gets_its_own_credentials_and_nobody_elses_secrets(established: Path):
    with up(established) as run:
        run.wait_ready()
        for name in ("web", "delivery", "worker"):
            for process in processes(run, name):
                environment = Path(f"/proc/{process}/environ").read_text()
                assert f"credentials/{name}.json" in environment
                assert PASSWORD not in environment
                for other in {"web", "delivery", "worker"} - {name}:
                    assert f"credentials/{other}.json" not in environment


def test_sigterm_stops_everything_cleanly_in_seconds(established: Path):
    with up(established) as run:
        run.wait_ready()
        begun = time.monotonic()
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(20) == 0
        assert time.monotonic() - begun < 15
        assert processes_of(established) == {}


def test_secrets_are_in_no_log(established: Path):
    with up(established) as run:
        token = sign_in(run)
    secrets = [PASSWORD, token, (established / "session-key").read_text(), (established / "recovery-key").read_text()]
    secrets += [json.loads(file.read_text())["secret_id"] for file in (established / "credentials").iterdir()]
    logs = "".join(file.read_text(errors="replace") for file in (established / "logs").iterdir())
    logs += (established / "audit.log").read_text()
    assert not [secret for secret in secrets if secret in logs]


@pytest.mark.parametrize("arguments", [("--data-dir=/proc/keystead",), ("--host=192.0.2.77",), ("--web-port=70000",)])
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...]):
    with up(tmp_path / "keystead", *arguments) as run:
        assert run.process.wait(20) == 2
    assert "Error: " in run.errors
    assert "Traceback" not in run.errors


def test_a_demonstration_is_made_once_and_left_alone_afterwards(established: Path):
    def everything(run: Up) -> dict[str, dict[str, Any]]:
        token = sign_in(run)
        console = origin(run, "console")
        return {
            kind: {
                item["name"]: item
                for item in console.json("GET", f"/api/v1/{kind}", token=token, timeout_s=10)["items"]
            }
            for kind in ("certificates", "relays", "providers")
        }

    with up(established, "--demo") as run:
        first = everything(run)
        assert run.errors == ""
        relay = Origin("localhost", first["relays"]["eu-west"]["port"], ca_file=established / "demo" / "root.pem")
        assert relay.json("GET", "/healthz")["certificate_name"] == "relays-eu"
    assert set(first["certificates"]) == {"relays-eu", "relays-us", "swarm-client"}
    assert set(first["relays"]) == {"eu-west", "us-east"}
    assert set(first["providers"]) == {"swarm-berlin"}
    with up(established, "--demo") as run:
        assert everything(run) == first
