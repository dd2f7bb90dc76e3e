//! The HTTP API as a client sees it: real server, real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod approle;
mod bad_input;
mod envelope;
mod harness;
mod kv;
mod leak;
mod leases;
mod nobody;
mod policy;
mod routes;
mod setup;
mod system;
mod tokens;
mod transit;
mod userpass;
mod wire;
mod wrapping;
