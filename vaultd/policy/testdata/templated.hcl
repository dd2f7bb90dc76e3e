path "secret/data/{{identity.entity.id}}/*" {
  capabilities = ["create", "update", "patch", "read", "delete"]
}
path "secret/data/team-{{identity.entity.metadata.team}}*" {
  capabilities = ["read"]
}
path "secret/data/{{ identity.groups.names.dev ops.id }}/shared" {
  capabilities = ["read"]
}
