"""Reading and checking a paste, beside the same questions put to the `openssl` command line in the same run."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from service.pki.bundle import Checked, check_bundle
from tests.material import NOW, Issued, issue, key_pem, rsa_key

ROUNDS = 200
PEER_ROUNDS = 20
LEAVES = 20
"""Different ones in turn, so that nothing kept of the leaf from the round before helps."""
HOSTS = tuple(f"relay-{number}.example.com" for number in range(5))
TARGET_MS, TARGET_RATIO = 1.5, 10.0
GARBAGE_BYTES, GARBAGE_TARGET_MS = 1_000_000, 50.0
DOUBLING_TARGET = 2.5


def _bundles() -> tuple[Issued, list[Issued]]:
    root = issue("Root", ca=True, days=3650, key=rsa_key(2048, 1))
    middle = issue("Intermediate", issuer=root, ca=True, days=1800, key=rsa_key(2048, 2))
    leaves = [issue("relay", issuer=middle, hosts=HOSTS, key=rsa_key(2048, 10 + number)) for number in range(LEAVES)]
    return root, leaves


def _median_ms(what: Callable[[int], object], rounds: int) -> float:
    taken: list[float] = []
    for number in range(rounds):
        started = time.perf_counter()
        what(number)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


def ours(root: Issued, leaves: list[Issued]) -> float:
    """Median milliseconds of one check: key, leaf, intermediate and root, five hosts."""
    pastes = [(key_pem(leaf.key), leaf.chain + root.pem) for leaf in leaves]

    def once(number: int) -> Checked:
        key, chain = pastes[number % LEAVES]
        checked = check_bundle(private_key=key, certificate=chain, hosts=HOSTS, purpose="server", now=NOW)
        if [one.code for one in checked.findings] != ["chain.root-dropped"]:
            raise AssertionError("the benchmark's bundle must be sound")
        return checked

    return _median_ms(once, ROUNDS)


def openssl(root: Issued, leaf: Issued, folder: Path) -> float:
    """Median milliseconds of: verify, both public keys and their hash, checkhost for each of the hosts."""
    files = {"root.pem": root.pem, "leaf.pem": leaf.pem, "key.pem": key_pem(leaf.key)}
    files["middle.pem"] = leaf.issuer.pem if leaf.issuer else ""
    for name, text in files.items():
        (folder / name).write_text(text)
    at = str(int(NOW.timestamp()))
    environment = {"PATH": os.environ["PATH"]}

    def run(*words: str) -> bytes:
        command = ["openssl", *words]
        return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True).stdout

    def once(_: int) -> None:
        run("verify", "-attime", at, "-CAfile", "root.pem", "-untrusted", "middle.pem", "leaf.pem")
        of_key, of_leaf = run("pkey", "-in", "key.pem", "-pubout"), run("x509", "-in", "leaf.pem", "-noout", "-pubkey")
        if hashlib.sha256(of_key).digest() != hashlib.sha256(of_leaf).digest():
            raise AssertionError("the benchmark's key must belong to its certificate")
        for host in HOSTS:
            if b"does match" not in run("x509", "-in", "leaf.pem", "-noout", "-checkhost", host):
                raise AssertionError("the benchmark's certificate must cover its hosts")

    return _median_ms(once, PEER_ROUNDS)


def garbage() -> float:
    """Milliseconds, the slowest of several kinds of a megabyte of nothing."""
    kinds = [piece * (GARBAGE_BYTES // len(piece)) for piece in ("x", "-", "-----BEGIN ", "&#45;", "\\n")]
    return max(
        _median_ms(lambda _, text=text: check_bundle(private_key=text, certificate=text, ca=text, now=NOW), 5)  # type: ignore[misc]
        for text in (*kinds, os.urandom(GARBAGE_BYTES))
    )


def doubling() -> float:
    """How many times as long twice the blocks take: the largest of several doublings, all certificates different."""
    root = issue("Root", ca=True)
    others = [issue(f"other-{number}.example.com", issuer=root, hosts=["x.example.com"]).pem for number in range(127)]
    leaf = issue("relay.example.com", issuer=root, hosts=["relay.example.com"])
    taken = [
        _median_ms(lambda _, text=text: check_bundle(private_key=leaf.key_pem, certificate=text, now=NOW), 7)  # type: ignore[misc]
        for text in (leaf.pem + "".join(others[: count - 1]) for count in (16, 32, 64, 128))
    ]
    return max(after / before for before, after in pairwise(taken))


def measure() -> dict[str, Any]:
    """Run it."""
    root, leaves = _bundles()
    with tempfile.TemporaryDirectory() as folder:
        peer_ms = openssl(root, leaves[0], Path(folder))
    ours_ms = ours(root, leaves)
    return {
        "ours_ms": round(ours_ms, 2),
        "openssl_ms": round(peer_ms, 1),
        "ratio": round(peer_ms / ours_ms, 1),
        "target_ms": TARGET_MS,
        "target_ratio": TARGET_RATIO,
        "garbage_ms": round(garbage(), 2),
        "garbage_target_ms": GARBAGE_TARGET_MS,
        "doubling": round(doubling(), 2),
        "doubling_target": DOUBLING_TARGET,
    }


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
