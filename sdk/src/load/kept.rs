//! Loading through what this host keeps: from the server if it answers, otherwise from a bundle that
//! the server's own signature still allows, otherwise after waiting.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::{Instant, sleep};

use super::{Page, Pages, Place, Stamp, fingerprint};
use crate::bundle::{Cache, Kept};
use crate::connect::{pause, tell_waiting};
use crate::kv2::join;
use crate::problem::Cause;
use crate::{Client, Error, Startup};

/// Secrets, wherever they are from.
pub struct Obtained {
    /// By path.
    pub secrets: BTreeMap<String, Kept>,
    /// Why some have no values.
    pub refused: BTreeMap<String, Error>,
    /// Why the server did not answer, if these were kept.
    pub stale: Option<Error>,
    /// Why these are not kept, if they should be.
    pub not_kept: Option<Error>,
}

/// A pause before the server is tried again; systemd is told that starting takes longer.
pub async fn wait_for_server(reason: &Error) {
    tracing::info!(%reason, "waiting for the server");
    tell_waiting();
    sleep(pause()).await;
}

impl Client {
    pub(super) async fn pages_kept(
        &self,
        cache: &Cache,
        places: &BTreeSet<Place>,
    ) -> Result<Pages, Error> {
        let name = |place: &Place| join(&[&place.mount, &place.path]);
        let names = places.iter().map(|place| (place.clone(), name(place)));
        let names: BTreeMap<Place, String> = names.collect();
        let asked: Vec<_> = names.values().map(|name| (name.clone(), None)).collect();
        let patience = match self.inner.startup {
            Startup::CacheThenWait(limit) => limit,
            _ => std::time::Duration::ZERO,
        };
        let deadline = Instant::now() + patience;
        loop {
            let mut obtained = match self.read_or_kept(cache, &asked).await {
                Ok(obtained) => obtained,
                Err(failure @ Error::Cache(_)) => {
                    if Instant::now() >= deadline {
                        return Err(failure);
                    }
                    wait_for_server(&failure).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if let Some(reason) = &obtained.stale {
                tracing::warn!(%reason, "starting with secrets that were kept");
            }
            if let Some(reason) = &obtained.not_kept {
                tracing::warn!(%reason, "the secrets are not kept for an outage");
            }
            let mut outcome =
                |name: &String| match (obtained.secrets.remove(name), obtained.refused.get(name)) {
                    (Some(kept), _) => Ok(page(kept)),
                    (None, Some(failure)) => Err(Cause::of(failure)),
                    (None, None) => Err(Cause::MissingPath),
                };
            return Ok(names
                .iter()
                .map(|(place, name)| (place.clone(), outcome(name)))
                .collect());
        }
    }

    /// Secrets from the server, which are then kept; or, if it does not answer, what is kept.
    ///
    /// # Errors
    /// [`Error::Cache`] if neither can be had; a server that answers and says no is believed, and what
    /// was kept is removed.
    pub async fn read_or_kept(
        &self,
        cache: &Cache,
        asked: &[(String, Option<u64>)],
    ) -> Result<Obtained, Error> {
        match self.bundle(asked).await {
            Ok(fetched) => {
                let not_kept = cache.keep(asked, &fetched).err();
                Ok(Obtained {
                    secrets: fetched.read()?,
                    refused: fetched.refused,
                    stale: None,
                    not_kept,
                })
            }
            Err(failure) if failure.is_retryable() => Ok(Obtained {
                secrets: cache
                    .load(asked)
                    .map_err(|refused| Error::Cache(format!("{failure}, and {refused}")))?,
                refused: BTreeMap::new(),
                stale: Some(failure),
                not_kept: None,
            }),
            Err(failure) => {
                if matches!(failure, Error::Denied { .. } | Error::InvalidToken { .. }) {
                    cache.forget(asked);
                }
                Err(failure)
            }
        }
    }
}

fn page(kept: Kept) -> Page {
    let stamp = match kept.version {
        0 => Stamp::Content(fingerprint(&kept.values)),
        version => Stamp::Version(version),
    };
    Page {
        values: kept.values,
        stamp,
    }
}
