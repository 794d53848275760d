"""A program is made to use what is installed: with a real nginx, and with every step failing once."""

from __future__ import annotations

import json
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from service.agent.activation import run_command, wait_until_served
from service.agent.errors import TargetFailed
from service.records import status_path
from tests.agent.test_agent_command import Agent, _name
from tests.agent.test_following import enrolled, following, waiting
from tests.delivery.plane import Plane, wait_until
from tests.material import Paste

pytestmark = pytest.mark.live

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
"""Debian puts servers where not everybody's PATH leads."""

CONFIGURATION = """
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port} ssl; keepalive_timeout 300s;
    ssl_certificate {folder}/tls/live/cert.pem; ssl_certificate_key {folder}/tls/live/key.pem;
    location / {{ return 200 "here\\n"; }}
    location /echo {{
      proxy_pass http://127.0.0.1:{echo}; proxy_http_version 1.1; proxy_read_timeout 300s;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}
"""


def fingerprint(material: Paste) -> str:
    return sha256(ssl.PEM_cert_to_DER_cert(material.leaf.pem)).hexdigest()


@dataclass
class Nginx:
    """A real nginx in front of nothing, with the agent's files."""

    folder: Path
    port: int

    def command(self, *more: str) -> list[str]:
        return [NGINX, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *more]

    def hooks(self, **changed: object) -> str:
        """The target's lines in the agent's configuration."""
        said: dict[str, object] = {
            "test": self.command("-t"),
            "reload": self.command("-s", "reload"),
            "verify": f"127.0.0.1:{self.port}",
            "timeout_s": 5.0,
        } | changed
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())

    def connect(self) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 5))

    def shows(self) -> str:
        with self.connect() as line:
            return sha256(line.getpeercert(binary_form=True) or b"").hexdigest()

    @contextmanager
    def running(self) -> Iterator[None]:
        process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self._answers)
            yield
        finally:
            process.terminate()
            process.wait(10)

    def _answers(self) -> bool:
        try:
            self.shows()
        except OSError:
            return False
        return True


