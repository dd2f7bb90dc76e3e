//! A transaction: remembers what it read, buffers what it writes, commits once.
//!
//! Nothing is held while it runs. At commit every row that was read must still have the revision at
//! which it was read; otherwise `Conflict`, and the caller runs again from the start.

mod absent;
mod commit;
mod listing;
mod window;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
// Never locked: it makes what only one may use at a time `Sync`.
use tokio::sync::Mutex as Exclusive;
use vault_crypto::SecretVec;
use zeroize::Zeroizing;

use super::cache::Cached;
use super::committer::Journal;
use super::envelope;
use super::error::BarrierError;
use super::feed::Change;
use super::names;
use super::rowhash::RowMap;
use super::storage::{Cond, Rev, Snapshot, Storage};
use super::view::View;
use super::{Barrier, Shared};

pub use listing::Cursor;
pub(super) use listing::{entry_of, is_leaf, split_listing};
pub use window::Window;
pub(super) use window::shown;

/// Portable limits, so that data can move between engines.
pub const VALUE_MAX: usize = 1 << 20;

struct Write {
    mount: u64,
    /// Generation of the committed row that this replaces.
    before: Option<u64>,
    /// `None` deletes.
    plain: Option<SecretVec>,
    memo: Option<Arc<dyn Any + Send + Sync>>,
}

pub struct Tx {
    barrier: Arc<Barrier>,
    started: Rev,
    /// Nothing was read that is older.
    refreshed: Rev,
    /// All values as of one revision, for who only reads.
    frozen: Option<Exclusive<Snapshot>>,
    /// Revision of every row read; 0 for absent.
    reads: RowMap<Bytes, Rev>,
    conds: Vec<Cond>,
    writes: BTreeMap<Bytes, Write>,
    journal: Option<Journal>,
    changes: Vec<Change>,
}

impl Tx {
    pub(super) fn new(barrier: Arc<Barrier>) -> Tx {
        let started = barrier.shared().storage.revision();
        let refreshed = barrier.shared().directories.refreshed();
        Tx {
            barrier,
            started,
            refreshed,
            frozen: None,
            reads: RowMap::default(),
            conds: Vec::new(),
            writes: BTreeMap::new(),
            journal: None,
            changes: Vec::new(),
        }
    }

    /// Every value that it reads is as of one moment, whatever is written meanwhile; listings are as of
    /// now. Costs more than an ordinary transaction, which finds out at its end whether it was so.
    pub(super) async fn freeze(mut self) -> Result<Tx, BarrierError> {
        let snapshot = self.shared().storage.snapshot().await?;
        self.frozen = Some(Exclusive::new(snapshot));
        Ok(self)
    }

    /// A row as this transaction sees it.
    async fn fetch(&mut self, key: &Bytes) -> Result<Option<Cached>, BarrierError> {
        match &mut self.frozen {
            None => self.barrier.shared().fetch(key).await,
            Some(snapshot) => {
                let found = snapshot.get_mut().get(key).await?;
                Ok(found.map(|item| Cached::new(item.val, item.rev)))
            }
        }
    }

