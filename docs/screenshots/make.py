"""Makes the screenshots in this folder: every page at 390 and 1440 px, light and dark, from the real product.

Starts `keystead up` on a fresh folder and free ports, fills it through the admin API and the delivery plane, and opens
each page in Debian's chromium. `make screenshots` runs it; with names as arguments only those pages are made.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from service.agent.enrollment import enroll  # noqa: E402
from service.agent.source import Delivery  # noqa: E402
from service.agent.state import State  # noqa: E402
from service.pki.facts import read_facts  # noqa: E402
from tests.material import BOTH, SERVER, Issued, intermediate, issue, request_pem, root  # noqa: E402
from tests.proxies import free_port  # noqa: E402
from vault.session import Token  # noqa: E402

HERE = Path(__file__).parent
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
MAX_HEIGHT = 2400
"""Longer pages are cut: a screenshot is looked at, not read."""
START_LIMIT_S = 120
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
NOW = datetime.now(UTC)
PUBLIC_CA = intermediate(root("Example Root X1", now=NOW), "Example Public CA R11", now=NOW)

PAGES = {
    "dashboard": "/",
    "certificates": "/certificates",
    "certificates-no-match": "/certificates?q=nothing-is-called-that",
    "certificate-new": "/new/certificate",
    "certificate-overview": "/certificates/relays-eu",
    "certificate-relays": "/certificates/relays-eu/relays",
    "certificate-providers": "/certificates/swarm-client/providers",
    "certificate-versions": "/certificates/relays-us/versions",
    "certificate-activity": "/certificates/relays-us/activity",
    "certificate-edit": "/certificates/relays-eu/edit",
    "certificate-rotate": "/certificates/relays-eu/rotate",
    "certificate-delete": "/certificates/test-lab/delete",
    "certificate-delete-refused": "/certificates/relays-eu/delete",
    "certificate-deleted": "/certificates/old-api",
    "relays": "/relays",
    "relay-new": "/new/relay",
    "relay": "/relays/relay-eu-3",
    "relay-edit": "/relays/relay-eu-1/edit",
    "relay-revoke": "/relays/relay-eu-1/revoke",
    "providers": "/providers",
    "provider-new": "/new/provider",
    "provider": "/providers/swarm-eu",
    "cluster": "/providers/swarm-eu/clusters/paris-1",
    "cluster-new": "/providers/swarm-eu/new-cluster",
    "api": "/api",
    "not-found": "/certificates/there-is-none",
}


class Product:
    """A running `keystead up`, and its admin API."""

    def __init__(self, ready_line: str, data_dir: Path, password: str) -> None:
        urls = re.findall(r"https://[^\s,]+", ready_line)
        self.web, self.delivery = urls[0].rstrip("/"), urls[1].rstrip("/")
        self.ca_file, self.password = data_dir / "ca.pem", password
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(self.ca_file)
        body = {"method": "userpass", "username": "admin", "password": password}
        self._session.headers["X-Vault-Token"] = self.call("POST", "/session", body)["token"]

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """One call of the API; its answer, or an error that says which call it was."""
        answer = self._session.request(
            method, f"{self.web}/api/v1{path}", json=body, headers=headers or None, timeout=30
        )
        if not answer.ok:
            message = f"{method} {path}: {answer.status_code} {answer.text[:500]}"
            raise RuntimeError(message)
        return answer.json() if answer.content else None


@contextmanager
def running() -> Iterator[Product]:
    """`keystead up` on a fresh folder, ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="keystead-screenshots-") as folder:
        password = secrets.token_urlsafe(16)
        command = [str(Path(sys.executable).parent / "keystead"), "up", "--data-dir", folder]
        command += ["--web-port", "0", "--delivery-port", "0", "--vault-port", "0"]
        environment = os.environ | {"KEYSTEAD_ADMIN_PASSWORD": password, "KEYSTEAD_INSTANCE_NAME": "Example platform"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert process.stdout is not None
            started = time.monotonic()
            for line in process.stdout:
                if line.startswith("ready"):
                    yield Product(line, Path(folder), password)
                    break
                if time.monotonic() - started > START_LIMIT_S:
                    break
        finally:
            process.terminate()
            process.wait(timeout=60)


def certificate(
    product: Product, name: str, shown: str, hosts: list[str], days: float, *, issuer: Issued, **more: Any
) -> None:
    """Register a certificate that ends in so many days."""
    usages = more.pop("usages", SERVER)
    leaf = issue(hosts[0], issuer=issuer, hosts=hosts, now=NOW, days=days, usages=usages)
    body = {"name": name, "private_key": leaf.key_pem, "certificate": leaf.chain, **more}
    product.call("POST", "/certificates", body)
    product.call("PATCH", f"/certificates/{name}", {"display_name": shown})


def rotate(product: Product, name: str, hosts: list[str], days: float, issuer: Issued) -> None:
    """One more version."""
    version = product.call("GET", f"/certificates/{name}")["version"]
    leaf = issue(hosts[0], issuer=issuer, hosts=hosts, now=NOW, days=days)
    body = {"private_key": leaf.key_pem, "certificate": leaf.chain}
    product.call("PUT", f"/certificates/{name}", body, **{"If-Match": f'"{version}"'})


def report(product: Product, path: str, state: str, detail: str = "") -> None:
    """Be a consumer: enrol, sign in, fetch, and say what is installed."""
    made = product.call("POST", f"{path}/enrollment")
    delivery = Delivery(product.delivery, product.ca_file)
    secret_id = delivery.unwrap(Token(made["wrapping_token"]))
    token = delivery.log_in(made["role_id"], secret_id).token
    bundle = delivery.fetch(token)
    assert bundle is not None
    fingerprint = read_facts(bundle.certificate).leaf.fingerprint_sha256
    status = {"version": bundle.version, "fingerprint_sha256": fingerprint, "state": state}
    delivery.report(token, status | ({"detail": detail} if detail else {}))
    delivery.close()


def fill(product: Product) -> None:
    """A small platform: what fits, what expires, what is behind, what failed."""
    public = PUBLIC_CA
    own = intermediate(root("Internal Root", now=NOW), "Internal CA 3", now=NOW)
    clients = root("Clients CA 2026", now=NOW).pem
    europe = ["relay-eu-1.example.com", "relay-eu-2.example.com", "*.paris.example.com"]
    america = ["relay-us-1.example.com", "relay-us-2.example.com"]
    add: Callable[..., None] = lambda *given, **named: certificate(product, *given, **named)  # noqa: E731
    labels = {"team": "platform", "environment": "production"}
    note = "Public relays in Paris and Frankfurt"
    add("relays-eu", "Relays EU", europe, 9, issuer=public, ca=clients, comment=note, labels=labels)
    add("relays-us", "Relays US", america, 61, issuer=public)
    add("relays-ap", "Relays Asia-Pacific", ["relay-ap.example.com"], 141, issuer=public)
    add("swarm-client", "Swarm client certificate", ["swarm.internal.example"], 320, issuer=own, usages=BOTH)
    add("kubernetes-paris", "Kubernetes Paris", ["k8s.paris.example.net"], 23, issuer=own, usages=BOTH)
    add("test-lab", "Test lab", ["lab.example.com"], 200, issuer=own, comment="Nothing in production")
    add("old-api", "Old API", ["api-old.example.com"], 40, issuer=public)
    product.call("DELETE", "/certificates/old-api")
    relays = (
        ("relay-eu-1", "relay-eu-1.example.com", "mtls", "relays-eu"),
        ("relay-eu-2", "relay-eu-2.example.com", "mtls", "relays-eu"),
        ("relay-eu-3", "desk.paris.example.com", "tls", "relays-eu"),
        ("relay-us-1", "relay-us-1.example.com", "tls", "relays-us"),
        ("relay-us-2", "relay-us-2.example.com", "tls", "relays-us"),
        ("relay-spare", "spare.example.com", "tls", None),
    )
    for name, host, mode, bound in relays:
        body = {"name": name, "host": host, "port": 443, "tls_mode": mode, "certificate": bound}
        product.call("POST", "/relays", body)
    clusters = [
        {"name": "paris-1", "url": "https://swarm.paris.example.net:2376", "cert_auth": True},
        {"name": "frankfurt-1", "url": "tcp://swarm.fra.example.net:2376", "cert_auth": True},
        {"name": "spare", "url": "https://10.4.0.9:2376", "cert_auth": False},
    ]
    swarm = {"name": "swarm-eu", "kind": "swarm", "multi_cluster": "active-passive", "comment": "Two managers each"}
    product.call("POST", "/providers", swarm | {"clusters": clusters})
    for cluster in ("paris-1", "frankfurt-1"):
        product.call("PUT", f"/providers/swarm-eu/clusters/{cluster}/certificate", {"certificate": "swarm-client"})
    product.call("PATCH", "/providers/swarm-eu", {"enabled": True})
    main = {"name": "main", "url": "https://k8s.paris.example.net:6443", "certificate": "kubernetes-paris"}
    product.call("POST", "/providers", {"name": "k8s-paris", "kind": "kubernetes", "clusters": [main]})
    for name in ("relay-eu-1", "relay-eu-2", "relay-us-1"):
        report(product, f"/relays/{name}", "serving")
    report(product, "/providers/swarm-eu/clusters/paris-1", "installed")
    rotate(product, "relays-us", america, 88, public)
    report(product, "/relays/relay-us-2", "failed", "nginx: cannot load the certificate: permission denied")


def shoot(page: Page, name: str) -> None:
    """One picture; nothing in it may be wider than the window."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    height = min(MAX_HEIGHT, int(page.evaluate("document.documentElement.scrollHeight")))
    if page.evaluate("document.documentElement.scrollWidth") > width:
        message = f"{name} scrolls sideways at {width} px"
        raise RuntimeError(message)
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    page.screenshot(path=HERE / f"{name}.png", full_page=True, clip=clip, animations="disabled")  # type: ignore[arg-type]


def sign_in(page: Page, password: str) -> None:
    """As the administrator; the console has heard of every consumer's report by then."""
    page.goto("/sign-in")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    for _ in range(60):
        if page.get_by_text("could not install").count():
            return
        page.wait_for_timeout(1000)
        page.reload()


def paste_messy(page: Page) -> None:
    """A whole quoted mail in CERT: in the wrong order, with the key, the root, a stranger and a request in it."""
    top = root("Example Root X1", now=NOW)
    policy = intermediate(top, "Example Policy CA 2", now=NOW)
    public = intermediate(policy, "Example Public CA R12", now=NOW, days=700)
    hosts = ["relay-eu-1.example.com", "relay-eu-4.example.com", "*.paris.example.com"]
    leaf = issue(hosts[0], issuer=public, hosts=hosts, now=NOW)
    stranger = issue(
        "intranet.example.com", issuer=root("Old Internal Root", now=NOW), hosts=["intranet.example.com"], now=NOW
    )
    blocks = [policy.pem, stranger.pem, request_pem(leaf.key, hosts[0]), leaf.key_pem, leaf.pem, public.pem, top.pem]
    mail = "Hi,\nhere is all of it:\n" + "\nand\n".join(blocks) + "\nRegards"
    page.get_by_label("CERT", exact=True).fill("".join(f"> {line}\r\n" for line in mail.splitlines()))
    page.get_by_role("heading", name="Put in order").wait_for()


def paste_without_chain(page: Page) -> None:
    """A certificate of many hosts without its intermediate: the instance holds it, and offers it."""
    hosts = [f"relay-{number:02}.example.com" for number in range(1, 31)]
    leaf = issue(hosts[0], issuer=PUBLIC_CA, hosts=hosts, now=NOW)
    page.get_by_label("Name", exact=True).fill("Relays EU, next")
    page.get_by_label("KEY", exact=True).fill(leaf.key_pem)
    page.get_by_label("CERT", exact=True).fill(leaf.pem)
    page.get_by_role("button", name="Add it to CERT").wait_for()


def paste_harm(page: Page) -> None:
    """A rotation that leaves a relay's host out, and changes the authority of clients."""
    hosts = ["relay-eu-1.example.com", "relay-eu-4.example.com", "*.paris.example.com"]
    leaf = issue(hosts[0], issuer=PUBLIC_CA, hosts=hosts, now=NOW)
    page.get_by_label("KEY", exact=True).fill(leaf.key_pem)
    page.get_by_label("CERT", exact=True).fill(leaf.chain)
    page.get_by_text("Change the CA for mTLS clients").click()
    page.locator("#ca").fill(root("Clients CA 2027", now=NOW).pem)
    page.get_by_role("checkbox", name="Keep what would be dropped").wait_for()


def show_binding(page: Page) -> None:
    """What a binding would change for a relay."""
    page.locator("select#certificate").select_option("relays-us")
    page.get_by_role("button", name="See what changes").click()
    page.get_by_text("does not cover").first.wait_for()


def create_token(page: Page) -> None:
    """A one-time token, shown once."""
    page.get_by_role("button", name="Create a one-time token").click()
    page.get_by_text("Shown once").wait_for()


SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "certificate-new-messy": ("/new/certificate", paste_messy),
    "certificate-new-chain": ("/new/certificate", paste_without_chain),
    "certificate-rotate-impact": ("/certificates/relays-eu/rotate", paste_harm),
    "relay-enrolment": ("/relays/relay-eu-3", create_token),
    "relay-bind-impact": ("/relays/relay-eu-1", show_binding),
}


