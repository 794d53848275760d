"""Ready snippets: how a relay gets its bundle by the tool that somebody has. Pure; each is tried in the tests.

No secret stands in them: credentials come from files that the enrolment fills.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import Final

FOLDER: Final = "/etc/keystead/tls"
STATE: Final = "/var/lib/keystead"


@dataclass(frozen=True, slots=True)
class Place:
    """What the snippets are about.

    Attributes:
        certificate: its name; a placeholder when the relay is bound to none.
        delivery_url, vault_url: as they are reached from here.
        mount, auth_mount: Keystead's mounts in Vault.
    """

    consumer: str
    host: str
    port: int
    mtls: bool
    certificate: str
    delivery_url: str
    vault_url: str
    mount: str = "keystead"
    auth_mount: str = "keystead"


@dataclass(frozen=True, slots=True)
class Block:
    """A text to copy, and where it goes."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way. `follows`: how soon it has a rotation."""

    key: str
    title: str
    follows: str
    blocks: tuple[Block, ...]


_AGENT = """\
url = "$delivery_url"
ca = "delivery-ca.pem"                  # the CA of the delivery plane; leave out for the system's
state_dir = "$state"

[[targets]]
kind = "$kind"
directory = "$folder"
hosts = ["$host"]
purpose = "server"
$more"""

_ENROLL = """\
# once, with the one-time token of the relay's page in a file of mode 0600
keystead agent enroll --config /etc/keystead/agent.toml --role-id ROLE_ID --wrapping-token-file token
keystead agent --config /etc/keystead/agent.toml
"""

_CURL = """\
# role-id and secret-id are files of mode 0600; -K - keeps what they hold out of the list of processes
login() { printf '{"role_id":"%s","secret_id":"%s"}' "$$(cat role-id)" "$$(cat secret-id)"; }
token=$$(login | curl -fsS --cacert delivery-ca.pem -H 'Content-Type: application/json' --data-binary @- \\
  $delivery_url/v1/login | sed -n 's/.*"token":"\\([^"]*\\)".*/\\1/p')
umask 077
printf 'header = "X-Vault-Token: %s"\\n' "$$token" | curl -fsS --cacert delivery-ca.pem -K - \\
  $delivery_url/v1/bundle -o bundle.json
"""

_FOLLOW = """\
# waits until there is another version; 304 when there is none after a minute
printf 'header = "X-Vault-Token: %s"\\n' "$$token" | curl -fsS --cacert delivery-ca.pem -K - \\
  -H 'If-None-Match: "$certificate:1"' -H 'Prefer: wait=60' --max-time 90 $delivery_url/v1/bundle -o bundle.json
"""

_KV = """\
export VAULT_ADDR=$vault_url VAULT_CACERT=vault-ca.pem
umask 077
VAULT_TOKEN=$$(vault write -field=token auth/$auth_mount/login role_id=@role-id secret_id=@secret-id)
export VAULT_TOKEN
vault kv get -mount=$mount -field=private_key bundles/$certificate > key.pem
vault kv get -mount=$mount -field=certificate bundles/$certificate > cert.pem
vault kv get -mount=$mount -field=ca bundles/$certificate > ca.pem
"""

_VAULT_AGENT = """\
vault {
  address = "$vault_url"
  ca_cert = "vault-ca.pem"
}
auto_auth {
  method "approle" {
    mount_path = "auth/$auth_mount"
    config = {
      role_id_file_path                   = "role-id"
      secret_id_file_path                 = "secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}
template_config {
  static_secret_render_interval = "1s"   # its default is five minutes
}
template {
  destination = "bundle.pem"             # one file: a chain and a key of two versions never stand side by side
  perms       = "0600"
  contents    = <<EOT
{{- with secret "$mount/data/bundles/$certificate" -}}
{{ .Data.data.certificate }}{{ .Data.data.private_key }}
{{- end -}}
EOT
}
"""

_EXTERNAL_SECRETS = """\
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata:
  name: keystead
spec:
  provider:
    vault:
      server: $vault_url
      path: $mount
      version: v2
      caProvider: {type: ConfigMap, name: vault-ca, key: ca.pem}
      auth:
        appRole:
          path: $auth_mount
          roleRef: {name: $consumer, key: role-id}
          secretRef: {name: $consumer, key: secret-id}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: $consumer-tls
spec:
  refreshInterval: 10s
  secretStoreRef: {name: keystead, kind: SecretStore}
  target:
    template:
      type: kubernetes.io/tls
  data:
    - {secretKey: tls.key, remoteRef: {key: bundles/$certificate, property: private_key}}
    - {secretKey: tls.crt, remoteRef: {key: bundles/$certificate, property: certificate}}
    - {secretKey: ca.crt, remoteRef: {key: bundles/$certificate, property: ca}}
"""

