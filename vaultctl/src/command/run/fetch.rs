//! Reading what `run` needs: all at once, one error for all that is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Wanted;
use crate::command::kv;
use crate::error::{Outcome, local, plain};
use crate::mount::locate;
use crate::session::Session;

/// Secrets read at the same time.
const AT_ONCE: usize = 8;

/// Reads every distinct path once, several at a time; the data in the order of `wanted`.
pub(super) async fn all(session: &Session, wanted: &[Wanted]) -> Outcome<Vec<Map<String, Value>>> {
    let paths: BTreeSet<&str> = wanted.iter().map(|w| w.reference.path.as_str()).collect();
    let mut found = BTreeMap::new();
    let mut problems = Vec::new();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut reads = JoinSet::new();
    for path in paths {
        let (session, permits, path) = (session.clone(), permits.clone(), path.to_owned());
        reads.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let place = locate(&session, None, &path).await;
            let read = match place {
                Ok(place) => kv::fetch(&session, &place, None).await,
                Err(failure) => Err(failure),
            };
            (path, read)
        });
    }
    while let Some(done) = reads.join_next().await {
        match done.map_err(|e| plain(format!("a reader stopped: {e}")))? {
            (path, Ok(secret)) => {
                found.insert(path, secret.data);
            }
            (path, Err(failure)) => problems.push((path, failure)),
        }
    }
    if problems.len() == 1
        && let Some((_, failure)) = problems.pop()
    {
        return Err(failure);
    }
    if !problems.is_empty() {
        problems.sort_by(|a, b| a.0.cmp(&b.0));
        let lines: Vec<_> = problems
            .iter()
            .map(|(path, failure)| format!("  {path}: {failure}"))
            .collect();
        return Err(local(
            format!(
                "{} secrets cannot be read:\n{}",
                lines.len(),
                lines.join("\n")
            ),
            "check the paths and your policies: vaultctl whoami",
        ));
    }
    Ok(wanted
        .iter()
        .map(|w| found.get(&w.reference.path).cloned().unwrap_or_default())
        .collect())
}