def new_page(browser: Browser, product: Product, *, size: tuple[int, int], scheme: str) -> Page:
    """A window of its own, in one size and scheme."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,  # type: ignore[arg-type]
        base_url=product.web,
        ignore_https_errors=True,
    )
    return context.new_page()


def shoot_all(page: Page, suffix: str, password: str) -> None:
    """Every page in one size and scheme."""
    wanted = sys.argv[1:] or ["sign-in", *PAGES, *SCENES]
    page.goto("/sign-in")
    if "sign-in" in wanted:
        shoot(page, f"sign-in-{suffix}")
    sign_in(page, password)
    for name in PAGES.keys() & wanted:
        page.goto(PAGES[name])
        shoot(page, f"{name}-{suffix}")
    for name in SCENES.keys() & wanted:
        path, act = SCENES[name]
        page.goto(path)
        act(page)
        page.wait_for_timeout(400)
        shoot(page, f"{name}-{suffix}")


LIVE = ("relay-eu-west", "relay-eu-north", "relay-us-east", "relay-us-west")


@contextmanager
def live_relays(product: Product, folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Reference relays that really serve one certificate."""
    certificate(product, "relays-live", "Live relays", ["localhost"], 60, issuer=PUBLIC_CA)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name in LIVE:
            port = free_port()
            body = {"name": name, "host": "localhost", "port": port, "tls_mode": "tls", "certificate": "relays-live"}
            product.call("POST", "/relays", body)
            made = product.call("POST", f"/relays/{name}/enrollment")
            state = State(folder / name)
            delivery = Delivery(product.delivery, product.ca_file)
            enroll(delivery, state, role_id=made["role_id"], wrapping_token=Token(made["wrapping_token"]))
            delivery.close()
            options = ["--url", product.delivery, "--ca", str(product.ca_file), "--state-dir", str(state.directory)]
            command = [str(Path(sys.executable).parent / "keystead"), "relay", "serve", *options]
            started.append(subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL))
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(timeout=20)


