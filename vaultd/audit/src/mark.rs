//! The lines that the format itself needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use vault_crypto::{PublicKey, SigningKey};

use crate::chain::Link;

/// The format that this crate writes and reads.
pub const VERSION: u32 = 1;

const DOMAIN: &[u8] = b"vaultd audit checkpoint v1";

/// A line that is not an audit entry. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Mark {
    /// The first line of a file.
    Start {
        /// When the file was begun.
        time: String,
        /// Of the format.
        version: u32,
        /// Head of the file before (after a rotation), or zeros.
        previous: String,
    },
    /// A torn last line was cut off when the file was opened.
    Repair {
        /// When.
        time: String,
        /// Bytes removed.
        cut: u64,
    },
    /// The device did not keep up and these records are not in this file.
    Gap {
        /// When the device took lines again.
        time: String,
        /// Records that are missing here.
        lost: u64,
    },
    /// A signature over everything before this line.
    Checkpoint {
        /// When.
        time: String,
        /// Whose log this is.
        cluster: String,
        /// Ed25519 public key, hex.
        key: String,
        /// Ed25519 (RFC 8032), base64.
        signature: String,
    },
}

impl Mark {
    /// `None`: the line is an entry. `Some(None)`: it claims to be a mark but is not canonical.
    pub fn parse(fields: &[u8]) -> Option<Option<Mark>> {
        let kind = fields.strip_prefix(b"{\"type\":\"")?;
        let ours: [&[u8]; 4] = [b"start\"", b"repair\"", b"gap\"", b"checkpoint\""];
        if !ours.iter().any(|name| kind.starts_with(name)) {
            return None;
        }
        let object = [fields, b"}"].concat();
        // One spelling only: whatever the signature does not cover cannot be varied.
        let mark = serde_json::from_slice::<Mark>(&object).ok();
        Some(mark.filter(|mark| mark.to_bytes() == object))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings and numbers always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn checkpoint(
        time: String,
        cluster: &str,
        key: &SigningKey,
        message: &[u8],
    ) -> Mark {
        Mark::Checkpoint {
            time,
            cluster: cluster.to_owned(),
            key: hex::encode(key.public().as_bytes()),
            signature: STANDARD.encode(key.sign(message)),
        }
    }
}

/// The bytes that a checkpoint signs; each text is length-prefixed.
pub(crate) fn signed(time: &str, cluster: &str, seq: u64, before: Link) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    for text in [cluster, time] {
        message.extend_from_slice(&(text.len() as u64).to_be_bytes());
        message.extend_from_slice(text.as_bytes());
    }
    message.extend_from_slice(&seq.to_be_bytes());
    message.extend_from_slice(before.as_bytes());
    message
}

/// The key that a checkpoint names.
pub(crate) fn key_of(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    (hex::encode(key) == text).then_some(key)
}

/// Does the signature hold?
pub(crate) fn signature_holds(key: &PublicKey, message: &[u8], signature: &str) -> bool {
    STANDARD
        .decode(signature)
        .ok()
        .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
        .is_some_and(|signature| key.verify(message, &signature).is_ok())
}
