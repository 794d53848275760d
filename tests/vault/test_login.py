"""Signing in: people with and without a second factor, processes, and what each refusal looks like."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import pickle
import struct
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import Instance
from tests.vault.conftest import Call
from vault import login
from vault.errors import AlreadyUsed, Denied, MfaRequired, SignInRefused, Unreachable, VaultError
from vault.session import SignedIn, Token, Vault, health

pytestmark = pytest.mark.live


def as_admin(instance: Instance, password: str = "", username: str = "admin") -> SignedIn:
    return login.sign_in(
        instance.server,
        method="userpass",
        mount=instance.userpass_mount,
        username=username,
        password=password or instance.admin_password,
    )


def test_a_person_signs_in_and_is_known_by_name_and_policy(instance: Instance) -> None:
    signed_in = as_admin(instance)
    assert signed_in.policies == (instance.server.prefixed("admin"),)
    assert signed_in.display_name == f"{instance.userpass_mount}-admin"
    assert signed_in.entity_name is None
    assert signed_in.expires_at is not None
    assert signed_in.renewable


@pytest.mark.parametrize(
    ("username", "password"),
    [("admin", "wrong"), ("nobody", "wrong"), ("", "x"), ("../x", "x"), ("..", "x"), ("admin/x", "x"), ("a b?c", "x")],
)
def test_a_wrong_name_or_password_is_refused_alike(instance: Instance, username: str, password: str) -> None:
    with pytest.raises(SignInRefused) as caught:
        as_admin(instance, password, username)
    assert password not in str(caught.value).split()


def test_a_refused_password_is_nowhere_in_the_error(instance: Instance) -> None:
    with pytest.raises(SignInRefused) as caught:
        as_admin(instance, "canary-password")
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary-password" not in f"{error!r} {vars(error)}"
        error = error.__context__


def test_a_method_that_takes_no_password_is_a_mistake_of_ours(instance: Instance) -> None:
    with pytest.raises(ValueError, match="oidc"):
        login.sign_in(instance.server, method="oidc", mount="oidc", username="a", password="b")


def test_signing_out_ends_the_token(instance: Instance) -> None:
    vault = Vault(instance.server, as_admin(instance).token)
    vault.revoke_self()
    with pytest.raises(Denied):
        vault.lookup_self()


def test_a_session_can_be_made_longer(instance: Instance) -> None:
    signed_in = Vault(instance.server, as_admin(instance).token).renew_self()
    assert signed_in.policies == (instance.server.prefixed("admin"),)


def test_the_ways_to_sign_in_are_listed_without_a_token(instance: Instance) -> None:
    assert login.Method("userpass", instance.userpass_mount) in login.methods(instance.server)


def test_a_service_logs_in_and_is_known_by_its_role(instance: Instance) -> None:
    signed_in = login.service_login(instance.server, *instance.service_credentials["index"])
    assert (signed_in.entity_name, signed_in.policies) == ("index", (instance.server.prefixed("index"),))
    assert Vault(instance.server, signed_in.token).lookup_self().entity_name == "index"


@pytest.mark.parametrize(("role", "secret"), [(True, False), (False, True), (False, False)])
def test_a_service_with_wrong_credentials_is_refused(instance: Instance, role: bool, secret: bool) -> None:
    role_id, secret_id = instance.service_credentials["index"]
    with pytest.raises(SignInRefused):
        login.service_login(instance.server, role_id if role else "wrong", secret_id if secret else "wrong")


@pytest.mark.parametrize("value", ["", "nonsense", "s.aaaaaaaaaaaaaaaaaaaaaaaa"])
def test_what_is_no_wrapping_token_is_as_good_as_used(instance: Instance, value: str) -> None:
    with pytest.raises(AlreadyUsed):
        login.unwrap_secret_id(instance.server, Token(value))


def test_a_token_shows_itself_only_when_asked(instance: Instance) -> None:
    token = Token("canary")
    assert "canary" not in f"{token} {token!r} {instance.admin!r} {instance.admin.wire!r}"
    assert token.reveal() == "canary"
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_a_server_that_is_not_there_is_unreachable(instance: Instance) -> None:
    nowhere = dataclasses.replace(instance.server, url="https://127.0.0.1:9", timeout_s=1.0)
    with pytest.raises(Unreachable, match="no connection"):
        Vault(nowhere, Token("x")).lookup_self()
    with pytest.raises(Unreachable):
        health(nowhere)


def test_a_server_of_another_ca_is_not_trusted(instance: Instance) -> None:
    stranger = dataclasses.replace(instance.server, ca_file=None)
    with pytest.raises(Unreachable, match="not trusted"):
        Vault(stranger, instance.admin.token).lookup_self()


def test_health_tells_version_and_product(instance: Instance) -> None:
    state = health(instance.server)
    assert (state.initialized, state.sealed, state.standby, state.product) == (True, False, False, "openbao")
    assert state.version


def totp(url: str, at: float) -> str:
    """RFC 6238, by the parameters of an otpauth URL."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    secret = query["secret"]
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(at) // int(query["period"])), hashlib.sha1).digest()
    offset = digest[-1] & 15
    (number,) = struct.unpack(">I", digest[offset : offset + 4])
    return str((number & 0x7FFFFFFF) % 10 ** int(query["digits"])).zfill(int(query["digits"]))


def test_a_second_factor_is_asked_for_and_accepted(instance: Instance, call: Call, accessors: dict[str, str]) -> None:
    root = instance.root.token
    method_id = call(root, "POST", "identity/mfa/method/totp", {"issuer": "Keystead", "period": 30}).json["data"][
        "method_id"
    ]
    entity_id = as_admin(instance).entity_id
    secret = call(
        root, "POST", "identity/mfa/method/totp/admin-generate", {"method_id": method_id, "entity_id": entity_id}
    )
    enforcement = f"identity/mfa/login-enforcement/{instance.server.mount}"
    accessor = accessors[instance.userpass_mount]
    body = {"mfa_method_ids": [method_id], "auth_method_accessors": [accessor]}
    assert call(root, "POST", enforcement, body).allowed
    try:
        with pytest.raises(MfaRequired) as wrong_code:
            as_admin(instance)
        with pytest.raises(SignInRefused):
            login.finish_mfa(instance.server, wrong_code.value.request_id, method_id, "000000")
        with pytest.raises(MfaRequired) as caught:
            as_admin(instance)
        (method,) = caught.value.methods
        assert (method.id, method.type, method.uses_passcode) == (method_id, "totp", True)
        code = totp(secret.json["data"]["url"], time.time())
        signed_in = login.finish_mfa(instance.server, caught.value.request_id, method.id, code)
        assert signed_in.policies == (instance.server.prefixed("admin"),)
        with pytest.raises(VaultError):
            login.finish_mfa(instance.server, caught.value.request_id, method.id, code)
    finally:
        call(root, "DELETE", enforcement)
