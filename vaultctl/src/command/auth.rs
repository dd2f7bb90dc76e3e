//! `auth enable|disable|list|tune|move`.

use super::mounts::{self, Enable, Kind, List, Tune};
use crate::error::Outcome;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Mount one
    Enable(Box<Enable>),
    /// Unmount one and erase everything in it
    Disable { path: String },
    /// What is mounted where
    List(List),
    /// Change settings of one
    Tune(Box<Tune>),
    /// Mount one elsewhere
    Move { from: String, to: String },
}

pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    let kind = Kind::Auth;
    match command {
        Command::Enable(args) => mounts::enable(session, kind, *args).await,
        Command::Disable { path } => mounts::disable(session, kind, &path).await,
        Command::List(args) => mounts::list(session, kind, &args).await,
        Command::Tune(args) => mounts::tune(session, kind, *args).await,
        Command::Move { from, to } => mounts::move_mount(session, kind, &from, &to).await,
    }
}
