path "auth/approle/role/app/secret-id" {
  capabilities     = ["create", "update"]
  min_wrapping_ttl = "1m"
  max_wrapping_ttl = 300
}
