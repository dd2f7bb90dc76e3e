//! What a server promises about secrets that a host keeps for an outage.

use serde::{Deserialize, Serialize};

/// What goes before the statement when it is signed (Ed25519, RFC 8032).
pub const DOMAIN: &[u8] = b"vaultd/bundle/v1\0";

/// A statement as JSON text, with its signature; both in base64 but the text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signed {
    /// A [`Statement`] as JSON: these bytes are signed.
    pub statement: String,
    /// 64 bytes.
    pub signature: String,
    /// 32 bytes; a client believes the one that it saw first.
    pub public_key: String,
}

/// What was read, when, and for how long it may be used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Statement {
    /// The cluster's id.
    pub cluster: String,
    /// Bundles of a lower epoch are revoked.
    pub epoch: u64,
    /// Seconds since 1970, by the server's clock.
    pub issued: u64,
    /// None in a statement that only tells the epoch.
    #[serde(default)]
    pub secrets: Vec<Entry>,
}

/// One secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// As people write it: mount and path.
    pub path: String,
    /// 0 where there are none.
    pub version: u64,
    /// Seconds after `issued`; 0: not to be kept at all.
    pub max_stale: u64,
    /// SHA-256 of the values' JSON text, in hex.
    pub digest: String,
}
