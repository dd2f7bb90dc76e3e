//! Keys that rotate without an outage: vaultd, OpenSSH's server and client, git, and the APIs of forges.
#![expect(clippy::unwrap_used, reason = "tests")]

mod failures;
mod fleet;
mod forges;
mod jobs;
mod kills;
mod records;
mod servers;
mod site;
