//! Certificates from an authority outside: vaultd against Pebble, with BIND for the DNS.
#![expect(clippy::unwrap_used, reason = "tests")]

mod api;
mod challenges;
mod listener;
mod lives;
mod machine;
mod own;
mod site;
