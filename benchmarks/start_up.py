"""How long `keystead up` takes to `ready` on an existing data directory, beside the bare OpenBao server on the same.

Both are started in turns on this machine, in one run: `python -m benchmarks.start_up`. Target: at most 2 s more.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from service.embedded.http import Origin
from service.embedded.openbao import binary

ROUNDS = 5
TARGET_S = 2.0
LIMIT_S = 120.0


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def time_up(folder: Path, ports: list[int]) -> float:
    """Seconds from starting `keystead up` to its `ready` line."""
    options = [f"--{name}-port={port}" for name, port in zip(("web", "delivery", "vault"), ports, strict=True)]
    begun = time.monotonic()
    command = [sys.executable, "-m", "service.cli", "up", f"--data-dir={folder}", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            took = time.monotonic() - begun
        finally:
            stop(process)
    if not line.startswith(b"ready"):
        raise SystemExit(f"keystead up did not get ready on {folder}")
    return took


def time_bare(folder: Path, port: int) -> float:
    """Seconds from starting the bare server, with the configuration `up` wrote, to unsealed and active."""
    origin = Origin("127.0.0.1", port, ca_file=folder / "ca.pem")
    begun = time.monotonic()
    command = [str(binary()), "server", "-config=openbao.hcl"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while origin.status("/v1/sys/health") != 200:
                if time.monotonic() - begun > LIMIT_S:
                    raise SystemExit("the bare server did not get ready")
                time.sleep(0.01)
            took = time.monotonic() - begun
        finally:
            stop(process)
    return took


def measure() -> dict[str, object]:
    """Seconds: the first start, medians of each way on the data it made, and the difference with its target."""
    os.environ.setdefault("KEYSTEAD_ADMIN_PASSWORD", "of a benchmark")
    with tempfile.TemporaryDirectory(prefix="keystead-bench-") as parent:
        folder, ports = Path(parent) / "data", free_ports(3)
        first = time_up(folder, ports)
        pairs = [(time_bare(folder, ports[2]), time_up(folder, ports)) for _ in range(ROUNDS)]
    bare, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "first_start_s": round(first, 2),
        "bare_openbao_s": round(bare, 2),
        "keystead_up_s": round(whole, 2),
        "difference_s": round(whole - bare, 2),
        "target_s": TARGET_S,
        "met": whole - bare <= TARGET_S,
        "rounds": ROUNDS,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
