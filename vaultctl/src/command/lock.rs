//! `lock`: pins the newest versions of what a manifest refers to.

use std::path::PathBuf;

use super::run::fetch;
use crate::error::{Failure, Outcome, local};
use crate::lock_file::{LockFile, beside};
use crate::manifest::{Manifest, USUAL};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose secrets; the versions go beside it, into vault.lock
    #[arg(long, default_value = USUAL, value_name = "FILE")]
    manifest: PathBuf,
    /// Write nothing, only say what is not locked or not the newest [exit 0 all is, 2 not]
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let manifest = Manifest::read(&args.manifest)?;
    let path = beside(&args.manifest);
    let before = match path.exists() {
        true => LockFile::read(&path)?,
        false => LockFile::default(),
    };
    let paths = manifest.paths().map(|path| (path.to_owned(), None));
    let read = fetch::all(session, &paths.collect()).await?;
    let mut after = LockFile::default();
    for (path, read) in read {
        if read.version == 0 {
            return Err(local(
                format!("{path} has no versions: its mount is KV version 1"),
                "move it to a version 2 mount: vaultctl secrets enable --path NEW kv-v2",
            ));
        }
        after.secrets.insert(path, read.version);
    }
    let changes = changes(&before, &after);
    if args.check && !changes.is_empty() {
        session.out.line(&changes.join("\n"))?;
        return Err(Failure::Silent(2));
    }
    if changes.is_empty() {
        return session.out.done("All are locked at their newest version.");
    }
    after.write(&path)?;
    session.out.line(&changes.join("\n"))
}

fn changes(before: &LockFile, after: &LockFile) -> Vec<String> {
    let gone = before
        .secrets
        .keys()
        .filter(|path| !after.secrets.contains_key(*path));
    let gone = gone.map(|path| format!("{path}: no longer needed"));
    let fresh = after
        .secrets
        .iter()
        .filter_map(|(path, version)| match before.secrets.get(path) {
            Some(old) if old == version => None,
            Some(old) => Some(format!("{path}: version {old} -> {version}")),
            None => Some(format!("{path}: version {version}")),
        });
    fresh.chain(gone).collect()
}
