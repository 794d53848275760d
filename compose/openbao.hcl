# OpenBao for docker compose: integrated storage, unsealed by the static key, audited to a file.
ui = false
api_addr = "https://vault:8200"
cluster_addr = "https://127.0.0.1:8201"

storage "raft" {
  path = "/vault/data"
  node_id = "compose"
  performance_multiplier = 1
}

listener "tcp" {
  address = "0.0.0.0:8200"
  cluster_address = "127.0.0.1:8201"
  tls_cert_file = "/files/vault/server.pem"
  tls_key_file = "/files/vault/server-key.pem"
  # `setup` makes a root token with the recovery key after an upgrade, and revokes it.
  disable_unauthed_generate_root_endpoints = false
}

seal "static" {
  current_key_id = "1"
  current_key = "file:///files/vault/seal-key"
}

audit "file" "main" {
  options {
    file_path = "/vault/logs/audit.log"
  }
}
