# An administrator: writes everything, reads everything that is public, and cannot read a key or climb.

# Bundles: keys go in and do not come out. No `read` here, nor on `staged`: that is the whole point.
path "${mount}/data/bundles/+" {
  capabilities = ["create", "update", "patch", "delete"]
}

path "${mount}/data/staged/+" {
  capabilities = ["create", "update", "delete"]
}

path "${mount}/subkeys/bundles/+" {
  capabilities = ["read"]
}

path "${mount}/subkeys/staged/+" {
  capabilities = ["read"]
}

path "${mount}/delete/+/+" {
  capabilities = ["update"]
}

path "${mount}/undelete/+/+" {
  capabilities = ["update"]
}

path "${mount}/destroy/+/+" {
  capabilities = ["update"]
}

# Display name, comment and labels, but not the settings of the engine (`cas_required`, `max_versions`).
# `delete` destroys every version.
path "${mount}/metadata/+/+" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "custom_metadata" = []
  }
}

path "${mount}/metadata/+/" {
  capabilities = ["list"]
}

path "${mount}/detailed-metadata/+/" {
  capabilities = ["list"]
}

path "${mount}/data/relays/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "${mount}/data/providers/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "${mount}/data/probes/+" {
  capabilities = ["read"]
}

path "${mount}/data/canaries/+" {
  capabilities = ["create", "read"]
}

path "${mount}/data/jobs/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "${mount}/data/status/+" {
  capabilities = ["read"]
}

path "${mount}/data/journal" {
  capabilities = ["create", "read", "update"]
}

# Consumers: a role whose tokens carry the consumers' policy and nothing else. `+` does not open the paths below a role.
path "auth/${consumer_mount}/role" {
  capabilities = ["list"]
}

path "auth/${consumer_mount}/role/+" {
  capabilities = ["create", "read", "update", "delete"]
  required_parameters = ["token_policies", "token_no_default_policy", "token_ttl", "token_period"]
  allowed_parameters = {
    "token_policies" = ["${prefix}-consumer"]
    "token_no_default_policy" = [true]
    "token_ttl" = ["${consumer_token_ttl}"]
    "token_period" = ["${consumer_token_ttl}"]
  }
}

path "auth/${consumer_mount}/role/+/role-id" {
  capabilities = ["read"]
}

# A SecretID comes wrapped or not at all.
path "auth/${consumer_mount}/role/+/secret-id" {
  capabilities = ["update"]
  min_wrapping_ttl = "${min_wrapped_for_s}s"
  max_wrapping_ttl = "${max_wrapped_for_s}s"
  denied_parameters = {
    "*" = []
  }
}

# Bindings: the alias of a role. Only on the consumers' mount, and never on a chosen entity (`canonical_id`): a role
# that logs in as another entity would get that entity's policies (ADR 0005).
path "identity/entity-alias" {
  capabilities = ["create", "update"]
  required_parameters = ["name", "mount_accessor", "custom_metadata"]
  allowed_parameters = {
    "name" = []
    "mount_accessor" = ["${consumer_accessor}"]
    "custom_metadata" = []
  }
}

path "identity/lookup/entity" {
  capabilities = ["update"]
  required_parameters = ["alias_name", "alias_mount_accessor"]
  allowed_parameters = {
    "alias_name" = []
    "alias_mount_accessor" = ["${consumer_accessor}"]
  }
}

path "sys/policies/acl/${prefix}-*" {
  capabilities = ["read"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
