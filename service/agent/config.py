"""The agent's configuration: one TOML file. Every mistake is reported together; an unknown key is one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from service.agent.activation import Hooks
from service.agent.errors import WrongUsage
from vault.session import Server

MAX_CONFIG_BYTES = 256 * 1024
DEFAULT_INTERVAL_S = 1.0
MIN_INTERVAL_S = 0.1
DEFAULT_HOOK_S = 10.0
DEFAULT_WAIT_S = 60
"""Shorter than what firewalls and proxies forget; the delivery plane takes 120 at most."""

KINDS: Final = ("files", "nginx", "haproxy", "envoy", "traefik")
"""All of them are files; the others know what makes their program use them."""
NGINX_TEST: Final = ("nginx", "-t")
NGINX_RELOAD: Final = ("nginx", "-s", "reload")

Purpose = Literal["server", "client"]
NO_HOOKS = Hooks()


@dataclass(frozen=True, slots=True)
class FilesTarget:
    """A folder for the bundle's files; `<directory>/live/` always holds a complete, matching set.

    Attributes:
        hosts: names that the certificate must cover, or it is not installed.
        purpose: what it must be good for, or it is not installed; None: anything.
        user, group: owner of the files, by name; the agent's own when None.
        key_file, certificate_file, ca_file: names in `live/`.
        combined_file: certificate chain and key in one file, for programs that want that; None: no such file.
        hooks: what makes a program use them.
    """

    directory: Path
    hosts: tuple[str, ...] = ()
    purpose: Purpose | None = None
    user: str | None = None
    group: str | None = None
    key_file: str = "key.pem"
    certificate_file: str = "cert.pem"
    ca_file: str = "ca.pem"
    combined_file: str | None = None
    hooks: Hooks = NO_HOOKS


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration. Relative paths in the file are relative to the file.

    Attributes:
        interval_s: between two fetches that the delivery plane does not hold back.
        wait_s: how long it may hold one back, in whole seconds; 0: it is asked each `interval_s`.
        vault: Vault itself, for when the delivery plane cannot be reached; None: it is not asked.
    """

    url: str
    ca_file: Path | None
    state_dir: Path
    interval_s: float
    wait_s: int
    targets: tuple[FilesTarget, ...]
    vault: Server | None = None


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        WrongUsage: with every mistake found.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}", code="config.unreadable") from None
    except ValueError as error:
        raise WrongUsage(f"{path} is not TOML: {error}", code="config.unreadable") from None
    if len(content) > MAX_CONFIG_BYTES:
        raise WrongUsage(f"{path} is larger than {MAX_CONFIG_BYTES} bytes", code="config.unreadable")
    reader = _Reader(table, path.parent.absolute(), "")
    config = Config(
        url=reader.text("url", required=True) or "",
        ca_file=reader.path("ca"),
        state_dir=reader.path("state_dir", required=True) or path.parent,
        interval_s=reader.number("interval_s", DEFAULT_INTERVAL_S, MIN_INTERVAL_S),
        wait_s=int(reader.number("wait_s", DEFAULT_WAIT_S, 0)),
        targets=tuple(reader.targets()),
        vault=reader.vault(),
    )
    reader.finish()
    if reader.problems:
        raise WrongUsage(f"{path}: {'; '.join(reader.problems)}", code="config.invalid")
    return config


