//! `kv list`, `-R` for everything below.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use vault_sdk::{Call, Client, Error};

use super::Place;
use crate::command::raw::keys;
use crate::command::search::search;
use crate::error::{Outcome, plain};
use crate::mount::Located;
use crate::progress::Progress;
use crate::session::Session;

/// Folders read at the same time.
const AT_ONCE: usize = 8;
/// A tree deeper than this is not followed: a server could make one without end.
const MAX_DEPTH: usize = 64;

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
    /// Everything below, with whole paths
    #[arg(short = 'R', long)]
    recursive: bool,
}

pub(super) async fn list(session: &Session, args: List) -> Outcome {
    let place = args.place.find(session).await?;
    if args.recursive {
        let names = match at_once(session, &place).await {
            Some(names) => names,
            None => walk(session, &place).await?,
        };
        return session.out.names(&names);
    }
    let answer = session.send_wrapping(Call::list(place.folder())).await?;
    session.out.warnings(&answer.body);
    session.out.names(&keys(answer.data()))
}

/// What the server's own search finds; `None` if it has none, or finds nothing: a walk says why.
async fn at_once(session: &Session, place: &Located) -> Option<Vec<String>> {
    let prefix = format!("{}/", place.plain().trim_end_matches('/'));
    let found = search(session, &[("prefix", prefix.as_str())]).await.ok()?;
    Some(found.names).filter(|names| !names.is_empty())
}

/// All secrets below a place, sorted, as `MOUNT/PATH`. Folders that may not be listed are named
/// on stderr and skipped.
async fn walk(session: &Session, place: &Located) -> Outcome<Vec<String>> {
    let progress = Progress::spinner("listing");
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut reads: JoinSet<(Located, Result<Value, Error>)> = JoinSet::new();
    let mut names = Vec::new();
    let mut is_root = true;
    start(&mut reads, &session.client, &permits, place.clone());
    while let Some(done) = reads.join_next().await {
        let (folder, read) = done.map_err(|e| plain(format!("a reader stopped: {e}")))?;
        match read {
            Ok(data) => {
                for name in keys(&data) {
                    let path = format!("{}/{name}", folder.rest);
                    let child = folder.at(path.trim_start_matches('/').trim_end_matches('/'));
                    if !name.ends_with('/') {
                        names.push(child.plain());
                    } else if child.rest.split('/').count() <= MAX_DEPTH {
                        start(&mut reads, &session.client, &permits, child);
                    }
                }
            }
            Err(error) if is_root => return Err(error.into()),
            Err(Error::NotFound { .. }) => {}
            Err(error) => eprintln!("warning: {} is left out: {error}", folder.plain()),
        }
        is_root = false;
        progress.say(format!("listing: {} found", names.len()));
    }
    names.sort();
    Ok(names)
}

fn start(
    reads: &mut JoinSet<(Located, Result<Value, Error>)>,
    client: &Client,
    permits: &Arc<Semaphore>,
    folder: Located,
) {
    let (client, permits) = (client.clone(), permits.clone());
    reads.spawn(async move {
        let _permit = permits.acquire_owned().await;
        let read = client
            .send(Call::list(folder.folder()))
            .await
            .map(|answer| answer.data().clone());
        (folder, read)
    });
}
