"""Puts the console together."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from flask import Flask
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from service.web import api, health, identity, origin, problems, security
from service.web.cookie import EncryptedCookies
from service.web.pages import pages
from service.web.ports import Ports
from service.web.throttle import SignInThrottle

TEMPLATES: Final = Path(__file__).resolve().parents[2] / "templates"


def create_app(ports: Ports) -> Flask:
    """The console and the admin API, over the given ports."""
    app = Flask("service.web", template_folder=str(TEMPLATES), static_folder=str(Path(__file__).parent / "static"))
    app.secret_key = hashlib.sha256(b"csrf\0" + ports.cookie_keys[0]).digest()
    app.session_interface = EncryptedCookies(ports.cookie_keys, ports.clock)
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # the token ends with the session cookie that it belongs to
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_SSL_STRICT"] = False  # it insists on Referer, which some networks remove: see `origin`
    app.extensions["keystead-throttle"] = SignInThrottle()
    health.install(app)
    security.install(app, ports.trusted_hosts)
    identity.install(app, ports)
    problems.install(app)
    origin.install(app, CSRFProtect(app), api.blueprint.name)
    app.register_blueprint(pages)
    app.register_blueprint(api.blueprint)
    app.add_url_rule("/openapi.json", view_func=api.openapi)
    if ports.proxies:
        hops = ports.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]
    return app
