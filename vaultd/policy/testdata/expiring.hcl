path "secret/data/incident/*" {
  comment      = "for the week of the incident only"
  capabilities = ["read"]
  expiration   = "2027-01-08T00:00:00Z"
}
