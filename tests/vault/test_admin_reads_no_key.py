"""An administrator's token is tried on every path and with every verb that could lead to a bundle: no key comes out."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass

import pytest

from tests.conftest import Instance
from tests.vault.conftest import Answer, Call

pytestmark = pytest.mark.live

KEY = "canary-5b1d9e-private-key"
"""Stands for a private key. Vault knows nothing of keys; what counts is that this text never comes back."""
SIGHTS = (KEY, base64.b64encode(KEY.encode()).decode().rstrip("="), KEY.encode().hex())
VERBS = ("GET", "HEAD", "LIST", "SCAN", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Bundle:
    path: str
    versions: int


BUNDLES = (Bundle("bundles/one", 1), Bundle("bundles/rotated", 3), Bundle("staged/one", 1))


def seed(instance: Instance, bundle: Bundle) -> None:
    """Make the bundle as it was, whatever happened to it."""
    documents = instance.root.documents
    documents.destroy(bundle.path)
    for version in range(bundle.versions):
        content = {"private_key": KEY, "certificate": f"C{version}"}
        documents.write(bundle.path, content, expect_version=version, public={"certificate": f"C{version}"})


def paths(instance: Instance, bundle: Bundle) -> list[str]:
    """Every path that has to do with the bundle, or that moves, copies, wraps, lists or dumps things."""
    mount, path = instance.server.mount, bundle.path
    folder, name = path.split("/")
    endpoints = (
        "data",
        "subkeys",
        "metadata",
        "detailed-metadata",
        "delete",
        "undelete",
        "destroy",
        "export",
        "config",
    )
    of_engine = [f"{mount}/{endpoint}/{path}" for endpoint in endpoints]
    queries = (
        *(f"version={number}" for number in range(bundle.versions + 2)),
        "list=true",
        "scan=true",
        "depth=0",
        "depth=9&version=1",
        "help=1",
    )
    with_query = [f"{mount}/{end}/{path}?{query}" for end in ("data", "subkeys", "metadata") for query in queries]
    sideways = [
        f"{mount}/{path}",
        f"{mount}/data/{folder}",
        f"{mount}/data/{folder}/",
        f"{mount}/data/",
        f"{mount}/data//{path}",
        f"{mount}/data/{path}/",
        f"{mount}/data/{folder}/%2e/{name}",
        f"{mount}/data/relays/..%2f{folder}/{name}",
        f"{mount}/data/relays/%2e%2e/{folder}/{name}",
        f"{mount}/data/{folder}%2f{name}",
        f"{mount}/DATA/{path}",
        f"{mount}/data/{path}%00",
        f"{mount}/",
        mount,
    ]
    around = [
        f"sys/raw/logical/{mount}/{path}",
        "sys/raw/logical",
        "sys/raw/core/keyring",
        "sys/storage/raft/snapshot",
        "sys/storage/raft/configuration",
        "sys/mounts",
        f"sys/mounts/{mount}",
        f"sys/mounts/{mount}/tune",
        f"sys/internal/ui/mounts/{mount}",
        "sys/remount",
        "sys/tools/hash",
        "sys/tools/random",
        "sys/wrapping/wrap",
        "sys/wrapping/rewrap",
        "sys/wrapping/unwrap",
        "sys/wrapping/lookup",
        f"sys/leases/lookup/{mount}/data/{path}",
        "sys/leases/renew",
        "sys/monitor",
        "sys/in-flight-req",
        "sys/pprof/heap",
        "sys/host-info",
        "sys/audit",
        "sys/audit-hash/main",
        "sys/config/state/sanitized",
        "sys/generate-root/attempt",
        "sys/rekey/init",
        "sys/rotate",
        "sys/metrics",
        "sys/plugins/catalog",
        "sys/namespaces",
        "sys/quotas/rate-limit",
        "cubbyhole/key",
        "cubbyhole/",
    ]
    return [*of_engine, *with_query, *sideways, *around]


def bodies(instance: Instance, bundle: Bundle, verb: str) -> list[object]:
    """What a writing verb is sent with: attempts to get the old content back with the answer, or to copy it."""
    if verb not in {"POST", "PUT", "PATCH"}:
        return [None]
    source = f"{instance.server.mount}/data/{bundle.path}"
    return [
        {},
        {"options": {"cas": bundle.versions}, "data": {"certificate": "changed"}},
        {"options": {"cas": bundle.versions}, "data": {}},
        {"versions": list(range(1, bundle.versions + 1))},
        {"custom_metadata": {"comment": "changed"}},
        {"from": source, "to": f"{instance.server.mount}/data/relays/copy", "path": source, "input": source},
    ]


def forms(verb: str) -> list[dict[str, str]]:
    """The request as it is, and wrapped."""
    return [{}, {"wrap_ttl": "120s"}] if verb != "HEAD" else [{}]


def unwrapped(instance: Instance, call: Call, answer: Answer) -> list[str]:
    """What is in a wrapped answer, taken out in each way there is."""
    token = (answer.json.get("wrap_info") or {}).get("token")
    if not token:
        return []
    return [
        call(instance.admin.token, "POST", "sys/wrapping/unwrap", {"token": token}).text,
        call(instance.root.token, "POST", "sys/wrapping/unwrap", {"token": token}).text,
    ]


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.path)
def test_no_path_and_no_verb_gives_an_administrator_a_key(instance: Instance, call: Call, bundle: Bundle) -> None:
    seed(instance, bundle)
    tried = 0
    for path, verb in itertools.product(paths(instance, bundle), VERBS):
        for body, form in itertools.product(bodies(instance, bundle, verb), forms(verb)):
            answer = call(instance.admin.token, verb, path, body, **form)
            tried += 1
            for text in (answer.text, *unwrapped(instance, call, answer)):
                assert not any(sight in text for sight in SIGHTS), f"{verb} {path} gave the key away"
            if verb not in {"GET", "HEAD", "LIST", "SCAN"} and answer.allowed:
                seed(instance, bundle)
    assert tried > 1000
    assert instance.root.documents.read(bundle.path).data["private_key"] == KEY


@pytest.mark.parametrize("form", [{}, {"wrap_ttl": "60s"}], ids=["plain", "wrapped"])
def test_the_search_finds_the_key_where_a_token_may_read_it(
    instance: Instance, call: Call, form: dict[str, str]
) -> None:
    bundle = BUNDLES[1]
    seed(instance, bundle)
    found = set()
    for path in paths(instance, bundle):
        answer = call(instance.worker.token, "GET", path, **form)
        if any(KEY in text for text in (answer.text, *unwrapped(instance, call, answer))):
            found.add(path)
    data = f"{instance.server.mount}/data/{bundle.path}"
    assert {data, f"{data}?version=1", f"{data}?version=2", f"{data}?version=3"} <= found


@pytest.mark.parametrize("form", [{}, {"wrap_ttl": "60s"}], ids=["plain", "wrapped"])
@pytest.mark.parametrize("version", ["", "?version=1", "?version=2", "?version=3"])
def test_reading_a_bundle_is_refused_to_an_administrator(
    instance: Instance, call: Call, version: str, form: dict[str, str]
) -> None:
    bundle = BUNDLES[1]
    seed(instance, bundle)
    answer = call(instance.admin.token, "GET", f"{instance.server.mount}/data/{bundle.path}{version}", **form)
    assert answer.status == 403


@pytest.mark.parametrize("role", ["admin", "auditor", "index"])
def test_a_token_without_keys_reads_the_public_half_of_each_version(instance: Instance, role: str) -> None:
    bundle = BUNDLES[1]
    seed(instance, bundle)
    documents = getattr(instance, role).documents
    assert [documents.read_public(bundle.path, version).values for version in (1, 2, 3)] == [
        {"certificate": "C0"},
        {"certificate": "C1"},
        {"certificate": "C2"},
    ]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", ["auditor", "index"])
def test_auditor_and_index_do_nothing_to_a_bundle_and_read_no_key(
    instance: Instance, call: Call, role: str, verb: str
) -> None:
    bundle = BUNDLES[1]
    seed(instance, bundle)
    token = getattr(instance, role).token
    for path in paths(instance, bundle):
        for body, form in itertools.product(bodies(instance, bundle, verb)[:4], forms(verb)):
            answer = call(token, verb, path, body, **form)
            for text in (answer.text, *unwrapped(instance, call, answer)):
                assert not any(sight in text for sight in SIGHTS), f"{verb} {path} gave the key away"
    assert instance.root.documents.metadata(bundle.path).current_version == bundle.versions
    assert instance.root.documents.read(bundle.path).data["private_key"] == KEY


def test_no_key_stands_in_the_audit_log_in_clear(instance: Instance) -> None:
    bundle = BUNDLES[1]
    seed(instance, bundle)
    instance.root.documents.read(bundle.path)
    instance.admin.documents.patch(bundle.path, {"private_key": KEY + "-2"}, expect_version=bundle.versions)
    log = instance.bao.audit_log.read_text(encoding="utf-8")
    assert f"{instance.server.mount}/data/{bundle.path}" in log
    assert not any(sight in log for sight in SIGHTS)
