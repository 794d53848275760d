# The index of the web and delivery processes: everything that is public, and no secret.

# The public half of every bundle, those prepared in advance included: field names, without values (ADR 0001).
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

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
