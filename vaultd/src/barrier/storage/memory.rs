//! Rows in memory, for `dev` and tests: the same semantics as on disk, nothing survives.
//!
//! Can be told to fail, so that the layers above are tested against what a disk or a network does.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::batch::{self, Rows};
use super::changes::{Changes, Watch};
use super::health::Health;
use super::lock::{LockGuard, LockId, Locks};
use super::{
    Caps, Finish, Item, KEY_MAX, Outcome, PAGE_BYTES, Page, Rev, Snapshot, Source, Storage,
    StoreError, Txn, VALUE_MAX,
};

pub struct Memory {
    state: Mutex<State>,
    changes: Arc<Changes>,
    locks: Arc<Locks>,
    health: Health,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Bytes, Row>,
    tokens: HashMap<LockId, u64>,
    commits: u64,
    faults: HashMap<u64, Fault>,
}

#[derive(Clone)]
struct Row {
    val: Bytes,
    rev: Rev,
}

/// How a commit is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing written; the store goes on.
    Full,
    /// Nothing written, and the store answers nothing any more.
    Io,
    /// Written, but the caller is told `Ambiguous`.
    AnswerLost,
    /// Not written, and the caller is told `Ambiguous`.
    RequestLost,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    pub fn new() -> Memory {
        Memory {
            state: Mutex::default(),
            changes: Changes::starting_at(0),
            locks: Arc::default(),
            health: Health::default(),
        }
    }

    /// Makes the n-th commit from now (1: the next) fail.
    pub fn fail_commit(&self, nth: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.commits + nth;
        state.faults.insert(at, fault);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_now(&self, batch: Vec<Txn>, finish: Finish) -> Result<Vec<Outcome>, StoreError> {
        self.health.check()?;
        batch::check(&batch)?;
        let mut state = self.state();
        state.commits += 1;
        let number = state.commits;
        let fault = state.faults.remove(&number);
        let mut overlay = Overlay {
            below: &state,
            staged: BTreeMap::new(),
        };
        let applied = batch::apply(&mut overlay, &self.changes, batch, finish)?;
        let staged = overlay.staged;
        match fault {
            Some(Fault::Full) => return Err(StoreError::Full),
            Some(Fault::Io) => {
                let error = StoreError::Io("a fault was injected".to_owned());
                self.health.end(error.clone());
                return Err(error);
            }
            Some(Fault::RequestLost) => {
                return Err(StoreError::Ambiguous("a fault was injected".to_owned()));
            }
            Some(Fault::AnswerLost) | None => {}
        }
        for (key, row) in staged {
            match row {
                Some(row) => drop(state.rows.insert(key, row)),
                None => drop(state.rows.remove(&key)),
            }
        }
        if let Some(rev) = applied.rev {
            self.changes.publish(rev, applied.touched);
        }
        match fault {
            Some(_) => Err(StoreError::Ambiguous("a fault was injected".to_owned())),
            None => Ok(applied.outcomes),
        }
    }
}

/// The rows as the running batch sees them; dropped if the batch fails.
struct Overlay<'a> {
    below: &'a State,
    /// `None`: deleted.
    staged: BTreeMap<Bytes, Option<Row>>,
}

impl Rows for Overlay<'_> {
    fn rev_of(&self, key: &[u8]) -> Result<Option<Rev>, StoreError> {
        let row = match self.staged.get(key) {
            Some(staged) => staged.as_ref(),
            None => self.below.rows.get(key),
        };
        Ok(row.map(|row| row.rev))
    }

    fn is_empty(&self, lo: &[u8], hi: &[u8]) -> Result<bool, StoreError> {
        let range = (Bound::Included(lo), Bound::Excluded(hi));
        let is_put = self
            .staged
            .range::<[u8], _>(range)
            .any(|(_, row)| row.is_some());
        Ok(!is_put
            && self
                .below
                .rows
                .range::<[u8], _>(range)
                .all(|(key, _)| self.staged.contains_key(key)))
    }

    fn token(&self, id: &LockId) -> Result<u64, StoreError> {
        Ok(self.below.tokens.get(id).copied().unwrap_or(0))
    }

    fn put(&mut self, key: Bytes, val: Bytes, rev: Rev) -> Result<(), StoreError> {
        self.staged.insert(key, Some(Row { val, rev }));
        Ok(())
    }

    fn del(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.staged.insert(Bytes::copy_from_slice(key), None);
        Ok(())
    }
}

