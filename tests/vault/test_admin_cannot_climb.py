"""An administrator's token cannot give anybody a permission: every way to grant one is tried and refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Instance
from tests.vault.conftest import Call
from vault import login
from vault.errors import Denied
from vault.session import Token, Vault

pytestmark = pytest.mark.live

ALL = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'


@pytest.fixture(scope="module")
def names(instance: Instance, call: Call, accessors: dict[str, str]) -> Iterator[dict[str, str]]:
    """What attacks refer to: mounts, accessors, and a person whose identity carries a mighty policy."""
    root, mount = instance.root.token, instance.server.mount
    instance.admin.consumers.ensure("relay-own")
    instance.admin.consumers.bind("relay-own", None)
    role = f"{instance.server.prefixed('relay-own')}"
    role_path = f"auth/{instance.server.consumer_mount}/role/{role}"
    call(root, "PUT", f"sys/policies/acl/{mount}x-mighty", {"policy": ALL})
    boss = call(root, "POST", "identity/entity", {"name": f"{mount}x-boss", "policies": [f"{mount}x-mighty"]})
    group = call(root, "POST", "identity/group", {"name": f"{mount}x-staff", "policies": [f"{mount}x-mighty"]})
    own = instance.admin.lookup_self()
    own_entity = call(root, "GET", f"identity/entity/id/{own.entity_id}").json["data"]
    yield {
        "mount": mount,
        "prefix": mount,
        "people": instance.userpass_mount,
        "people_accessor": accessors[instance.userpass_mount],
        "consumers": instance.server.consumer_mount,
        "consumers_accessor": accessors[instance.server.consumer_mount],
        "services": instance.server.service_mount,
        "services_accessor": accessors[instance.server.service_mount],
        "role": role,
        "role_id": call(root, "GET", f"{role_path}/role-id").json["data"]["role_id"],
        "boss": boss.json["data"]["id"],
        "boss_name": f"{mount}x-boss",
        "group": group.json["data"]["id"],
        "own_entity": own.entity_id,
        "own_entity_name": own_entity["name"],
        "own_alias": own_entity["aliases"][0]["id"],
        "own_accessor": own.accessor,
        "worker_accessor": instance.worker.lookup_self().accessor,
    }
    call(root, "DELETE", f"identity/entity/id/{boss.json['data']['id']}")
    call(root, "DELETE", f"identity/group/id/{group.json['data']['id']}")
    call(root, "DELETE", f"sys/policies/acl/{mount}x-mighty")


def filled(value: Any, names: dict[str, str]) -> Any:
    """The attack with its `{name}` put in."""
    if isinstance(value, str) and value != ALL:
        return value.format_map(names)
    if isinstance(value, dict):
        return {filled(key, names): filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return value


CONSUMER_ROLE = {
    "token_policies": "{prefix}-consumer",
    "token_no_default_policy": True,
    "token_ttl": "20m",
    "token_period": "20m",
}
ROLE = "auth/{consumers}/role/{role}"
NEW_ROLE = "auth/{consumers}/role/{prefix}-relay-new"
BINDING = {"name": "{role_id}", "mount_accessor": "{consumers_accessor}", "custom_metadata": {"certificate": "one"}}

ATTACKS: dict[str, tuple[str, str, Any]] = {
    # Tokens
    "a token of its own": ("POST", "auth/token/create", {}),
    "a root token": ("POST", "auth/token/create", {"policies": ["root"]}),
    "a token with the default policy": ("POST", "auth/token/create", {"policies": ["default"]}),
    "a token with the worker's policy": ("POST", "auth/token/create", {"policies": ["{prefix}-worker"]}),
    "a token with the consumers' policy": ("POST", "auth/token/create", {"policies": ["{prefix}-consumer"]}),
    "an orphan token": ("POST", "auth/token/create-orphan", {"policies": ["{prefix}-worker"]}),
    "a token of a token role": ("POST", "auth/token/create/any", {}),
    "a token role": ("POST", "auth/token/roles/any", {"allowed_policies": ["{prefix}-worker"]}),
    "the tokens' accessors": ("LIST", "auth/token/accessors", None),
    "another token's accessor": ("POST", "auth/token/lookup-accessor", {"accessor": "{worker_accessor}"}),
    "renewal by accessor": ("POST", "auth/token/renew-accessor", {"accessor": "{worker_accessor}"}),
    "revocation by accessor": ("POST", "auth/token/revoke-accessor", {"accessor": "{worker_accessor}"}),
    # People
    "a new person": ("POST", "auth/{people}/users/eve", {"password": "x", "token_policies": ["{prefix}-worker"]}),
    "another policy for itself": ("POST", "auth/{people}/users/admin", {"token_policies": ["{prefix}-worker"]}),
    "its policies by their own path": ("POST", "auth/{people}/users/admin/policies", {"policies": "{prefix}-worker"}),
    "another's password": ("POST", "auth/{people}/users/auditor/password", {"password": "x"}),
    "the list of people": ("LIST", "auth/{people}/users", None),
    "the removal of a person": ("DELETE", "auth/{people}/users/auditor", None),
    # Policies
    "its own policy": ("PUT", "sys/policies/acl/{prefix}-admin", {"policy": ALL}),
    "the consumers' policy": ("PUT", "sys/policies/acl/{prefix}-consumer", {"policy": ALL}),
    "the default policy": ("PUT", "sys/policies/acl/default", {"policy": ALL}),
    "a new policy of the reserved prefix": ("POST", "sys/policies/acl/{prefix}-new", {"policy": ALL}),
    "a policy by the old path": ("PUT", "sys/policy/{prefix}-admin", {"policy": ALL}),
    "the removal of a policy": ("DELETE", "sys/policies/acl/{prefix}-consumer", None),
    "a password policy": ("PUT", "sys/policies/password/any", {"policy": "length = 4"}),
    # Identities
    "a mighty entity": ("POST", "identity/entity", {"name": "{prefix}-new", "policies": ["{prefix}-worker"]}),
    "an entity by name": ("POST", "identity/entity/name/{prefix}-new", {"metadata": {"a": "b"}}),
    "policies for its own entity": ("POST", "identity/entity/id/{own_entity}", {"policies": ["{prefix}-worker"]}),
    "the same by name": ("POST", "identity/entity/name/{own_entity_name}", {"policies": ["{prefix}-worker"]}),
    "metadata for its own entity": ("POST", "identity/entity/id/{own_entity}", {"metadata": {"certificate": "one"}}),
    "metadata for another's entity": ("POST", "identity/entity/name/{boss_name}", {"metadata": {"a": "b"}}),
    "the removal of another's entity": ("DELETE", "identity/entity/id/{boss}", None),
    "a merge into its own entity": (
        "POST",
        "identity/entity/merge",
        {"from_entity_ids": ["{boss}"], "to_entity_id": "{own_entity}"},
    ),
    "a merge of its own entity": (
        "POST",
        "identity/entity/merge",
        {"from_entity_ids": ["{own_entity}"], "to_entity_id": "{boss}"},
    ),
    "the list of entities": ("LIST", "identity/entity/id", None),
    "the list of entities by name": ("LIST", "identity/entity/name", None),
    "another's entity": ("GET", "identity/entity/id/{boss}", None),
    "the removal of several entities": ("POST", "identity/entity/batch-delete", {"entity_ids": ["{boss}"]}),
    "a group": ("POST", "identity/group", {"name": "g", "policies": ["{prefix}-worker"]}),
    "membership of a group": ("POST", "identity/group/id/{group}", {"member_entity_ids": ["{own_entity}"]}),
    "membership by the group's name": (
        "POST",
        "identity/group/name/{mount}x-staff",
        {"member_entity_ids": ["{own_entity}"]},
    ),
    "a group's alias": (
        "POST",
        "identity/group-alias",
        {"name": "g", "mount_accessor": "{people_accessor}", "canonical_id": "{group}"},
    ),
    "the old path of entities": ("POST", "identity/persona", {"name": "x", "entity_id": "{boss}"}),
    "an identity token": ("GET", "identity/oidc/token/any", None),
    "an identity token's role": ("POST", "identity/oidc/role/any", {"key": "default"}),
    # Aliases: a role that logs in as a mighty entity has that entity's policies
    "an alias on a chosen entity": ("POST", "identity/entity-alias", {**BINDING, "canonical_id": "{boss}"}),
    "an alias on its own entity": ("POST", "identity/entity-alias", {**BINDING, "canonical_id": "{own_entity}"}),
    "the same by the old name": ("POST", "identity/entity-alias", {**BINDING, "entity_id": "{boss}"}),
    "the same in capitals": ("POST", "identity/entity-alias", {**BINDING, "Canonical_ID": "{boss}"}),
    "the same with an id": ("POST", "identity/entity-alias", {**BINDING, "id": "{own_alias}"}),
    "an alias on the people's mount": (
        "POST",
        "identity/entity-alias",
        {**BINDING, "mount_accessor": "{people_accessor}"},
    ),
    "an alias on the services' mount": (
        "POST",
        "identity/entity-alias",
        {**BINDING, "mount_accessor": "{services_accessor}"},
    ),
    "an alias on several mounts": (
        "POST",
        "identity/entity-alias",
        {**BINDING, "mount_accessor": ["{consumers_accessor}", "{people_accessor}"]},
    ),
    "an alias on no mount": ("POST", "identity/entity-alias", {"name": "x", "custom_metadata": {"a": "b"}}),
    "an alias by its id": (
        "POST",
        "identity/entity-alias/id/{own_alias}",
        {**BINDING, "canonical_id": "{boss}"},
    ),
    "the removal of an alias": ("DELETE", "identity/entity-alias/id/{own_alias}", None),
    "the list of aliases": ("LIST", "identity/entity-alias/id", None),
    "a look at another's entity": ("POST", "identity/lookup/entity", {"id": "{boss}"}),
    "a look at it by name": ("POST", "identity/lookup/entity", {"name": "{boss_name}"}),
    "a look at a person's alias": (
        "POST",
        "identity/lookup/entity",
        {"alias_name": "auditor", "alias_mount_accessor": "{people_accessor}"},
    ),
    "a look at a group": ("POST", "identity/lookup/group", {"id": "{group}"}),
    # Roles
    "a role with another policy": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "token_policies": "{prefix}-worker"}),
    "a role with root": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "token_policies": "root"}),
    "a role with a policy more": (
        "POST",
        NEW_ROLE,
        {**CONSUMER_ROLE, "token_policies": "{prefix}-consumer,{prefix}-worker"},
    ),
    "a role with a list of policies": (
        "POST",
        NEW_ROLE,
        {**CONSUMER_ROLE, "token_policies": ["{prefix}-consumer", "{prefix}-worker"]},
    ),
    "a role with the old parameter": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "policies": "{prefix}-worker"}),
    "a role with a second spelling": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "Token_Policies": "{prefix}-worker"}),
    "a role with the default policy": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "token_no_default_policy": False}),
    "a role without policies": ("POST", NEW_ROLE, {"token_ttl": "20m"}),
    "a role with nothing": ("POST", NEW_ROLE, {}),
    "a role whose tokens last": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "token_period": "87600h"}),
    "a role without SecretIDs": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "bind_secret_id": False}),
    "a role with a chosen RoleID": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "role_id": "chosen"}),
    "a role with batch tokens": ("POST", NEW_ROLE, {**CONSUMER_ROLE, "token_type": "batch"}),
    "a role's policies by their own path": ("POST", ROLE + "/policies", {"policies": "{prefix}-worker"}),
    "the same by the new name": ("POST", ROLE + "/token-policies", {"token_policies": "{prefix}-worker"}),
    "a role's RoleID": ("POST", ROLE + "/role-id", {"role_id": "chosen"}),
    "a role's period": ("POST", ROLE + "/period", {"token_period": "87600h"}),
    "a role's need of a SecretID": ("POST", ROLE + "/bind-secret-id", {"bind_secret_id": False}),
    "a role of the services": ("POST", "auth/{services}/role/{prefix}-index", {"token_policies": "{prefix}-worker"}),
    "a SecretID of the worker": ("POST", "auth/{services}/role/{prefix}-worker/secret-id", {}),
    "the RoleID of the worker": ("GET", "auth/{services}/role/{prefix}-worker/role-id", None),
    # SecretIDs
    "a SecretID in clear": ("POST", ROLE + "/secret-id", {}),
    "a SecretID in clear by PUT": ("PUT", ROLE + "/secret-id", {}),
    "a SecretID with a lifetime": ("POST", ROLE + "/secret-id", {"ttl": "87600h"}),
    "a SecretID with metadata": ("POST", ROLE + "/secret-id", {"metadata": '{{"role_name": "x"}}'}),
    "a SecretID of its own choice": ("POST", ROLE + "/custom-secret-id", {"secret_id": "chosen-secret"}),
    "the accessors of SecretIDs": ("LIST", ROLE + "/secret-id", None),
    # Mounts, engine, server
    "an auth mount": ("POST", "sys/auth/mine", {"type": "userpass"}),
    "the tuning of an auth mount": ("POST", "sys/auth/{consumers}/tune", {"description": "x"}),
    "a secrets mount": ("POST", "sys/mounts/mine", {"type": "kv"}),
    "the removal of the mount": ("DELETE", "sys/mounts/{mount}", None),
    "another place for the mount": ("POST", "sys/remount", {"from": "{mount}", "to": "mine"}),
    "the engine's settings": ("POST", "{mount}/config", {"cas_required": False}),
    "a bundle's engine settings": ("POST", "{mount}/metadata/bundles/one", {"cas_required": False}),
    "a bundle's number of versions": (
        "POST",
        "{mount}/metadata/bundles/one",
        {"custom_metadata": {}, "max_versions": 1},
    ),
    "a consumer's report": ("POST", "{mount}/data/status/relay-own", {"options": {"cas": 0}, "data": {"a": 1}}),
    "the audit devices": ("GET", "sys/audit", None),
    "an audit device less": ("DELETE", "sys/audit/main", None),
    "the seal": ("POST", "sys/seal", None),
    "the logins that need a second factor": ("POST", "identity/mfa/login-enforcement/any", {"mfa_method_ids": []}),
    "a namespace": ("POST", "sys/namespaces/mine", {}),
}


@pytest.fixture(scope="module")
def consumer(instance: Instance, names: dict[str, str]) -> Vault:
    """A consumer that is bound to nothing."""
    return enrolled(instance, "relay-own")


def enrolled(instance: Instance, name: str) -> Vault:
    """The consumer's own Vault."""
    enrollment = instance.admin.consumers.enroll(name, 60)
    secret_id = login.unwrap_secret_id(instance.server, enrollment.wrapping_token)
    mount = instance.server.consumer_mount
    return Vault(instance.server, login.service_login(instance.server, enrollment.role_id, secret_id, mount).token)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("role", ["admin", "auditor", "index", "worker"])
