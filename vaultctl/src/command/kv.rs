//! `kv`: secrets in KV mounts, both versions, one path grammar: `MOUNT/PATH`.

mod diff;
mod edit;
mod list;
mod metadata;
mod secret;
mod versions;
mod write;

use crate::error::Outcome;
use crate::mount::{Located, locate};
use crate::session::Session;

pub(crate) use secret::{current, fetch, value};

/// A secret's place.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// Take PATH literally below this mount
    #[arg(long, value_name = "MOUNT")]
    mount: Option<String>,
    /// MOUNT/PATH
    path: String,
}

impl Place {
    async fn find(&self, session: &Session) -> Outcome<Located> {
        locate(session, self.mount.as_deref(), &self.path).await
    }
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Read a secret
    Get(secret::Get),
    /// Write all values of a secret (a new version)
    Put(write::Put),
    /// Change some values of a secret (a new version)
    Patch(write::Patch),
    /// Files of values into secrets; the same as `vaultctl import`
    Import(super::import::Args),
    /// Mark a version as deleted; undelete brings it back
    Delete(versions::Delete),
    /// Bring deleted versions back
    Undelete(versions::Chosen),
    /// Erase versions for good
    Destroy(versions::Chosen),
    /// Names below a path
    List(list::List),
    /// What is known about a secret beside its values
    #[command(subcommand)]
    Metadata(metadata::Command),
    /// Write an older version again, as the newest
    Rollback(versions::Rollback),
    /// Change a secret in $EDITOR
    Edit(edit::Edit),
    /// What differs between two versions
    Diff(diff::Diff),
}

pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::Get(args) => secret::get(session, args).await,
        Command::Put(args) => write::put(session, args).await,
        Command::Patch(args) => write::patch(session, args).await,
        Command::Import(args) => super::import::run(session, args).await,
        Command::Delete(args) => versions::delete(session, args).await,
        Command::Undelete(args) => versions::undelete(session, args).await,
        Command::Destroy(args) => versions::destroy(session, args).await,
        Command::List(args) => list::list(session, args).await,
        Command::Metadata(command) => metadata::run(session, command).await,
        Command::Rollback(args) => versions::rollback(session, args).await,
        Command::Edit(args) => edit::edit(session, args).await,
        Command::Diff(args) => diff::diff(session, args).await,
    }
}
