"""Canary secrets go through everything; then everything that leaves is searched for them.

One real `keystead up`, an administrator in the API and in the console, an agent, and every kind of mistake. Each
feature that takes or hands out a secret adds its step here.
"""

from __future__ import annotations

import json
import re
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, run
from typing import Any
from urllib.parse import quote

import pytest
import requests
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.embedded.running import Up, processes_of
from tests.material import Paste, key_pem, paste

PASSWORD = "canary-password-4711"
PASSPHRASE = "canary-passphrase-0815"


CHECKED = ("private_key", "certificate", "ca", "passphrase")


def keys_in_forms(pasted: Paste) -> dict[str, str | bytes]:
    """One key as people have it; none of these holds the lines of its PEM."""
    key = pasted.leaf.key
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    file = serialize_key_and_certificates(
        b"relay", key, pasted.leaf.certificate, None, BestAvailableEncryption(PASSPHRASE.encode())
    )
    return {
        "DER": der,
        "DER in base64": b64encode(der).decode(),
        "traditional PEM": key_pem(key, PrivateFormat.TraditionalOpenSSL),
        "a Kubernetes Secret": "data:\n  tls.key: " + b64encode(pasted.key.encode()).decode(),
        "percent-encoded": quote(pasted.key, safe=""),
        "HTML": escape(pasted.key).replace("+", "&#43;").replace("/", "&#47;"),
        "one line": pasted.key.replace("\n", "\\n"),
        "a PKCS#12 file": file,
    }


def pieces(form: str | bytes) -> set[str]:
    """What of a key must not be seen anywhere, 24 characters at a time."""
    text = form if isinstance(form, str) else b64encode(form).decode()
    runs = re.findall(r"[A-Za-z0-9+/%&#;=]{40,}", text)
    return {run[at : at + 24] for run in runs for at in range(0, len(run) - 24, 24)}