def test_nobody_of_us_can_grant_or_take(
    instance: Instance, call: Call, names: dict[str, str], role: str, attack: str
) -> None:
    if (role, attack) == ("worker", "the list of aliases"):
        return  # the one thing the worker may see besides: all bindings in one request
    verb, path, body = ATTACKS[attack]
    vault: Vault = getattr(instance, role)
    answer = call(vault.token, verb, filled(path, names), filled(body, names))
    assert answer.status == 403


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack != "a consumer's report"])
def test_a_consumer_can_neither(call: Call, consumer: Vault, names: dict[str, str], attack: str) -> None:
    verb, path, body = ATTACKS[attack]
    assert call(consumer.token, verb, filled(path, names), filled(body, names)).status == 403


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if attack not in {"a SecretID in clear", "a SecretID in clear by PUT"}],
)
def test_wrapping_the_request_opens_nothing(instance: Instance, call: Call, names: dict[str, str], attack: str) -> None:
    verb, path, body = ATTACKS[attack]
    answer = call(instance.admin.token, verb, filled(path, names), filled(body, names), wrap_ttl="300s")
    assert answer.status == 403


def test_the_attacks_differ_from_what_is_allowed_only_in_what_makes_them_attacks(
    instance: Instance, call: Call, names: dict[str, str]
) -> None:
    token = instance.admin.token
    assert call(token, "POST", filled(NEW_ROLE, names), filled(CONSUMER_ROLE, names)).allowed
    assert call(token, "DELETE", filled(NEW_ROLE, names)).allowed
    assert call(token, "POST", "identity/entity-alias", filled(BINDING, names)).allowed
    assert call(token, "POST", filled(ROLE + "/secret-id", names), {}, wrap_ttl="60s").allowed
    lookup = {"alias_name": names["role_id"], "alias_mount_accessor": names["consumers_accessor"]}
    assert call(token, "POST", "identity/lookup/entity", lookup).allowed


