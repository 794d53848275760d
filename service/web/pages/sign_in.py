"""Sign-in with what Vault offers, the one-time code as a second step, and sign-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from flask import current_app, flash, redirect, render_template, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue

from service.errors import NotSignedIn, Problem, Throttled, Unavailable
from service.inventory.people import SecondFactorNeeded, Session
from service.web import identity
from service.web.pages import frame
from service.web.pages.blueprint import pages
from service.web.pages.forms import CodeForm, SignInForm
from service.web.throttle import SignInThrottle

METHOD_WORDS: Final = {"userpass": "Password", "ldap": "LDAP", "okta": "Okta", "radius": "RADIUS"}
"""Methods that take a user name and a password, by Vault's name. Others (OIDC) need a browser trip that this page does
not make; their tokens work with the API."""
_PENDING: Final = "second_factor"
REFUSED: Final = "That did not work: the user name or the password is wrong."


@dataclass(frozen=True, slots=True)
class Method:
    """A way to sign in, as the page offers it."""

    key: str
    word: str


def _methods() -> tuple[Method, ...]:
    try:
        offered = frame.ports().people.methods()
    except Unavailable:
        return (Method("userpass", METHOD_WORDS["userpass"]),)
    return tuple(Method(it.kind, METHOD_WORDS[it.kind]) for it in offered if it.kind in METHOD_WORDS)


def _show(form: SignInForm, *, problem: str = "") -> str:
    methods = _methods()
    wanted = form.method.data or request.args.get("method")
    chosen = next((it for it in methods if it.key == wanted), methods[0] if methods else None)
    form.method.data = chosen.key if chosen else ""
    return render_template(
        "sign_in.html",
        form=form,
        methods=methods,
        chosen=chosen,
        next_path=frame.local_path(form.next.data),
        problem=problem,
    )


def _throttle() -> SignInThrottle:
    return cast("SignInThrottle", current_app.extensions["keystead-throttle"])


def _address() -> str:
    return request.remote_addr or ""


def _welcome(person: Session, next_path: str | None) -> ResponseReturnValue:
    identity.sign_in(person)
    return redirect(frame.local_path(next_path) or url_for("pages.dashboard"), 303)


@pages.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The form; who is signed in already goes to the dashboard."""
    if identity.is_signed_in():
        return redirect(url_for("pages.dashboard"), 303)
    return _show(SignInForm(data={"next": request.args.get("next", ""), "method": request.args.get("method", "")}))


@pages.post("/sign-in")
def sign_in_now() -> ResponseReturnValue:
    """Ask Vault. The answer never tells which part was wrong."""
    form = SignInForm()
    if not form.validate_on_submit():
        return _show(form), 422
    username = form.username.data or ""
    try:
        with _throttle().trying(username, _address()):
            person = frame.ports().people.sign_in(form.method.data or "userpass", username, form.password.data or "")
    except SecondFactorNeeded as needed:
        factor = next((it for it in needed.factors if it.uses_passcode), needed.factors[0] if needed.factors else None)
        if factor is None:
            return _show(form, problem="Vault asks for a second factor that this page cannot give."), 401
        cookie[_PENDING] = {
            "request_id": needed.request_id,
            "factor_id": factor.id,
            "passcode": factor.uses_passcode,
            "who": username,
            "next": frame.local_path(form.next.data),
        }
        return redirect(url_for("pages.sign_in_code"), 303)
    except Problem as refused:
        return _refused(refused, lambda problem: _show(form, problem=problem))
    return _welcome(person, form.next.data)


def _refused(refused: Problem, show: Any) -> ResponseReturnValue:  # noqa: ANN401 - a template's call
    headers = {}
    problem = refused.detail
    if isinstance(refused, NotSignedIn):
        problem = REFUSED
    elif isinstance(refused, Throttled):
        headers["Retry-After"] = str(refused.retry_after_s)
    return show(problem), refused.status, headers


@pages.get("/sign-in/code")
def sign_in_code() -> ResponseReturnValue:
    """The second step; without a first one, back to it."""
    pending = cookie.get(_PENDING)
    if not pending:
        return redirect(url_for("pages.sign_in"), 303)
    return render_template("sign_in_code.html", form=CodeForm(), uses_passcode=pending["passcode"], problem="")


@pages.post("/sign-in/code")
def sign_in_code_now() -> ResponseReturnValue:
    """Confirm. A wrong code ends the try: Vault has used it up."""
    pending = cookie.get(_PENDING)
    if not pending:
        return redirect(url_for("pages.sign_in"), 303)
    form = CodeForm()
    uses = bool(pending["passcode"])
    if uses and not form.validate_on_submit():
        return render_template("sign_in_code.html", form=form, uses_passcode=uses, problem=""), 422
    try:
        with _throttle().trying(pending["who"], _address()):
            person = frame.ports().people.finish_mfa(
                pending["request_id"], pending["factor_id"], (form.passcode.data or "") if uses else ""
            )
    except NotSignedIn:
        cookie.pop(_PENDING, None)
        first = SignInForm(formdata=None, data={"username": pending["who"], "next": pending["next"] or ""})
        return _show(first, problem="The code was not accepted. Sign in again."), 401
    except Problem as refused:
        return render_template(
            "sign_in_code.html", form=form, uses_passcode=uses, problem=refused.detail
        ), refused.status
    return _welcome(person, pending["next"])


@pages.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Revoke the token and end the session."""
    if identity.is_signed_in():
        try:
            identity.sign_out()
        except Unavailable:
            flash("You are signed out here. Vault could not be told: the token ends by itself.", "due")
    return redirect(url_for("pages.sign_in"), 303)
