//! Batch tokens: sealed blobs that carry all that is known of them, with a checksum at the end.

use std::collections::HashSet;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vault_crypto::{Aad, Random, RecordKey, checked};
use zeroize::Zeroizing;

use super::Token;
use crate::core::fault::Fault;

pub const PREFIX: &str = "hvb.";
/// Characters of the checksum.
const CHECKSUM: usize = 6;

/// What opens them, and which of them are worth nothing any more.
pub struct BatchTokens {
    key: RecordKey,
    /// Fingerprints of those that were handed in as leaked: nothing else of them is stored.
    pub leaked: ArcSwap<HashSet<String>>,
}

impl BatchTokens {
    pub fn new(key: RecordKey) -> BatchTokens {
        BatchTokens {
            key,
            leaked: ArcSwap::default(),
        }
    }

    pub fn seal(&self, token: &Token, random: &dyn Random) -> Result<Zeroizing<String>, Fault> {
        let plain = serde_json::to_vec(token).map_err(|_| Fault::Internal("batch token"))?;
        let blob = URL_SAFE_NO_PAD.encode(self.key.seal(random, &aad(), &plain));
        let secret = checked(format!("{PREFIX}{blob}"));
        Ok(Zeroizing::new(secret.expose().to_owned()))
    }

    /// The token, whether it was handed in or not.
    pub fn open(&self, secret: &str) -> Option<Token> {
        if !vault_crypto::checksum_ok(secret) {
            return None;
        }
        let blob = secret.strip_prefix(PREFIX)?;
        let blob = blob.get(..blob.len().checked_sub(CHECKSUM)?)?;
        let sealed = URL_SAFE_NO_PAD.decode(blob).ok()?;
        let plain = self.key.open(aad().as_bytes(), &sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

fn aad() -> Aad {
    Aad::new("vaultd batch token").u64(1)
}
