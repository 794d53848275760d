"""Vault down, restarted, slow or sealed while people work: each has its code, and nothing is half done."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import Unavailable
from service.index import CertificateState
from tests.conftest import Bao, Instance, make_instance
from tests.inventory.conftest import Desk, make_desk
from tests.inventory.test_certificates import create, paste
from vault.session import Vault


@pytest.fixture(scope="module")
def own_bao() -> Iterator[Bao]:
    """A server of this module's own, which it may stop."""
    home = Path(tempfile.mkdtemp(prefix="keystead-outage-"))
    server = Bao(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def own_instance(own_bao: Bao) -> Instance:
    return make_instance(own_bao)


@pytest.fixture
def desk(own_instance: Instance) -> Desk:
    """An administrator who is not patient."""
    impatient = replace(own_instance.server, timeout_s=0.7)
    quick = replace(own_instance, index=Vault(impatient, own_instance.index.token))
    return make_desk(quick, vault=Vault(impatient, own_instance.admin.token))


@contextmanager
def frozen(bao: Bao) -> Iterator[None]:
    """A server that takes connections and answers nothing."""
    assert bao._process is not None
    os.kill(bao._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(bao._process.pid, signal.SIGCONT)


def test_a_server_that_gives_no_answer_is_waited_for_only_so_long(desk: Desk, own_bao: Bao, name: str) -> None:
    create(desk.inventory, name, paste())
    new = paste()
    with frozen(own_bao), pytest.raises(Unavailable) as problem:
        desk.inventory.certificates.rotate(name, expect_version=1, private_key=new.key, certificate=new.certificate)
    assert problem.value.code == "vault.unreachable"
    assert desk.inventory.certificates.get(name).state is CertificateState.OK
    again = desk.index.rescan().certificates[name]
    assert again.version in {1, 2}  # an unanswered write may have been carried out; compare-and-set tells
    if again.version == 1:
        desk.inventory.certificates.rotate(name, expect_version=1, private_key=new.key, certificate=new.certificate)
    stored = desk.instance.worker.documents.read(f"bundles/{name}")
    assert (stored.version, stored.data["private_key"]) == (2, new.key)


def test_while_it_is_down_pages_show_what_was_and_changes_say_why_and_after_a_restart_all_goes_on(
    desk: Desk, own_bao: Bao, name: str
) -> None:
    create(desk.inventory, name, paste())
    desk.inventory.relays.create(name=name, host="relay.example.com", port=443)
    own_bao.stop()
    assert desk.inventory.certificates.get(name).view.version == 1
    for change in (
        lambda: create(desk.inventory, f"{name}-b", paste()),
        lambda: desk.inventory.certificates.delete(name),
        lambda: desk.inventory.relays.bind(name, name),
        lambda: desk.inventory.relays.delete(name),
        lambda: desk.inventory.relays.enroll(name),
    ):
        with pytest.raises(Unavailable) as problem:
            change()
        assert problem.value.code == "vault.unreachable"
    assert desk.index.stale_since is not None
    own_bao.start()
    desk.index.rescan()
    assert desk.index.stale_since is None
    assert f"{name}-b" not in desk.index.snapshot().certificates
    assert desk.inventory.relays.get(name).certificate is None
    assert desk.inventory.relays.bind(name, name).certificate == name


def test_a_sealed_vault_is_called_sealed(desk: Desk, own_bao: Bao, name: str) -> None:
    create(desk.inventory, name, paste())
    desk.instance.root.wire.call("POST", "sys/seal", "seal", body={})
    try:
        with pytest.raises(Unavailable) as problem:
            create(desk.inventory, f"{name}-b", paste())
        assert problem.value.code == "vault.sealed"
        with pytest.raises(Unavailable) as problem:
            desk.index.refresh()
        assert problem.value.code == "vault.sealed"
    finally:
        own_bao.stop()
        own_bao.start()  # unseals itself
    desk.index.refresh()
    assert f"{name}-b" not in desk.index.snapshot().certificates
