//! Ciphertext rows: ordered byte keys under one monotone revision.
//!
//! Promises: a commit is all or nothing and durable before it is answered; every engine here passes
//! the same conformance suite. Not promised: secrecy or integrity of the bytes, which is the
//! barrier's work. Nothing here can decrypt.

mod batch;
mod changes;
mod health;
mod lock;
mod memory;
mod sqlite;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod model;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

pub use changes::{Change, Watch};
pub use lock::{LockGuard, LockId};
pub use memory::{Fault, Memory};
pub use sqlite::Sqlite;

/// One monotone commit counter per store: each committed batch that wrote is one revision.
pub type Rev = u64;

/// Bytes.
pub const KEY_MAX: usize = 512;
/// Bytes: 1 MiB of value and what the barrier adds to it.
pub const VALUE_MAX: usize = (1 << 20) + (1 << 10);

/// A scan or snapshot page is cut after this many bytes of values.
const PAGE_BYTES: usize = 4 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub key: Bytes,
    pub val: Bytes,
    /// When it was last written.
    pub rev: Rev,
}

/// What must hold for a transaction to be applied.
#[derive(Clone, Debug)]
pub enum Cond {
    /// The row exists with this revision.
    Rev(Bytes, Rev),
    Absent(Bytes),
    Exists(Bytes),
    /// The row still is as it was read: with this revision, or 0 if it was absent. The store had reached
    /// `since` before, so that nobody has to ask for a row that did not change after it.
    Read {
        key: Bytes,
        rev: Rev,
        since: Rev,
    },
    /// No row in `[lo, hi)` was put or deleted after `since`; with `since` 0: there is no row.
    /// Engines remember a bounded number of changes; before that the answer is "conflict".
    NoneNewer {
        lo: Bytes,
        hi: Bytes,
        since: Rev,
    },
    /// This is the newest token given out for the lock.
    Fence(LockId, u64),
}

#[derive(Clone, Debug)]
pub enum Op {
    Put(Bytes, Bytes),
    Del(Bytes),
}

/// Applied as a whole if all its conditions hold.
#[derive(Clone, Debug, Default)]
pub struct Txn {
    pub conds: Vec<Cond>,
    pub ops: Vec<Op>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(Rev),
    Conflict,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// The answer did not arrive: the commit may or may not have happened.
    #[error("the outcome of a commit is unknown ({0}); read before writing again")]
    Ambiguous(String),
    #[error(
        "the data directory's file system is full; free space, nothing of this batch was written"
    )]
    Full,
    /// At commit the outcome is unknown until the store was opened again.
    #[error("i/o error: {0}")]
    Io(String),
    #[error("the stored data is damaged: {0}")]
    Corrupt(String),
    #[error("another process is using the data directory; stop it first")]
    Locked,
    #[error("{0}")]
    Limit(&'static str),
    #[error("the store is closed")]
    Closed,
}

/// Called once for each batch, after the conditions were evaluated (true: the transaction holds) and
/// before the batch is made durable. Returns the rows that belong to the batch as a whole. Runs on
/// a thread that may block; a panic in it closes the store.
pub type Finish = Box<dyn FnOnce(&[bool]) -> Vec<Op> + Send>;

#[derive(Clone, Debug, Default)]
pub struct Page {
    pub items: Vec<Item>,
    /// There are further rows after the last item.
    pub more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    pub key_max: usize,
    pub value_max: usize,
    /// An acknowledged commit survives loss of power.
    pub durable: bool,
    /// Other processes may write to the same store.
    pub shared: bool,
}

/// What the barrier needs from an engine. Keys are `1..=KEY_MAX` bytes.
pub trait Storage {
    fn get(&self, key: &[u8]) -> impl Future<Output = Result<Option<Item>, StoreError>> + Send;

