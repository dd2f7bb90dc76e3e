//! A transaction narrowed to one mount: the only thing of the disk that an engine sees.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::BarrierError;
use super::feed::Change;
use super::tx::{Cursor, Tx, Window};

/// Paths are `/`-separated names of at most 255 bytes each. Nothing is written before the
/// transaction commits; after a conflict the engine is run again from the start.
pub struct View<'t> {
    tx: &'t mut Tx,
    mount: u64,
}

/// What a mount asked to be reminded of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminder {
    pub mount: u64,
    pub about: String,
}

const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

impl<'t> View<'t> {
    pub(super) fn new(tx: &'t mut Tx, mount: u64) -> View<'t> {
        View { tx, mount }
    }

    /// A value stored by [`View::put`].
    pub async fn get<T: DeserializeOwned>(
        &mut self,
        path: &str,
    ) -> Result<Option<T>, BarrierError> {
        match self.get_bytes(path).await? {
            Some(bytes) => from_json(path, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// [`get`](Self::get) for what is read far more often than written and is no secret: it stays
    /// parsed in memory until it changes.
    pub async fn get_shared<T>(&mut self, path: &str) -> Result<Option<Arc<T>>, BarrierError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let parse = |bytes: &[u8]| serde_json::from_slice(bytes).ok();
        self.tx.get_parsed(self.mount, path, parse).await
    }

    pub async fn get_bytes(
        &mut self,
        path: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, BarrierError> {
        self.tx.get(self.mount, path, true).await
    }

    /// What [`put_unlisted`](Self::put_unlisted) stored.
    pub async fn get_unlisted<T: DeserializeOwned>(
        &mut self,
        path: &str,
    ) -> Result<Option<T>, BarrierError> {
        match self.tx.get(self.mount, path, false).await? {
            Some(bytes) => from_json(path, &bytes).map(Some),
            None => Ok(None),
        }
    }

    pub async fn exists(&mut self, path: &str) -> Result<bool, BarrierError> {
        Ok(self.get_bytes(path).await?.is_some())
    }

    /// Stores a value that [`View::list`] shows in its directory.
    pub async fn put<T: Serialize>(&mut self, path: &str, value: &T) -> Result<(), BarrierError> {
        self.put_bytes(path, to_json(value)?).await
    }

    pub async fn put_bytes(
        &mut self,
        path: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), BarrierError> {
        check(path)?;
        self.tx.put(self.mount, path, value.as_ref(), true).await
    }

    /// Stores a value that is found only by its whole path: one row, where the path is a fingerprint.
    pub async fn put_unlisted<T: Serialize>(
        &mut self,
        path: &str,
        value: &T,
    ) -> Result<(), BarrierError> {
        check(path)?;
        self.tx.put(self.mount, path, &to_json(value)?, false).await
    }

    pub async fn put_unlisted_bytes(
        &mut self,
        path: &str,
        value: &[u8],
    ) -> Result<(), BarrierError> {
        check(path)?;
        self.tx.put(self.mount, path, value, false).await
    }

    /// Stores what [`get_shared`](Self::get_shared) reads.
    pub async fn put_shared<T>(&mut self, path: &str, value: T) -> Result<(), BarrierError>
    where
        T: Serialize + Send + Sync + 'static,
    {
        self.put(path, &value).await?;
        self.tx.remember(self.mount, path, Arc::new(value));
        Ok(())
    }

    /// Stores an unlisted value at a path that was never used before.
    pub fn put_new<T: Serialize>(&mut self, path: &str, value: &T) -> Result<(), BarrierError> {
        check(path)?;
        self.tx.put_new(self.mount, path, &to_json(value)?)
    }

    /// Absent is fine.
    pub async fn delete(&mut self, path: &str) -> Result<(), BarrierError> {
        self.tx.delete(self.mount, path, true).await
    }

    pub async fn delete_unlisted(&mut self, path: &str) -> Result<(), BarrierError> {
        self.tx.delete(self.mount, path, false).await
    }

    /// Direct children of a directory (`""` or `a/b`), sorted; directories end in `/`.
    pub async fn list(&mut self, directory: &str) -> Result<Vec<String>, BarrierError> {
        self.list_within(directory, &Window::default()).await
    }

    /// The part of [`View::list`] that is asked for.
    pub async fn list_within(
        &mut self,
        directory: &str,
        window: &Window,
    ) -> Result<Vec<String>, BarrierError> {
        self.tx.list(self.mount, directory, window).await
    }

    /// An error if entries of a directory may be missing, which [`View::page`] does not ask.
    pub async fn check_directory(&mut self, directory: &str) -> Result<(), BarrierError> {
        self.tx.check_directory(self.mount, directory).await
    }

    /// Has the mount reminded of `about` at that time or soon after. Two reminders for one time need
    /// two ids.
    pub async fn put_due(
        &mut self,
        at: Timestamp,
        id: &[u8; 16],
        about: &str,
    ) -> Result<(), BarrierError> {
        let reminder = Reminder {
            mount: self.mount,
            about: about.to_owned(),
        };
        self.tx.put_due(due_ms(at), id, &to_json(&reminder)?).await
    }

    pub async fn delete_due(&mut self, at: Timestamp, id: &[u8; 16]) -> Result<(), BarrierError> {
        self.tx.delete_due(due_ms(at), id).await
    }

    /// Tells subscribers of a change, once it is committed: the path as clients know it, what was done,
    /// and the newest version after it.
    pub fn announce(&mut self, path: &str, what: &'static str, version: u64) {
        self.tx.announce(Change {
            mount: self.mount,
            path: path.to_owned(),
            what,
            version,
        });
    }

    /// The next of a directory's committed children, in an order that means nothing; none after the
    /// last. For directories too long to be listed at once: what changes meanwhile may be missed.
    pub async fn page(
        &mut self,
        directory: &str,
        cursor: &mut Cursor,
    ) -> Result<Vec<String>, BarrierError> {
        self.tx.page(self.mount, directory, cursor).await
    }
}

/// The first millisecond at which it is past.
fn due_ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0) + 1
}

fn to_json<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, BarrierError> {
    serde_json::to_vec(value)
        .map(Zeroizing::new)
        .map_err(|_| BarrierError::Limit("the value cannot be stored"))
}

fn from_json<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, BarrierError> {
    serde_json::from_slice(bytes).map_err(|_| BarrierError::Unreadable(path.to_owned()))
}

fn check(path: &str) -> Result<(), BarrierError> {
    if path.len() > PATH_MAX || path.split('/').any(|name| name.len() > NAME_MAX) {
        return Err(BarrierError::Limit(
            "a path is at most 4096 bytes, each part of it at most 255",
        ));
    }
    Ok(())
}