@pytest.fixture
def echo() -> Iterator[int]:
    """A server behind nginx: it switches to another protocol, as WebSocket does (RFC 9110 §7.8), and sends back."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # handshakes that ask nothing end here
                self.request.recv(4096)
                self.request.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
                )
                while said := self.request.recv(4096):
                    self.request.sendall(said)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def nginx(tmp_path: Path, echo: int) -> Nginx:
    if not Path(NGINX).exists():
        pytest.fail("nginx is missing: scripts/debian-packages installs nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    made = Nginx(tmp_path, port)
    user = "user root;" if Path("/proc/self").owner() == "root" else ""
    (tmp_path / "nginx.conf").write_text(CONFIGURATION.format(folder=tmp_path, port=port, user=user, echo=echo))
    return made


@pytest.fixture
def agent(plane: Plane, nginx: Nginx, request: pytest.FixtureRequest) -> Agent:
    """An agent with something installed, whose program is nginx."""
    made = enrolled(plane, nginx.folder, f"a{zlib.crc32(request.node.name.encode())}")
    assert made.once().returncode == 0
    return made


def upgrade(line: ssl.SSLSocket) -> bytes:
    line.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
    return line.recv(4096)


def said_back(line: ssl.SSLSocket, words: bytes) -> bytes:
    line.sendall(words)
    return line.recv(4096)


def test_nginx_serves_a_rotation_without_a_failed_handshake_or_a_lost_connection(agent: Agent, nginx: Nginx):
    plane = agent.plane
    stop, failed, seen = threading.Event(), list[str](), list[str]()

    def shake_hands() -> None:
        while not stop.is_set():
            try:
                seen.append(nginx.shows())
            except OSError as error:
                failed.append(repr(error))
            time.sleep(0.01)

    with nginx.running():
        agent.configure(nginx.hooks())
        with following(agent), nginx.connect() as held:
            waiting(plane)
            assert upgrade(held).startswith(b"HTTP/1.1 101")
            assert said_back(held, b"before") == b"before"
            thread = threading.Thread(target=shake_hands)
            thread.start()
            material = plane.certificate(_name(agent), expect_version=1)
            document = plane.instance.root.documents
            wait_until(lambda: document.read(status_path(agent.consumer)).data["version"] == 2)
            stop.set()
            thread.join(10)
            assert document.read(status_path(agent.consumer)).data["state"] == "serving"
            assert said_back(held, b"after") == b"after"
        assert failed == []
        assert seen[0] != fingerprint(material)
        wait_until(lambda: nginx.shows() == fingerprint(material))  # an old worker may answer once more


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"test": ["false"]}, "hook.failed", "false ended with 1"),
        ({"test": ["no-such-program"]}, "hook.failed", "no-such-program cannot be started"),
        ({"reload": ["sleep", "60"], "timeout_s": 0.5}, "hook.failed", "sleep took longer than 0.5 s"),
        ({"reload": ["true"], "timeout_s": 0.5}, "hook.not-served", "shows another certificate"),
        ({"verify": "127.0.0.1:1", "timeout_s": 0.5}, "hook.not-served", "answers no handshake"),
    ],
)
def test_what_fails_is_undone_and_told(agent: Agent, nginx: Nginx, changed: dict[str, object], code: str, said: str):
    plane, name = agent.plane, _name(agent)
    with nginx.running():
        agent.configure(nginx.hooks())
        assert agent.once().returncode == 0
        before = nginx.shows()
        live = agent.live.resolve()
        agent.configure(nginx.hooks(**changed))
        material = plane.certificate(name, expect_version=1)
        plane.caught_up()
        done = agent.once()
        error = json.loads(done.stdout)["error"]
        assert (done.returncode, error["code"]) == (1, code)
        assert said in error["message"]
        assert agent.live.resolve() == live
        wait_until(lambda: nginx.shows() == before)
        status = plane.instance.root.documents.read(status_path(agent.consumer)).data
        assert (status["state"], said in status["detail"]) == ("failed", True)
        assert [folder.name for folder in (agent.folder / "tls/.versions").iterdir() if "-2-" in folder.name] == []
        agent.configure(nginx.hooks())
        assert agent.once().returncode == 0
        wait_until(lambda: nginx.shows() == fingerprint(material))  # an old worker may answer once more


def test_an_agent_that_died_before_the_reload_begins_again(agent: Agent, nginx: Nginx):
    plane = agent.plane
    with nginx.running():
        agent.configure(nginx.hooks())
        assert agent.once().returncode == 0
        (agent.live / ".in-use").unlink()  # as after a crash between the switch and the last step
        material = plane.certificate(_name(agent), expect_version=1)
        plane.caught_up()
        assert agent.once().returncode == 0
        wait_until(lambda: nginx.shows() == fingerprint(material))  # an old worker may answer once more
        again = json.loads(agent.once().stdout)
        assert again["changed"] is False


def test_a_bad_pair_never_reaches_nginx(agent: Agent, nginx: Nginx):
    plane, name = agent.plane, _name(agent)
    with nginx.running():
        agent.configure(nginx.hooks())
        assert agent.once().returncode == 0
        before = nginx.shows()
        one = plane.certificate(f"{name}-one")
        two = plane.certificate(f"{name}-two")
        plane.certificate(name, Paste(one.key, two.certificate, "", two.leaf, two.root), expect_version=1)
        plane.caught_up()
        done = agent.once()
        assert json.loads(done.stdout)["error"]["code"] == "bundle.refused"
        assert nginx.shows() == before


# Without a plane


def test_a_command_says_why_it_failed_and_never_a_line_of_a_key():
    line = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"
    program = f"import sys; print('[emerg] bad {line}', file=sys.stderr); sys.exit(3)"
    with pytest.raises(TargetFailed) as failed:
        run_command((sys.executable, "-c", program), 10)
    assert str(failed.value).endswith("ended with 3: [emerg] bad …")
    run_command(("true",), 5)


def test_a_port_that_nobody_listens_on_is_told():
    with pytest.raises(TargetFailed) as failed:
        wait_until_served(("127.0.0.1", 1), "", "0" * 64, 0.1)
    assert failed.value.code == "hook.not-served"
