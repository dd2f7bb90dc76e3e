//! Group commit: one task drains whatever has queued while the previous batch was being made
//! durable, and commits it at once. No timer. The sums of `presence` and the journalled audit
//! records of the whole batch go into the same commit.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::cache::Cached;
use super::envelope::{self, Place};
use super::error::BarrierError;
use super::feed::Change;
use super::names;
use super::presence::Delta;
use super::storage::{Op, Outcome, Rev, Storage, StoreError, Txn};
use super::tx::{VALUE_MAX, entry_of};

const BATCH_MAX: usize = 128;
/// After a commit that failed.
pub(super) const FAILED: BarrierError =
    BarrierError::Key("storage failed earlier; restart and unseal");

/// An audit record that must exist if the effect does.
pub struct Journal {
    pub line: Vec<u8>,
    /// The audit broker's ticket for the same record; once that is durable the row can go.
    pub ticket: u64,
}

type Memos = Vec<(Bytes, Arc<dyn Any + Send + Sync>)>;

pub(super) struct Pending {
    pub(super) txn: Txn,
    pub(super) deltas: Vec<Delta>,
    /// What some of the rows parse to.
    pub(super) memos: Memos,
    pub(super) journal: Option<Journal>,
    pub(super) changes: Vec<Change>,
    pub(super) done: oneshot::Sender<Result<Rev, BarrierError>>,
}

/// Resolves when the committer has ended and its keys are gone.
pub type Ended = oneshot::Receiver<()>;

/// On a thread of its own: commits are what all writers wait for, so nothing else goes before them.
pub(super) fn start(
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Pending>,
) -> Result<Ended, BarrierError> {
    let failed = |error: std::io::Error| StoreError::Io(format!("cannot start a thread: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let (running, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("committer".to_owned())
        .spawn(move || {
            runtime.block_on(run(shared, queue));
            drop(runtime);
            crate::stack::wipe();
            let _ = running.send(());
        })
        .map_err(failed)?;
    Ok(ended)
}

async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let batch = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_MAX));
        match shared.failed.load(Ordering::Acquire) {
            false => commit(&shared, batch).await,
            // Whoever came before the failure was known, but behind it.
            true => batch.into_iter().for_each(|pending| {
                let _ = pending.done.send(Err(FAILED));
            }),
        }
    }
}

async fn commit(shared: &Arc<Shared>, batch: Vec<Pending>) {
    let mut txns = Vec::with_capacity(batch.len());
    let mut parts = Vec::with_capacity(batch.len());
    let mut waiting = Vec::with_capacity(batch.len());
    let mut effects: Vec<(Vec<Op>, Memos, Vec<Change>)> = Vec::with_capacity(batch.len());
    for pending in batch {
        let ops = pending.txn.ops.clone();
        effects.push((ops, pending.memos, pending.changes));
        txns.push(pending.txn);
        parts.push((pending.deltas, pending.journal));
        waiting.push(pending.done);
    }
    let finisher = Arc::clone(shared);
    let result = shared
        .storage
        .commit(txns, Box::new(move |done| finish(&finisher, &parts, done)))
        .await;
    match result {
        Ok(outcomes) => {
            let mut newest = None;
            let mut answers = Vec::with_capacity(waiting.len());
            for ((outcome, effect), done) in outcomes.into_iter().zip(effects).zip(waiting) {
                let answer = match outcome {
                    Outcome::Done(rev) => {
                        let (ops, memos, changes) = effect;
                        newest = Some(rev);
                        refresh_directories(shared, &ops, rev);
                        refresh_cache(shared, (ops, memos), rev);
                        // Behind the cache, so that who hears of it also reads it.
                        shared.feed.publish(changes);
                        Ok(rev)
                    }
                    Outcome::Conflict => Err(BarrierError::Conflict),
                };
                answers.push((done, answer));
            }
            newest
                .into_iter()
                .for_each(|rev| shared.directories.refreshed_to(rev));
            // Last: who is answered finds all of it in memory.
            for (done, answer) in answers {
                let _ = done.send(answer);
            }
        }
        Err(error) => {
            // The sums in memory may already hold what the disk does not: nothing may be written
            // with them any more. The core seals.
            shared.failed.store(true, Ordering::Release);
            let text = error.to_string();
            for done in waiting {
                let _ = done.send(Err(BarrierError::Storage(StoreError::Io(text.clone()))));
            }
        }
    }
}

