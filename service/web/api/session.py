"""Signing in and out by API."""

from __future__ import annotations

from typing import Annotated, cast

from flask import current_app, request
from flask_wtf.csrf import generate_csrf
from msgspec import Meta, Struct

from service.web import identity
from service.web.api.operation import Answer, call
from service.web.api.shapes import SessionShape
from service.web.api.words import Moment
from service.web.throttle import SignInThrottle

Short = Annotated[str, Meta(max_length=256)]


class WhoShape(Struct, frozen=True):
    """Who is signed in. With the session cookie `csrf_token` goes into `X-CSRFToken`; with a token it is null."""

    who: str
    roles: list[str]
    expires_at: Moment | None
    csrf_token: str | None


class SignIn(Struct, forbid_unknown_fields=True):
    """A user name and a password. With a second factor the answer is 401 `session.second-factor`; then `request_id`,
    `factor_id` and `passcode` confirm it."""

    username: Short = ""
    password: Short = ""
    method: Short = "userpass"
    request_id: Short = ""
    factor_id: Short = ""
    passcode: Short = ""


@call(
    "POST",
    "/session",
    tag="session",
    summary="Sign in; the token goes into X-Vault-Token.",
    body=SignIn,
    answer=SessionShape,
    problems=(400, 401, 403, 429, 503),
    signed_in=False,
    changes=False,
)
def sign_in(body: SignIn) -> SessionShape:
    """`POST /session`."""
    throttle = cast("SignInThrottle", current_app.extensions["keystead-throttle"])
    name, address = body.username or body.request_id, request.remote_addr or ""
    people = identity.ports().people
    with throttle.trying(name, address):
        if body.request_id:
            session = people.finish_mfa(body.request_id, body.factor_id, body.passcode)
        else:
            session = people.sign_in(body.method, body.username, body.password)
    return SessionShape(
        token=session.token.reveal(), expires_at=session.expires_at, roles=list(session.roles), who=session.who
    )


@call("GET", "/session", tag="session", summary="Who is signed in.", answer=WhoShape, problems=(401, 403, 503))
def who() -> WhoShape:
    """`GET /session`."""
    session = identity.current_session()
    return WhoShape(
        who=session.who,
        roles=list(session.roles),
        expires_at=session.expires_at,
        csrf_token=generate_csrf() if identity.header_token() is None else None,
    )


@call(
    "DELETE",
    "/session",
    tag="session",
    summary="Sign out: revokes the token.",
    status=204,
    problems=(401, 503),
    changes=False,
)
def sign_out() -> Answer:
    """`DELETE /session`."""
    identity.sign_out()
    return Answer(None)
