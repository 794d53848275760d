"""What a consumer gets, and what it costs Vault."""

from __future__ import annotations

import pytest

from service.pki.facts import read_facts
from tests.delivery.plane import Plane, wait_until

pytestmark = pytest.mark.live


def test_a_relay_fetches_the_bundle_it_is_bound_to(plane: Plane) -> None:
    material = plane.certificate("plain")
    token = plane.token(plane.relay("plain", "plain", tls_mode="mtls"))
    reply = plane.bundle(token)
    facts = read_facts(material.certificate, material.ca)
    assert reply.status == 200
    assert reply.headers["etag"] == '"plain:1"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == {
        "consumer": "relay-plain",
        "certificate_name": "plain",
        "version": 1,
        "private_key": material.key,
        "certificate": material.certificate,
        "ca": material.ca,
        "fingerprint_sha256": facts.leaf.fingerprint_sha256,
        "not_after": facts.not_after.isoformat().replace("+00:00", "Z"),
        "tls_mode": "mtls",
    }


def test_a_cluster_fetches_the_bundle_it_is_bound_to(plane: Plane) -> None:
    plane.certificate("client")
    token = plane.token(plane.cluster("aws-eu", "main-1", "client"))
    reply = plane.bundle(token)
    assert (reply.status, reply.json["consumer"], reply.json["tls_mode"]) == (200, "provider-aws-eu-main-1", "mtls")


def test_the_token_may_come_as_a_bearer_token(plane: Plane) -> None:
    plane.certificate("bearer")
    token = plane.token(plane.relay("bearer", "bearer"))
    assert plane.call("GET", "/v1/bundle", Authorization=f"Bearer {token}").status == 200


def test_an_unchanged_bundle_is_answered_304_without_a_read(plane: Plane) -> None:
    plane.certificate("idle")
    token = plane.token(plane.relay("idle", "idle"))
    plane.caught_up()
    etag = plane.bundle(token).headers["etag"]
    before, requests = plane.reads_of("bundles/idle"), plane.requests()
    replies = [plane.bundle(token, etag) for _ in range(20)]
    assert {(reply.status, reply.content, reply.headers["etag"]) for reply in replies} == {(304, b"", etag)}
    assert plane.reads_of("bundles/idle") == before
    assert plane.requests() == requests


@pytest.mark.parametrize("form", ['W/"forms:1"', '"other:7", "forms:1"', "*", '"x","forms:1" ,"y"'])
def test_every_form_of_if_none_match_is_understood(plane: Plane, form: str) -> None:
    if plane.index.snapshot().consumer("relay-forms") is None:
        plane.certificate("forms")
        plane.relay("forms", "forms")
        plane.caught_up()
    assert plane.bundle(plane.token("relay-forms"), form).status == 304


@pytest.mark.parametrize("form", ['"forms:2"', "forms:1", '"forms:1', "", "x" * 5000])
def test_another_etag_gets_the_bundle(plane: Plane, form: str) -> None:
    if plane.index.snapshot().consumer("relay-forms") is None:
        plane.certificate("forms")
        plane.relay("forms", "forms")
    assert plane.bundle(plane.token("relay-forms"), form).status == 200


def test_a_rotation_reaches_the_next_conditional_fetch(plane: Plane) -> None:
    plane.certificate("rotated")
    token = plane.token(plane.relay("rotated", "rotated"))
    etag = plane.bundle(token).headers["etag"]
    material = plane.certificate("rotated", expect_version=1)
    wait_until(lambda: plane.bundle(token, etag).status == 200)
    reply = plane.bundle(token, etag)
    assert (reply.headers["etag"], reply.json["private_key"]) == ('"rotated:2"', material.key)


def test_an_unconditional_fetch_right_after_a_rotation_is_never_old(plane: Plane) -> None:
    plane.certificate("prompt")
    token = plane.token(plane.relay("prompt", "prompt"))
    for version in range(2, 12):
        material = plane.certificate("prompt", expect_version=version - 1)
        reply = plane.bundle(token)
        facts = read_facts(material.certificate)
        assert (reply.json["version"], reply.json["private_key"]) == (version, material.key)
        assert reply.json["fingerprint_sha256"] == facts.leaf.fingerprint_sha256


def test_a_relay_that_the_index_has_not_heard_of_gets_its_bundle_at_once(plane: Plane) -> None:
    plane.certificate("new")
    for number in range(5):
        token = plane.token(plane.relay(f"new-{number}", "new"))
        assert plane.bundle(token).status == 200