class _Reader:
    """Takes keys out of a table and gathers what is wrong with them."""

    def __init__(self, table: Mapping[str, Any], folder: Path, place: str) -> None:
        self._left = dict(table)
        self._folder = folder
        self._place = place
        self.problems: list[str] = []

    def text(self, key: str, *, required: bool = False) -> str | None:
        value = self._left.pop(key, None)
        if value is None:
            if required:
                self.problems.append(f"{self._place}{key} is missing")
            return None
        if not isinstance(value, str) or not value:
            self.problems.append(f"{self._place}{key} must be a text")
            return None
        return value

    def path(self, key: str, *, required: bool = False) -> Path | None:
        value = self.text(key, required=required)
        return self._folder / value if value else None

    def number(self, key: str, default: float, least: float) -> float:
        value = self._left.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            self.problems.append(f"{self._place}{key} must be a number of at least {least}")
            return default
        return float(value)

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self._left.pop(key, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.problems.append(f"{self._place}{key} must be a list of texts")
            return ()
        return tuple(value)

    def choice(self, key: str, choices: tuple[str, ...], *, required: bool = False) -> str | None:
        value = self.text(key, required=required)
        if value is not None and value not in choices:
            self.problems.append(f"{self._place}{key} must be one of {', '.join(choices)}")
            return None
        return value

    def address(self, key: str) -> tuple[str, int] | None:
        """`host:port`, with brackets around an IPv6 address."""
        value = self.text(key)
        if value is None:
            return None
        parts = urlsplit(f"//{value}")
        try:
            port = parts.port
        except ValueError:
            port = None
        if not parts.hostname or port is None:
            self.problems.append(f"{self._place}{key} must look like 127.0.0.1:443")
            return None
        return parts.hostname, port

    def file_name(self, key: str, default: str | None) -> str | None:
        value = self.text(key) or default
        if value is not None and ("/" in value or value.startswith(".") or value == "keystead.json"):
            self.problems.append(f"{self._place}{key} must be the plain name of a file")
        return value

    def vault(self) -> Server | None:
        """`[vault]`: where Vault itself is."""
        table = self._left.pop("vault", None)
        if table is None:
            return None
        if not isinstance(table, dict):
            self.problems.append("vault must be a table")
            return None
        reader = _Reader(table, self._folder, "vault: ")
        url = reader.text("url", required=True) or ""
        if url and not url.startswith("https://"):
            reader.problems.append("vault: url must begin with https://")
        server = Server(
            url=url.rstrip("/"),
            ca_file=reader.path("ca"),
            mount=reader.text("mount") or "keystead",
            consumer_mount=reader.text("auth_mount") or "keystead",
            namespace=reader.text("namespace") or "",
        )
        reader.finish()
        self.problems += reader.problems
        return server

    def targets(self) -> list[FilesTarget]:
        tables = self._left.pop("targets", [])
        if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
            self.problems.append("at least one [[targets]] is needed")
            return []
        return [self._target(table, number) for number, table in enumerate(tables, start=1)]

    def _target(self, table: Mapping[str, Any], number: int) -> FilesTarget:
        reader = _Reader(table, self._folder, f"target {number}: ")
        kind = reader.choice("kind", KINDS, required=True) or "files"
        target = FilesTarget(
            directory=reader.path("directory", required=True) or self._folder,
            hosts=reader.texts("hosts"),
            purpose=cast("Purpose | None", reader.choice("purpose", ("server", "client"))),
            user=reader.text("user"),
            group=reader.text("group"),
            key_file=reader.file_name("key_file", "key.pem") or "",
            certificate_file=reader.file_name("certificate_file", "cert.pem") or "",
            ca_file=reader.file_name("ca_file", "ca.pem") or "",
            combined_file=reader.file_name("combined_file", "bundle.pem" if kind == "haproxy" else None),
            hooks=Hooks(
                test=reader.texts("test", NGINX_TEST if kind == "nginx" else ()),
                reload=reader.texts("reload", NGINX_RELOAD if kind == "nginx" else ()),
                haproxy=reader.path("socket", required=True) if kind == "haproxy" else None,
                envoy=kind == "envoy",
                traefik=reader.path("dynamic_file", required=True) if kind == "traefik" else None,
                verify=reader.address("verify"),
                server_name=reader.text("server_name") or "",
                timeout_s=reader.number("timeout_s", DEFAULT_HOOK_S, MIN_INTERVAL_S),
            ),
        )
        names = [target.key_file, target.certificate_file, target.ca_file, target.combined_file]
        if len(set(names)) < len(names):
            reader.problems.append(f"target {number}: two files have the same name")
        reader.finish()
        self.problems += reader.problems
        return target

    def finish(self) -> None:
        self.problems += [f"{self._place}{key} is not known" for key in sorted(self._left)]
