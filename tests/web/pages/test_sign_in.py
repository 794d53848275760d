"""Signing in and out by the pages, and the choice of colours."""

from __future__ import annotations

import pytest

from tests.web.conftest import Console
from tests.web.pages.conftest import Visitor, words

pytestmark = pytest.mark.live


def test_a_page_asks_a_stranger_to_sign_in_and_goes_back_there_afterwards(console: Console, stranger: Visitor) -> None:
    asked = stranger.get("/certificates?q=eu")
    assert asked.status_code == 303
    assert asked.location == "/sign-in?next=/certificates?q%3Deu"
    answer = stranger.sign_in(
        console.instance.admin_username, console.instance.admin_password, next_path="/certificates?q=eu"
    )
    assert (answer.status_code, answer.location) == (303, "/certificates?q=eu")


def test_a_wrong_password_does_not_tell_whether_the_name_exists(console: Console, stranger: Visitor) -> None:
    known = stranger.sign_in(console.instance.admin_username, "wrong")
    unknown = stranger.sign_in("nobody-of-that-name", "wrong")
    assert known.status_code == unknown.status_code == 401
    assert "the user name or the password is wrong" in words(known)
    assert words(known).replace(console.instance.admin_username, "") == words(unknown).replace(
        "nobody-of-that-name", ""
    )


def test_a_password_is_never_sent_back(stranger: Visitor) -> None:
    assert "canary-password" not in stranger.sign_in("ada", "canary-password").text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "/ok\n", "javascript:1"]
)
def test_signing_in_never_leads_to_another_site(console: Console, stranger: Visitor, target: str) -> None:
    answer = stranger.sign_in(console.instance.admin_username, console.instance.admin_password, next_path=target)
    assert (answer.status_code, answer.location) == (303, "/")


def test_a_form_without_the_csrf_token_changes_nothing(stranger: Visitor) -> None:
    answer = stranger.client.post("/sign-in", base_url="https://console.example.com", data={"username": "ada"})
    assert answer.status_code == 400
    assert "Nothing was changed" in words(answer)


def test_signing_out_ends_the_session(admin: Visitor) -> None:
    assert admin.post("/sign-out").location == "/sign-in"
    assert admin.get("/certificates").status_code == 303


def test_the_second_step_needs_a_first_one(stranger: Visitor) -> None:
    assert stranger.get("/sign-in/code").location == "/sign-in"
    assert stranger.post("/sign-in/code", {"passcode": "123456"}).location == "/sign-in"


def test_the_colours_are_chosen_without_script_and_stay(stranger: Visitor) -> None:
    assert 'data-scheme="system"' in stranger.get("/sign-in").text
    answer = stranger.post("/preferences/scheme", {"scheme": "dark", "back": "/sign-in"})
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert 'data-scheme="dark"' in stranger.get("/sign-in").text
    stranger.post("/preferences/scheme", {"scheme": "purple", "back": "//evil.example"})
    assert 'data-scheme="dark"' in stranger.get("/sign-in").text
