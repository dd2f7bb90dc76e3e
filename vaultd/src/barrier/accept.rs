//! Going on after damage: what is there becomes the whole store, on an operator's word.
//!
//! Rows that do not open, and those that were deleted and are back, go. What opens stays, also if it may
//! be an older copy. Listings follow the values that are left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Barrier;
use super::committer::Pending;
use super::doubts::Doubts;
use super::error::BarrierError;
use super::presence::Delta;
use super::storage::{Cond, Op, Rev, Txn};
use super::verify::Report;

const ATTEMPTS: usize = 20;

/// What makes the store whole again.
#[derive(Debug, Clone, Default)]
pub(super) struct Repair {
    /// Rows that do not open, with what is to be added to the sum of their bucket once they are gone.
    pub(super) buckets: BTreeMap<usize, Correction>,
    /// Rows to be deleted that do open.
    pub(super) drop: BTreeSet<(u64, Bytes)>,
    /// Mounts and paths of which a listing entry may be wrong; directories end in `/`.
    pub(super) relist: BTreeSet<(u64, String)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Correction {
    pub(super) change: u128,
    pub(super) count: i64,
    pub(super) altered: Vec<(Bytes, Rev)>,
}

enum Step {
    Drop((u64, Bytes)),
    Relist((u64, String)),
}

impl Barrier {
    /// Accepts the loss that the report of this id shows, and verifies the outcome. `None` if that is
    /// not what is damaged now.
    ///
    /// # Errors
    /// If the engine's own structure is damaged: only a backup helps then.
    pub async fn accept(self: &Arc<Barrier>, id: &str) -> Result<Option<Report>, BarrierError> {
        let lost = self.verify().await?;
        if lost.healthy() || lost.id() != id {
            return Ok(None);
        }
        if !lost.sound {
            return Err(BarrierError::Damaged(
                "the database file itself: restore a backup".to_owned(),
            ));
        }
        for (bucket, correction) in &lost.repair.buckets {
            self.correct(*bucket, correction).await?;
        }
        self.shared().learn(Doubts::default());
        let drops = lost.repair.drop.iter().cloned().map(Step::Drop);
        let relists = lost.repair.relist.iter().cloned().map(Step::Relist);
        for step in drops.chain(relists).collect::<Vec<_>>() {
            self.take(&step).await?;
        }
        match self.verify().await?.healthy() {
            true => Ok(Some(lost)),
            false => Err(BarrierError::Damaged("other places too".to_owned())),
        }
    }

    /// The rows go and the sum follows, in one commit. Commits meanwhile change rows and sums alike.
    async fn correct(&self, bucket: usize, correction: &Correction) -> Result<(), BarrierError> {
        let altered = correction.altered.iter();
        let txn = Txn {
            conds: altered
                .clone()
                .map(|(key, rev)| Cond::Rev(key.clone(), *rev))
                .collect(),
            ops: altered.map(|(key, _)| Op::Del(key.clone())).collect(),
        };
        let (done, answer) = oneshot::channel();
        let pending = Pending {
            txn,
            deltas: vec![Delta::correction(
                bucket,
                correction.change,
                correction.count,
            )],
            journal: None,
            memos: Default::default(),
            changes: Default::default(),
            done,
        };
        let closed = |_| BarrierError::Key("the server is being sealed");
        self.queue
            .send(pending)
            .await
            .map_err(|_| BarrierError::Key("the server is being sealed"))?;
        answer.await.map_err(closed)?.map(drop)
    }

    /// Again, as long as somebody else's commit comes between.
    async fn take(self: &Arc<Barrier>, step: &Step) -> Result<(), BarrierError> {
        let mut attempts = ATTEMPTS;
        loop {
            let mut tx = self.begin();
            let prepared = match step {
                Step::Drop((mount, key)) => tx.delete_row(*mount, key.clone()).await,
                Step::Relist((mount, path)) => tx.relist(*mount, path).await,
            };
            let outcome = match prepared {
                Ok(()) => tx.commit().await,
                Err(error) => Err(error),
            };
            attempts -= 1;
            match outcome {
                Err(BarrierError::Conflict) if attempts > 0 => {}
                outcome => return outcome,
            }
        }
    }
}
