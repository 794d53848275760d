# HashiCorp Vault for docker compose: integrated storage, Shamir's seal; `setup` unseals it at each start.
ui = false
disable_mlock = true
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
}
