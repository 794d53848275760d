"""Puts the console together."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from flask import Flask, request
from flask_wtf.csrf import CSRFProtect

from service.web import api, health, identity, problems, security
from service.web.cookie import EncryptedCookies
from service.web.pages import pages
from service.web.ports import Ports
from service.web.throttle import SignInThrottle

TEMPLATES: Final = Path(__file__).resolve().parents[2] / "templates"
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def create_app(ports: Ports) -> Flask:
    """The console and the admin API, over the given ports."""
    app = Flask("service.web", template_folder=str(TEMPLATES), static_folder=str(Path(__file__).parent / "static"))
    app.secret_key = hashlib.sha256(b"csrf\0" + ports.cookie_keys[0]).digest()
    app.session_interface = EncryptedCookies(ports.cookie_keys, ports.clock)
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # the token ends with the session cookie that it belongs to
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.extensions["keystead-throttle"] = SignInThrottle()
    security.install(app, ports.trusted_hosts)
    identity.install(app, ports)
    problems.install(app)
    csrf = CSRFProtect(app)

    @app.before_request
    def _protect() -> None:
        """A browser adds a cookie by itself, and never a header: only requests with the cookie need the CSRF token."""
        if request.method not in _UNSAFE or identity.header_token() is not None:
            return
        if request.blueprint == api.blueprint.name and not identity.has_cookie():
            return  # nobody's request; the call says so
        csrf.protect()

    app.register_blueprint(pages)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(health.blueprint)
    return app
