"""Whatever comes: the documented answer, nothing of the request in it, and the process goes on."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.delivery.plane import Plane, running_plane

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "request.no-such-address"),
        ("GET", "/v1/bundle/", 404, "request.no-such-address"),
        ("GET", "/v1/secret", 404, "request.no-such-address"),
        ("POST", "/v1/bundle", 405, "request.method"),
        ("HEAD", "/v1/bundle", 405, None),
        ("DELETE", "/v1/status", 405, "request.method"),
        ("GET", "/v1/login", 405, "request.method"),
        ("GET", "/v1/bundle", 401, "token.missing"),
        ("PUT", "/v1/status", 401, "token.missing"),
    ],
)
def test_each_wrong_request_has_its_answer(plane: Plane, method: str, path: str, status: int, code: str | None) -> None:
    reply = plane.call(method, path)
    assert reply.status == status
    if code is not None:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json["status"] == status
        assert reply.json["type"] == f"urn:keystead:problem:{code}"
        assert reply.json["title"]
        assert reply.json["detail"]
        assert reply.code == code
    if status == 405:
        assert reply.headers["allow"] in {"GET", "PUT", "POST"}


@pytest.mark.parametrize(
    "token", ["s.0000000000000000000000000", "x", "a" * 3000, "tökén", "a b", "' OR 1=1 --", "../../sys/seal"]
)
def test_a_bad_token_is_refused(plane: Plane, token: str) -> None:
    reply = plane.call("GET", "/v1/bundle", X_Vault_Token=token.encode("latin-1").decode("latin-1"))
    assert (reply.status, reply.code) == (401, "token.invalid")
    assert token.encode() not in reply.content or len(token) == 1


def test_two_different_tokens_are_refused(plane: Plane) -> None:
    raw = b"GET /v1/bundle HTTP/1.1\r\nHost: x\r\nX-Vault-Token: aaaa\r\nX-Vault-Token: bbbb\r\n\r\n"
    with _connected(plane) as connection:
        connection.sendall(raw)
        assert b"401" in connection.recv(4096)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "request.malformed"),
        (b"", "application/json", 400, "request.malformed"),
        (b"\xff\xfe\x00", "application/json", 400, "request.malformed"),
        (b"[]", "application/json", 400, "request.malformed"),
        (b"[" * 4000, "application/json", 400, "request.malformed"),
        (b'{"role_id": 1, "secret_id": "hush-hush"}', "application/json", 400, "request.malformed"),
        (b'{"role_id": "r"}', "application/json", 400, "request.malformed"),
        (b'{"role_id": "", "secret_id": ""}', "application/json", 400, "request.malformed"),
        (b"role_id=r&secret_id=hush-hush", "application/x-www-form-urlencoded", 415, "request.media-type"),
        (b"{}", "text/plain", 415, "request.media-type"),
        (b'{"role_id": "hush-hush' + b"x" * 9000, "application/json", 413, "request.too-large"),
    ],
    ids=range(11),
)
def test_each_bad_body_has_its_answer(plane: Plane, body: bytes, content_type: str, status: int, code: str) -> None:
    reply = plane.call("POST", "/v1/login", body=body, Content_Type=content_type)
    assert (reply.status, reply.code) == (status, code)
    assert b"hush" not in reply.content


def test_a_body_without_a_length_is_bounded_too(plane: Plane) -> None:
    head = b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with _connected(plane) as connection:
        connection.sendall(
            head + b"2000\r\n" + b" " * 0x2000 + b"\r\n" + b"2000\r\n" + b" " * 0x2000 + b"\r\n0\r\n\r\n"
        )
        assert b"413" in connection.recv(4096)


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"99999999999999999999"])
def test_a_mad_content_length_does_no_harm(plane: Plane, length: bytes) -> None:
    head = b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + length
    with _connected(plane) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert b" 4" in connection.recv(4096).splitlines()[0]
    assert plane.call("GET", "/healthz").status == 200


def test_an_endless_head_is_cut_off(plane: Plane) -> None:
    with _connected(plane) as connection:
        connection.sendall(b"GET /v1/bundle HTTP/1.1\r\nHost: x\r\n")
        for number in range(40):
            connection.sendall(b"X-Filler-%d: %s\r\n" % (number, b"x" * 1000))
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")
        assert connection.recv(4096) == b""


def test_a_request_that_never_ends_is_cut_off(plane: Plane) -> None:
    with (
        running_plane(plane.instance, follow=False, request_limit_s=0.3) as impatient,
        _connected(impatient) as connection,
    ):
        connection.sendall(b"GET /v1/bundle HTTP/1.1\r\nHost:")
        started = time.monotonic()
        assert connection.recv(4096) == b""
        assert time.monotonic() - started < 5


def test_several_requests_on_one_connection_are_each_answered(plane: Plane) -> None:
    with _connected(plane) as connection:
        for _ in range(40):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Filler: " + b"x" * 1000 + b"\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")


def test_a_caller_that_leaves_halfway_does_no_harm(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            with _connected(plane) as connection:
                connection.sendall(
                    b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    b'Content-Length: 500\r\n\r\n{"role_id'
                )
        time.sleep(0.2)
    assert plane.call("GET", "/healthz").status == 200
    assert caplog.records == []


def test_health_and_readiness_are_told(plane: Plane) -> None:
    assert plane.call("GET", "/healthz").json == {"status": "ok"}
    assert plane.call("GET", "/readyz").json == {"status": "ready"}


@contextmanager
def _connected(plane: Plane) -> Iterator[socket.socket]:
    with (
        socket.create_connection(("127.0.0.1", plane.port), timeout=10) as plain,
        plane.trust().wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection
