//! The ACME server: as ACME clients of Debian use it, and as nobody should.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bindings;
mod client;
mod clients;
mod networks;
mod protocol;
mod refusals;
mod site;
