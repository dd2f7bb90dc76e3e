//! `run --locked` and `--receipt`: which versions a command gets, and what the server says it gave.

use std::collections::BTreeMap;
use std::path::Path;

use super::Args;
use super::fetch::{self, Read};
use super::kept;
use crate::atomic;
use crate::error::{Outcome, local};
use crate::lock_file::{LockFile, beside};
use crate::manifest::USUAL;
use crate::reference::Reference;
use crate::session::Session;

/// Where the manifest is, if one is in use.
pub(super) fn manifest(args: &Args) -> Option<&Path> {
    let usual = args.locked.then_some(Path::new(USUAL));
    args.manifest.as_deref().or(usual)
}

pub(super) async fn read(
    session: &Session,
    args: &Args,
    references: impl Iterator<Item = &Reference>,
) -> Outcome<BTreeMap<String, Read>> {
    let paths = references.map(|reference| reference.path.as_str());
    let paths = match manifest(args).filter(|_| args.locked) {
        Some(manifest) => LockFile::read(&beside(manifest))?.pin(paths)?,
        None => paths.map(|path| (path.to_owned(), None)).collect(),
    };
    let Some(file) = &args.receipt else {
        return kept::all(session, &paths, &args.kept).await;
    };
    let (read, receipts) = fetch::with_receipts(session, &paths).await?;
    let text = serde_json::to_string_pretty(&receipts)
        .map_err(|error| local(error.to_string(), "leave out --receipt"))?;
    atomic::replace(file, format!("{text}\n").as_bytes(), 0o644)?;
    Ok(read)
}
