"""The rollout and the relay test, by API and page. What the worker and the delivery plane write is written by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service.inventory import rollout as rollouts
from service.pki.finding import Finding, Severity
from service.records import Job, Probe, Status, Step, job_path, probe_path, status_path
from tests.delivery.plane import now, wait_until
from tests.web.conftest import Api, Console
from tests.web.pages.conftest import Visitor, pasted, words

pytestmark = pytest.mark.live


def registered(api: Api, name: str, *relays: str, enabled: bool = True) -> None:
    given = pasted("*.roll.example.com")
    body = {"name": name, "private_key": given.key, "certificate": given.certificate}
    assert api("POST", "/certificates", body).status_code == 201
    for relay in relays:
        made = {
            "name": relay,
            "host": f"{relay}.roll.example.com",
            "port": 443,
            "certificate": name,
            "enabled": enabled,
        }
        assert api("POST", "/relays", made).status_code == 201


def probed(console: Console, consumer: str, certificate: str, version: int, *, at: datetime, code: str = "") -> None:
    """What the worker writes."""
    detail = "It shows something else." if code else ""
    probe = Probe(consumer, certificate, version, "", code, detail, Step(certificate, version, at), at)
    path = probe_path(consumer)
    before = console.instance.root.documents.list("probes")
    expected = console.instance.root.documents.read(path).version if consumer in before else 0
    console.instance.worker.documents.write(path, probe.to_data(), expect_version=expected)


def test_each_stage_has_its_version_and_time(console: Console, api: Api) -> None:
    registered(api, "stages", "st-one", "st-two")
    at = now()
    step = Step("stages", 1, at + timedelta(milliseconds=100))
    status = Status(
        "relay-st-one", "stages", 1, "", "serving", "", 7, at, {1: 5, 2: 2}, told=step, fetched=step, installed=step
    )
    console.instance.root.documents.write(status_path("relay-st-one"), status.to_data(), expect_version=0)
    probed(console, "relay-st-one", "stages", 1, at=at + timedelta(seconds=1))
    answer = api("GET", "/certificates/stages/rollout").get_json()
    assert (answer["state"], answer["serving"], answer["wanted"]) == ("in-progress", 1, 2)
    assert answer["stragglers"] == ["relay-st-two"]
    two, one = answer["consumers"]
    assert (two["consumer"], two["state"], two["told"], two["serving"]) == ("relay-st-two", "pending", None, None)
    assert (one["state"], one["installed"]["version"], one["serving"]["version"]) == ("serving", 1, 1)
    assert one["told"]["after_s"] < one["serving"]["after_s"]
    assert (one["sessions"], one["sessions_before"]) == (7, 2)
    probed(console, "relay-st-two", "stages", 1, at=at + timedelta(seconds=2))
    wait_until(lambda: api("GET", "/certificates/stages/rollout").get_json()["state"] != "in-progress")
    whole = api("GET", "/certificates/stages/rollout").get_json()
    assert (whole["state"], whole["stragglers"]) == ("in-sync", [])
    assert whole["took_s"] == max(one["serving"]["after_s"] for one in whole["consumers"])


def test_a_rollout_of_nobody_and_of_the_disabled(api: Api) -> None:
    registered(api, "nobody")
    assert api("GET", "/certificates/nobody/rollout").get_json()["state"] == "unused"
    registered(api, "resting", "resting", enabled=False)
    answer = api("GET", "/certificates/resting/rollout").get_json()
    assert (answer["state"], answer["consumers"][0]["state"], answer["wanted"]) == ("unused", "disabled", 0)
    assert api("GET", "/certificates/no-such/rollout").status_code == 404


def test_stragglers_come_first_with_the_reason(console: Console, admin: Visitor, api: Api) -> None:
    registered(api, "late", "la-good", "la-old", "la-broken", "la-silent")
    given = pasted("*.roll.example.com")
    rotation = {"private_key": given.key, "certificate": given.certificate}
    assert api("PUT", "/certificates/late", rotation, If_Match='"1"').status_code == 200
    at = now()
    probed(console, "relay-la-good", "late", 2, at=at)
    probed(console, "relay-la-old", "late", 1, at=at, code="endpoint.former-version")
    failed = Status("relay-la-broken", "late", 2, "", "failed", "nginx ended with 1", None, at)
    console.instance.root.documents.write(status_path("relay-la-broken"), failed.to_data(), expect_version=0)
    console.clock.ahead = rollouts.GRACE + timedelta(seconds=5)
    try:
        answer = api("GET", "/certificates/late/rollout").get_json()
        assert answer["state"] == "behind"
        assert [one["state"] for one in answer["consumers"]] == ["failed", "behind", "unseen", "serving"]
        assert answer["consumers"][0]["reason"] == "nginx ended with 1"
        page = admin.get("/certificates/late/rollout")
        said = words(page)
        assert "1 of 4 serving version 2. la-broken, la-old, la-silent do not." in said
        assert "It shows something else." in said
        assert said.index("nginx ended with 1") < said.index("It shows something else.")
        part = admin.get("/certificates/late/rollout", **{"HX-Request": "true"})
        assert part.text.lstrip().startswith('<div id="rollout"')
    finally:
        console.clock.ahead = timedelta()


def test_the_page_says_who_is_in_sync_in_one_sentence(console: Console, admin: Visitor, api: Api) -> None:
    registered(api, "sentence", "se-one")
    probed(console, "relay-se-one", "sentence", 1, at=now())
    said = words(admin.get("/certificates/sentence/rollout"))
    assert "1 of 1 serving version 1 after 0." in said
    assert "in sync 1/1" in words(admin.get("/certificates/sentence"))
    registered(api, "lonely")
    assert "Nobody uses this certificate" in words(admin.get("/certificates/lonely/rollout"))


def test_a_relay_is_tested_by_a_job(console: Console, admin: Visitor, api: Api) -> None:
    registered(api, "tested", "te-one")
    asked = api("POST", "/relays/te-one/test")
    assert (asked.status_code, asked.get_json()["state"]) == (202, "queued")
    job = asked.get_json()["id"]
    assert asked.headers["Location"] == f"/api/v1/jobs/{job}"
    assert api("GET", f"/jobs/{job}").get_json()["outcome"] == ""
    assert "The worker looks at te-one.roll.example.com:443" in words(admin.get(f"/relays/te-one/test/{job}"))
    found = (Finding("endpoint.chain-incomplete", Severity.ERROR, "It shows an incomplete chain.", "Send it whole."),)
    document = console.instance.root.documents.read(job_path(job))
    done = replace(
        Job.from_data(job, document.data, document.version),
        state="done",
        outcome="failed",
        findings=found,
        report={"protocol": "TLSv1.3", "chain": "leaf"},
        finished_at=now(),
    )
    console.instance.worker.documents.write(job_path(job), done.to_data(), expect_version=document.version)
    answer = api("GET", f"/jobs/{job}").get_json()
    assert (answer["state"], answer["outcome"]) == ("done", "failed")
    assert answer["findings"][0]["code"] == "endpoint.chain-incomplete"
    page = words(admin.get(f"/relays/te-one/test/{job}"))
    assert "One thing is wrong." in page
    assert "It shows an incomplete chain. Send it whole." in page
    assert "TLSv1.3" in page


def test_what_cannot_be_tested_is_refused(console: Console, admin: Visitor, api: Api) -> None:
    assert api("POST", "/relays/no-such/test").status_code == 404
    assert api("POST", "/relays", {"name": "unbound", "host": "u.example.com", "port": 443}).status_code == 201
    refused = api("POST", "/relays/unbound/test")
    assert (refused.status_code, refused.get_json()["code"]) == (422, "relay.not-bound")
    for job in ("f" * 32, "..", "x"):
        assert api("GET", f"/jobs/{job}").status_code == 404
    registered(api, "mine", "mine")
    other = api("POST", "/relays/mine/test").get_json()["id"]
    assert admin.get(f"/relays/unbound/test/{other}").status_code == 404
    auditor = console.api(console.instance.auditor.token.reveal())
    assert auditor("POST", "/relays/mine/test").status_code == 403
    assert auditor("GET", f"/jobs/{other}").status_code == 200


def test_a_rotation_is_tried_on_one_relay_first(console: Console, admin: Visitor, api: Api) -> None:
    registered(api, "tried", "tr-one", "tr-two")
    probed(console, "relay-tr-two", "tried", 1, at=now())
    assert "Try on one relay first" in words(admin.get("/certificates/tried/rotate"))
    given = pasted("*.roll.example.com")
    rotation = {"private_key": given.key, "certificate": given.certificate, "canary": "tr-one"}
    unfit = api("PUT", "/certificates/tried", rotation | {"canary": "te-one"}, If_Match='"1"')
    assert (unfit.status_code, unfit.get_json()["code"]) == (422, "canary.unfit")
    made = api("PUT", "/certificates/tried", rotation, If_Match='"1"')
    assert (made.status_code, made.get_json()["version"]) == (200, 2)
    job = made.headers["Location"].removeprefix("/api/v1")
    assert (api("GET", job).get_json()["kind"], api("GET", job).get_json()["state"]) == ("canary", "running")
    rollout = api("GET", "/certificates/tried/rollout").get_json()
    assert (rollout["state"], rollout["canary"]["consumer"], rollout["canary"]["base"]) == ("canary", "relay-tr-one", 1)
    assert {one["consumer"]: one["state"] for one in rollout["consumers"]}["relay-tr-two"] == "held"
    said = words(admin.get("/certificates/tried/rollout"))
    assert "tr-one tries version 2 first. 1 other stays at version 1 until it is seen serving." in said
    assert "version 1, held" in said
    again = api("PUT", "/certificates/tried", rotation, If_Match='"2"')
    assert (again.status_code, again.get_json()["code"]) == (409, "canary.in-progress")
    assert again.get_json()["conflicts"] == ["relay-tr-one"]


def test_a_former_version_is_asked_for_on_its_page(console: Console, admin: Visitor, api: Api) -> None:
    registered(api, "former", "fo-one")
    given = pasted("*.roll.example.com", "other.example.com")
    rotation = {"private_key": given.key, "certificate": given.certificate}
    assert api("PUT", "/certificates/former", rotation, If_Match='"1"').status_code == 200
    assert "Return to it" in words(admin.get("/certificates/former/versions"))
    said = words(admin.get("/certificates/former/rollback/1"))
    assert "Now: version 2" in said
    assert "Next: version 3" in said
    assert "Return to version 1 for 1 consumer" in said
    asked = admin.post("/certificates/former/rollback/1")
    assert asked.location == "/certificates/former/rollout"
    current = api("POST", "/certificates/former/rollback", {"version": 2})
    assert (current.status_code, current.get_json()["code"]) == (422, "rollback.current")
    job = api("POST", "/certificates/former/rollback", {"version": 1})
    assert (job.status_code, job.get_json()["kind"], job.get_json()["subject"]) == (202, "rollback", "former")
    auditor = console.api(console.instance.auditor.token.reveal())
    assert auditor("POST", "/certificates/former/rollback", {"version": 1}).status_code == 403
    assert api("POST", "/certificates/former/rollback", {"version": 7}).status_code == 404


def test_the_next_version_is_prepared_shown_and_discarded(console: Console, admin: Visitor, api: Api) -> None:
    registered(api, "ready", "re-one")
    given = pasted("*.roll.example.com")
    fields = {"expect_version": "1", "private_key": given.key, "certificate": given.certificate, "stage": "yes"}
    stored = admin.post("/certificates/ready/rotate", fields | {"activate_at": "2020-01-01T00:00"})
    assert stored.status_code == 422
    at = (now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    stored = admin.post("/certificates/ready/rotate", fields | {"activate_at": at})
    assert stored.location == "/certificates/ready"
    said = words(admin.get("/certificates/ready"))
    assert "The next version stands ready" in said
    assert "by the worker at" in said
    assert given.key.splitlines()[1] not in admin.get("/certificates/ready").text
    shown = api("GET", "/certificates/ready/staged").get_json()
    assert (shown["certificate"], shown["keeps_key"]) == (given.certificate, False)
    assert api("GET", "/certificates/ready").get_json()["version"] == 1
    assert admin.post("/certificates/ready/staged/activate").location == "/certificates/ready/rollout"
    assert admin.post("/certificates/ready/staged/discard").location == "/certificates/ready"
    gone = api("GET", "/certificates/ready/staged")
    assert (gone.status_code, gone.get_json()["code"]) == (404, "staged.missing")
    assert api("POST", "/certificates/ready/activate").status_code == 404
    body = {"private_key": given.key, "certificate": given.certificate}
    assert api("PUT", "/certificates/ready/staged", body).status_code == 200
    asked = api("POST", "/certificates/ready/activate")
    assert (asked.status_code, asked.get_json()["kind"]) == (202, "activate")
    assert api("DELETE", "/certificates/ready/staged").status_code == 204
    auditor = console.api(console.instance.auditor.token.reveal())
    assert auditor("PUT", "/certificates/ready/staged", body).status_code == 403
