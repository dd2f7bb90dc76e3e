//! `ci`: what the owner of CI jobs needs to let them log in.

mod claims;
mod explain;
mod forge;
mod setup;
mod snippet;
pub(crate) mod ssh;

use crate::error::Outcome;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Let the jobs of a project log in: writes the mount's config if it has none, and a role bound
    /// to ids that nobody can take over; prints what to add to the job
    Setup(Box<setup::Args>),
    /// Why a job's identity token is refused: its claims beside those of a role. The token is not
    /// printed, nor sent anywhere [exit 0 they match, 2 they do not]
    Explain(explain::Args),
    /// Start a command in which git finds the managed SSH key of each repository, and knows its host
    Ssh(Box<ssh::Args>),
}

pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::Setup(args) => setup::run(session, *args).await,
        Command::Explain(args) => explain::run(session, args).await,
        Command::Ssh(args) => ssh::run(session, *args).await,
    }
}
