//! `cert`: certificates that keep themselves.

pub(crate) mod agent;
pub(crate) mod config;
mod metrics;
mod watched;

use crate::args::Globals;
use crate::argv::Face;
use crate::error::Outcome;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Renew certificates in time, reload what serves them, and see that it does; else take it back
    Agent(agent::Args),
}

pub(crate) async fn run(globals: &Globals, face: Face, command: Command) -> Outcome {
    match command {
        Command::Agent(args) => agent::run(globals, face, &args).await,
    }
}
