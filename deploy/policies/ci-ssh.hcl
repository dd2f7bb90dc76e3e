# A job logs in with the deploy key `web`, which stays in the server, and asks for nothing else: not for
# the key, nor for the names of others.
path "sshkeys/lookup" {
  capabilities = ["read"]
}
path "sshkeys/sign/web" {
  capabilities = ["update"]
}
