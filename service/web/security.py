"""What every answer says to browsers, and what every request is limited to."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Final

from flask import Flask, Request, Response, request

MAX_BODY_BYTES: Final = 1024 * 1024
"""Three fields of 256 kB each, and what forms add."""
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # Tabler's stylesheet draws its marks so
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
ONE_YEAR_S: Final = 365 * 86_400


class MemoryRequest(Request):
    """A request whose files stay in memory: a key is never written to a temporary file, however large the rest is."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        del total_content_length, content_type, filename, content_length
        return BytesIO()


def install(app: Flask, trusted_hosts: tuple[str, ...]) -> None:
    """Limit requests and mark answers."""
    app.request_class = MemoryRequest
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY_BYTES
    app.config["MAX_FORM_PARTS"] = 200
    if trusted_hosts:
        app.config["TRUSTED_HOSTS"] = list(trusted_hosts)
    app.after_request(_mark)


def _mark(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={ONE_YEAR_S}")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers.pop("Server", None)
    return response
