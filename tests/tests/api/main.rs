//! The HTTP API as a client sees it: real server, real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod approle;
mod audit_devices;
mod bad_input;
mod batch;
mod cert;
mod envelope;
mod events;
mod external_groups;
mod github;
mod harness;
mod identity;
mod jwt;
mod kubernetes;
mod kv;
mod leak;
mod leases;
mod nobody;
mod oidc;
mod oidc_tokens;
mod policy;
mod quotas;
mod routes;
mod search;
mod setup;
mod ssh;
mod sys_rest;
mod system;
mod tokens;
mod transit;
mod userpass;
mod watch;
mod why;
mod wire;
mod wrapping;
