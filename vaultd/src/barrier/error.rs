//! What can go wrong behind the barrier.

use thiserror::Error;

use super::storage::StoreError;

/// Texts name places, never content.
#[derive(Debug, Error)]
pub enum BarrierError {
    /// Another commit changed what this transaction read: run it again.
    #[error("concurrent update")]
    Conflict,
    /// A row fails its check, or is absent where it must be present.
    #[error("stored data is damaged at {0}")]
    Damaged(String),
    /// Above a portable limit.
    #[error("{0}")]
    Limit(&'static str),
    /// The engine failed; after this nothing that was not acknowledged may be assumed either way.
    #[error("storage: {0}")]
    Storage(#[from] StoreError),
    /// Stored bytes were authentic but not of the expected form: a fault of ours or a downgrade.
    #[error("stored data at {0} is not understood by this version")]
    Unreadable(String),
    /// The root key, keyring or seal record does not fit.
    #[error("{0}")]
    Key(&'static str),
}
