# Operators run the server. They cannot read secrets: no rule here covers a KV mount, and they cannot
# write policies, which would let them grant it to themselves. They can destroy: removing a mount
# removes what it stores.

# Mounts and login methods; policies to look at.
path "sys/mounts" {
  capabilities = ["read"]
}
path "sys/mounts/*" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
path "sys/auth" {
  capabilities = ["read", "sudo"]
}
path "sys/auth/*" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read"]
}

# Seal, key terms, new shares, and the check of what is stored.
path "sys/seal" {
  capabilities = ["update", "sudo"]
}
path "sys/rotate" {
  capabilities = ["update", "sudo"]
}
path "sys/key-status" {
  capabilities = ["read"]
}
path "sys/rekey/*" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
path "sys/integrity/verify" {
  capabilities = ["update", "sudo"]
}
path "sys/audit" {
  capabilities = ["read", "sudo"]
}
