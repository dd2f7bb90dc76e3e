name = "old"
path "/secret/a/*" { policy = "write" }
path "secret/b" { policy = "read" }
path "secret/c"
{
  policy = "sudo"
}
path "secret/d/*" { policy = "deny" }
