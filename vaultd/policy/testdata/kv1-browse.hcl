path "*" { capabilities = ["list"] }
path "kv/" { capabilities = ["list"] }
path "kv/+/+/password" { capabilities = ["read"] }
path "kv/+/public/*" { capabilities = ["read", "list"] }
path "kv/team" { capabilities = ["subscribe", "recover", "read"]
  subscribe_event_types = ["*"] }
