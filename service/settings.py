"""The settings of a process, read once from `KEYSTEAD_*` environment variables. Every mistake is reported together.

No setting holds a secret: secrets come as files, named by a setting that ends in `_FILE`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "KEYSTEAD_"
MAX_SECRET_FILE_BYTES = 16 * 1024
"""A secret file is a line or a small JSON object; anything larger is the wrong file."""


class SettingsError(Exception):
    """The environment cannot be used. `problems` has one sentence per mistake; none holds a secret's value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ServiceCredentials:
    """The AppRole of one process. Its repr shows the role only."""

    __slots__ = ("_secret_id", "role_id")

    def __init__(self, role_id: str, secret_id: str) -> None:
        self.role_id = role_id
        self._secret_id = secret_id

    def __repr__(self) -> str:
        return f"ServiceCredentials(role_id={self.role_id!r}, secret_id=…)"

    def reveal_secret_id(self) -> str:
        """The SecretID, for the one call that logs in with it."""
        return self._secret_id


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process needs to know. Times in seconds, paths absolute or relative to the working directory."""

    vault_url: str
    vault_ca_file: Path | None
    vault_namespace: str
    credentials_file: Path | None
    host: str
    port: int
    tls_cert_file: Path | None
    tls_key_file: Path | None
    session_key_file: Path | None
    metrics_token_file: Path | None
    instance_name: str
    delivery_url: str
    trusted_hosts: tuple[str, ...]
    proxies: int
    run_dir: Path | None

    def credentials(self) -> ServiceCredentials:
        """Read the AppRole of this process.

        Raises:
            SettingsError: the file is missing, unreadable, too large or not `{"role_id", "secret_id"}`.
        """
        if self.credentials_file is None:
            raise SettingsError(
                (f"{PREFIX}CREDENTIALS_FILE is not set: the file with this process's role_id and secret_id",)
            )
        text = read_secret_file(self.credentials_file)
        try:
            fields = json.loads(text)
            return ServiceCredentials(str(fields["role_id"]), str(fields["secret_id"]))
        except (ValueError, KeyError, TypeError):
            message = f"{self.credentials_file} does not hold a JSON object with role_id and secret_id"
            raise SettingsError((message,)) from None


def read_secret_file(path: Path) -> str:
    """The text of a secret file, without its last newline.

    Raises:
        SettingsError: it cannot be read, or is larger than a secret ever is.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_FILE_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError((f"{path} cannot be read: {type(error).__name__}",)) from None
    if len(content) > MAX_SECRET_FILE_BYTES:
        raise SettingsError((f"{path} is larger than {MAX_SECRET_FILE_BYTES} bytes; is it the right file?",))
    return text.rstrip("\r\n")


def read_settings(environment: Mapping[str, str], *, default_port: int) -> Settings:
    """Read a process's settings.

    Args:
        environment: usually `os.environ`.
        default_port: where this process listens when `KEYSTEAD_LISTEN` names no port.

    Raises:
        SettingsError: with every mistake found, not the first only.
    """
    problems: list[str] = []

    def text(name: str, default: str = "") -> str:
        return environment.get(PREFIX + name, default).strip()

    def file(name: str) -> Path | None:
        value = text(name)
        if not value:
            return None
        path = Path(value)
        if not path.is_file():
            problems.append(f"{PREFIX}{name} names {value}, which is not a file")
        return path

    vault_url = text("VAULT_ADDR", "https://127.0.0.1:8200")
    parts = urlsplit(vault_url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        problems.append(f"{PREFIX}VAULT_ADDR is {vault_url!r}; it must look like https://vault.example:8200")
    elif parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        problems.append(
            f"{PREFIX}VAULT_ADDR is plain http to {parts.hostname}; keys would cross the network unencrypted"
        )
    host, port = _listen(text("LISTEN", f"127.0.0.1:{default_port}"), default_port, problems)
    cert, key = file("TLS_CERT_FILE"), file("TLS_KEY_FILE")
    if (cert is None) != (key is None):
        problems.append(f"{PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE go together; one of them is missing")
    settings = Settings(
        vault_url=vault_url.rstrip("/"),
        vault_ca_file=file("VAULT_CACERT"),
        vault_namespace=text("VAULT_NAMESPACE"),
        credentials_file=file("CREDENTIALS_FILE"),
        host=host,
        port=port,
        tls_cert_file=cert,
        tls_key_file=key,
        session_key_file=file("SESSION_KEY_FILE"),
        metrics_token_file=file("METRICS_TOKEN_FILE"),
        instance_name=text("INSTANCE_NAME", "Keystead"),
        delivery_url=text("DELIVERY_URL").rstrip("/"),
        trusted_hosts=tuple(name.strip() for name in text("TRUSTED_HOSTS").split(",") if name.strip()),
        proxies=_count(text("PROXIES", "0"), problems),
        run_dir=Path(text("RUN_DIR")) if text("RUN_DIR") else None,
    )
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _count(value: str, problems: list[str]) -> int:
    """How many reverse proxies of ours stand in front."""
    if value in {"0", "1", "2", "3", "4"}:
        return int(value)
    problems.append(f"{PREFIX}PROXIES is {value!r}; it must be a number from 0 to 4")
    return 0


def _listen(value: str, default_port: int, problems: list[str]) -> tuple[str, int]:
    """`host:port`, `[v6]:port` or `host`."""
    parts = urlsplit(f"//{value}")
    try:
        port = parts.port or default_port
    except ValueError:
        port = default_port
        problems.append(f"{PREFIX}LISTEN is {value!r}; the port must be a number from 1 to 65535")
    if not parts.hostname:
        problems.append(f"{PREFIX}LISTEN is {value!r}; it must look like 0.0.0.0:8443")
    return parts.hostname or "127.0.0.1", port