class Journey:
    """Uses the product with canary secrets, and keeps whatever it said."""

    def __init__(self, up: Up, home: Path) -> None:
        self.up, self.home = up, home
        self.said: list[str] = []
        self.secrets: dict[str, str] = {"password": PASSWORD, "passphrase": PASSPHRASE}
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(up.folder / "ca.pem")
        self.console = up.address("console")
        self.token = ""

    def api(self, method: str, path: str, body: object = None, *, secret: bool = False, **headers: str) -> Any:
        if self.token:
            headers["X-Vault-Token"] = self.token
        answer = self.http.request(method, f"{self.console}/api/v1{path}", json=body, headers=headers, timeout=30)
        if not secret:
            self.said += [answer.text, str(answer.headers)]
        return answer.json() if answer.content else None

    def page(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> str:
        headers = {"Referer": f"{self.console}/"}
        answer = self.http.request(method, f"{self.console}{path}", data=form, files=files, headers=headers, timeout=30)
        assert answer.status_code < 500, (method, path)
        self.said += [answer.text, str(answer.headers), answer.url]
        return answer.text

    def new(self, name: str, *, encrypted: bool = False) -> Paste:
        pasted = paste("relay.example.com", now=datetime.now(UTC), client_ca=True)
        for number, line in enumerate(pasted.key.splitlines()[1:-1]):
            self.secrets[f"key of {name}, line {number}"] = line
        if encrypted:
            for number, line in enumerate(key_pem(pasted.leaf.key, passphrase=PASSPHRASE).splitlines()[1:-1]):
                self.secrets[f"encrypted key of {name}, line {number}"] = line
        return pasted

    def in_the_api(self) -> None:
        """Registering, rotating, checking, and every way to do it wrong."""
        self.api("POST", "/session", {"username": "admin", "password": PASSWORD + "-wrong"})
        session = self.api("POST", "/session", {"username": "admin", "password": PASSWORD}, secret=True)
        self.token = self.secrets["token"] = session["token"]
        first, second = self.new("first"), self.new("second")
        body = {"name": "first", "private_key": first.key, "certificate": first.certificate, "ca": first.ca}
        self.api("POST", "/certificates", body)
        self.api("POST", "/certificates", body)
        self.api("POST", "/certificates", body | {"name": "swapped", "certificate": first.key, "private_key": "x"})
        self.api("POST", "/certificates", body | {"name": first.key})
        self.api("POST", "/certificates", body | {"name": "typed", "private_key": [first.key]})
        self.api("POST", "/certificates", {first.key: "unknown field"})
        self.api("POST", "/certificates", body | {"name": "noted", "comment": first.key})
        encrypted = key_pem(first.leaf.key, passphrase=PASSPHRASE)
        self.api("POST", "/checks", body | {"private_key": encrypted, "passphrase": PASSPHRASE})
        self.api("POST", "/checks", {"private_key": first.key[:-30], "certificate": second.key, "ca": second.key})
        new = {"private_key": second.key, "certificate": second.certificate}
        self.api("PUT", "/certificates/first", new)
        self.api("PUT", "/certificates/first", new, **{"If-Match": '"9"'})
        self.api("PUT", "/certificates/first", new, **{"If-Match": '"1"'})
        for path in ("/certificates", "/certificates/first", "/certificates/first/versions", "/relays", "/providers"):
            self.api("GET", path)
        self.api("POST", "/relays", {"name": "eu", "host": "relay.example.com", "port": 443, "certificate": "first"})

    def in_every_form(self) -> None:
        """A key in each form that is read, in each field, right and wrong; as text, as a file, and for the command."""
        fourth = self.new("fourth", encrypted=True)
        forms = keys_in_forms(fourth)
        others = keys_in_forms(self.new("another"))
        for name, form in forms.items():
            own = pieces(form) - pieces(others[name])  # what stands in every key is no secret
            assert len(own) >= 3
            self.secrets |= {f"key as {name}, piece {number}": piece for number, piece in enumerate(own)}
        whole = {
            "name": "fourth",
            "private_key": fourth.key,
            "certificate": fourth.certificate,
            "passphrase": PASSPHRASE,
        }
        hidden = self._form("/certificates/first/rotate")
        for form in forms.values():
            text = form if isinstance(form, str) else b64encode(form).decode()
            for field in ("private_key", "certificate", "ca", "name", "comment"):
                mixed = whole | {field: text}
                self.api("POST", "/checks", {one: mixed[one] for one in mixed if one in CHECKED})
                self.api("POST", "/certificates", mixed | {"name": mixed["name"] + "!" if field != "name" else text})
                self.page("POST", "/check/certificate", hidden | mixed)
                self.page("POST", "/new/certificate", hidden | mixed | {"private_key": "" if field == "ca" else text})
                for path in ("/certificates/first/rotate", "/certificates/first/rotate/check"):
                    self.page("POST", path, hidden | {"private_key": "x", "certificate": "y"} | {field: text})
            self.page("POST", "/certificates/first/relays", hidden | {"client": text})
            self.api("POST", "/certificates/first/client-checks", {"certificate": text})
            file = form if isinstance(form, bytes) else form.encode()
            files = {"certificate-file": ("all.bin", file), "ca-file": ("ca.bin", file)}
            self.page("POST", "/check/certificate", hidden | {"passphrase": PASSPHRASE}, files)
            self.page("POST", "/certificates/first/rotate", hidden | {"complete": "yes"}, files)
            self._in_a_terminal(file)

    def _in_a_terminal(self, file: bytes) -> None:
        pasted = self.home / "pasted"
        pasted.write_bytes(file)
        for arguments in ((), ("--json",), ("--cert", str(pasted), "--ca", str(pasted))):
            command = [sys.executable, "-m", "service.cli", "check", str(pasted), *arguments]
            done = run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode in {0, 1, 2}
            self.said += [done.stdout, done.stderr]
        pasted.unlink()

    def in_the_console(self) -> None:
        """Signing in and pasting; also wrongly."""
        form = self._form("/sign-in")
        self.page("POST", "/sign-in", form | {"username": "admin", "password": PASSWORD + "-wrong"})
        self.page("POST", "/sign-in", self._form("/sign-in") | {"username": "admin", "password": PASSWORD})
        third = self.new("third", encrypted=True)
        encrypted = key_pem(third.leaf.key, passphrase=PASSPHRASE)
        for line in encrypted.splitlines()[1:-1]:
            self.secrets[f"encrypted third {line[:4]}"] = line
        pasted = {"name": "third", "private_key": third.key, "certificate": third.certificate, "ca": ""}
        form = self._form("/new/certificate")
        self.page("POST", "/check/certificate", form | pasted)
        self.page("POST", "/new/certificate", form | pasted | {"certificate": third.key})
        self.page("POST", "/new/certificate", form | pasted | {"private_key": encrypted, "passphrase": "wrong"})
        self.page("POST", "/new/certificate", form | pasted | {"private_key": encrypted, "passphrase": PASSPHRASE})
        self.page("POST", "/new/certificate", {**pasted, "csrf_token": "forged"})
        assert "third" in self.page("GET", "/certificates/third")
        for path in ("/", "/certificates", "/certificates/third/versions", "/certificates/first/relays", "/relays/eu"):
            self.page("GET", path)

    def as_an_agent(self) -> None:
        """Enrolling, fetching, and trying the spent token again."""
        issued = self.api("POST", "/relays/eu/enrollment", secret=True)
        self.secrets["wrapping token"] = issued["wrapping_token"]
        config = self.home / "agent.toml"
        config.write_text(
            f'url = "{self.up.address("delivery")}"\nca = "{self.up.folder / "ca.pem"}"\nstate_dir = "state"\n'
            '[[targets]]\nkind = "files"\ndirectory = "tls"\n'
        )
        token = self.home / "wrapping-token"
        token.write_text(issued["wrapping_token"])
        enrol = ["enroll", "--role-id", issued["role_id"], "--wrapping-token-file", str(token)]
        for arguments in (enrol, [*enrol, "--replace"], ["--once"], ["--once"]):
            command = [sys.executable, "-m", "service.cli", "agent", "--config", str(config), *arguments]
            done = run(command, capture_output=True, text=True, timeout=60, check=False)
            self.said += [done.stdout, done.stderr]
        token.unlink()
        assert (self.home / "tls/live/key.pem").read_text().startswith("-----BEGIN PRIVATE KEY")
        state = (self.home / "state").rglob("*")
        for file in state:
            found = re.search(r'"secret_id": ?"([^"]+)"', file.read_text()) if file.is_file() else None
            if found:
                self.secrets["SecretID"] = found[1]

    def live(self) -> None:
        """A relay that serves, is tested and rotated, tried first, and reports what it should not; Vault itself."""
        delivery, ca_file = self.up.address("delivery"), str(self.up.folder / "ca.pem")
        command = [sys.executable, "-m", "service.cli", "relay", "serve", "--url", delivery, "--ca", ca_file]
        command += ["--state-dir", str(self.home / "state"), "--listen", "127.0.0.1:0", "--json"]
        with Popen(command, stdout=PIPE, stderr=STDOUT, text=True) as relay:
            assert relay.stdout is not None
            first = relay.stdout.readline()
            port = int(json.loads(first)["address"].rsplit(":", 1)[1])
            self.api("PATCH", "/relays/eu", {"host": "localhost", "port": port, "accept": ["host.not-covered"]})
            fifth = self.new("fifth")
            version = self.api("GET", "/certificates/first")["version"]
            body = {"private_key": fifth.key, "certificate": fifth.certificate, "ca": fifth.ca, "canary": "eu"}
            codes = ["host.not-covered", "ca.dropped"]
            rotated = self.api("PUT", "/certificates/first", body | {"accept": codes}, **{"If-Match": f'"{version}"'})
            assert rotated["version"] == version + 1
            second = relay.stdout.readline()
            assert json.loads(second)["version"] == version + 1
            sixth = self.new("sixth")
            body = {"private_key": sixth.key, "certificate": sixth.certificate, "ca": sixth.ca, "accept": codes}
            self.api("PUT", "/certificates/first/staged", body)
            self.api("GET", "/certificates/first/staged")
            self.page("GET", "/certificates/first")
            self.api("POST", "/certificates/first/activate", {"accept": codes})  # refused: one relay tries another
            self.page("GET", "/certificates/first/rollback/1")
            job = self.api("POST", "/relays/eu/test")["id"]
            ends = time.monotonic() + 20
            while self.api("GET", f"/jobs/{job}")["state"] != "done" and time.monotonic() < ends:
                time.sleep(0.2)
            assert self.api("GET", f"/jobs/{job}")["outcome"] == "failed", "its name is not covered"
            self.page("GET", f"/relays/eu/test/{job}")
            self.api("GET", "/certificates/first/rollout")
            for path in ("/certificates/first/rollout", "/certificates/first/activity", "/relays/eu"):
                self.page("GET", path)
            for way in ("agent", "nginx", "haproxy", "envoy", "traefik", "curl", "vault-agent", "vault-kv"):
                assert self.page("GET", f"/relays/eu/connect?by={way}")
            relay.terminate()
            self.said += [first, second, relay.stdout.read()]
        config = self.home / "agent.toml"
        vault = f'[vault]\nurl = "{self.up.address("vault")}"\nca = "{ca_file}"\n'
        config.write_text(config.read_text().replace(delivery, "https://127.0.0.1:1") + vault)
        command = [sys.executable, "-m", "service.cli", "agent", "--config", str(config), "--once"]
        done = run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        self.said += [done.stdout, done.stderr]
        self._report_a_key(delivery, fifth)

    def _report_a_key(self, delivery: str, pasted: Paste) -> None:
        """A consumer that quotes its own key where people read."""
        credentials = json.loads((self.home / "state/credentials.json").read_text())
        body = {name: credentials[name] for name in ("role_id", "secret_id")}
        token = self.http.post(f"{delivery}/v1/login", json=body, timeout=30).json()["token"]
        self.secrets["a consumer's token"] = token
        for detail in (pasted.key, pasted.key.splitlines()[1], f"cannot read: {pasted.key.splitlines()[2]}"):
            report = {"version": 2, "state": "failed", "detail": detail[:500]}
            headers = {"X-Vault-Token": token}
            answer = self.http.put(f"{delivery}/v1/status", json=report, headers=headers, timeout=30)
            self.said.append(answer.text)
        self.api("GET", "/certificates/first/rollout")
        for path in ("/", "/relays/eu", "/certificates/first/rollout"):
            self.page("GET", path)

    def _form(self, path: str) -> dict[str, str]:
        page = self.page("GET", path)
        hidden = re.findall(r'<input[^>]*type="hidden"[^>]*>', page)
        pairs = [(re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)) for tag in hidden]
        return {name[1]: value[1] if value else "" for name, value in pairs if name}


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    home = tmp_path_factory.mktemp("canary")
    folder, temporary = home / "data", home / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "service.cli", "up", "--data-dir", str(folder)]
    command += ["--web-port", "0", "--delivery-port", "0", "--vault-port", "0"]
    environment = {"KEYSTEAD_ADMIN_PASSWORD": PASSWORD, "TMPDIR": str(temporary)}
    with Up(command, folder, environment) as up:
        up.wait_ready()
        made = Journey(up, home)
        made.in_the_api()
        made.in_the_console()
        made.in_every_form()
        made.as_an_agent()
        made.live()
        yield made


