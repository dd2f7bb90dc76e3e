//! The only door to the disk: names and values are encrypted, bound to place and time, and counted.
//!
//! Promised: a row that was changed, moved or swapped does not open (`Damaged`); a row that was
//! deleted or put back from an older copy is found by [`Barrier::verify`], and no absent row is a "not
//! found" before its part of the store was checked. Not promised: noticing that the whole file was put back.

mod absence;
mod accept;
#[cfg(test)]
pub mod bed;
mod cache;
mod committer;
mod directories;
mod doubts;
mod envelope;
mod error;
mod explain;
mod feed;
mod journal;
pub mod keyring;
mod names;
mod presence;
mod rowhash;
mod scene;
pub mod seal;
mod storage;
#[cfg(test)]
mod tests;
mod tx;
mod verify;
mod view;

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::mpsc;
use vault_crypto::{Key, Random, SecretVec};

pub use committer::Journal;
pub use error::BarrierError;
pub use feed::{Change, Feed, TooOld};
pub use keyring::Keyring;
pub use seal::SealRecord;
pub use storage::{Engine, Memory, Sqlite, Storage, StoreError};
pub use tx::{Cursor, Tx, VALUE_MAX, Window};
pub use verify::{Damage, Problem, Report};
pub use view::{Reminder, View};

use absence::Absence;
use cache::{Cache, Cached};
use committer::{Ended, JournalLog};
use directories::Directories;
use presence::Presence;

#[doc(hidden)]
pub mod testing {
    //! Ciphertext engines for the crash and power-loss harnesses.
    pub use super::storage::*;
}

const CACHE_BYTES: usize = 64 << 20;
const QUEUE: usize = 1024;

/// What the committer and every transaction share. Dropped at seal; dropping wipes the keys.
struct Shared {
    storage: Arc<Engine>,
    keyring: ArcSwap<Keyring>,
    /// What seals the keyring. Locked by who stores another one, so that none is lost.
    root: tokio::sync::Mutex<Key<32>>,
    random: Arc<dyn Random>,
    cache: Cache,
    directories: Directories,
    presence: Mutex<Presence>,
    /// Generation of the newest write.
    sequence: AtomicU64,
    journal: Mutex<JournalLog>,
    feed: Feed,
    /// A commit failed: nothing more is written.
    failed: AtomicBool,
    /// What may be said to be absent.
    absence: Absence,
    /// Verification stops: the keys are to be wiped.
    closing: AtomicBool,
}

/// An unsealed store.
pub struct Barrier {
    shared: Arc<Shared>,
    queue: mpsc::Sender<committer::Pending>,
    committer: Mutex<Option<Ended>>,
}

/// A row whose time has come.
pub struct Due {
    pub at_ms: u64,
    pub id: [u8; 16],
    pub payload: SecretVec,
}

impl Barrier {
    /// First start: makes the keyring and the empty presence sums.
    pub async fn initialise(
        storage: &Engine,
        record: &SealRecord,
        root: &Key<32>,
        random: &dyn Random,
        now_ms: i64,
    ) -> Result<(), BarrierError> {
        let keyring = Keyring::generate(&record.cluster, random, now_ms);
        let rows = Presence::empty().rows(&keyring, random);
        record
            .store_first(storage, keyring.seal(root, random)?, rows)
            .await
    }