/// The rows of the whole batch, given which of its transactions hold.
fn finish(shared: &Shared, parts: &[(Vec<Delta>, Option<Journal>)], done: &[bool]) -> Vec<Op> {
    let held = || {
        parts
            .iter()
            .zip(done)
            .filter(|(_, done)| **done)
            .map(|(part, _)| part)
    };
    if held().next().is_none() {
        return Vec::new();
    }
    let keyring = shared.keyring.load();
    let mut ops = {
        let mut presence = shared
            .presence
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let sequence = shared.sequence.load(Ordering::Acquire);
        presence.apply(
            held().flat_map(|(deltas, _)| deltas),
            sequence,
            &keyring,
            &*shared.random,
        )
    };
    let mut lines = Vec::new();
    let mut ticket = 0;
    for journal in held().filter_map(|(_, journal)| journal.as_ref()) {
        lines.extend_from_slice(&journal.line);
        lines.push(b'\n');
        ticket = ticket.max(journal.ticket);
    }
    let mut log = shared
        .journal
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // First, so that the new rows get the pages of these.
    let superfluous = log.take_trimmed();
    ops.extend(superfluous.map(|number| Op::Del(journal_key(number))));
    // A line may go on in the next row: they are read, and dropped, together.
    for part in lines.chunks(VALUE_MAX) {
        let number = log.add(ticket);
        let key = journal_key(number);
        let place = Place {
            mount: 0,
            row: &key,
            generation: number,
        };
        let record = envelope::seal(&keyring, &*shared.random, &place, part);
        ops.push(Op::Put(key.clone(), record.into()));
    }
    ops
}

fn refresh_directories(shared: &Shared, ops: &[Op], rev: Rev) {
    for op in ops {
        let (key, record) = match op {
            Op::Put(key, record) => (key, Some(record)),
            Op::Del(key) => (key, None),
        };
        if let Some(prefix) = names::directory_of(key)
            && shared.directories.follows(&prefix)
        {
            match entry_of(&shared.keyring.load(), key, record) {
                Some((name, flags)) => shared.directories.changed(&prefix, name, flags, rev),
                None => shared.directories.forget(&prefix),
            }
        }
    }
}

fn refresh_cache(shared: &Shared, (ops, mut memos): (Vec<Op>, Memos), rev: Rev) {
    for op in ops {
        match op {
            Op::Put(key, val) => {
                let row = Cached::new(val, rev);
                if let Some((_, memo)) = memos.extract_if(.., |(of, _)| *of == key).next() {
                    let _ = row.memo.set(memo);
                }
                shared.cache.changed(&key, Some(row), rev);
            }
            Op::Del(key) => shared.cache.changed(&key, None, rev),
        }
    }
}

/// Journal rows that are stored, oldest first, with the audit ticket that makes each superfluous.
#[derive(Default)]
pub(super) struct JournalLog {
    next: u64,
    stored: std::collections::VecDeque<(u64, u64)>,
    trimmed: Vec<u64>,
}

impl JournalLog {
    pub(super) fn starting_at(next: u64) -> JournalLog {
        JournalLog {
            next,
            ..JournalLog::default()
        }
    }

    fn add(&mut self, ticket: u64) -> u64 {
        self.next += 1;
        self.stored.push_back((self.next, ticket));
        self.next
    }

    /// The highest ticket that some stored row waits for.
    pub(super) fn newest_ticket(&self) -> Option<u64> {
        self.stored.back().map(|(_, ticket)| *ticket)
    }

    /// Audit records up to `ticket` are durable elsewhere; says if a commit is needed to drop rows.
    pub(super) fn durable(&mut self, ticket: u64) -> bool {
        while let Some((number, _)) = self
            .stored
            .front()
            .copied()
            .filter(|(_, needs)| *needs <= ticket)
        {
            self.stored.pop_front();
            self.trimmed.push(number);
        }
        !self.trimmed.is_empty()
    }

    fn take_trimmed(&mut self) -> impl Iterator<Item = u64> {
        std::mem::take(&mut self.trimmed).into_iter()
    }
}

pub(super) const JOURNAL: u8 = b'J';

pub(super) fn journal_key(number: u64) -> Bytes {
    let mut key = vec![JOURNAL];
    key.extend_from_slice(&number.to_be_bytes());
    key.into()
}