_NGINX = """\
server {
  listen $port ssl;
  server_name $host;
  ssl_certificate     $folder/live/cert.pem;
  ssl_certificate_key $folder/live/key.pem;
$clients  location / {
    proxy_pass http://127.0.0.1:8080;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $$http_upgrade;
    proxy_set_header Connection upgrade;
    proxy_read_timeout 1h;
  }
}
"""
_NGINX_CLIENTS = """\
  ssl_client_certificate $folder/live/ca.pem;
  ssl_verify_client on;
"""

_HAPROXY = """\
global
  stats socket /run/haproxy/admin.sock mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 5m
  timeout server 5m
  timeout tunnel 1h
frontend relay
  bind :$port ssl crt $folder/live/bundle.pem$clients
  default_backend sessions
backend sessions
  server one 127.0.0.1:8080
"""

_ENVOY = """\
# in the listener's DownstreamTlsContext; the agent writes both files. Envoy needs `node: {id: …, cluster: …}`
common_tls_context:
  tls_certificate_sds_secret_configs:
    - name: server_cert
      sds_config:
        resource_api_version: V3
        path_config_source: {path: $folder/envoy-certificate.json}
$clients"""
_ENVOY_CLIENTS = """\
  validation_context_sds_secret_config:
    name: client_ca
    sds_config:
      resource_api_version: V3
      path_config_source: {path: $folder/envoy-ca.json}
require_client_certificate: true
"""

_TRAEFIK = """\
entryPoints:
  relay: {address: ":$port"}
providers:
  providersThrottleDuration: 100ms         # its default of 2 s would be most of the time to follow
  file: {directory: /etc/traefik/dynamic, watch: true}
"""
_TRAEFIK_CLIENTS = """\
tls:
  options:
    default:
      clientAuth:
        caFiles: [$folder/live/ca.pem]
        clientAuthType: RequireAndVerifyClientCert
"""


def snippets_of(place: Place) -> tuple[Snippet, ...]:
    """Every way, the one that follows soonest first."""
    values = {
        "consumer": place.consumer,
        "host": place.host,
        "port": str(place.port),
        "certificate": place.certificate,
        "delivery_url": place.delivery_url,
        "vault_url": place.vault_url,
        "mount": place.mount,
        "auth_mount": place.auth_mount,
        "folder": FOLDER,
        "state": STATE,
    }

    def fill(text: str, **more: str) -> str:
        return Template(text).substitute(values | more)

    def agent(kind: str, *lines: str) -> Block:
        more = "".join(f"{line}\n" for line in (*lines, f'verify = "127.0.0.1:{place.port}"'))
        return Block("/etc/keystead/agent.toml", fill(_AGENT, kind=kind, more=more if kind != "files" else ""))

    def clients(text: str) -> str:
        return fill(text) if place.mtls else ""

    soon = "within a second, and tested until it is served"
    haproxy_clients = f" ca-file {FOLDER}/live/ca.pem verify required" if place.mtls else ""
    traefik = [agent("traefik", 'dynamic_file = "/etc/traefik/dynamic/keystead.yml"')]
    traefik.append(Block("traefik.yml", fill(_TRAEFIK)))
    if place.mtls:
        traefik.append(Block("/etc/traefik/dynamic/clients.yml", fill(_TRAEFIK_CLIENTS)))
    return (
        Snippet("agent", "Agent", "within a second", (agent("files"), Block("Shell", _ENROLL))),
        Snippet(
            "nginx", "nginx", soon, (agent("nginx"), Block("nginx.conf", fill(_NGINX, clients=clients(_NGINX_CLIENTS))))
        ),
        Snippet(
            "haproxy",
            "HAProxy",
            soon,
            (
                agent("haproxy", 'socket = "/run/haproxy/admin.sock"'),
                Block("haproxy.cfg", fill(_HAPROXY, clients=haproxy_clients)),
            ),
        ),
        Snippet(
            "envoy", "Envoy", soon, (agent("envoy"), Block("envoy.yaml", fill(_ENVOY, clients=clients(_ENVOY_CLIENTS))))
        ),
        Snippet("traefik", "Traefik", soon, tuple(traefik)),
        Snippet(
            "curl",
            "curl",
            "when it is called, or at once while it waits",
            (Block("Shell", fill(_CURL)), Block("Wait for the next version", fill(_FOLLOW))),
        ),
        Snippet(
            "vault-agent",
            "Vault Agent",
            "within two seconds (its default: five minutes)",
            (Block("agent.hcl", fill(_VAULT_AGENT)),),
        ),
        Snippet("vault-kv", "vault kv get", "when it is called", (Block("Shell", fill(_KV)),)),
        Snippet(
            "external-secrets",
            "External Secrets",
            "within ten seconds",
            (Block("Kubernetes", fill(_EXTERNAL_SECRETS)),),
        ),
    )
