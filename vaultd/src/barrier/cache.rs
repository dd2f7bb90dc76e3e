//! One bounded cache of ciphertext by row key, for every subsystem above.
//!
//! A fill carries the revision at which it was read and is refused if its shard has seen a later
//! change, so a value that a commit replaced while it was being read is never cached. Next to the
//! ciphertext an entry may keep what it parses to (tokens, policies); both go together.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use super::rowhash::RowMap;
use super::storage::Rev;

const SHARDS: usize = 16;
/// About what the map and the counters take for each row.
const ENTRY: usize = 128;

pub type Memo = OnceLock<Arc<dyn Any + Send + Sync>>;

/// A row as last committed.
#[derive(Clone)]
pub struct Cached {
    pub val: Bytes,
    pub rev: Rev,
    pub memo: Arc<Memo>,
}

impl Cached {
    pub fn new(val: Bytes, rev: Rev) -> Cached {
        Cached {
            val,
            rev,
            memo: Arc::default(),
        }
    }

    /// That there is no such row: engines ask for optional rows at every request.
    pub fn absent() -> Cached {
        Cached::new(Bytes::new(), 0)
    }

    pub fn is_absent(&self) -> bool {
        self.rev == 0
    }
}

#[derive(Default)]
struct Shard {
    rows: RowMap<Bytes, Cached>,
    changed: Rev,
    bytes: usize,
}

/// A std mutex for each shard: held for a map operation, never across an await.
pub struct Cache {
    shards: Vec<Mutex<Shard>>,
    shard_bytes_max: usize,
}

impl Cache {
    pub fn new(bytes_max: usize) -> Cache {
        Cache {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_bytes_max: bytes_max / SHARDS,
        }
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        // The end of a key is pseudo-random; its start is not.
        let at = key.last().copied().unwrap_or(0) as usize % SHARDS;
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: &[u8]) -> Option<Cached> {
        self.shard(key).rows.get(key).cloned()
    }

    /// Keeps a row that was read when the store was at `read_at`.
    pub fn fill(&self, key: Bytes, row: Cached, read_at: Rev) {
        let mut shard = self.shard(&key);
        if read_at >= shard.changed {
            shard.insert(key, row, self.shard_bytes_max);
        }
    }

    /// A commit put or deleted this row.
    pub fn changed(&self, key: &Bytes, row: Option<Cached>, rev: Rev) {
        let mut shard = self.shard(key);
        shard.changed = shard.changed.max(rev);
        match row {
            Some(row) => shard.insert(key.clone(), row, self.shard_bytes_max),
            None => shard.remove(key),
        }
    }
}

impl Shard {
    fn insert(&mut self, key: Bytes, row: Cached, bytes_max: usize) {
        self.remove(&key);
        self.bytes += ENTRY + key.len() + row.val.len();
        self.rows.insert(key, row);
        while self.bytes > bytes_max {
            // The map's order is arbitrary, which makes this random eviction.
            let Some(victim) = self.rows.keys().next().cloned() else {
                break;
            };
            self.remove(&victim);
        }
    }

    fn remove(&mut self, key: &Bytes) {
        if let Some(old) = self.rows.remove(key) {
            self.bytes -= ENTRY + key.len() + old.val.len();
        }
    }
}
