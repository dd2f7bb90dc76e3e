//! The owner of CI jobs: what `vaultctl` does for a job, with the real programs.
#![expect(clippy::unwrap_used, reason = "tests")]

mod export;
mod forge;
mod job;
mod locked;
mod login;
mod mask;
mod run;
mod samples;
mod setup;
