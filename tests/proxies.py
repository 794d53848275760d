"""Real proxies in front of a WebSocket server, each with the agent's files: nginx, HAProxy, Envoy, Traefik.

For tests, benchmarks and `make demo`. Each listens on a port of loopback; what it needs stands in a folder of its own,
and `tls/` in it is the agent's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_LIMIT_S = 20.0

NGINX = """
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
{user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {live}/cert.pem; ssl_certificate_key {live}/key.pem;
    {mtls}
    location / {{
      proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_read_timeout 300s;
      proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}
"""

HAPROXY = """
global
  stats socket {folder}/admin.sock mode 600 level admin
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 1h
frontend relay
  bind 127.0.0.1:{port} ssl crt {live}/bundle.pem {mtls}
  default_backend sessions
backend sessions
  server one 127.0.0.1:{upstream}
"""


def _envoy(folder: Path, port: int, upstream: int, *, mtls: bool) -> dict[str, Any]:
    def secret(name: str, file: str) -> dict[str, Any]:
        source = {"path_config_source": {"path": str(folder / "tls" / file)}, "resource_api_version": "V3"}
        return {"name": name, "sds_config": source}

    tls: dict[str, Any] = {
        "alpn_protocols": ["http/1.1"],
        "tls_certificate_sds_secret_configs": [secret("server_cert", "envoy-certificate.json")],
    }
    if mtls:
        tls["validation_context_sds_secret_config"] = secret("client_ca", "envoy-ca.json")
    types = "type.googleapis.com/envoy.extensions"
    manager = {
        "@type": f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "relay",
        "stream_idle_timeout": "0s",
        "delayed_close_timeout": "0.05s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{types}.filters.http.router.v3.Router"}},
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "sessions", "timeout": "0s"}}],
                }
            ]
        },
    }
    listener = {
        "name": "relay",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [{"name": "http", "typed_config": manager}],
                "transport_socket": {
                    "name": "tls",
                    "typed_config": {
                        "@type": f"{types}.transport_sockets.tls.v3.DownstreamTlsContext",
                        "common_tls_context": tls,
                        "require_client_certificate": mtls,
                    },
                },
            }
        ],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}
    cluster = {
        "name": "sessions",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "sessions",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    node = {"id": "relay", "cluster": "relays"}
    return {"node": node, "static_resources": {"listeners": [listener], "clusters": [cluster]}}


@dataclass
class Proxy:
    """One proxy.

    Attributes:
        command: what starts it.
        kind: of the agent's target.
        settings: of the agent's target, beyond directory and verify.
    """

    name: str
    folder: Path
    port: int
    command: Sequence[str]
    kind: str
    settings: dict[str, Any] = field(default_factory=dict)

    def target(self, **changed: object) -> str:
        """The target's table in the agent's configuration."""
        said = {
            "kind": self.kind,
            "directory": str(self.folder / "tls"),
            "verify": f"127.0.0.1:{self.port}",
            "timeout_s": 5.0,
            **self.settings,
            **changed,
        }
        return "[[targets]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())

    def files_only(self) -> str:
        """The same without anything that needs the proxy to run: for what is installed before it starts."""
        kept = {key: value for key, value in self.settings.items() if key in {"combined_file", "dynamic_file"}}
        kind = self.kind if self.kind in {"envoy", "traefik"} else "files"
        if self.kind == "haproxy":
            kept["combined_file"] = "bundle.pem"
        said = {"kind": kind, "directory": str(self.folder / "tls"), **kept}
        return "[[targets]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; it shows a certificate when this begins."""
        with (self.folder / "proxy.log").open("wb") as log:
            process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        try:
            ends = time.monotonic() + START_LIMIT_S
            while not self.shows():
                if process.poll() is not None or time.monotonic() > ends:
                    said = (self.folder / "proxy.log").read_text(errors="replace")[-1500:]
                    raise RuntimeError(f"{self.name} does not serve:\n{said}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def shows(self) -> str:
        """The SHA-256 of the leaf that a new connection is shown; empty when there is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 5)) as line:
                return hashlib.sha256(line.getpeercert(binary_form=True) or b"").hexdigest()
        except OSError:
            return ""


def nginx(folder: Path, port: int, upstream: int, *, mtls: bool = False) -> Proxy:
    """nginx: told by a reload."""
    live = folder / "tls" / "live"
    user = "user root;" if os.geteuid() == 0 else ""
    clients = f"ssl_client_certificate {live}/ca.pem; ssl_verify_client on; ssl_verify_depth 3;" if mtls else ""
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, live=live, port=port, upstream=upstream, user=user, mtls=clients))
    command = [program("nginx"), "-p", str(folder), "-c", str(file)]
    return Proxy(
        "nginx", folder, port, command, "nginx", {"test": [*command, "-t"], "reload": [*command, "-s", "reload"]}
    )


def haproxy(folder: Path, port: int, upstream: int, *, mtls: bool = False) -> Proxy:
    """HAProxy: told by its runtime API."""
    live = folder / "tls" / "live"
    clients = f"ca-file {live}/ca.pem verify required" if mtls else ""
    file = folder / "haproxy.cfg"
    file.write_text(HAPROXY.format(folder=folder, live=live, port=port, upstream=upstream, mtls=clients))
    command = [program("haproxy"), "-W", "-f", str(file)]
    return Proxy("haproxy", folder, port, command, "haproxy", {"socket": str(folder / "admin.sock")})


def envoy(folder: Path, port: int, upstream: int, *, mtls: bool = False) -> Proxy:
    """Envoy: file SDS, nothing to tell."""
    file = folder / "envoy.json"
    file.write_text(json.dumps(_envoy(folder, port, upstream, mtls=mtls)))
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    return Proxy("envoy", folder, port, [program("envoy"), "-c", str(file), *options], "envoy")


def traefik(folder: Path, port: int, upstream: int, *, mtls: bool = False) -> Proxy:
    """Traefik: the file provider's dynamic file."""
    dynamic = folder / "dynamic"
    dynamic.mkdir(exist_ok=True)
    options = {
        "default": {
            "clientAuth": {"caFiles": [str(folder / "tls/live/ca.pem")], "clientAuthType": "RequireAndVerifyClientCert"}
        }
    }
    routes = {
        "http": {
            "routers": {"all": {"rule": "PathPrefix(`/`)", "service": "sessions", "tls": {}}},
            "services": {"sessions": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{upstream}"}]}}},
        },
        **({"tls": {"options": options}} if mtls else {}),
    }
    (dynamic / "routes.yml").write_text(json.dumps(routes))
    static = {
        "entryPoints": {"relay": {"address": f"127.0.0.1:{port}"}},
        "providers": {"file": {"directory": str(dynamic), "watch": True}, "providersThrottleDuration": "100ms"},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
    }
    file = folder / "traefik.yml"
    file.write_text(json.dumps(static))
    command = [program("traefik"), f"--configFile={file}"]
    return Proxy("traefik", folder, port, command, "traefik", {"dynamic_file": str(dynamic / "keystead.yml")})


ALL = {"nginx": nginx, "haproxy": haproxy, "envoy": envoy, "traefik": traefik}


def program(name: str) -> str:
    """Where a program is: from a package of this environment, or where Debian puts servers.

    Raises:
        RuntimeError: it is not installed; says what installs it.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not found:
        raise RuntimeError(f"{name} is missing: `make setup-dev system` installs it")
    return found


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port
