//! An opened barrier over rows in memory that a test can touch, with reproducible randomness.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use vault_crypto::{Key, Seeded};

use super::storage::{Op, Storage, Txn};
use super::{Barrier, BarrierError, Engine, Memory, SealRecord};

/// The mount that the short forms below use.
pub const MOUNT: u64 = 100;

pub struct Bed {
    pub storage: Arc<Engine>,
    pub record: SealRecord,
    pub root: Key<32>,
    pub barrier: Arc<Barrier>,
    /// No two barriers may draw the same nonces.
    seeds: AtomicU64,
}

impl Bed {
    pub async fn new() -> Bed {
        let random = Seeded::new(1);
        let storage = Arc::new(Engine::Memory(Memory::new()));
        let root = Key::generate(&random);
        let record = SealRecord::new("test", 1, 1, "", &[7; 32], &root, &random);
        Barrier::initialise(&storage, &record, &root, &random, 0)
            .await
            .unwrap();
        let random = Arc::new(Seeded::new(2));
        let barrier = Barrier::open(Arc::clone(&storage), &record, &root, random)
            .await
            .unwrap();
        barrier.serve();
        Bed {
            storage,
            record,
            root,
            barrier,
            seeds: AtomicU64::new(3),
        }
    }

    pub async fn open(&self, root: &Key<32>) -> Result<Arc<Barrier>, BarrierError> {
        let random = Arc::new(Seeded::new(self.seeds.fetch_add(1, Ordering::Relaxed)));
        Barrier::open(Arc::clone(&self.storage), &self.record, root, random).await
    }

    /// Seals and unseals: nothing of what was cached or known is left.
    pub async fn reopen(&mut self) {
        self.barrier = self.open(&self.root).await.unwrap();
        self.barrier.serve();
    }

    // One operation, one transaction

    pub async fn put(&self, path: &str, value: &str) {
        let mut tx = self.barrier.begin();
        tx.view(MOUNT).put_bytes(path, value).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn get(&self, path: &str) -> Result<Option<String>, BarrierError> {
        let mut tx = self.barrier.begin();
        let value = tx.view(MOUNT).get_bytes(path).await?;
        Ok(value.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
    }

    pub async fn delete(&self, path: &str) -> Result<(), BarrierError> {
        let mut tx = self.barrier.begin();
        tx.view(MOUNT).delete(path).await?;
        tx.commit().await
    }

    pub async fn list(&self, directory: &str) -> Result<Vec<String>, BarrierError> {
        self.barrier.begin().view(MOUNT).list(directory).await
    }

    // Behind the barrier's back

    /// Every row, as a thief of the file sees it.
    pub async fn rows(&self) -> BTreeMap<Bytes, Bytes> {
        let mut rows = BTreeMap::new();
        let mut snapshot = self.storage.snapshot().await.unwrap();
        loop {
            let page = snapshot.next().await.unwrap();
            if page.is_empty() {
                return rows;
            }
            rows.extend(page.into_iter().map(|item| (item.key, item.val)));
        }
    }

    /// Puts or (`None`) deletes rows.
    pub async fn tamper(&self, changes: Vec<(Bytes, Option<Bytes>)>) {
        let ops = changes.into_iter().map(|(key, val)| match val {
            Some(val) => Op::Put(key, val),
            None => Op::Del(key),
        });
        let txn = Txn {
            conds: Vec::new(),
            ops: ops.collect(),
        };
        self.storage
            .commit(vec![txn], Box::new(|_| Vec::new()))
            .await
            .unwrap();
    }
}