@pytest.mark.parametrize(
    "attack",
    [
        "a token of its own",
        "the tokens' accessors",
        "another token's accessor",
        "the list of people",
        "another's entity",
        "the list of aliases",
        "a look at another's entity",
        "a look at a person's alias",
        "a SecretID of the worker",
        "a SecretID in clear",
        "the accessors of SecretIDs",
        "the audit devices",
    ],
)
def test_root_can_do_what_is_refused_to_an_administrator(
    instance: Instance, call: Call, names: dict[str, str], attack: str
) -> None:
    verb, path, body = ATTACKS[attack]
    assert call(instance.root.token, verb, filled(path, names), filled(body, names)).allowed


@pytest.mark.parametrize("wrap_ttl", ["1s", "59s", "25h", "8760h"])
def test_a_secret_id_waits_neither_shorter_nor_longer_than_the_policy_says(
    instance: Instance, call: Call, names: dict[str, str], wrap_ttl: str
) -> None:
    answer = call(instance.admin.token, "POST", filled(ROLE + "/secret-id", names), {}, wrap_ttl=wrap_ttl)
    assert answer.status == 403


def test_an_alias_on_a_mighty_entity_would_have_made_its_role_mighty(
    instance: Instance, call: Call, names: dict[str, str]
) -> None:
    """Why `canonical_id` is refused: what root can do here, an administrator must not (ADR 0005)."""
    consumers = instance.admin.consumers
    consumers.ensure("relay-trojan")
    enrollment = consumers.enroll("relay-trojan", 60)
    alias = {"name": enrollment.role_id, "mount_accessor": names["consumers_accessor"], "canonical_id": names["boss"]}
    assert call(instance.admin.token, "POST", "identity/entity-alias", alias).status == 403
    assert call(instance.root.token, "POST", "identity/entity-alias", alias).allowed
    secret_id = login.unwrap_secret_id(instance.server, enrollment.wrapping_token)
    token = login.service_login(instance.server, enrollment.role_id, secret_id, instance.server.consumer_mount).token
    assert call(token, "GET", "sys/mounts").allowed
    consumers.remove("relay-trojan")


