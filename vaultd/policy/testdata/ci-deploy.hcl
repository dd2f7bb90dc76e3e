/* A CI job: reads its secrets, signs its keys,
   and revokes its own token. */
path "kv/data/ci/+/deploy" {
  capabilities = ["read"]
}
path "ssh/sign/ci" {
  capabilities        = ["update"]
  allowed_parameters  = {
    "public_key"       = []
    "valid_principals" = ["deploy", "deploy-*"]
  }
  required_parameters = ["public_key"]
}
path "auth/token/revoke-self" { capabilities = ["update"] }
