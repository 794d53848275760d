"""10,000 certificates: how soon the index is warm, and how fast lists are then.

The peer is Vault itself, in the same run: reading the 10,000 public halves with nothing else, and one LIST of the
names, which is what a console without an index would have to begin each page with.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.records import bundle_path
from tests.conftest import Bao, Instance, make_instance
from tests.material import Paste, paste
from tests.web.conftest import BASE, Console, make_console
from tests.web.test_security import signed_in
from vault.aio import AsyncVault
from vault.documents import Documents
from vault.session import Vault

COUNT = 10_000
DIFFERENT = 50
"""Chains made; each is stored many times, since making 10,000 chains takes longer than all the rest."""
REQUESTS = 60
WARM_TARGET_S = 15.0
LIST_TARGET_MS = 100.0


async def fill(instance: Instance) -> None:
    """Store the bundles as the inventory does, eight at a time."""
    made: list[Paste] = [paste(f"host-{number}.example.com", now=datetime.now(UTC)) for number in range(DIFFERENT)]
    vault = AsyncVault(instance.server)
    gate = asyncio.Semaphore(8)

    async def store(number: int) -> None:
        pasted = made[number % DIFFERENT]
        data = {"private_key": pasted.key, "certificate": pasted.certificate, "ca": ""}
        public = {"certificate": pasted.certificate}
        async with gate:
            path = bundle_path(f"certificate-{number:05}")
            await vault.write_document(instance.root.token, path, data, expect_version=0, public=public)

    try:
        await asyncio.gather(*(store(number) for number in range(COUNT)))
    finally:
        await vault.close()


async def reads_alone(instance: Instance) -> float:
    """Seconds to read every public half, and nothing else."""
    vault = AsyncVault(instance.server)
    paths = [bundle_path(f"certificate-{number:05}") for number in range(COUNT)]
    begun = time.perf_counter()
    try:
        async for _ in vault.read_public_many(instance.index.token, paths):
            pass
    finally:
        await vault.close()
    return time.perf_counter() - begun


def p95_ms(seconds: list[float]) -> float:
    return round(statistics.quantiles(seconds, n=20)[-1] * 1000, 1)


def lists(console: Console) -> tuple[float, float, int]:
    """p95 in ms of the API's list and of the page, and how many Vault reads of certificates they made."""
    queries = ["", "?q=host-7", "?sort=-expires", "?status=unused&sort=issuer", "?q=certificate-09"]
    api, browser = console.api(), signed_in(console)
    times: dict[str, list[float]] = {"api": [], "page": []}
    for number in range(REQUESTS):
        query = queries[number % len(queries)]
        begun = time.perf_counter()
        assert api("GET", f"/certificates{query}").status_code == 200
        between = time.perf_counter()
        assert browser.get(f"/certificates{query}", base_url=BASE).status_code == 200
        times["api"].append(between - begun)
        times["page"].append(time.perf_counter() - between)
    return p95_ms(times["api"]), p95_ms(times["page"]), REQUESTS


def vault_list_ms(vault: Vault) -> float:
    """Median of listing the names, with Vault's own LIST."""
    documents: Documents = vault.documents
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        assert len(documents.list("bundles")) == COUNT
        taken.append(time.perf_counter() - begun)
    return round(statistics.median(taken) * 1000, 1)


def measure() -> dict[str, Any]:
    """Everything; the shape goes into `benchmarks/results.json`."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keystead-bench-")))
        bao = Bao(home)
        stack.callback(bao.stop)
        bao.start()
        instance = make_instance(bao)
        asyncio.run(fill(instance))
        alone_s = asyncio.run(reads_alone(instance))
        begun = time.perf_counter()
        console = make_console(instance)
        warm_s = time.perf_counter() - begun
        api_ms, page_ms, requests = lists(console)
        return {
            "certificates": COUNT,
            "reads_alone_s": round(alone_s, 2),
            "warm_s": round(warm_s, 2),
            "warm_target_s": WARM_TARGET_S,
            "api_p95_ms": api_ms,
            "page_p95_ms": page_ms,
            "list_target_ms": LIST_TARGET_MS,
            "vault_list_ms": vault_list_ms(instance.index),
            "requests": requests,
        }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
    sys.exit(0)
