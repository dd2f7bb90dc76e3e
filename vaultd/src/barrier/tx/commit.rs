//! The end of a transaction: what was read still holds, and what was written becomes durable.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::Tx;
use crate::barrier::committer::{FAILED, Pending};
use crate::barrier::envelope::{self, Place};
use crate::barrier::error::BarrierError;
use crate::barrier::presence::Delta;
use crate::barrier::storage::{Cond, Op, Storage, Txn};

/// Portable limits, so that data can move between engines.
pub(super) const OPS_MAX: usize = 64;
const CONDS_MAX: usize = 128;
const BYTES_MAX: usize = (1 << 20) + (1 << 18);

impl Tx {
    /// For a transaction that only read: all of it held at one moment. Free unless something was
    /// committed meanwhile.
    pub async fn validate(&self) -> Result<(), BarrierError> {
        let shared = self.barrier.shared();
        if self.reads.len() < 2 || shared.storage.revision() == self.started {
            return Ok(());
        }
        for (key, rev) in &self.reads {
            let now = shared.fetch(key).await?.map_or(0, |row| row.rev);
            if now != *rev {
                return Err(BarrierError::Conflict);
            }
        }
        Ok(())
    }

    /// True if what was read is of several moments: what looks damaged then need not be. Asks the
    /// engine, since the cache learns the rows of one commit one after another.
    pub async fn is_mixed(&self) -> Result<bool, BarrierError> {
        if self.frozen.is_some() {
            return Ok(false);
        }
        let storage = &self.barrier.shared().storage;
        // A commit may come between two of these reads too, and undo what an earlier one did. What is the
        // same in both passes was so together, at the moment between them.
        for _ in 0..2 {
            for (key, rev) in &self.reads {
                if storage.get(key).await?.map_or(0, |item| item.rev) != *rev {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Makes the writes durable, all or none.
    pub async fn commit(mut self) -> Result<(), BarrierError> {
        if self.writes.is_empty() && self.changes.is_empty() {
            return self.validate().await;
        }
        let shared = self.shared();
        if shared.failed.load(Ordering::Acquire) {
            return Err(FAILED);
        }
        let keyring = shared.keyring.load_full();
        let mut txn = Txn::default();
        let since = self.refreshed;
        let reads = self.reads.drain();
        txn.conds
            .extend(reads.map(|(key, rev)| Cond::Read { key, rev, since }));
        txn.conds.append(&mut self.conds);
        let mut deltas = Vec::with_capacity(self.writes.len());
        let mut memos = Vec::new();
        let mut bytes = 0;
        for (key, write) in std::mem::take(&mut self.writes) {
            match write.plain {
                Some(plain) => {
                    let generation = shared.sequence.fetch_add(1, Ordering::AcqRel) + 1;
                    let place = Place {
                        mount: write.mount,
                        row: &key,
                        generation,
                    };
                    let record = envelope::seal(&keyring, &*shared.random, &place, &plain);
                    bytes += key.len() + record.len();
                    // An engine refuses the whole batch over one such row, and the core would seal.
                    if record.len() > shared.storage.caps().value_max {
                        return Err(BarrierError::Limit(
                            "the value and its path are larger than 1 MiB together",
                        ));
                    }
                    deltas.push(Delta::new(
                        &keyring.presence,
                        &key,
                        write.before,
                        Some(generation),
                    ));
                    memos.extend(write.memo.map(|memo| (key.clone(), memo)));
                    txn.ops.push(Op::Put(key, record.into()));
                }
                None => {
                    deltas.push(Delta::new(&keyring.presence, &key, write.before, None));
                    txn.ops.push(Op::Del(key));
                }
            }
        }
        if txn.ops.len() > OPS_MAX || txn.conds.len() > CONDS_MAX || bytes > BYTES_MAX {
            return Err(BarrierError::Limit(
                "the change is too large for one transaction",
            ));
        }
        let (done, answer) = oneshot::channel();
        let pending = Pending {
            txn,
            deltas,
            memos,
            journal: self.journal.take(),
            changes: std::mem::take(&mut self.changes),
            done,
        };
        let closed = BarrierError::Key("the server is being sealed");
        self.barrier.queue.send(pending).await.map_err(|_| closed)?;
        answer
            .await
            .map_err(|_| BarrierError::Key("the server was sealed during the commit"))?
            .map(drop)
    }
}
