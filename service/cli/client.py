"""The admin API, as commands use it. Errors end the command with one clear line and the right exit code."""

from __future__ import annotations

import os
from base64 import b64encode
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

import click
import requests

from service.cli.output import EXIT_FINDINGS, EXIT_UNREACHABLE, show_findings

DEFAULT_URL: Final = "https://127.0.0.1:8443"
TIMEOUT_S: Final = 60
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_DEFAULT_CA: Final = Path("~/.local/share/keystead/ca.pem")
_LOGIN: Final = Path("~/.config/keystead/token")


class Client:
    """One server, with the token of whoever is logged in."""

    def __init__(self, *, token: str | None = None) -> None:
        self.url = os.environ.get("KEYSTEAD_URL", DEFAULT_URL).rstrip("/")
        if not self.url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise click.UsageError("KEYSTEAD_URL must be an https address: tokens and keys travel over it.")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = _trust()
        self._token = token if token is not None else _stored_token()

    def get(self, *path: str, **query: str | int | None) -> Any:  # noqa: ANN401 - JSON
        """Read."""
        return self.call("GET", *path, query=query).json()

    def call(
        self,
        method: str,
        *path: str,
        body: object = None,
        query: dict[str, str | int | None] | None = None,
        version: int | None = None,
    ) -> requests.Response:
        """One call; `path` is quoted part by part.

        Raises:
            SystemExit: 1 when it was refused, 3 when nothing answered; what is wrong was said on standard error.
        """
        headers = {"X-Vault-Token": self._token} if self._token else {}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        url = "/".join([f"{self.url}/api/v1", *(quote(part, safe="") for part in path)])
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            response = self._session.request(
                method, url, json=body, params=given, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.exceptions.SSLError:
            _end(f"{self.url} is not trusted. Name its CA in KEYSTEAD_CACERT.", EXIT_UNREACHABLE)
        except requests.exceptions.RequestException:
            _end(f"{self.url} cannot be reached.", EXIT_UNREACHABLE)
        if response.status_code >= 400:
            _refused(response)
        return response


def save_token(token: str) -> Path:
    """Keep the token for later commands, readable by this user alone."""
    file = _LOGIN.expanduser()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(token)
    unfinished.replace(file)
    return file


def forget_token() -> None:
    """Remove the kept token."""
    _LOGIN.expanduser().unlink(missing_ok=True)


def read_material(name: str | None) -> str | None:
    """The content of a file, or of standard input for `-`: text as it is, DER and PKCS#12 in base64.

    Raises:
        SystemExit: 3, when it cannot be read.
    """
    if name is None:
        return None
    try:
        with click.open_file(name, "rb") as file:
            content: bytes = file.read(1024 * 1024)
    except OSError as error:
        _end(f"{name} cannot be read: {error.strerror}", EXIT_UNREACHABLE)
    return _as_text(content)


def _as_text(content: bytes) -> str:
    """What JSON can carry of a file; the readers of the server know both forms."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        around_pem = b"-----BEGIN" in content
        return content.decode("utf-8", "replace") if around_pem else b64encode(content).decode("ascii")


def _trust() -> str | bool:
    named = os.environ.get("KEYSTEAD_CACERT")
    if named:
        if not Path(named).is_file():
            raise click.UsageError(f"KEYSTEAD_CACERT names {named}, which is not a file.")
        return named
    default = _DEFAULT_CA.expanduser()
    return str(default) if default.is_file() else True


def _stored_token() -> str:
    named = os.environ.get("KEYSTEAD_TOKEN", "").strip()
    if named:
        return named
    try:
        return _LOGIN.expanduser().read_text().strip()
    except OSError:
        return ""


def _refused(response: requests.Response) -> NoReturn:
    try:
        problem = response.json()
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        _end(f"the server answered {response.status_code} and nothing that can be read", EXIT_UNREACHABLE)
    if response.status_code == 401 and code != "session.refused":
        detail += " Log in with: keystead login"
    click.echo(f"Error: {detail} [{code}]", err=True)
    for conflict in problem.get("conflicts", ()):
        click.echo(f"  {conflict}", err=True)
    findings = problem.get("findings", ())
    if findings:
        show_findings(findings)
    raise SystemExit(EXIT_UNREACHABLE if response.status_code >= 500 else EXIT_FINDINGS)


def _end(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    raise SystemExit(code)
