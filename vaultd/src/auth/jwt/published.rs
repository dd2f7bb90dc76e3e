//! What an issuer published when it was last asked. It is kept in the mount's storage too, so that after
//! a restart an issuer that does not answer stops no login with a known key. What is kept is what was
//! last fetched: a key that was withdrawn does not come back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::Random;

use super::issuers::{KEPT, Provider};
use super::model::Source;
use crate::barrier::View;
use crate::core::aside::{Aside, Keep};
use crate::core::fault::Fault;
use crate::jose::{KeySet, VerifyKey};
use crate::outbound::Failure;

/// Where a mount with one issuer keeps it.
pub(super) const ROW: &str = "published";
/// Rows that a folder may have.
const ROWS_MAX: usize = 500;
/// Rows of a folder that need no tidying.
const ROWS_FEW: usize = 50;
/// Rows that are looked at in one transaction.
const CHUNK: usize = 20;

/// As it came.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Documents {
    pub source: Source,
    pub provider: Option<Provider>,
    /// JWK sets.
    pub key_sets: Vec<String>,
    /// Seconds since 1970.
    pub at: i64,
}

/// Ready for use.
pub(in crate::auth) struct Published {
    pub keys: KeySet,
    pub provider: Option<Provider>,
    /// Seconds since 1970.
    pub at: i64,
}

impl Documents {
    pub(super) fn read(&self) -> Result<Published, Failure> {
        let mut keys = match &self.source {
            Source::Keys(texts) => static_keys(texts)?,
            _ => KeySet::default(),
        };
        for text in &self.key_sets {
            keys.extend(key_set(text.as_bytes())?);
        }
        Ok(Published {
            keys,
            provider: self.provider.clone(),
            at: self.at,
        })
    }
}

pub(super) fn static_keys(texts: &[String]) -> Result<KeySet, Failure> {
    let keys: Result<Vec<_>, _> = texts.iter().map(|text| VerifyKey::from_pem(text)).collect();
    let keys = keys.map_err(|_| Failure::Answer("a public key is not one"))?;
    Ok(KeySet::new(keys.into_iter().flatten().collect()))
}

pub(super) fn key_set(text: &[u8]) -> Result<KeySet, Failure> {
    KeySet::from_jwks(text).map_err(|_| Failure::Answer("expected a JWK set"))
}

/// For a mount that gets another source.
pub(super) async fn forget(view: &mut View<'_>) -> Result<(), Fault> {
    Ok(view.delete(ROW).await?)
}

/// What was last fetched from this source.
pub(super) async fn recall(aside: &Aside, row: &str, source: &Source) -> Option<Documents> {
    match aside.get::<Documents>(row).await {
        Ok(kept) => kept.filter(|kept| kept.source == *source),
        Err(fault) => {
            tracing::warn!(%fault, "what an issuer published cannot be read: it is asked again");
            None
        }
    }
}

/// Keeps the documents, for the next restart.
pub(super) async fn keep(aside: &Aside, row: &str, documents: &Documents) {
    if matches!(documents.source, Source::Keys(_)) {
        return;
    }
    if let Err(fault) = aside.keep(&Row { row, documents }).await {
        tracing::warn!(%fault, "what an issuer published is known until the next restart only");
    }
}

struct Row<'a> {
    row: &'a str,
    documents: &'a Documents,
}

impl Keep for Row<'_> {
    type Kept = ();

    /// Unless its folder is full. What is of a source that the mount no longer has is not recalled.
    async fn keep(&self, view: &mut View<'_>) -> Result<(), Fault> {
        let room = match self.row.rsplit_once('/') {
            Some((folder, _)) if !view.exists(self.row).await? => {
                view.list(folder).await?.len() < ROWS_MAX
            }
            _ => true,
        };
        if room {
            view.put(self.row, self.documents).await?;
        }
        Ok(())
    }
}

/// Forgets what is too old to be used, of some rows of a folder: others are looked at next time.
pub(in crate::auth) async fn tidy(
    folder: &str,
    now: Timestamp,
    random: &dyn Random,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let mut names = view.list(folder).await?;
    if names.len() <= ROWS_FEW {
        return Ok(());
    }
    let mut start = [0; 8];
    random.fill(&mut start);
    let start = u64::from_le_bytes(start) % names.len() as u64;
    names.rotate_left(usize::try_from(start).unwrap_or(0));
    for name in names.iter().take(CHUNK) {
        let row = format!("{folder}/{name}");
        let kept: Option<Documents> = view.get(&row).await?;
        if kept.is_some_and(|kept| now.as_second().saturating_sub(kept.at) > KEPT) {
            view.delete(&row).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
