//! The HTTP API as a client sees it: real server, real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod approle;
mod bad_input;
mod envelope;
mod github;
mod harness;
mod jwt;
mod kubernetes;
mod kv;
mod leak;
mod leases;
mod nobody;
mod oidc;
mod policy;
mod routes;
mod setup;
mod system;
mod tokens;
mod transit;
mod userpass;
mod wire;
mod wrapping;
