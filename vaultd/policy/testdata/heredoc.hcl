path "secret/data/x" {
  comment = <<-EOT
    Two lines,
    both kept.
    EOT
  capabilities = [
    "read", # why
    "list",
  ]
}
