"""The agent with real proxies and a WebSocket held open: no handshake fails, it stays, and a bad pair never gets in."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from service.records import status_path
from tests import proxies
from tests.agent.test_activation import fingerprint
from tests.agent.test_agent_command import Agent, _name
from tests.agent.test_following import enrolled, following, waiting
from tests.delivery.plane import Plane, wait_until
from tests.material import CLIENT, Issued, Paste, issue, paste, root
from tests.sessions import FAILURES, Watch, echoing, watched

pytestmark = pytest.mark.live
CLIENTS = root("Clients of the proxies", now=datetime.now(UTC)).pem


@pytest.fixture(scope="module")
def sessions() -> Iterator[int]:
    """A WebSocket server behind the proxies: what is sent comes back. Its port."""
    with echoing() as port:
        yield port


@pytest.fixture(params=sorted(proxies.ALL))
def proxy(request: pytest.FixtureRequest, tmp_path: Path, sessions: int) -> proxies.Proxy:
    folder = tmp_path / "proxy"
    folder.mkdir()
    return proxies.ALL[request.param](folder, proxies.free_port(), sessions)


@pytest.fixture
def agent(plane: Plane, proxy: proxies.Proxy, tmp_path: Path, request: pytest.FixtureRequest) -> Agent:
    """An agent that has installed version 1 for a proxy that does not run yet."""
    made = enrolled(plane, tmp_path, f"p{zlib.crc32(request.node.name.encode())}")
    configure(made, proxy.files_only())
    assert made.once().returncode == 0
    return made


def configure(agent: Agent, targets: str) -> None:
    """Its configuration with these targets and no others."""
    agent.configure()
    head = agent.config.read_text().partition("[[targets]]")[0]
    agent.config.write_text(head + targets)


def version(plane: Plane, agent: Agent, number: int, material: Paste | None = None) -> Paste:
    made = material or paste("relay.example.com", "127.0.0.1", now=datetime.now(UTC))
    return plane.certificate(_name(agent), made, expect_version=number - 1)


def test_a_rotation_costs_no_handshake_and_no_session(plane: Plane, agent: Agent, proxy: proxies.Proxy) -> None:
    watch = Watch(proxy.name, proxy.port, anybody())
    with proxy.running():
        configure(agent, proxy.target())
        with following_in(agent, proxy), watched([watch]):
            waiting(plane)
            latest = [version(plane, agent, number) for number in (2, 3)][-1]
            status = plane.instance.root.documents
            wait_until(lambda: status.read(status_path(agent.consumer)).data["version"] == 3)
            assert status.read(status_path(agent.consumer)).data["state"] == "serving"
            good = fingerprint(latest)
            wait_until(lambda: proxy.shows() == good)  # an nginx worker that ends may answer once more
            other = paste("relay.example.com", now=datetime.now(UTC))
            broken = Paste(other.key, latest.certificate, latest.ca, latest.leaf, latest.root)
            version(plane, agent, 4, broken)
            wait_until(lambda: status.read(status_path(agent.consumer)).data["state"] == "failed")
            assert proxy.shows() == good
    assert watch.faults == []
    assert watch.exchanged > 0
    assert watch.handshakes > 0


def anybody() -> ssl.SSLContext:
    """A client that trusts whatever it is shown."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


def following_in(agent: Agent, proxy: proxies.Proxy):
    """As `following`: its files are the proxy's."""
    return following(agent, live=proxy.folder / "tls" / "live")


@pytest.mark.parametrize("kind", ["nginx", "envoy", "traefik"])
def test_clients_of_a_new_authority_get_in_and_those_of_the_old_no_more(
    plane: Plane, tmp_path: Path, sessions: int, kind: str
) -> None:
    folder = tmp_path / "mutual"
    folder.mkdir()
    mutual = proxies.ALL[kind](folder, proxies.free_port(), sessions, mtls=True)
    agent = enrolled(plane, tmp_path, f"mutual-{kind}")
    first, second = root("First", now=datetime.now(UTC)), root("Second", now=datetime.now(UTC))
    made = paste("relay.example.com", "127.0.0.1", now=datetime.now(UTC))
    version(plane, agent, 2, Paste(made.key, made.certificate, first.pem, made.leaf, made.root))
    plane.caught_up()
    configure(agent, mutual.files_only())
    assert agent.once().returncode == 0
    with mutual.running():
        configure(agent, mutual.target())
        assert gets_in(mutual, first, tmp_path)
        assert not gets_in(mutual, second, tmp_path)
        version(plane, agent, 3, Paste(made.key, made.certificate, second.pem, made.leaf, made.root))
        plane.caught_up()
        assert agent.once().returncode == 0
        wait_until(lambda: gets_in(mutual, second, tmp_path))
        wait_until(lambda: not gets_in(mutual, first, tmp_path))  # an nginx worker that ends may answer once more


def gets_in(proxy: proxies.Proxy, authority: Issued, folder: Path) -> bool:
    """Whether a client of this authority has a session."""
    client = issue("client", issuer=authority, usages=CLIENT, now=datetime.now(UTC))
    file = folder / f"{client.certificate.serial_number:x}.pem"
    file.write_text(client.pem + client.key_pem)
    trust = anybody()
    trust.load_cert_chain(file)

    async def ask() -> bool:
        async with connect(f"wss://127.0.0.1:{proxy.port}/x", ssl=trust, proxy=None, open_timeout=5) as session:
            await session.send("in?")
            return await asyncio.wait_for(session.recv(), 5) == "in?"

    try:
        return asyncio.run(ask())
    except FAILURES:
        return False
