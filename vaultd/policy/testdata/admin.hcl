# Runs the server, reads no secrets.
path "sys/health"        { capabilities = ["read", "sudo"] }
path "sys/policies/acl"  { capabilities = ["list"] }
path "sys/policies/acl/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "auth/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "sys/auth/*" {
  capabilities = ["create", "update", "delete", "sudo"]
}
path "sys/auth" { capabilities = ["read"] }
path "sys/mounts*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "sys/seal" {
  capabilities = ["update", "sudo"]
}
path "secret/*" { capabilities = ["deny"] }
