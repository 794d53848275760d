"""The one place where an error becomes an answer: problem+json (RFC 9457) for the API, a page for people."""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import asdict
from typing import Any, Final

from flask import Flask, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, SecurityError

from service.errors import Malformed, Missing, NotSignedIn, Problem, Throttled, TooLarge, Unavailable
from service.inventory.people import SecondFactorNeeded
from service.web.security import MAX_BODY_BYTES

PROBLEM_TYPE: Final = "urn:keystead:problem:"
"""A problem's `type` is this with its code; `docs/errors.md` explains each."""
STILL_WORKS: Final = "Consumers keep what they have installed; nothing was written."

_log = logging.getLogger("keystead.web")


class MethodNotAllowed(Problem):
    """The address exists, and not for this method (RFC 9110 §15.5.6)."""

    status = 405
    title = "This method is not allowed here."
    default_code = "request.method"


class Unexpected(Problem):
    """A fault of ours. The details are in the log, without values."""

    status = 500
    title = "Something went wrong here."
    default_code = "internal"


def install(app: Flask) -> None:
    """Answer every error of an application."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(CSRFError, lambda _error: answer(_csrf()))
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def answer(problem: Problem) -> ResponseReturnValue:
    """A problem as an answer of the kind that was asked for."""
    if wants_json():
        response = Response(json.dumps(as_json(problem)), problem.status, mimetype="application/problem+json")
    elif isinstance(problem, NotSignedIn) and request.method in {"GET", "HEAD"} and not _is_fragment():
        after = request.full_path.rstrip("?") if request.path != "/" else None
        return redirect(url_for("pages.sign_in", next=after), 303)
    else:
        response = Response(_page(problem), problem.status)
    if isinstance(problem, Throttled):
        response.headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def wants_json() -> bool:
    """Whether the API was asked."""
    return request.path.startswith("/api/") or request.path in {"/openapi.json", "/healthz", "/readyz", "/metrics"}


def as_json(problem: Problem) -> dict[str, Any]:
    """The members of a problem document (RFC 9457 §3.1), and ours."""
    members: dict[str, Any] = {
        "type": PROBLEM_TYPE + problem.code,
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.findings:
        members["findings"] = [finding.as_json() for finding in problem.findings]
    if isinstance(problem, SecondFactorNeeded):
        members["request_id"] = problem.request_id
        members["factors"] = [asdict(factor) for factor in problem.factors]
    if problem.conflicts:
        members["conflicts"] = list(problem.conflicts)
    return members


def _is_fragment() -> bool:
    return "HX-Request" in request.headers


def _page(problem: Problem) -> str:
    return render_template(
        "problem.html",
        title=problem.title.rstrip("."),
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        conflicts=problem.conflicts,
        found=problem.findings,
        still_works=STILL_WORKS if isinstance(problem, Unavailable) else "",
        back_href=url_for("pages.dashboard"),
        back_word="To the dashboard",
        section="",
    )


def _csrf() -> Problem:
    detail = "The form was too old, or did not come from this console. Nothing was changed; load the page again."
    return Malformed(detail, code="request.csrf")


def _http(error: HTTPException) -> ResponseReturnValue:
    """werkzeug's errors in our words; its own descriptions may quote the request."""
    if isinstance(error, SecurityError):  # a host name that is not ours has no pages to lead to
        return Response("This server does not answer for that host name.\n", 400, mimetype="text/plain")
    code = error.code or 500
    if 300 <= code < 400:
        return error.get_response()
    answered = answer(_problem(code))
    allowed = error.get_response().headers.get("Allow")
    if isinstance(answered, Response) and allowed:
        answered.headers["Allow"] = allowed
    return answered


def _problem(code: int) -> Problem:
    match code:
        case 404:
            return Missing("There is no such page.", code="request.no-such-address")
        case 405:
            return MethodNotAllowed(f"{request.method} is not allowed here.")
        case 413:
            return TooLarge(f"The request may have {MAX_BODY_BYTES // 1024} kB at most.")
        case _ if code < 500:
            return Malformed("The request cannot be read.")
        case _:
            return Unexpected("The log of this process says more.")


def _unexpected(error: Exception) -> ResponseReturnValue:
    """A fault of ours: logged by its kind and place. Its text and its values may hold what people pasted."""
    if isinstance(error, RequestEntityTooLarge):
        return _http(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-6:]))
    _log.error("%s %r: %s at %s", request.method, request.path, type(error).__name__, place)
    return answer(Unexpected("The log of this process says more."))
