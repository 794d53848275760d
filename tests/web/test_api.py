"""The admin API: what it answers, and that it is what `openapi.json` says."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.web.api import openapi_document
from tests.material import BOTH, Paste, paste
from tests.vault.test_login import totp
from tests.web.conftest import Api, Console
from vault import bootstrap
from vault.session import Token, Vault

_numbers = itertools.count(1)


def new_name(kind: str) -> str:
    return f"{kind}-{next(_numbers)}"


def fresh(*hosts: str, **more: Any) -> Paste:
    return paste(*hosts, now=datetime.now(UTC), **more)


def body_of(pasted: Paste, name: str) -> dict[str, Any]:
    return {"name": name, "private_key": pasted.key, "certificate": pasted.certificate, "ca": pasted.ca}


def registered(api: Api, *hosts: str, **more: Any) -> tuple[str, Paste]:
    name, pasted = new_name("certificate"), fresh(*hosts, **more)
    answer = api("POST", "/certificates", body_of(pasted, name))
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return name, pasted


def relay_on(api: Api, certificate: str | None, host: str = "relay.example.com", **more: Any) -> str:
    name = new_name("relay")
    body = {"name": name, "host": host, "port": 443, "certificate": certificate, **more}
    answer = api("POST", "/relays", body)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return name


def is_problem(answer: Any, status: int, code: str) -> bool:
    body = answer.get_json()
    assert (answer.status_code, body["code"]) == (status, code), answer.get_data(as_text=True)
    assert answer.mimetype == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= body.keys()
    return True


def test_a_certificate_is_registered_read_and_listed_without_its_key(api: Api):
    name, pasted = registered(api, "relay.example.com", client_ca=True)
    answer = api("GET", f"/certificates/{name}")
    body = answer.get_json()
    assert answer.headers["ETag"] == '"1"'
    assert (body["name"], body["version"], body["certificate"], body["ca"]) == (name, 1, pasted.certificate, pasted.ca)
    assert body["facts"]["dns_names"] == ["relay.example.com"]
    rows = api("GET", f"/certificates?q={name}").get_json()
    assert [row["name"] for row in rows["items"]] == [name]
    for secret in pasted.key.splitlines()[1:-1]:
        assert secret not in answer.get_data(as_text=True)


def test_a_free_text_name_becomes_a_name_and_stays_as_display_name(api: Api):
    answer = api("POST", "/certificates", body_of(fresh(), "Relays EU (west) ü"))
    assert answer.status_code == 201
    assert answer.get_json()["display_name"] == "Relays EU (west) ü"
    assert answer.headers["Location"].endswith("/certificates/" + answer.get_json()["name"])


def test_a_name_that_is_taken_is_refused(api: Api):
    name, _ = registered(api)
    assert is_problem(api("POST", "/certificates", body_of(fresh(), name)), 409, "certificate.exists")


def test_what_the_checks_refuse_is_not_stored(api: Api):
    name = new_name("certificate")
    body = body_of(fresh(), name) | {"private_key": fresh().key}
    answer = api("POST", "/certificates", body)
    assert is_problem(answer, 422, "checks.refused")
    assert [finding["code"] for finding in answer.get_json()["findings"]] == ["key.mismatch"]
    assert api("GET", f"/certificates/{name}").status_code == 404


def test_a_rotation_needs_the_version_that_was_seen(api: Api):
    name, _ = registered(api)
    new = fresh()
    body = {"private_key": new.key, "certificate": new.certificate}
    assert is_problem(api("PUT", f"/certificates/{name}", body), 428, "version.required")
    assert is_problem(api("PUT", f"/certificates/{name}", body, If_Match="three"), 400, "version.malformed")
    rotated = api("PUT", f"/certificates/{name}", body, If_Match='"1"')
    assert (rotated.status_code, rotated.headers["ETag"]) == (200, '"2"')
    late = api("PUT", f"/certificates/{name}", body | {"accept": []}, If_Match='"1"')
    assert is_problem(late, 412, "version.stale")
    assert late.get_json()["conflicts"]


def test_the_same_material_makes_no_new_version(api: Api):
    name, pasted = registered(api)
    body = {"private_key": pasted.key, "certificate": pasted.certificate}
    assert api("PUT", f"/certificates/{name}", body, If_Match='"1"').get_json()["version"] == 1


def test_a_rotation_that_harms_a_relay_must_be_accepted(api: Api):
    name, _ = registered(api, "relay.example.com")
    relay = relay_on(api, name)
    other = fresh("elsewhere.example.com")
    body = {"private_key": other.key, "certificate": other.certificate}
    refused = api("PUT", f"/certificates/{name}", body, If_Match='"1"')
    assert refused.status_code == 422
    assert any(
        f"relay-{relay}" in str(finding) or relay in finding["message"] for finding in refused.get_json()["findings"]
    )
    accepted = api("PUT", f"/certificates/{name}", body | {"accept": ["host.not-covered"]}, If_Match='"1"')
    assert (accepted.status_code, accepted.get_json()["version"]) == (200, 2)


def test_a_certificate_in_use_is_not_deleted_and_says_by_whom(api: Api):
    name, _ = registered(api, "relay.example.com")
    relay = relay_on(api, name)
    refused = api("DELETE", f"/certificates/{name}")
    assert is_problem(refused, 409, "certificate.in-use")
    assert f"relay-{relay}" in refused.get_json()["conflicts"]
    assert api("PUT", f"/relays/{relay}/certificate", {"certificate": None}).status_code == 200
    assert api("DELETE", f"/certificates/{name}").status_code == 204
    assert api("GET", f"/certificates/{name}").get_json()["deleted"] is True
    assert api("POST", f"/certificates/{name}/restore").get_json()["deleted"] is False
    assert api("DELETE", f"/certificates/{name}?permanent=true").status_code == 204
    assert api("GET", f"/certificates/{name}").status_code == 404


def test_comment_labels_and_display_name_change_without_a_new_version(api: Api):
    name, _ = registered(api)
    body = {"comment": "west", "labels": {"team": "edge"}, "display_name": "West"}
    changed = api("PATCH", f"/certificates/{name}", body).get_json()
    assert (changed["comment"], changed["labels"], changed["display_name"], changed["version"]) == (
        "west",
        {"team": "edge"},
        "West",
        1,
    )


def test_versions_are_listed_newest_first(api: Api):
    name, _ = registered(api)
    new = fresh()
    api("PUT", f"/certificates/{name}", {"private_key": new.key, "certificate": new.certificate}, If_Match='"1"')
    versions = api("GET", f"/certificates/{name}/versions").get_json()["items"]
    assert [one["version"] for one in versions] == [2, 1]
    assert all(one["facts"] for one in versions)


def test_a_relay_is_bound_only_to_what_fits(api: Api):
    name, _ = registered(api, "relay.example.com")
    relay = relay_on(api, None, "other.example.com")
    refused = api("PUT", f"/relays/{relay}/certificate", {"certificate": name})
    assert refused.status_code == 422
    assert [finding["code"] for finding in refused.get_json()["findings"]] == ["host.not-covered"]
    unknown = api("PUT", f"/relays/{relay}/certificate", {"certificate": "no-such-certificate"})
    assert is_problem(unknown, 422, "binding.unknown-certificate")


def test_a_provider_is_disabled_when_made_and_its_cluster_can_be_bound(api: Api):
    name, _ = registered(api, "swarm.example.com", usages=BOTH)
    provider = new_name("provider")
    body = {
        "name": provider,
        "kind": "swarm",
        "enabled": True,
        "clusters": [{"name": "paris", "url": "https://swarm.example.com:2376", "cert_auth": True}],
    }
    made = api("POST", "/providers", body)
    assert (made.status_code, made.get_json()["enabled"]) == (201, False)
    assert api("PATCH", f"/providers/{provider}", {"enabled": True}).get_json()["enabled"] is True
    bound = api("PUT", f"/providers/{provider}/clusters/paris/certificate", {"certificate": name}).get_json()
    assert [cluster["certificate"] for cluster in bound["clusters"]] == [name]
    assert bound["clusters"][0]["consumer"] == f"provider-{provider}-paris"
    assert is_problem(api("DELETE", f"/certificates/{name}"), 409, "certificate.in-use")
    assert api("DELETE", f"/providers/{provider}").status_code == 204
    assert api("DELETE", f"/certificates/{name}").status_code == 204


def test_an_enrolment_is_shown_once_and_can_be_revoked(api: Api):
    name, _ = registered(api, "relay.example.com")
    relay = relay_on(api, name)
    issued = api("POST", f"/relays/{relay}/enrollment")
    assert issued.status_code == 201
    assert issued.get_json().keys() == {"wrapping_token", "role_id", "expires_at"}
    assert issued.headers["Cache-Control"] == "no-store"
    assert api("DELETE", f"/relays/{relay}/enrollment").status_code == 204
    assert is_problem(api("POST", f"/relays/{relay}/enrollment?ttl_s=1"), 400, "enrollment.ttl")


def test_checks_store_nothing_and_return_no_key(api: Api):
    pasted = fresh("relay.example.com")
    body = {"private_key": pasted.key, "certificate": pasted.leaf.pem, "hosts": ["other.example.com"]}
    answer = api("POST", "/checks", body)
    found = answer.get_json()
    assert {finding["code"] for finding in found["findings"]} == {"chain.incomplete", "host.not-covered"}
    assert found["normalized"]["certificate"] == pasted.leaf.pem
    assert "PRIVATE KEY" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/certificates", None, 401),
        ("POST", "/certificates", {}, 401),
        ("POST", "/checks", {}, 401),
        ("GET", "/relays", None, 401),
        ("POST", "/relays", {}, 401),
        ("GET", "/providers", None, 401),
        ("DELETE", "/certificates/x", None, 401),
        ("DELETE", "/session", None, 401),
    ],
)
def test_nobody_gets_anything(console: Console, method, path, body, status):
    for token in ("", "no-such-token", "x" * 5000, "\x01"):
        client = Api(console.browser(), token if token != "\x01" else "hvs.\\x01")
        assert client(method, path, body).status_code == status


def test_an_auditor_reads_and_changes_nothing(console: Console, api: Api):
    name, pasted = registered(api, "relay.example.com")
    relay = relay_on(api, name)
    auditor = console.api(console.instance.auditor.token.reveal())
    assert auditor("GET", f"/certificates/{name}").status_code == 200
    assert auditor("GET", "/relays").status_code == 200
    tried = [
        auditor("POST", "/certificates", body_of(pasted, new_name("certificate"))),
        auditor(
            "PUT",
            f"/certificates/{name}",
            {"certificate": fresh().certificate, "private_key": fresh().key},
            If_Match='"1"',
        ),
        auditor("PATCH", f"/certificates/{name}", {"comment": "x"}),
        auditor("DELETE", f"/certificates/{name}?permanent=true"),
        auditor("PUT", f"/relays/{relay}/certificate", {"certificate": None}),
        auditor("POST", f"/relays/{relay}/enrollment"),
        auditor("DELETE", f"/relays/{relay}"),
    ]
    assert {answer.status_code for answer in tried} <= {403, 409, 422}
    assert api("GET", f"/certificates/{name}").get_json()["version"] == 1
    assert api("GET", f"/relays/{relay}").get_json()["certificate"] == name


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "request.malformed"),
        (b"[]", "application/json", 400, "request.malformed"),
        (b'{"name": 7}', "application/json", 400, "request.malformed"),
        (b'{"nme": "x"}', "application/json", 400, "request.malformed"),
        (b"\xff\xfe", "application/json", 400, "request.malformed"),
        (b"[" * 100_000, "application/json", 400, "request.malformed"),
        (b"{}", "text/plain", 415, "request.media-type"),
        (b"{}", "", 415, "request.media-type"),
        (b'{"name": "' + b"x" * 2_000_000 + b'"}', "application/json", 413, "request.too-large"),
    ],
)
def test_a_body_that_cannot_be_read_has_its_code(console: Console, content, kind, status, code):
    answer = console.browser().post(
        "/api/v1/certificates",
        base_url="https://console.example.com",
        data=content,
        content_type=kind,
        headers={"X-Vault-Token": console.instance.admin.token.reveal()},
    )
    assert is_problem(answer, status, code)


def test_an_error_about_a_body_quotes_no_value(api: Api):
    answer = api("POST", "/certificates", {"name": "x", "private_key": ["canary-key"], "certificate": "c"})
    assert is_problem(answer, 400, "request.malformed")
    assert "canary" not in answer.get_data(as_text=True)
    assert "$.private_key" in answer.get_json()["detail"]


@pytest.mark.parametrize("name", ["..", "a/b", "%2e%2e", "UPPER", "a b", "-x", "x" * 64, "data", "é"])
def test_a_strange_name_is_not_found(api: Api, name):
    for subject in ("certificates", "relays", "providers"):
        assert api("GET", f"/{subject}/{name}").status_code in {404, 301, 308}


def test_lists_are_bounded(api: Api):
    for query in ("limit=0", "limit=100000", "limit=x", "sort=nonsense", "status=nonsense", "cursor=nonsense"):
        assert api("GET", f"/certificates?{query}").status_code == 400, query


def test_sign_in_gives_a_token_and_sign_out_ends_it(console: Console):
    instance = console.instance
    nobody = console.api("")
    body = {"method": "userpass", "username": instance.admin_username, "password": instance.admin_password}
    session = nobody("POST", "/session", body).get_json()
    assert session["roles"] == ["administrator"]
    person = console.api(session["token"])
    assert person("GET", "/certificates").status_code == 200
    assert person("DELETE", "/session").status_code == 204
    assert is_problem(person("GET", "/certificates"), 401, "session.expired")


def test_a_token_without_a_role_is_refused_and_left_alive(console: Console):
    root = console.instance.root
    answer = console.api(root.token.reveal())("GET", "/certificates")
    assert is_problem(answer, 403, "session.no-role")
    assert root.lookup_self().policies == ("root",)


def totp_for(root: Vault, entity: str) -> tuple[str, str]:
    """Ask this person, and nobody else, for a code from now on; the method's id and its otpauth URL."""
    base = "identity/mfa/method/totp"
    made = root.wire.call("POST", base, "make a method", body={"issuer": "Keystead", "period": 30})
    method = made["data"]["method_id"]
    body = {"method_id": method, "entity_id": entity}
    secret = root.wire.call("POST", f"{base}/admin-generate", "make a secret", body=body)
    enforcement = f"identity/mfa/login-enforcement/{root.server.mount}-ada"
    root.wire.call(
        "POST", enforcement, "ask for it", body={"mfa_method_ids": [method], "identity_entity_ids": [entity]}
    )
    return method, secret["data"]["url"]


