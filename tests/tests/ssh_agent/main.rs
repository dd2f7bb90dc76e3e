//! SSH keys in the hands of jobs: agents, and git through them, with OpenSSH's own programs.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agent;
mod ci_ssh;
mod forge;
mod host;
