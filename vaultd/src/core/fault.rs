//! What can go wrong, seen from above. The one mapping to HTTP is in `http::respond`.
//!
//! Texts are part of the wire contract: clients match on several of them. No text here, and none
//! passed in, may hold a value that a caller sent; name the field instead.

use serde_json::{Map, Value};
use thiserror::Error;

/// The outcome of a request that was not answered with success.
#[derive(Debug, Error)]
pub enum Fault {
    /// 400: the request cannot be carried out as it stands.
    #[error("{0}")]
    Invalid(String),
    /// 400, with data about who was refused, which is recorded like an answer's.
    #[error("{text}")]
    Described {
        text: String,
        data: Map<String, Value>,
    },
    /// 403 from the policy check.
    #[error("permission denied")]
    Denied,
    /// 403: no token, or one that is unknown, expired, revoked or used from elsewhere.
    #[error("permission denied")]
    BadToken,
    /// 403 with a text of its own.
    #[error("{0}")]
    Forbidden(String),
    /// 404 with an empty list of errors: nothing is stored there.
    #[error("not found")]
    Missing,
    /// 404: nothing is mounted there, or the engine has no such path.
    #[error("{0}")]
    NoRoute(String),
    /// 404 with the warning that sends people to the right path of a KV v2 mount.
    #[error("not a path of a versioned store")]
    NotVersioned,
    /// 410: what the request goes on from is no longer known.
    #[error("{0}")]
    Gone(&'static str),
    /// 405.
    #[error("unsupported operation")]
    Unsupported,
    /// 413.
    #[error("request body too large")]
    TooLarge,
    /// 415.
    #[error("{0}")]
    MediaType(String),
    /// 429, to be tried again after this many seconds.
    #[error("too many requests")]
    Limited { retry_after: u64 },
    /// 429: a quota refuses it.
    #[error("{text}")]
    Quota {
        text: String,
        /// Seconds, if waiting helps.
        retry_after: Option<u64>,
    },
    /// 503.
    #[error("Vault is sealed")]
    Sealed,
    /// A concurrent commit changed what this request read. Never leaves the pipeline: it runs again.
    #[error("concurrent update")]
    Conflict,
    /// 500: what is stored fails its check. The text names the place, never the content.
    #[error("stored data is damaged at {0}; run 'vaultctl operator verify'")]
    Damaged(String),
    /// 500: the storage engine failed.
    #[error("storage failed: {0}")]
    Storage(String),
    /// 500: no audit device recorded the request, so it was not carried out or not answered.
    #[error("internal error")]
    Audit,
    /// 500 for a request that a client is known to refuse by this status and text.
    #[error("{0}")]
    Refused(&'static str),
    /// 500: a fault of ours.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Fault {
    /// The same again, for a second recipient.
    pub fn repeated(&self) -> Fault {
        match self {
            Fault::Damaged(place) => Fault::Damaged(place.clone()),
            Fault::Storage(cause) => Fault::Storage(cause.clone()),
            Fault::Internal(what) => Fault::Internal(what),
            _ => Fault::BadToken,
        }
    }

    /// A client mistake, with the text that the client sees.
    pub fn invalid(text: impl Into<String>) -> Fault {
        Fault::Invalid(text.into())
    }
}

impl From<crate::barrier::BarrierError> for Fault {
    fn from(error: crate::barrier::BarrierError) -> Fault {
        use crate::barrier::BarrierError as E;
        match error {
            E::Conflict => Fault::Conflict,
            E::Damaged(place) | E::Unreadable(place) => Fault::Damaged(place),
            E::Limit(text) => Fault::Invalid(text.to_owned()),
            E::Storage(cause) => Fault::Storage(cause.to_string()),
            E::Key(text) => Fault::Storage(text.to_owned()),
        }
    }
}
