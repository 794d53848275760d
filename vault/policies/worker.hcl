# The worker: the one process that reads keys (to test, to activate, to roll back). It listens on nothing.

path "${mount}/data/bundles/+" {
  capabilities = ["create", "read", "update", "patch"]
}

path "${mount}/data/staged/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "${mount}/subkeys/bundles/+" {
  capabilities = ["read"]
}

path "${mount}/subkeys/staged/+" {
  capabilities = ["read"]
}

path "${mount}/metadata/+/" {
  capabilities = ["list"]
}

path "${mount}/detailed-metadata/+/" {
  capabilities = ["list"]
}

path "${mount}/metadata/+/+" {
  capabilities = ["read"]
}

# Done work is cleared away; documents of people are not the worker's to remove.
path "${mount}/metadata/staged/+" {
  capabilities = ["read", "delete"]
}

path "${mount}/metadata/canaries/+" {
  capabilities = ["read", "delete"]
}

path "${mount}/metadata/jobs/+" {
  capabilities = ["read", "delete"]
}

# `+` matches nothing, too, and the rules above would be taken for the lists themselves.
path "${mount}/metadata/staged/" {
  capabilities = ["list"]
}

path "${mount}/metadata/canaries/" {
  capabilities = ["list"]
}

path "${mount}/metadata/jobs/" {
  capabilities = ["list"]
}

path "${mount}/data/relays/+" {
  capabilities = ["read"]
}

path "${mount}/data/providers/+" {
  capabilities = ["read"]
}

path "${mount}/data/status/+" {
  capabilities = ["read"]
}

# What a handshake from outside showed of each consumer.
path "${mount}/data/probes/+" {
  capabilities = ["create", "read", "update"]
}

path "${mount}/data/canaries/+" {
  capabilities = ["read"]
}

path "${mount}/data/jobs/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "${mount}/data/journal" {
  capabilities = ["create", "read", "update"]
}

# Makes roles and bindings equal to the documents again, within the administrators' limits. It hands out no SecretID.
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

path "identity/entity-alias" {
  capabilities = ["create", "update"]
  required_parameters = ["name", "mount_accessor", "custom_metadata"]
  allowed_parameters = {
    "name" = []
    "mount_accessor" = ["${consumer_accessor}"]
    "custom_metadata" = []
  }
}

# All bindings in one request. It names the aliases of other mounts, too: Vault has no narrower list.
path "identity/entity-alias/id" {
  capabilities = ["list"]
}

path "identity/lookup/entity" {
  capabilities = ["update"]
  required_parameters = ["alias_name", "alias_mount_accessor"]
  allowed_parameters = {
    "alias_name" = []
    "alias_mount_accessor" = ["${consumer_accessor}"]
  }
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