impl Storage for Memory {
    async fn get(&self, key: &[u8]) -> Result<Option<Item>, StoreError> {
        self.health.check()?;
        let state = self.state();
        Ok(state.rows.get_key_value(key).map(item))
    }

    async fn scan(
        &self,
        lo: &[u8],
        hi: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.health.check()?;
        Ok(scan_rows(&self.state().rows, lo, hi, after, limit))
    }

    async fn commit(&self, batch: Vec<Txn>, finish: Finish) -> Result<Vec<Outcome>, StoreError> {
        self.commit_now(batch, finish)
    }

    async fn barrier(&self) -> Result<Rev, StoreError> {
        self.health.check()?;
        Ok(self.changes.revision())
    }

    fn revision(&self) -> Rev {
        self.changes.revision()
    }

    fn watch(&self, from: Rev) -> Watch {
        Watch::new(&self.changes, from)
    }

    async fn lock(&self, id: LockId, ttl: Duration) -> Result<LockGuard, StoreError> {
        let reservation = self.locks.reserve(id.clone(), ttl).await;
        self.health.check()?;
        let mut state = self.state();
        let token = state.tokens.entry(id).or_default();
        *token += 1;
        Ok(reservation.with_token(*token))
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.health.check()?;
        let state = self.state();
        let pages = Pages {
            rows: state.rows.clone(),
        };
        Ok(Snapshot {
            rev: self.changes.revision(),
            source: Source::Memory(pages),
        })
    }

    fn caps(&self) -> Caps {
        Caps {
            key_max: KEY_MAX,
            value_max: VALUE_MAX,
            durable: false,
            shared: false,
        }
    }

    async fn is_sound(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn close(&self) {
        self.health.end(StoreError::Closed);
    }
}

pub(super) struct Pages {
    rows: BTreeMap<Bytes, Row>,
}

impl Pages {
    pub(super) fn next(&mut self) -> Vec<Item> {
        let page = fill_page(&mut self.rows.iter(), 1000);
        if let Some(last) = page.last() {
            self.rows = self.rows.split_off(&last.key);
            self.rows.remove(&last.key);
        }
        page
    }

    pub(super) fn scan(&self, lo: &[u8], hi: &[u8], after: Option<&[u8]>, limit: usize) -> Page {
        scan_rows(&self.rows, lo, hi, after, limit)
    }

    pub(super) fn finds(&self, keys: &[Bytes]) -> bool {
        keys.iter().all(|key| self.rows.contains_key(key))
    }
}

fn scan_rows(
    rows: &BTreeMap<Bytes, Row>,
    lo: &[u8],
    hi: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Page {
    let start = match after {
        Some(after) if after >= lo => Bound::Excluded(after),
        _ => Bound::Included(lo),
    };
    if lo >= hi || after.is_some_and(|after| after >= hi) {
        return Page::default();
    }
    let mut rows = rows.range::<[u8], _>((start, Bound::Excluded(hi)));
    let items = fill_page(&mut rows, limit.max(1));
    Page {
        items,
        more: rows.next().is_some(),
    }
}

fn item((key, row): (&Bytes, &Row)) -> Item {
    Item {
        key: key.clone(),
        val: row.val.clone(),
        rev: row.rev,
    }
}

fn fill_page<'a>(rows: &mut impl Iterator<Item = (&'a Bytes, &'a Row)>, limit: usize) -> Vec<Item> {
    let mut items = Vec::new();
    let mut bytes = 0;
    for row in rows {
        bytes += row.1.val.len();
        items.push(item(row));
        if items.len() == limit || bytes >= PAGE_BYTES {
            break;
        }
    }
    items
}