def search(journey: Journey, texts: dict[str, str]) -> list[str]:
    """Which secret stands where; never the secret itself."""
    return [
        f"{secret} in {place}"
        for place, text in texts.items()
        for secret, value in journey.secrets.items()
        if value in text
    ]


def test_the_journey_had_every_kind_of_secret(journey: Journey):
    kinds = {"password", "passphrase", "token", "wrapping token", "SecretID", "key of first, line 0"}
    assert kinds <= journey.secrets.keys()
    assert len(journey.said) > 60


def test_no_page_answer_header_or_terminal_showed_a_secret(journey: Journey):
    assert search(journey, {f"answer {number}": text for number, text in enumerate(journey.said)}) == []


def test_no_log_holds_a_secret(journey: Journey):
    files = [*(journey.up.folder / "logs").glob("*"), journey.up.folder / "audit.log"]
    assert len(files) >= 5
    texts = {file.name: file.read_text(errors="replace") for file in files}
    assert search(journey, texts | {"up": journey.up.output + journey.up.errors}) == []


def test_no_argument_list_and_no_environment_of_a_process_holds_a_secret(journey: Journey):
    processes = processes_of(journey.up.folder)
    assert len(processes) >= 4
    texts = {}
    for process, command in processes.items():
        environment = Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace")
        texts[f"process {process}"] = command + environment
    assert search(journey, texts) == []


def test_no_file_but_the_engines_own_and_the_consumers_holds_a_secret(journey: Journey):
    theirs = (journey.up.folder / "raft", journey.home / "tls", journey.home / "state")
    texts = {
        str(file.relative_to(journey.home)): file.read_bytes().decode(errors="replace")
        for file in journey.home.rglob("*")
        if file.is_file() and not any(file.is_relative_to(folder) for folder in theirs)
    }
    assert "data/audit.log" in texts
    assert search(journey, texts) == []
    assert (
        search(journey, {"raft": (journey.up.folder / "raft/raft/raft.db").read_bytes().decode(errors="replace")}) == []
    )
