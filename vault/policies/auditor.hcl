# An auditor: reads what is public, who is bound to what, and Keystead's own policies. Changes nothing.

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

path "${mount}/data/relays/+" {
  capabilities = ["read"]
}

path "${mount}/data/providers/+" {
  capabilities = ["read"]
}

path "${mount}/data/status/+" {
  capabilities = ["read"]
}

path "${mount}/data/probes/+" {
  capabilities = ["read"]
}

path "${mount}/data/canaries/+" {
  capabilities = ["read"]
}

path "${mount}/data/jobs/+" {
  capabilities = ["read"]
}

path "${mount}/data/journal" {
  capabilities = ["read"]
}

# Who is bound to what.
path "auth/${consumer_mount}/role" {
  capabilities = ["list"]
}

path "auth/${consumer_mount}/role/+" {
  capabilities = ["read"]
}

path "auth/${consumer_mount}/role/+/role-id" {
  capabilities = ["read"]
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
