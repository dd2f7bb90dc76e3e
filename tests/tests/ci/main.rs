//! The owner of CI jobs: what `vaultctl` does for a job, with the real programs.
#![expect(clippy::unwrap_used, reason = "tests")]

mod job;
mod mask;
mod run;