def test_a_second_factor_is_asked_for_and_confirms(console: Console):
    root, mount = console.instance.root, console.instance.userpass_mount
    bootstrap.ensure_auditor(root, "ada", "correct horse battery", userpass_mount=mount)
    nobody = console.api("")
    first = nobody("POST", "/session", {"username": "ada", "password": "correct horse battery"}).get_json()
    entity = Vault(console.instance.server, Token(first["token"])).lookup_self().entity_id
    method, url = totp_for(root, entity)
    needed = nobody("POST", "/session", {"username": "ada", "password": "correct horse battery"})
    assert is_problem(needed, 401, "session.second-factor")
    asked = needed.get_json()
    assert [factor["id"] for factor in asked["factors"]] == [method]
    body = {"request_id": asked["request_id"], "factor_id": method, "passcode": totp(url, time.time())}
    assert nobody("POST", "/session", body).get_json()["roles"] == ["auditor"]


def test_a_wrong_password_is_refused_in_the_same_words_and_throttled(console: Console):
    nobody = console.api("")
    answers = [
        nobody("POST", "/session", {"username": "auditor", "password": f"canary-{number}"}) for number in range(7)
    ]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    unknown = nobody("POST", "/session", {"username": "nobody-here", "password": "canary"})
    assert unknown.get_json()["detail"] == answers[0].get_json()["detail"]
    assert all("canary" not in answer.get_data(as_text=True) for answer in answers)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": openapi_document()["components"]})