def test_another_binding_holds_from_the_next_request_on(plane: Plane) -> None:
    first, second = plane.certificate("first"), plane.certificate("second")
    token = plane.token(plane.relay("switched", "first"))
    assert plane.bundle(token).json["private_key"] == first.key
    plane.relay("switched", "second", expect_version=1)
    assert plane.bundle(token).json["private_key"] == second.key


def test_an_unbound_relay_is_told_so_at_once(plane: Plane) -> None:
    plane.certificate("lost")
    token = plane.token(plane.relay("unbound", "lost"))
    etag = plane.bundle(token).headers["etag"]
    plane.relay("unbound", None, expect_version=1)
    reply = plane.bundle(token)
    assert (reply.status, reply.code) == (404, "not-bound")
    wait_until(lambda: plane.bundle(token, etag).status == 404)


def test_a_relay_bound_again_gets_the_bundle_at_once(plane: Plane) -> None:
    plane.certificate("again")
    token = plane.token(plane.relay("again", None))
    assert plane.bundle(token).code == "not-bound"
    plane.relay("again", "again", expect_version=1)
    assert plane.bundle(token).status == 200


def test_a_revoked_relay_gets_nothing_at_once_and_no_304_soon(plane: Plane) -> None:
    plane.certificate("revoked")
    token = plane.token(plane.relay("revoked", "revoked"))
    etag = plane.bundle(token).headers["etag"]
    assert plane.bundle(token, etag).status == 304
    admin = plane.instance.admin.consumers
    admin.revoke("relay-revoked")
    admin.ensure("relay-revoked")
    admin.bind("relay-revoked", "revoked", {"relay": "revoked"})
    plane.tell("consumer", "relay-revoked", "revoke", None)
    assert plane.bundle(token).status in {401, 404}
    plane.caught_up()
    assert plane.bundle(token, etag).status in {401, 404}
    assert plane.bundle(plane.token("relay-revoked"), etag).status == 304


def test_a_token_that_is_revoked_in_vault_alone_gets_no_bundle_and_no_304_for_long(plane: Plane) -> None:
    plane.certificate("ended")
    token = plane.token(plane.relay("ended", "ended"))
    etag = plane.bundle(token).headers["etag"]
    plane.instance.root.wire.call("POST", "auth/token/revoke", "revoke a token", body={"token": token})
    reply = plane.bundle(token)
    assert (reply.status, reply.code) == (401, "token.invalid")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert plane.bundle(token, etag).status == 401


def test_a_deleted_certificate_is_named(plane: Plane) -> None:
    plane.certificate("deleted")
    token = plane.token(plane.relay("deleted", "deleted"))
    etag = plane.bundle(token).headers["etag"]
    plane.instance.admin.documents.delete("bundles/deleted", 1)
    plane.tell("certificate", "deleted", "delete", 1)
    reply = plane.bundle(token)
    assert (reply.status, reply.code) == (404, "certificate.gone")
    wait_until(lambda: plane.bundle(token, etag).status == 404)


def test_a_consumer_cannot_get_another_ones_bundle(plane: Plane) -> None:
    plane.certificate("mine")
    theirs = plane.certificate("theirs")
    token = plane.token(plane.relay("mine", "mine"))
    plane.relay("theirs", "theirs")
    for path in ("/v1/bundle?certificate=theirs", "/v1/bundle?consumer=relay-theirs"):
        assert plane.call("GET", path, token=token).json["certificate_name"] == "mine"
    for path in ("/v1/bundle/theirs", "/v1/bundles/theirs", "/v1/keystead/data/bundles/theirs", "/v1//bundle"):
        reply = plane.call("GET", path, token=token)
        assert reply.status == 404
        assert theirs.key.encode() not in reply.content


def test_the_read_is_logged_by_vault_as_the_consumer(plane: Plane) -> None:
    plane.certificate("logged")
    token = plane.token(plane.relay("logged", "logged"))
    before = plane.reads_of("bundles/logged")
    plane.bundle(token)
    assert plane.reads_of("bundles/logged") == before + 1
    entry = [
        entry
        for entry in plane.instance.bao.audit_entries()
        if entry["type"] == "response" and entry["request"]["path"].endswith("/data/bundles/logged")
    ][-1]
    assert entry["auth"]["metadata"]["role_name"].endswith("relay-logged")
    assert entry["response"]["data"]["metadata"]["version"] == 1
