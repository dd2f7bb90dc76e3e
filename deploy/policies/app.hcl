# An app reads its own secrets and nothing else. It sees neither the names nor the history of others.
path "secret/data/apps/web" {
  capabilities = ["read"]
}

# What all apps share.
path "secret/data/apps/shared" {
  capabilities = ["read"]
}