def test_answers_are_what_openapi_says(console: Console, api: Api):
    document = api("GET", "/openapi.json").get_json()
    assert document == openapi_document()
    name, _ = registered(api, "relay.example.com")
    relay = relay_on(api, name)
    real = {
        "/certificates": api("GET", "/certificates"),
        "/certificates/{name}": api("GET", f"/certificates/{name}"),
        "/certificates/{name}/versions": api("GET", f"/certificates/{name}/versions"),
        "/relays": api("GET", "/relays"),
        "/relays/{name}": api("GET", f"/relays/{relay}"),
        "/providers": api("GET", "/providers"),
    }
    for path, answer in real.items():
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator(schema).validate(answer.get_json())
    problem = api("GET", "/certificates/no-such-thing")
    validator({"$ref": "#/components/schemas/Problem"}).validate(problem.get_json())


def test_every_route_of_the_api_is_described(console: Console):
    described = {
        (path.replace("{", "<").replace("}", ">"), method.upper())
        for path, methods in openapi_document()["paths"].items()
        for method in methods
    }
    routes = {
        (rule.rule.removeprefix("/api/v1"), method)
        for rule in console.app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith("openapi.json")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == described


def test_health_is_told_and_metrics_need_their_token(console: Console):
    browser = console.browser()
    base = "https://console.example.com"
    assert browser.get("/healthz", base_url=base).status_code == 200
    assert browser.get("/readyz", base_url=base).status_code == 200
    assert browser.get("/metrics", base_url=base).status_code == 401
    browser.get("/certificates/some-name", base_url=base)
    for path in ("/metrics", "/api/v1/metrics"):
        measured = browser.get(path, base_url=base, headers={"Authorization": "Bearer metrics-canary"})
        text = measured.get_data(as_text=True)
        assert "keystead_certificates" in text
        assert 'keystead_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in text
        assert "some-name" not in text
    for path in ("/healthz", "/readyz"):
        assert browser.get(f"/api/v1{path}", base_url=base).status_code == 200
    assert browser.get("/openapi.json", base_url=base).get_json() == openapi_document()
