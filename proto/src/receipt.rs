//! Receipts: which versions of which secrets one request was given, signed by the server. No values.
//!
//! Ed25519 (RFC 8032) by the key that signs the audit log, over [`message`]. The text is signed as it
//! stands, so that nothing has to be written the same way twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So that no other signature of that key can be taken for one of these.
const DOMAIN: &[u8] = b"vaultd receipt v1\n";

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whose secrets.
    pub cluster: String,
    /// When they were given out, RFC 3339.
    pub time: String,
    /// Finds the request in the audit log.
    pub request_id: String,
    /// Who got them, as the audit log names it.
    pub display_name: String,
    /// What the login knew about the caller: claims of a CI job.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// In the order in which they were asked for.
    pub secrets: Vec<Given>,
}

/// One secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The API path.
    pub path: String,
    /// 0 where the engine keeps no versions.
    pub version: u64,
}

/// A receipt with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// A [`Receipt`] in JSON, as it was signed.
    pub receipt: String,
    /// The public key, hex: to find the right one, not to believe it.
    pub key: String,
    /// Hex.
    pub signature: String,
}

/// The bytes that are signed.
pub fn message(receipt: &str) -> Vec<u8> {
    [DOMAIN, receipt.as_bytes()].concat()
}
