path "transit/encrypt/orders" { capabilities = ["update"] }
path "transit/decrypt/orders" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["list"], }
path "transit/keys/+/rotate" { capabilities = ["update", "sudo"] }