    /// Rows of `[lo, hi)` in key order, those after `after`, at most `limit` (at least 1).
    fn scan(
        &self,
        lo: &[u8],
        hi: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Evaluates the transactions in order, each seeing its predecessors' effect, and makes all that
    /// hold durable at once under one revision. An error is an error of the whole batch. Goes
    /// on if the future is dropped.
    fn commit(
        &self,
        batch: Vec<Txn>,
        finish: Finish,
    ) -> impl Future<Output = Result<Vec<Outcome>, StoreError>> + Send;

    /// The current revision, as no earlier than the call.
    fn barrier(&self) -> impl Future<Output = Result<Rev, StoreError>> + Send;

    /// The last revision applied here; no I/O. Rows may already be visible at a higher one.
    fn revision(&self) -> Rev;

    /// Changes after `from`.
    fn watch(&self, from: Rev) -> Watch;

    /// Waits until the lock is free or its holder's time is over. Tokens grow over the life of
    /// the store, restarts included.
    fn lock(
        &self,
        id: LockId,
        ttl: Duration,
    ) -> impl Future<Output = Result<LockGuard, StoreError>> + Send;

    /// All rows at one revision; does not hold up the writer.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    fn caps(&self) -> Caps;

    /// Whether the engine's own structure is sound. If not, rows that are there may not be found.
    fn is_sound(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Finishes what was begun and gives up the data; every later call answers `Closed`.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// The engines that exist.
pub enum Engine {
    Sqlite(Sqlite),
    Memory(Memory),
}

macro_rules! on_engine {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            Engine::Sqlite($engine) => $call,
            Engine::Memory($engine) => $call,
        }
    };
}

impl Storage for Engine {
    async fn get(&self, key: &[u8]) -> Result<Option<Item>, StoreError> {
        on_engine!(self, engine => engine.get(key).await)
    }

    async fn scan(
        &self,
        lo: &[u8],
        hi: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        on_engine!(self, engine => engine.scan(lo, hi, after, limit).await)
    }

    async fn commit(&self, batch: Vec<Txn>, finish: Finish) -> Result<Vec<Outcome>, StoreError> {
        on_engine!(self, engine => engine.commit(batch, finish).await)
    }

    async fn barrier(&self) -> Result<Rev, StoreError> {
        on_engine!(self, engine => engine.barrier().await)
    }

    fn revision(&self) -> Rev {
        on_engine!(self, engine => engine.revision())
    }

    fn watch(&self, from: Rev) -> Watch {
        on_engine!(self, engine => engine.watch(from))
    }

    async fn lock(&self, id: LockId, ttl: Duration) -> Result<LockGuard, StoreError> {
        on_engine!(self, engine => engine.lock(id, ttl).await)
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        on_engine!(self, engine => engine.snapshot().await)
    }

    fn caps(&self) -> Caps {
        on_engine!(self, engine => engine.caps())
    }

    async fn is_sound(&self) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.is_sound().await)
    }

    async fn close(&self) {
        on_engine!(self, engine => engine.close().await)
    }
}

/// Every row as of one revision, page by page in key order.
pub struct Snapshot {
    rev: Rev,
    source: Source,
}

enum Source {
    Sqlite(sqlite::Pages),
    Memory(memory::Pages),
}

impl Snapshot {
    pub fn rev(&self) -> Rev {
        self.rev
    }

    /// The next rows; an empty page is the end.
    pub async fn next(&mut self) -> Result<Vec<Item>, StoreError> {
        match &mut self.source {
            Source::Sqlite(pages) => pages.next().await,
            Source::Memory(pages) => Ok(pages.next()),
        }
    }

    /// Like [`Storage::scan`], as of this revision.
    pub async fn scan(
        &mut self,
        lo: &[u8],
        hi: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        match &mut self.source {
            Source::Sqlite(pages) => pages.scan(lo, hi, after, limit).await,
            Source::Memory(pages) => Ok(pages.scan(lo, hi, after, limit)),
        }
    }

    /// Like [`Storage::get`], as of this revision.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Item>, StoreError> {
        // The first key after this one.
        let after = [key, &[0]].concat();
        let mut page = self.scan(key, &after, None, 1).await?;
        Ok(page.items.pop())
    }

    /// Whether each of these rows is found by its own key, as [`Storage::get`] looks for it.
    pub async fn finds(&mut self, keys: Vec<Bytes>) -> Result<bool, StoreError> {
        match &mut self.source {
            Source::Sqlite(pages) => pages.finds(keys).await,
            Source::Memory(pages) => Ok(pages.finds(&keys)),
        }
    }
}

fn check_ops(ops: &[Op]) -> Result<(), StoreError> {
    for op in ops {
        let (key, val_len) = match op {
            Op::Put(key, val) => (key, val.len()),
            Op::Del(key) => (key, 0),
        };
        if key.is_empty() || key.len() > KEY_MAX {
            return Err(StoreError::Limit(
                "a storage key must be 1 to 512 bytes long",
            ));
        }
        if val_len > VALUE_MAX {
            return Err(StoreError::Limit(
                "a stored value must not be larger than 1 MiB and 1 KiB",
            ));
        }
    }
    Ok(())
}