    /// Narrowed to one mount.
    pub fn view(&mut self, mount: u64) -> View<'_> {
        View::new(self, mount)
    }

    /// The audit record to commit with the writes.
    pub fn journal(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// To be told to subscribers once the writes are committed.
    pub(super) fn announce(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(self.barrier.shared())
    }

    // Values

    pub(super) async fn get(
        &mut self,
        mount: u64,
        path: &str,
        listed: bool,
    ) -> Result<Option<SecretVec>, BarrierError> {
        let shared = self.shared();
        let key = names::value_key(&shared.keyring.load(), mount, path);
        match self.row(mount, &key, || path.to_owned()).await? {
            Some(plain) => value_of(plain, path).map(Some),
            None => {
                if !self.writes.contains_key(&key) {
                    self.check_absent(mount, path, listed).await?;
                }
                Ok(None)
            }
        }
    }

    /// [`get`](Self::get), parsed once for all who read the same row.
    pub(super) async fn get_parsed<T, F>(
        &mut self,
        mount: u64,
        path: &str,
        parse: F,
    ) -> Result<Option<Arc<T>>, BarrierError>
    where
        T: Any + Send + Sync,
        F: FnOnce(&[u8]) -> Option<T>,
    {
        let shared = self.shared();
        let key = names::value_key(&shared.keyring.load(), mount, path);
        if !self.writes.contains_key(&key)
            && let Some(row) = self.fetch(&key).await?
        {
            self.note_read(&key, row.rev)?;
            return shared.parsed(mount, &key, path, &row, parse).map(Some);
        }
        let Some(plain) = self.get(mount, path, true).await? else {
            return Ok(None);
        };
        let parsed = parse(&plain).ok_or_else(|| BarrierError::Unreadable(path.to_owned()))?;
        Ok(Some(Arc::new(parsed)))
    }

    pub(super) async fn put(
        &mut self,
        mount: u64,
        path: &str,
        value: &[u8],
        listed: bool,
    ) -> Result<(), BarrierError> {
        if value.len() > VALUE_MAX {
            return Err(BarrierError::Limit("the value is larger than 1 MiB"));
        }
        let shared = self.shared();
        let key = names::value_key(&shared.keyring.load(), mount, path);
        let is_new = self
            .put_row(mount, key, value_with_path(path, value))
            .await?;
        if listed && is_new {
            self.enter(mount, path).await?;
        }
        Ok(())
    }

    /// For a path that was never used, which the commit makes sure of.
    pub(super) fn put_new(
        &mut self,
        mount: u64,
        path: &str,
        value: &[u8],
    ) -> Result<(), BarrierError> {
        if value.len() > VALUE_MAX {
            return Err(BarrierError::Limit("the value is larger than 1 MiB"));
        }
        let key = names::value_key(&self.shared().keyring.load(), mount, path);
        self.conds.push(Cond::Absent(key.clone()));
        let write = Write {
            mount,
            before: None,
            plain: Some(value_with_path(path, value)),
            memo: None,
        };
        self.writes.insert(key, write);
        Ok(())
    }

    /// What the value at `path` parses to, once it is committed.
    pub(super) fn remember(&mut self, mount: u64, path: &str, parsed: Arc<dyn Any + Send + Sync>) {
        let key = names::value_key(&self.shared().keyring.load(), mount, path);
        if let Some(write) = self.writes.get_mut(&key) {
            write.memo = Some(parsed);
        }
    }

    pub(super) async fn delete(
        &mut self,
        mount: u64,
        path: &str,
        listed: bool,
    ) -> Result<(), BarrierError> {
        let shared = self.shared();
        let key = names::value_key(&shared.keyring.load(), mount, path);
        let exists = match self.writes.get(&key) {
            Some(write) => write.plain.is_some(),
            None => self.generation(&key).await?.is_some(),
        };
        if !exists {
            return self.check_absent(mount, path, listed).await;
        }
        self.delete_row(mount, key).await?;
        if listed {
            self.leave(mount, path).await?;
        }
        Ok(())
    }

    // Due times

    /// Something to be done at a time. The payload is a plain JSON text of the caller's.
    pub async fn put_due(
        &mut self,
        at_ms: u64,
        id: &[u8; 16],
        payload: &[u8],
    ) -> Result<(), BarrierError> {
        self.put_row(
            0,
            names::due_key(at_ms, id),
            Zeroizing::new(payload.to_vec()),
        )
        .await
        .map(drop)
    }

    pub async fn delete_due(&mut self, at_ms: u64, id: &[u8; 16]) -> Result<(), BarrierError> {
        self.delete_row(0, names::due_key(at_ms, id)).await
    }

    // Rows

    /// A row that changes between two readings is a conflict at once: what was decided by one of them may
    /// be wrong by the other, and by the time of the commit it may look again as at first.
    fn note_read(&mut self, key: &Bytes, rev: Rev) -> Result<(), BarrierError> {
        match *self.reads.entry(key.clone()).or_insert(rev) == rev {
            true => Ok(()),
            false => Err(BarrierError::Conflict),
        }
    }

    async fn row(
        &mut self,
        mount: u64,
        key: &Bytes,
        place: impl Fn() -> String,
    ) -> Result<Option<SecretVec>, BarrierError> {
        if let Some(write) = self.writes.get(key) {
            return Ok(write
                .plain
                .as_ref()
                .map(|plain| Zeroizing::new(plain.to_vec())));
        }
        let shared = self.shared();
        let Some(row) = self.fetch(key).await? else {
            self.note_read(key, 0)?;
            return Ok(None);
        };
        self.note_read(key, row.rev)?;
        shared.check_row(key, &place)?;
        let (plain, _) = envelope::open(&shared.keyring.load(), mount, key, &row.val)
            .map_err(|_| BarrierError::Damaged(place()))?;
        Ok(Some(plain))
    }

    /// Buffers a row; true if there was none before.
    async fn put_row(
        &mut self,
        mount: u64,
        key: Bytes,
        plain: SecretVec,
    ) -> Result<bool, BarrierError> {
        if let Some(write) = self.writes.get_mut(&key) {
            let was_absent = write.plain.is_none();
            write.plain = Some(plain);
            write.memo = None;
            return Ok(was_absent);
        }
        let before = self.generation(&key).await?;
        self.writes.insert(
            key,
            Write {
                mount,
                before,
                plain: Some(plain),
                memo: None,
            },
        );
        Ok(before.is_none())
    }

    pub(super) async fn delete_row(&mut self, mount: u64, key: Bytes) -> Result<(), BarrierError> {
        let before = match self.writes.get(&key) {
            Some(write) => write.before,
            None => self.generation(&key).await?,
        };
        match before {
            Some(_) => drop(self.writes.insert(
                key,
                Write {
                    mount,
                    before,
                    plain: None,
                    memo: None,
                },
            )),
            None => drop(self.writes.remove(&key)),
        }
        Ok(())
    }

    async fn generation(&mut self, key: &Bytes) -> Result<Option<u64>, BarrierError> {
        let shared = self.shared();
        let row = self.fetch(key).await?;
        shared.check_row(key, || "a row that is to be replaced".to_owned())?;
        self.note_read(key, row.as_ref().map_or(0, |row| row.rev))?;
        match row {
            None => Ok(None),
            Some(row) => envelope::claimed_generation(&row.val)
                .map(Some)
                .ok_or_else(|| BarrierError::Damaged("a row that is to be replaced".to_owned())),
        }
    }
}

/// `path length u16 | path | value`: a row that verification opens can be named.
fn value_with_path(path: &str, value: &[u8]) -> SecretVec {
    let length = u16::try_from(path.len()).unwrap_or(u16::MAX);
    let mut plain = Vec::with_capacity(2 + path.len() + value.len());
    plain.extend_from_slice(&length.to_be_bytes());
    plain.extend_from_slice(path.as_bytes());
    plain.extend_from_slice(value);
    Zeroizing::new(plain)
}

/// Path and value of a value row's plaintext.
pub(super) fn split_value(plain: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = plain.split_first_chunk::<2>()?;
    let (path, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(path).ok()?, value))
}

fn value_of(mut plain: SecretVec, path: &str) -> Result<SecretVec, BarrierError> {
    match split_value(&plain) {
        Some((stored, _)) if stored == path => {
            plain.drain(..2 + path.len());
            Ok(plain)
        }
        _ => Err(BarrierError::Damaged(path.to_owned())),
    }
}