def test_an_alias_made_by_an_administrator_belongs_to_an_entity_of_its_own(
    instance: Instance, call: Call, names: dict[str, str]
) -> None:
    answer = call(instance.admin.token, "POST", "identity/entity-alias", filled({**BINDING, "name": "any"}, names))
    entity = call(instance.root.token, "GET", f"identity/entity/id/{answer.json['data']['canonical_id']}").json["data"]
    assert entity["policies"] == []
    assert entity["group_ids"] == []
    assert entity["id"] not in {names["boss"], names["own_entity"]}


def test_people_do_not_carry_the_default_policy(instance: Instance) -> None:
    assert instance.admin.lookup_self().policies == (instance.server.prefixed("admin"),)
    assert instance.auditor.lookup_self().policies == (instance.server.prefixed("auditor"),)


def test_the_worker_hands_out_no_credentials(instance: Instance, names: dict[str, str], call: Call) -> None:
    for wrap_ttl in ("", "300s"):
        answer = call(instance.worker.token, "POST", filled(ROLE + "/secret-id", names), {}, wrap_ttl=wrap_ttl)
        assert answer.status == 403


def test_whoever_unwraps_an_enrolment_cannot_hand_its_token_on(instance: Instance, call: Call) -> None:
    instance.admin.consumers.ensure("relay-leaf")
    token: Token = enrolled(instance, "relay-leaf").token
    for path in ("auth/token/create", "auth/token/create-orphan", "sys/wrapping/wrap", "cubbyhole/x"):
        assert call(token, "POST", path, {"policies": ["default"]}).status == 403
    with pytest.raises(Denied):
        Vault(instance.server, token).consumers.enroll("relay-leaf", 60)
