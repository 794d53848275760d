"""Reports, logins and unwrapping."""

from __future__ import annotations

import pytest

from tests.delivery.plane import Plane

pytestmark = pytest.mark.live

REPORT = {"version": 1, "fingerprint_sha256": "ab" * 32, "state": "installed"}


@pytest.fixture(scope="module")
def token(plane: Plane) -> str:
    """A bound relay's token."""
    plane.certificate("reported")
    consumer = plane.relay("reporter", "reported")
    plane.caught_up()
    return plane.token(consumer)


def test_a_report_is_stored_as_the_consumer(plane: Plane, token: str) -> None:
    reply = plane.call("PUT", "/v1/status", token=token, body=REPORT | {"detail": "nginx reloaded", "sessions": 12})
    assert (reply.status, reply.content) == (204, b"")
    status = plane.index.rescan_statuses().statuses["relay-reporter"]
    assert (status.certificate, status.certificate_version, status.state) == ("reported", 1, "installed")
    assert (status.fingerprint_sha256, status.detail, status.sessions) == ("ab" * 32, "nginx reloaded", 12)


def test_many_reports_in_a_row_are_all_stored(plane: Plane, token: str) -> None:
    for version in range(1, 8):
        assert plane.call("PUT", "/v1/status", token=token, body=REPORT | {"version": version}).status == 204
    assert plane.index.rescan_statuses().statuses["relay-reporter"].certificate_version == 7


def test_an_unbound_relay_may_still_report(plane: Plane) -> None:
    token = plane.token(plane.relay("bare", None))
    assert plane.call("PUT", "/v1/status", token=token, body=REPORT | {"state": "failed"}).status == 204


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1"},
        {"version": -1},
        {"version": 2**40},
        {"version": True},
        {"state": "fine"},
        {"state": None},
        {"fingerprint_sha256": "zz"},
        {"detail": "x" * 501},
        {"detail": "-----BEGIN PRIVATE KEY-----"},
        {"sessions": -1},
        {"certificate_name": "../../journal"},
    ],
    ids=str,
)
def test_a_malformed_report_is_refused_and_not_stored(plane: Plane, token: str, change: dict[str, object]) -> None:
    path = f"{plane.instance.server.mount}/data/status/relay-reporter"

    def writes() -> int:
        entries = plane.instance.bao.audit_entries()
        return sum(e["request"]["path"] == path and e["request"]["operation"] != "read" for e in entries)

    before = writes()
    reply = plane.call("PUT", "/v1/status", token=token, body=REPORT | change)
    assert (reply.status, reply.code) == (400, "request.malformed")
    assert writes() == before


def test_control_characters_of_a_report_are_not_stored(plane: Plane, token: str) -> None:
    plane.call("PUT", "/v1/status", token=token, body=REPORT | {"detail": "a\x1b[31mb\nc"})
    assert plane.index.rescan_statuses().statuses["relay-reporter"].detail == "a [31mb c"


def test_a_login_gives_a_token_that_fetches(plane: Plane) -> None:
    plane.certificate("logins")
    role_id, secret_id = plane.credentials(plane.relay("logins", "logins"))
    reply = plane.call("POST", "/v1/login", body={"role_id": role_id, "secret_id": secret_id})
    assert (reply.status, reply.json["consumer"]) == (200, "relay-logins")
    assert 1100 < reply.json["lease_seconds"] <= 1200
    assert reply.headers["cache-control"] == "no-store"
    assert plane.bundle(reply.json["token"]).status == 200


@pytest.mark.parametrize("which", ["role_id", "secret_id"])
def test_a_wrong_login_is_refused(plane: Plane, which: str) -> None:
    role_id, secret_id = plane.credentials(plane.relay(f"wrong-{which.replace('_', '-')}", None))
    body = {"role_id": role_id, "secret_id": secret_id} | {which: "00000000-0000-0000-0000-000000000000"}
    reply = plane.call("POST", "/v1/login", body=body)
    assert (reply.status, reply.code) == (401, "login.refused")
    assert secret_id.encode() not in reply.content


@pytest.mark.parametrize("role", ["index", "worker"])
def test_a_services_credentials_do_not_log_in_here(plane: Plane, role: str) -> None:
    role_id, secret_id = plane.instance.service_credentials[role]
    assert plane.call("POST", "/v1/login", body={"role_id": role_id, "secret_id": secret_id}).status == 401


def test_a_persons_token_is_not_a_consumers(plane: Plane) -> None:
    reply = plane.bundle(plane.instance.admin.token.reveal())
    assert (reply.status, reply.code) == (403, "token.not-a-consumer")
    status = plane.call("PUT", "/v1/status", token=plane.instance.admin.token.reveal(), body=REPORT)
    assert (status.status, status.code) == (403, "token.not-a-consumer")


def test_a_wrapping_token_unwraps_once(plane: Plane) -> None:
    consumer = plane.relay("wrapped", None)
    enrollment = plane.instance.admin.consumers.enroll(consumer, 300)
    body = {"wrapping_token": enrollment.wrapping_token.reveal()}
    first = plane.call("POST", "/v1/unwrap", body=body)
    assert first.status == 200
    login = {"role_id": enrollment.role_id, "secret_id": first.json["secret_id"]}
    assert plane.call("POST", "/v1/login", body=login).json["consumer"] == consumer
    second = plane.call("POST", "/v1/unwrap", body=body)
    assert (second.status, second.code) == (401, "wrapping.used")
    assert "revoke" in second.json["detail"]
