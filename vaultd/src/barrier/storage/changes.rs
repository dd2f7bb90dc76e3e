//! What changed lately: answers `NoneNewer` and feeds the watchers. Bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::super::rowhash::RowMap;
use super::Rev;

const KEYS_MAX: usize = 1 << 14;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// All keys put or deleted by one revision.
    Keys { rev: Rev, keys: Arc<[Bytes]> },
    /// Changes up to this revision were missed: forget what is cached.
    Resync { rev: Rev },
}

pub(super) struct Changes {
    recent: Mutex<Recent>,
    revision: AtomicU64,
    published: watch::Sender<Rev>,
}

/// What last happened to a row.
#[derive(Clone, Copy)]
pub(super) struct Last {
    pub(super) rev: Rev,
    /// Otherwise it was deleted.
    pub(super) put: bool,
}

struct Recent {
    /// One entry for each revision after `complete_since`, without gaps. Keys are in order.
    batches: VecDeque<Arc<[Bytes]>>,
    complete_since: Rev,
    newest: RowMap<Bytes, Last>,
    keys: usize,
    keys_max: usize,
}

impl Changes {
    pub(super) fn starting_at(rev: Rev) -> Arc<Changes> {
        Changes::with_capacity(rev, KEYS_MAX)
    }

    pub(super) fn with_capacity(rev: Rev, keys_max: usize) -> Arc<Changes> {
        let recent = Recent {
            batches: VecDeque::new(),
            complete_since: rev,
            newest: RowMap::default(),
            keys: 0,
            keys_max,
        };
        Arc::new(Changes {
            recent: Mutex::new(recent),
            revision: AtomicU64::new(rev),
            published: watch::Sender::new(rev),
        })
    }

    pub(super) fn revision(&self) -> Rev {
        self.revision.load(Ordering::Acquire)
    }

    /// Makes the next revision known. Called by one writer at a time, in order.
    pub(super) fn publish(&self, rev: Rev, touched: BTreeMap<Bytes, bool>) {
        self.recent().add(rev, touched);
        self.revision.store(rev, Ordering::Release);
        self.published.send_replace(rev);
    }

    /// Whether nothing in `[lo, hi)` changed after `since`; no if that is no longer known.
    pub(super) fn none_newer(&self, lo: &Bytes, hi: &Bytes, since: Rev) -> bool {
        lo >= hi || self.recent().none_newer(lo, hi, since)
    }

    /// Whether everything that changed after `since` is known.
    pub(super) fn knows_since(&self, since: Rev) -> bool {
        since >= self.recent().complete_since
    }

    /// What last happened to a row, if that was lately.
    pub(super) fn last_change(&self, key: &Bytes) -> Option<Last> {
        self.recent().newest.get(key).copied()
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn add(&mut self, rev: Rev, touched: BTreeMap<Bytes, bool>) {
        let keys: Arc<[Bytes]> = touched.keys().cloned().collect();
        for (key, put) in touched {
            self.newest.insert(key, Last { rev, put });
        }
        self.keys += keys.len();
        self.batches.push_back(keys);
        while self.keys > self.keys_max && self.batches.len() > 1 {
            self.forget_oldest();
        }
    }

    fn none_newer(&self, lo: &Bytes, hi: &Bytes, since: Rev) -> bool {
        let Some(seen) = since.checked_sub(self.complete_since) else {
            return false;
        };
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        self.batches.iter().skip(seen).all(|keys| {
            let first = keys.partition_point(|key| key < lo);
            keys.get(first).is_none_or(|key| key >= hi)
        })
    }

    fn forget_oldest(&mut self) {
        let Some(keys) = self.batches.pop_front() else {
            return;
        };
        self.complete_since += 1;
        self.keys -= keys.len();
        for key in &*keys {
            let last = self.newest.get(key).map(|last| last.rev);
            if last == Some(self.complete_since) {
                self.newest.remove(key);
            }
        }
    }

    /// The change that follows `seen`.
    fn after(&self, seen: Rev) -> Option<Change> {
        let newest = self.complete_since + self.batches.len() as Rev;
        if seen >= newest {
            return None;
        }
        if seen < self.complete_since {
            return Some(Change::Resync { rev: newest });
        }
        let at = usize::try_from(seen - self.complete_since).ok()?;
        self.batches.get(at).map(|keys| Change::Keys {
            rev: seen + 1,
            keys: Arc::clone(keys),
        })
    }
}

/// Follows the changes of a store, each revision once and in order.
pub struct Watch {
    changes: Arc<Changes>,
    published: watch::Receiver<Rev>,
    seen: Rev,
}

impl Watch {
    pub(super) fn new(changes: &Arc<Changes>, from: Rev) -> Watch {
        Watch {
            changes: Arc::clone(changes),
            published: changes.published.subscribe(),
            seen: from,
        }
    }

    /// Waits for the next change. May be dropped and called again without losing one.
    pub async fn next(&mut self) -> Change {
        loop {
            self.published.mark_unchanged();
            let next = self.changes.recent().after(self.seen);
            if let Some(change) = next {
                self.seen = match &change {
                    Change::Keys { rev, .. } | Change::Resync { rev } => *rev,
                };
                return change;
            }
            // The sender lives in `changes`, which we hold: this cannot fail.
            let _ = self.published.changed().await;
        }
    }
}
