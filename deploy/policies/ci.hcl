# A deployment job reads the secrets of the app that it deploys. It cannot list, so a stolen job token
# does not show what else there is.
path "secret/data/apps/web" {
  capabilities = ["read"]
}
