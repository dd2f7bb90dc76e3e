path "secret/restricted" {
  capabilities = ["create", "update", "patch"]
  allowed_parameters = {
    "foo" = []
    "bar" = ["zip", "zap"]
    "n"   = [1, 2.5, true]
    "*"   = []
  }
  denied_parameters {
    "admin" = []
  }
}
