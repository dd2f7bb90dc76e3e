# A machine that keeps its certificates: it has them signed, and may revoke those whose key it has.
path "pki/sign/web" {
  capabilities = ["update"]
}
path "pki/revoke-with-key" {
  capabilities = ["update"]
}

# Of an acme mount, where vaultd keeps a public certificate: whether there is another one, and its key.
path "acme/certs/shop" {
  capabilities = ["read"]
}
path "acme/keypair/shop" {
  capabilities = ["read"]
}
