//! Shares given so far, and how often an address may try.

use std::collections::HashMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use jiff::Timestamp;
use vault_crypto::{AnyShare, PlainShare, SecretBytes, Share, combine, combine_plain};
use zeroize::Zeroizing;

use crate::barrier::SealRecord;
use crate::core::fault::Fault;

/// Shares of one kind: ours, which name themselves, or Vault's.
#[derive(Default)]
pub struct Progress {
    nonce: String,
    tagged: Vec<Share>,
    plain: Vec<PlainShare>,
}

impl Progress {
    pub fn reset(&mut self) {
        *self = Progress::default();
    }

    pub fn count(&self) -> u32 {
        u32::try_from(self.tagged.len().max(self.plain.len())).unwrap_or(u32::MAX)
    }

    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Adds a share; the same one twice counts once. `Some` is the key, once there are enough.
    pub fn add(
        &mut self,
        text: &str,
        record: &SealRecord,
        nonce: impl FnOnce() -> String,
    ) -> Result<Option<SecretBytes>, Fault> {
        if self.nonce.is_empty() {
            self.nonce = nonce();
        }
        let refused = |error: vault_crypto::ShareError| {
            Fault::invalid(format!("unseal key share refused: {error}"))
        };
        let bytes = decode(text)?;
        match Share::parse(&bytes).map_err(refused)? {
            AnyShare::Tagged(share) => {
                if hex::encode(share.set().as_bytes()) != record.set {
                    return Err(Fault::invalid(format!(
                        "unseal key share refused: share {} belongs to another set of shares than this server's",
                        share.index()
                    )));
                }
                if !self
                    .tagged
                    .iter()
                    .any(|known| known.index() == share.index())
                {
                    self.tagged.push(share);
                }
                match self.tagged.len() >= usize::from(record.threshold) {
                    true => combine(&std::mem::take(&mut self.tagged))
                        .map(Some)
                        .map_err(refused),
                    false => Ok(None),
                }
            }
            AnyShare::Plain(share) => {
                if !self
                    .plain
                    .iter()
                    .any(|known| known.index() == share.index())
                {
                    self.plain.push(share);
                }
                match self.plain.len() >= usize::from(record.threshold) {
                    true => combine_plain(&std::mem::take(&mut self.plain))
                        .map(Some)
                        .map_err(refused),
                    false => Ok(None),
                }
            }
        }
    }
}

/// Hex or base64, as clients have it.
fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let text = text.trim();
    hex::decode(text)
        .ok()
        .or_else(|| STANDARD.decode(text).ok())
        .or_else(|| STANDARD_NO_PAD.decode(text).ok())
        .filter(|bytes| !bytes.is_empty())
        .map(Zeroizing::new)
        .ok_or_else(|| Fault::invalid("'key' must be a valid hex or base64 string"))
}

/// Tries in the current minute, by address.
#[derive(Default)]
pub struct Attempts {
    minute: i64,
    by_address: HashMap<IpAddr, u32>,
}

const PER_MINUTE: u32 = 60;
const ADDRESSES_MAX: usize = 10_000;

impl Attempts {
    /// Counts a try; refuses it above the limit.
    pub fn count(&mut self, address: IpAddr, now: Timestamp) -> Result<(), Fault> {
        let minute = now.as_second() / 60;
        if minute != self.minute || self.by_address.len() > ADDRESSES_MAX {
            self.minute = minute;
            self.by_address.clear();
        }
        let tries = self.by_address.entry(address).or_default();
        *tries += 1;
        if *tries > PER_MINUTE {
            let rest = 60 - now.as_second().rem_euclid(60);
            return Err(Fault::Limited {
                retry_after: rest.unsigned_abs(),
            });
        }
        Ok(())
    }
}
