//! What an issuer published when it was last asked. It is kept in the mount's storage too, so that after
//! a restart an issuer that does not answer stops no login with a known key. What is kept is what was
//! last fetched: a key that was withdrawn does not come back.

use serde::{Deserialize, Serialize};

use super::issuers::Provider;
use super::model::{CONFIG, Config, Source};
use crate::barrier::View;
use crate::core::aside::{Aside, Keep};
use crate::core::fault::Fault;
use crate::jose::{KeySet, VerifyKey};
use crate::outbound::Failure;

const ROW: &str = "published";

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
pub(super) struct Published {
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
pub(super) async fn recall(aside: &Aside, source: &Source) -> Option<Documents> {
    match aside.get::<Documents>(ROW).await {
        Ok(kept) => kept.filter(|kept| kept.source == *source),
        Err(fault) => {
            tracing::warn!(%fault, "what an issuer published cannot be read: it is asked again");
            None
        }
    }
}

/// Keeps the documents, for the next restart.
pub(super) async fn keep(aside: &Aside, documents: &Documents) {
    if matches!(documents.source, Source::Keys(_)) {
        return;
    }
    if let Err(fault) = aside.keep(documents).await {
        tracing::warn!(%fault, "what an issuer published is known until the next restart only");
    }
}

impl Keep for Documents {
    type Kept = ();

    /// Unless the mount has another source by now.
    async fn keep(&self, view: &mut View<'_>) -> Result<(), Fault> {
        let config: Option<Config> = view.get(CONFIG).await?;
        if config.is_some_and(|config| config.source == self.source) {
            view.put(ROW, self).await?;
        }
        Ok(())
    }
}
