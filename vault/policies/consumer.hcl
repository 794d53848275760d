# A consumer (a relay, or one cluster of a container provider): what its alias says it is bound to, and nothing else.
# Vault evaluates the names at each request. A name that is not set grants nothing.

path "${mount}/data/bundles/{{identity.entity.aliases.${consumer_accessor}.custom_metadata.certificate}}" {
  capabilities = ["read"]
}

path "${mount}/data/relays/{{identity.entity.aliases.${consumer_accessor}.custom_metadata.relay}}" {
  capabilities = ["read"]
}

path "${mount}/data/providers/{{identity.entity.aliases.${consumer_accessor}.custom_metadata.provider}}" {
  capabilities = ["read"]
}

# What it reports of itself. It reads it, too: a compare-and-set has to name the version.
path "${mount}/data/status/{{identity.entity.aliases.${consumer_accessor}.custom_metadata.consumer}}" {
  capabilities = ["create", "read", "update"]
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
