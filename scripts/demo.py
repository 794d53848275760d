"""`make demo`: the main job as a story that checks itself. Exit 0 only if every line of it was true.

A Keystead of its own in a temporary folder on free ports: register, bind, fetch as each consumer, rotate, fetch again,
and prove that nobody else can read a key. Everything is stopped and removed at the end.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from scripts import demo_live
from scripts.story import Machine, NotTrue, Story, tell
from tests.material import BOTH, SERVER, Paste, paste

FOLLOW_LIMIT_S = 10
"""The delivery plane notices a rotation within 250 ms; each round of an agent starts a process."""


def installed_is(folder: Path, pasted: Paste) -> bool:
    """Whether exactly this bundle is installed: key, chain and CA of one version."""
    return (
        (folder / "key.pem").read_text() == pasted.key
        and (folder / "cert.pem").read_text() == pasted.certificate
        and ((folder / "ca.pem").read_text() if pasted.ca else "") == pasted.ca
    )


def reads_of(names: list[str]) -> list[tuple[str, str, dict[str, str]]]:
    """Every way that Vault knows to read a bundle."""
    ways: list[tuple[str, str, dict[str, str]]] = []
    for name in names:
        ways += [
            ("GET", f"keystead/{engine}/bundles/{name}{version}", {})
            for engine in ("data", "subkeys", "metadata")
            for version in ("", "?version=1", "?version=2")
        ]
        ways.append(("GET", f"keystead/data/bundles/{name}", {"X_Vault_Wrap_TTL": "60s"}))
        ways.append(("LIST", f"keystead/detailed-metadata/bundles/{name}", {}))
    return ways


def certificate(name: str, pasted: Paste) -> dict[str, str]:
    """What is pasted into the form."""
    return {"name": name, "private_key": pasted.key, "certificate": pasted.certificate, "ca": pasted.ca}


def tell_story(folder: Path) -> None:
    """From nothing to a rotation that everybody followed."""
    password = secrets.token_urlsafe(18)
    machine = Machine(folder, password)
    try:
        tell(f"OpenBao, console, delivery and worker run: {machine.urls['console']}")
        story = Story(machine, folder)
        wrong = story.api("POST", "/session", {"username": "admin", "password": "wrong"})
        tell("a wrong password is refused", wrong.status_code == 401, because=wrong.text)
        story.sign_in(password)
        tell("the administrator signs in")
        first = register(story)
        agents = enrol_and_fetch(story, first)
        refuse_harm(story)
        second = rotate(story, first)
        follow(story, agents, second)
        prove_that_nobody_else_reads(story, [*first.values(), *second.values()])
        unbind(story, agents["relay-eu"])
        demo_live.tell_story(story)
    finally:
        code = machine.stop()
    tell("everything stops cleanly", code == 0, because=code)


CONSUMERS = {"relay-eu": "relays", "relay-us": "relays", "provider-swarm-paris": "swarm-client"}
"""Who uses which certificate."""
PATHS = {
    "relay-eu": "/relays/eu",
    "relay-us": "/relays/us",
    "provider-swarm-paris": "/providers/swarm/clusters/paris",
}


def generated() -> dict[str, Paste]:
    """New material for both certificates."""
    now = datetime.now(UTC)
    hosts = ("eu.relay.example.com", "us.relay.example.com")
    return {
        "relays": paste(*hosts, now=now, usages=SERVER, client_ca=True),
        "swarm-client": paste("platform.example.com", now=now, usages=BOTH),
    }


def register(story: Story) -> dict[str, Paste]:
    """Certificates, relays, a provider; and who uses what."""
    first = generated()
    for name, pasted in first.items():
        story.made("POST", "/certificates", certificate(name, pasted))
    tell("two certificates are registered, each a generated root → intermediate → leaf")
    for name, mode in (("eu", "tls"), ("us", "mtls")):
        body = {"name": name, "host": f"{name}.relay.example.com", "port": 443, "tls_mode": mode}
        story.made("POST", "/relays", body)
    cluster = {"name": "paris", "url": "https://swarm.example.com:2376", "cert_auth": True}
    made = story.made("POST", "/providers", {"name": "swarm", "kind": "swarm", "clusters": [cluster]})
    tell("a new container provider is disabled", made["enabled"] is False)
    for consumer, name in CONSUMERS.items():
        story.made("PUT", f"{PATHS[consumer]}/certificate", {"certificate": name})
    tell("two relays (TLS and mTLS) and one cluster are bound")
    return first


def enrol_and_fetch(story: Story, first: dict[str, Paste]) -> dict[str, Path]:
    """An agent for each consumer, and its first bundle."""
    agents = {}
    for consumer, name in CONSUMERS.items():
        agents[consumer] = story.enrol(consumer, PATHS[consumer])
        live = story.fetch(agents[consumer])
        tell(f"{consumer} fetched and installed its own bundle, whole", installed_is(live, first[name]))
    return agents


def refuse_harm(story: Story) -> None:
    """What would cut somebody off is refused before it is written."""
    refused = story.api("DELETE", "/certificates/relays")
    named = refused.json().get("conflicts", [])
    tell("deleting a certificate in use is refused", refused.status_code == 409, because=refused.text)
    tell(f"… and says by whom it is used: {', '.join(named)}", {"relay-eu", "relay-us"} <= set(named))
    narrow = paste("eu.relay.example.com", now=datetime.now(UTC))
    body = {"private_key": narrow.key, "certificate": narrow.certificate}
    harm = story.api("PUT", "/certificates/relays", body, version=1)
    tell("a rotation that would cut a relay off is refused beforehand", harm.status_code == 422, because=harm.text)
    tell("… and names that relay", "us" in json.dumps(harm.json()["findings"]))


def rotate(story: Story, first: dict[str, Paste]) -> dict[str, Paste]:
    """Both certificates anew, under their names."""
    second = generated()
    for name, pasted in second.items():
        body = {"private_key": pasted.key, "certificate": pasted.certificate, "ca": pasted.ca}
        if first[name].ca:
            body["accept"] = ["ca.dropped"]  # the clients' CA is a new one too
        version = story.made("PUT", f"/certificates/{name}", body, version=1)["version"]
        tell(f"{name} is rotated: version {version}", version == 2)
        stale = story.api("PUT", f"/certificates/{name}", body, version=1)
        tell("… a second administrator who saw version 1 gets a conflict", stale.status_code == 412, because=stale.text)
    return second


def follow(story: Story, agents: dict[str, Path], second: dict[str, Paste]) -> None:
    """Each consumer has the new version, soon."""
    rotated_at = time.monotonic()
    for consumer, name in CONSUMERS.items():
        live = story.fetch(agents[consumer])
        while not installed_is(live, second[name]) and time.monotonic() - rotated_at < FOLLOW_LIMIT_S:
            live = story.fetch(agents[consumer])
        tell(f"{consumer} has version 2, whole", installed_is(live, second[name]))


def unbind(story: Story, agent: Path) -> None:
    """Vault gives it no bundle from its next read on; that nothing is new it may hear for a moment longer."""
    story.made("PUT", "/relays/eu/certificate", {"certificate": None})
    unbound_at = time.monotonic()
    gone = story.agent(agent, "--once")
    while gone.returncode == 0 and time.monotonic() - unbound_at < FOLLOW_LIMIT_S:
        gone = story.agent(agent, "--once")
    tell("an unbound relay is refused its bundle", gone.returncode != 0, because=gone.stdout)


def prove_that_nobody_else_reads(story: Story, material: list[Paste]) -> None:
    """The administrator's own token, at Vault itself."""
    lines = [pasted.key.splitlines()[1] for pasted in material]
    ways = reads_of(["relays", "swarm-client"])
    answers = [story.vault(method, path, **headers) for method, path, headers in ways]
    clean = not any(line in answer.text for answer in answers for line in lines)
    tell(f"the administrator's own token gets no key out of Vault: {len(ways)} ways tried", clean)
    data = {answer.status_code for (_, path, _), answer in zip(ways, answers, strict=True) if "/data/" in path}
    tell("… and each read of a bundle is refused by Vault itself", data == {403}, because=data)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="keystead-demo-") as folder:
        try:
            tell_story(Path(folder))
        except NotTrue as fault:
            print(f"\nThe story does not hold: {fault}", file=sys.stderr)
            return 1
    print("\nAll of it was true.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