    /// Opens the store with the root key and starts the committer.
    pub async fn open(
        storage: Arc<Engine>,
        record: &SealRecord,
        root: &Key<32>,
        random: Arc<dyn Random>,
    ) -> Result<Arc<Barrier>, BarrierError> {
        let keyring = Keyring::open(&record.cluster, root, &seal::load_keyring(&storage).await?)?;
        let presence = Presence::load(&storage, &keyring).await?;
        let journal = journal::newest_journal(&storage).await?;
        let shared = Arc::new(Shared {
            sequence: AtomicU64::new(presence.sequence()),
            keyring: ArcSwap::from_pointee(keyring),
            root: tokio::sync::Mutex::new(root.duplicate()),
            presence: Mutex::new(presence),
            cache: Cache::new(CACHE_BYTES),
            directories: Directories::default(),
            journal: Mutex::new(JournalLog::starting_at(journal)),
            feed: Feed::default(),
            failed: AtomicBool::new(false),
            absence: Absence::default(),
            closing: AtomicBool::new(false),
            storage,
            random,
        });
        let (queue, pending) = mpsc::channel(QUEUE);
        let committer = committer::start(Arc::clone(&shared), pending)?;
        Ok(Arc::new(Barrier {
            shared,
            queue,
            committer: Mutex::new(Some(committer)),
        }))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub fn begin(self: &Arc<Barrier>) -> Tx {
        Tx::new(Arc::clone(self))
    }

    /// For reading only: values are as of one moment.
    pub async fn begin_frozen(self: &Arc<Barrier>) -> Result<Tx, BarrierError> {
        self.begin().freeze().await
    }

    /// The committer ends when the last reference to the barrier is dropped; wait for it to know
    /// that the keys are gone.
    pub fn take_committer(&self) -> Option<Ended> {
        self.committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub fn keyring(&self) -> Arc<Keyring> {
        self.shared.keyring.load_full()
    }

    pub fn random(&self) -> &Arc<dyn Random> {
        &self.shared.random
    }

    /// From now on "not found" and listings wait until their part of the store was checked.
    pub fn serve(&self) {
        self.shared.absence.serve();
    }

    /// Work that nobody waits for stops.
    pub fn closing(&self) {
        self.shared.closing.store(true, Ordering::Release);
    }

    /// True once a commit failed; the only way on is to seal.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    /// What commits announced since unsealing.
    pub fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    pub fn revision(&self) -> u64 {
        self.shared.storage.revision()
    }

    /// What a row parses to, kept beside its ciphertext until the row changes.
    pub async fn memo<T, F>(
        &self,
        mount: u64,
        path: &str,
        parse: F,
    ) -> Result<Option<Arc<T>>, BarrierError>
    where
        T: Any + Send + Sync,
        F: FnOnce(&[u8]) -> Option<T>,
    {
        let keyring = self.shared.keyring.load();
        let key = names::value_key(&keyring, mount, path);
        let Some(row) = self.shared.fetch(&key).await? else {
            self.shared.check_absence(&key, || path.to_owned()).await?;
            return Ok(None);
        };
        self.shared.parsed(mount, &key, path, &row, parse).map(Some)
    }

    /// Rows that were due before a time, oldest first.
    pub async fn due(&self, before_ms: u64, limit: usize) -> Result<Vec<Due>, BarrierError> {
        let hi = names::due_key(before_ms, &[0; 16]);
        let page = self
            .shared
            .storage
            .scan(&[names::DUE], &hi, None, limit)
            .await?;
        let keyring = self.shared.keyring.load();
        page.items
            .into_iter()
            .map(|item| {
                let damaged = || BarrierError::Damaged("a due time".to_owned());
                let (payload, _) =
                    envelope::open(&keyring, 0, &item.key, &item.val).map_err(|_| damaged())?;
                let at = item
                    .key
                    .get(1..9)
                    .and_then(|at| at.try_into().ok())
                    .ok_or_else(damaged)?;
                let id = item
                    .key
                    .get(9..25)
                    .and_then(|id| id.try_into().ok())
                    .ok_or_else(damaged)?;
                Ok(Due {
                    at_ms: u64::from_be_bytes(at),
                    id,
                    payload,
                })
            })
            .collect()
    }

    /// Adds a key term: new records use it, old ones stay readable. Stored before it is used.
    pub async fn rotate(&self, now_ms: i64) -> Result<u32, BarrierError> {
        let root = self.shared.root.lock().await;
        let random = &*self.shared.random;
        let next = self.shared.keyring.load().rotated(random, now_ms);
        seal::store_keyring(&self.shared.storage, next.seal(&root, random)?).await?;
        let term = next.current().0;
        self.shared.keyring.store(Arc::new(next));
        Ok(term)
    }

    /// Puts another root key in force, and the record that gives it back, with a new key term: who
    /// had the old root key opens nothing that is written from now on.
    pub async fn rekey(
        &self,
        record: &SealRecord,
        root: Key<32>,
        now_ms: i64,
    ) -> Result<(), BarrierError> {
        let mut current = self.shared.root.lock().await;
        let random = &*self.shared.random;
        let next = self.shared.keyring.load().rotated(random, now_ms);
        record
            .store_with(&self.shared.storage, next.seal(&root, random)?)
            .await?;
        *current = root;
        self.shared.keyring.store(Arc::new(next));
        Ok(())
    }

    /// Deletes some rows of a mount that is gone; true if more remain.
    pub async fn purge(self: &Arc<Barrier>, mount: u64) -> Result<bool, BarrierError> {
        const AT_ONCE: usize = 50;
        for tag in [names::VALUE, names::LISTING] {
            let mut lo = vec![tag];
            lo.extend_from_slice(&mount.to_be_bytes());
            let page = self
                .shared
                .storage
                .scan(&lo, &names::end_of(&lo), None, AT_ONCE)
                .await?;
            if page.items.is_empty() {
                continue;
            }
            let mut tx = self.begin();
            for item in page.items {
                tx.delete_row(mount, item.key).await?;
            }
            return match tx.commit().await {
                Ok(()) | Err(BarrierError::Conflict) => Ok(true),
                Err(error) => Err(error),
            };
        }
        Ok(false)
    }

    /// Opens every row and recomputes the sums. Rows stay readable meanwhile.
    pub async fn verify(&self) -> Result<Report, BarrierError> {
        self.shared.verify().await
    }
}

impl Shared {
    /// What a row's value parses to, kept beside its ciphertext.
    fn parsed<T, F>(
        &self,
        mount: u64,
        key: &Bytes,
        path: &str,
        row: &Cached,
        parse: F,
    ) -> Result<Arc<T>, BarrierError>
    where
        T: Any + Send + Sync,
        F: FnOnce(&[u8]) -> Option<T>,
    {
        self.check_row(key, || path.to_owned())?;
        if let Some(known) = row.memo.get().cloned()
            && let Ok(known) = known.downcast()
        {
            return Ok(known);
        }
        let damaged = || BarrierError::Damaged(path.to_owned());
        let (plain, _) =
            envelope::open(&self.keyring.load(), mount, key, &row.val).map_err(|_| damaged())?;
        let (stored, value) = tx::split_value(&plain).ok_or_else(damaged)?;
        if stored != path {
            return Err(damaged());
        }
        let parsed =
            Arc::new(parse(value).ok_or_else(|| BarrierError::Unreadable(path.to_owned()))?);
        let _ = row
            .memo
            .set(Arc::clone(&parsed) as Arc<dyn Any + Send + Sync>);
        Ok(parsed)
    }

    /// A row from the cache or the engine.
    async fn fetch(&self, key: &Bytes) -> Result<Option<Cached>, BarrierError> {
        let row = match self.cache.get(key) {
            Some(row) => row,
            None => {
                let read_at = self.storage.revision();
                let found = self.storage.get(key).await?;
                let row = found.map_or_else(Cached::absent, |item| Cached::new(item.val, item.rev));
                self.cache.fill(key.clone(), row.clone(), read_at);
                row
            }
        };
        Ok((!row.is_absent()).then_some(row))
    }
}
