//! Changes of secrets as they happen, behind a cursor that never skips one.

use std::time::Duration;

use serde::Deserialize;

use crate::{Call, Client, Error};

const PATH: &str = "sys/events/subscribe/kv";

/// Some changes, and where to go on.
#[derive(Debug, Clone, Deserialize)]
pub struct Changes {
    /// For the next call.
    pub cursor: String,
    /// In the order in which they were committed.
    pub events: Vec<Change>,
}

/// One change of one secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// With a slash at its end.
    pub mount: String,
    /// In the mount; empty if the mount as a whole came or went.
    pub path: String,
    /// `write`, `delete` (also by time), `undelete`, `destroy`, `metadata-write` or
    /// `metadata-delete`; `mount` or `unmount` of a whole mount.
    pub operation: String,
    /// The newest version after it; 0 where there are none.
    pub version: u64,
}

impl Change {
    /// Whether the secret at this path of the API, without the engine's own part of it, such as
    /// `secret/app`, may be another one now.
    pub fn concerns(&self, whole: &str) -> bool {
        match whole.strip_prefix(&self.mount) {
            Some(rest) => self.path.is_empty() || rest == self.path,
            None => false,
        }
    }
}

impl Client {
    /// Where the changes are now. Take it before reading what is to be followed: what changes
    /// from then on is told.
    ///
    /// # Errors
    /// A server that has no events answers 404 or 403.
    pub async fn changes_cursor(&self) -> Result<String, Error> {
        self.data::<Changes>(Call::get(PATH))
            .await
            .map(|changes| changes.cursor)
    }

    /// Waits for changes behind a cursor, of secrets that the token may read; none after `wait`,
    /// which is cut to 60 seconds.
    ///
    /// # Errors
    /// [`Error::Api`] with status 410 if the cursor is too old: get a new one, then read again.
    pub async fn changes(&self, cursor: &str, wait: Duration) -> Result<Changes, Error> {
        let wait = wait.min(Duration::from_secs(60));
        let call = Call::get(PATH)
            .query("cursor", cursor)
            .query("wait", wait.as_secs())
            .timeout(wait + Duration::from_secs(15));
        self.data(call).await
    }
}
