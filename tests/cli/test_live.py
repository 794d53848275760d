"""`keystead cert rollout` and `keystead relay test`."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from service.pki.finding import Finding, Severity
from service.records import Job, Probe, Step, job_path, probe_path
from tests.cli.conftest import Shell
from tests.conftest import Instance
from tests.delivery.plane import now, wait_until
from tests.material import paste

pytestmark = pytest.mark.live


def registered(shell: Shell, name: str) -> None:
    given = paste(f"{name}.example.com", now=now())
    body = {"name": name, "private_key": given.key, "certificate": given.certificate}
    assert shell.api("POST", "/certificates", body).status_code == 201
    relay = {"name": name, "host": f"{name}.example.com", "port": 443, "certificate": name}
    assert shell.api("POST", "/relays", relay).status_code == 201


def test_a_rollout_is_waited_for(shell: Shell, instance: Instance) -> None:
    registered(shell, "waited")
    missing = shell("cert", "rollout", "waited")
    assert missing.exit_code == 1
    assert "waited: in-progress, 0 of 1 serving version 1" in missing.output
    probe = Probe("relay-waited", "waited", 1, "", "", "", Step("waited", 1, now()), now())
    write = threading.Timer(
        0.5, lambda: instance.worker.documents.write(probe_path("relay-waited"), probe.to_data(), expect_version=0)
    )
    write.start()
    done = shell("cert", "rollout", "waited", "--wait", "10", "--json")
    write.join()
    assert done.exit_code == 0
    assert json.loads(done.output)["state"] == "in-sync"
    assert "relay-waited" in shell("cert", "rollout", "waited").output


def test_a_relay_test_ends_with_1_when_something_is_wrong(shell: Shell, instance: Instance) -> None:
    registered(shell, "probed")

    def work() -> None:
        wait_until(lambda: instance.worker.documents.list("jobs"))
        (name,) = instance.worker.documents.list("jobs")
        document = instance.worker.documents.read(job_path(name))
        found = (Finding("endpoint.unreachable", Severity.ERROR, "It cannot be reached.", "Is it running?"),)
        job = replace(
            Job.from_data(name, document.data, document.version),
            state="done",
            outcome="failed",
            findings=found,
            finished_at=now(),
        )
        instance.worker.documents.write(job_path(name), job.to_data(), expect_version=document.version)

    worker = threading.Thread(target=work)
    worker.start()
    done = shell("relay", "test", "probed")
    worker.join()
    assert done.exit_code == 1
    assert "endpoint.unreachable" in done.output
    assert "Is it running?" in done.output


def test_without_a_worker_it_says_so(shell: Shell) -> None:
    registered(shell, "alone")
    done = shell("relay", "test", "alone", "--wait", "1")
    assert done.exit_code == 1
    assert "is the worker running?" in done.output


def test_the_next_version_is_staged_and_discarded(shell: Shell, tmp_path: Path) -> None:
    registered(shell, "later")
    given = paste("later.example.com", now=now())
    (tmp_path / "all.pem").write_text(given.key + given.certificate)
    done = shell("cert", "stage", "later", "--cert", tmp_path / "all.pem", "--at", "2020-01-01T00:00:00Z")
    assert (done.exit_code, "staged.time" in done.output or "time to come" in done.output) == (1, True)
    ready = shell("cert", "stage", "later", "--cert", tmp_path / "all.pem")
    assert (ready.exit_code, "stands ready" in ready.output) == (0, True)
    alone = shell("cert", "activate", "later", "--wait", "1")
    assert (alone.exit_code, "is the worker running?" in alone.output) == (1, True)
    assert shell("cert", "stage", "later", "--discard").exit_code == 0
    assert shell("cert", "activate", "later").exit_code == 1
