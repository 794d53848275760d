"""Signing in and out by API."""

from __future__ import annotations

from typing import Annotated, cast

from flask import current_app, request
from msgspec import Meta, Struct

from service.web import identity
from service.web.api.operation import Answer, call
from service.web.api.shapes import SessionShape
from service.web.throttle import SignInThrottle

Short = Annotated[str, Meta(max_length=256)]


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
