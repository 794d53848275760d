"""`make bench`: every benchmark beside its peer, as a table, and `benchmarks/results.json`.

Ratios are what counts: machines differ. A figure that misses its target is printed as it is; the exit code stays 0.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import delivery, following, list_10000, pasting, plots, start_up, waiting

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Row:
    """One figure beside its peer. `held` is None where there is no target."""

    what: str
    ours: str
    peer: str
    wanted: str
    held: bool | None


def of_delivery(found: dict[str, Any]) -> list[Row]:
    peer = f"Vault KV read {found['vault']['requests_per_s']:.0f}/s"
    return [
        Row(
            f"GET /bundle, {title}",
            f"{found[name]['requests_per_s']:.0f}/s, {found[f'{name}_ratio']}×",
            peer,
            f"≥ {found[f'{name}_target']}×",
            found[f"{name}_ratio"] >= found[f"{name}_target"],
        )
        for name, title in (("not_modified", "304"), ("fetch", "whole bundle"))
    ]


def of_start_up(found: dict[str, Any]) -> list[Row]:
    return [
        Row(
            "keystead up to ready, existing data",
            f"{found['keystead_up_s']} s",
            f"bare OpenBao {found['bare_openbao_s']} s",
            f"within {found['target_s']} s of it",
            bool(found["met"]),
        )
    ]


def of_list(found: dict[str, Any]) -> list[Row]:
    return [
        Row(
            "index warm, 10,000 certificates",
            f"{found['warm_s']} s",
            f"their public halves alone {found['reads_alone_s']} s",
            f"≤ {found['warm_target_s']} s",
            found["warm_s"] <= found["warm_target_s"],
        ),
        *(
            Row(
                f"{title}, 10,000 certificates",
                f"p95 {found[name]} ms",
                f"one Vault LIST {found['vault_list_ms']} ms",
                f"p95 ≤ {found['list_target_ms']} ms",
                found[name] <= found["list_target_ms"],
            )
            for name, title in (("api_p95_ms", "GET /certificates"), ("page_p95_ms", "list page"))
        ),
    ]


def of_pasting(found: dict[str, Any]) -> list[Row]:
    return [
        Row(
            "check of key, 3 certificates (RSA 2048), 5 hosts",
            f"{found['ours_ms']} ms, {found['ratio']}×",
            f"openssl command line {found['openssl_ms']} ms",
            f"≤ {found['target_ms']} ms, ≥ {found['target_ratio']:g}×",
            found["ours_ms"] <= found["target_ms"] and found["ratio"] >= found["target_ratio"],
        ),
        Row(
            "1 MB of garbage refused",
            f"{found['garbage_ms']} ms",
            "",
            f"≤ {found['garbage_target_ms']:g} ms",
            found["garbage_ms"] <= found["garbage_target_ms"],
        ),
        Row(
            "twice the blocks",
            f"{found['doubling']}× the time",
            "",
            f"≤ {found['doubling_target']}×",
            found["doubling"] <= found["doubling_target"],
        ),
    ]


def of_waiting(found: dict[str, Any]) -> list[Row]:
    single, crowd, most = found["single"], found["crowd"], found["idle"][-1]
    flat = max(one["vault_requests_per_s"] for one in found["idle"]) <= 2 * found["idle"][0]["vault_requests_per_s"]
    return [
        Row(
            "rotation to serving, one relay",
            f"p95 {single['p95_ms']} ms",
            "",
            f"p95 ≤ {single['p95_target_ms']:g} ms",
            single["p95_ms"] <= single["p95_target_ms"],
        ),
        Row(
            f"rotation to the last of {crowd['consumers']} that wait",
            f"{crowd['p100_s']} s",
            "",
            f"≤ {crowd['p100_target_s']} s",
            crowd["p100_s"] <= crowd["p100_target_s"],
        ),
        Row(
            "the same, beside as many reads",
            f"{crowd['ratio']}×",
            f"Vault alone {crowd['vault_alone_s']} s",
            f"≤ {crowd['ratio_target']}×",
            crowd["ratio"] <= crowd["ratio_target"],
        ),
        Row(
            f"memory with {most['waiting']} that wait",
            f"{most['memory_mb']} MB",
            "",
            f"≤ {found['memory_target_mb']:g} MB",
            most["memory_mb"] <= found["memory_target_mb"],
        ),
        Row(
            "its processor time",
            f"{most['cpu_percent']} % of a core",
            "",
            f"≤ {found['cpu_target_percent']:g} %",
            most["cpu_percent"] <= found["cpu_target_percent"],
        ),
        Row(
            "Vault's requests with none and with all of them",
            f"{most['vault_requests_per_s']}/s",
            f"with none {found['idle'][0]['vault_requests_per_s']}/s",
            "independent",
            flat,
        ),
    ]


def of_following(found: dict[str, Any]) -> list[Row]:
    rows = []
    for ours, peer in zip(found["keystead"], found["bao_agent_1s"], strict=True):
        count = ours["processes"]
        rows += [
            Row(
                f"rotation to the last file of {count} agents",
                f"{ours['last_s']} s",
                f"bao agent at 1 s: {peer['last_s']} s",
                "sooner",
                ours["last_s"] < peer["last_s"],
            ),
            Row(
                f"Vault's requests a minute, {count} agents idle",
                f"{ours['vault_requests_per_min']}",
                f"bao agent at 1 s: {peer['vault_requests_per_min']}",
                "fewer",
                ours["vault_requests_per_min"] < peer["vault_requests_per_min"],
            ),
        ]
    default = found["bao_agent_default"]
    rows.append(
        Row(
            "rotation to the file of one agent",
            f"{found['keystead'][0]['last_s']} s",
            f"bao agent at its default: {default['last_s']} s",
            "sooner",
            found["keystead"][0]["last_s"] < default["last_s"],
        )
    )
    return rows


BENCHMARKS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], list[Row]]]] = {
    "delivery": (delivery.run, of_delivery),
    "list_10000": (list_10000.measure, of_list),
    "start_up": (start_up.measure, of_start_up),
    "pasting": (pasting.measure, of_pasting),
    "waiting": (waiting.run, of_waiting),
    "following": (following.run, of_following),
}


def main() -> int:
    rows: list[Row] = []
    results: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
    for name, (measure, shown) in BENCHMARKS.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        results[name] = measure()
        rows += shown(results[name])
    results["table"] = [asdict(row) for row in rows]
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    plots.write(results)
    columns = [("what", "what"), ("ours", "Keystead"), ("peer", "peer, same run"), ("wanted", "wanted")]
    widths = [max(len(title), *(len(getattr(row, field)) for row in rows)) for field, title in columns]
    print("  ".join(title.ljust(width) for (_, title), width in zip(columns, widths, strict=True)))
    for row in rows:
        cells = [getattr(row, field).ljust(width) for (field, _), width in zip(columns, widths, strict=True)]
        print("  ".join(cells) + ("  held" if row.held else "  MISSED"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