def shoot_rollout(product: Product, pages: dict[str, Page]) -> None:
    """A rotation that everybody follows but one: before, meanwhile, and when its time is over."""

    def wait_for(state: str) -> None:
        ends = time.monotonic() + 60
        while product.call("GET", "/certificates/relays-live/rollout")["state"] != state:
            if time.monotonic() > ends:
                raise RuntimeError(f"the rollout is never {state}")
            time.sleep(0.2)

    def shoot_each(name: str) -> None:
        for suffix, page in pages.items():
            page.goto("/certificates/relays-live/rollout")
            shoot(page, f"{name}-{suffix}")

    with tempfile.TemporaryDirectory() as folder, live_relays(product, Path(folder)) as relays:
        wait_for("in-sync")
        rotate(product, "relays-live", ["localhost"], 88, PUBLIC_CA)
        time.sleep(1)
        wait_for("in-sync")
        shoot_each("rollout-done")
        job = product.call("POST", f"/relays/{LIVE[0]}/test")["id"]
        time.sleep(1)
        for suffix, page in pages.items():
            page.goto(f"/relays/{LIVE[0]}/test/{job}")
            shoot(page, f"relay-test-{suffix}")
        relays[0].send_signal(signal.SIGSTOP)
        rotate(product, "relays-live", ["localhost"], 89, PUBLIC_CA)
        time.sleep(2)
        shoot_each("rollout-in-progress")
        wait_for("behind")
        shoot_each("rollout-straggler")


def main() -> None:
    """Make them all."""
    with running() as product, sync_playwright() as playwright:
        fill(product)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for size, (width, height) in SIZES.items():
            for scheme in SCHEMES:
                page = new_page(browser, product, size=(width, height), scheme=scheme)
                shoot_all(page, f"{size}-{scheme}", product.password)
                page.context.close()
        if not sys.argv[1:] or "rollout" in sys.argv[1:]:
            pages: dict[str, Page] = {}
            for size, (width, height) in SIZES.items():
                for scheme in SCHEMES:
                    page = new_page(browser, product, size=(width, height), scheme=scheme)
                    sign_in(page, product.password)
                    pages[f"{size}-{scheme}"] = page
            shoot_rollout(product, pages)
        browser.close()
    print(f"{len(list(HERE.glob('*.png')))} screenshots in {HERE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
