path "secret/metadata/*" {
  capabilities        = ["list", "scan"]
  pagination_limit    = 100
  required_parameters = ["limit"]
}
