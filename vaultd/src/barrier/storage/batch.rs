//! One batch, evaluated over an engine's rows: the same order and conditions for every engine.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::changes::Changes;
use super::{Cond, Finish, LockId, Op, Outcome, Rev, StoreError, Txn, check_ops};

/// An engine's rows inside one open transaction, which sees its own writes.
pub(super) trait Rows {
    fn rev_of(&self, key: &[u8]) -> Result<Option<Rev>, StoreError>;
    fn is_empty(&self, lo: &[u8], hi: &[u8]) -> Result<bool, StoreError>;
    /// The newest token of a lock; 0 if none was given out.
    fn token(&self, id: &LockId) -> Result<u64, StoreError>;
    fn put(&mut self, key: Bytes, val: Bytes, rev: Rev) -> Result<(), StoreError>;
    fn del(&mut self, key: &[u8]) -> Result<(), StoreError>;
}

pub(super) struct Applied {
    pub(super) outcomes: Vec<Outcome>,
    /// The revision of the batch, if it wrote.
    pub(super) rev: Option<Rev>,
    /// True if put, false if deleted.
    pub(super) touched: BTreeMap<Bytes, bool>,
}

/// Refuses what no engine stores, before anything is touched.
pub(super) fn check(batch: &[Txn]) -> Result<(), StoreError> {
    batch.iter().try_for_each(|txn| check_ops(&txn.ops))
}

pub(super) fn apply<R: Rows>(
    rows: &mut R,
    changes: &Changes,
    batch: Vec<Txn>,
    finish: Finish,
) -> Result<Applied, StoreError> {
    let before = changes.revision();
    let mut running = Running {
        rows,
        changes,
        rev: before + 1,
        touched: BTreeMap::new(),
    };
    let mut held = Vec::with_capacity(batch.len());
    for txn in batch {
        let holds = running.all_hold(&txn.conds)?;
        if holds {
            running.write(txn.ops)?;
        }
        held.push(holds);
    }
    let of_the_batch = finish(&held);
    check_ops(&of_the_batch)?;
    running.write(of_the_batch)?;
    let touched = running.touched;
    let rev = (!touched.is_empty()).then_some(before + 1);
    let done = Outcome::Done(rev.unwrap_or(before));
    let outcomes = held
        .into_iter()
        .map(|holds| if holds { done } else { Outcome::Conflict })
        .collect();
    Ok(Applied {
        outcomes,
        rev,
        touched,
    })
}

struct Running<'a, R> {
    rows: &'a mut R,
    changes: &'a Changes,
    rev: Rev,
    /// True if put, false if deleted.
    touched: BTreeMap<Bytes, bool>,
}

impl<R: Rows> Running<'_, R> {
    fn all_hold(&self, conds: &[Cond]) -> Result<bool, StoreError> {
        for cond in conds {
            if !self.holds(cond)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&self, cond: &Cond) -> Result<bool, StoreError> {
        match cond {
            Cond::Rev(key, rev) => Ok(self.rev_of(key)? == Some(*rev)),
            Cond::Absent(key) => Ok(self.rev_of(key)?.is_none()),
            Cond::Exists(key) => Ok(self.rev_of(key)?.is_some()),
            Cond::Read { key, rev, since } => match self.lately(key) {
                Some(known) => Ok(known.unwrap_or(0) == *rev),
                None if self.changes.knows_since(*since) => Ok(true),
                None => Ok(self.rows.rev_of(key)?.unwrap_or(0) == *rev),
            },
            Cond::NoneNewer { lo, hi, .. } if lo >= hi => Ok(true),
            Cond::NoneNewer { lo, hi, since: 0 } => self.rows.is_empty(lo, hi),
            Cond::NoneNewer { lo, hi, since } => {
                let range = (Bound::Included(lo), Bound::Excluded(hi));
                Ok(
                    (*since >= self.rev || self.touched.range::<Bytes, _>(range).next().is_none())
                        && self.changes.none_newer(lo, hi, *since),
                )
            }
            Cond::Fence(id, token) => Ok(*token != 0 && self.rows.token(id)? == *token),
        }
    }

    fn rev_of(&self, key: &Bytes) -> Result<Option<Rev>, StoreError> {
        match self.lately(key) {
            Some(known) => Ok(known),
            None => self.rows.rev_of(key),
        }
    }

    /// The row's revision, if it changed in this batch or lately; `Some(None)` if it was deleted.
    fn lately(&self, key: &Bytes) -> Option<Option<Rev>> {
        match self.touched.get(key) {
            Some(put) => Some(put.then_some(self.rev)),
            None => {
                let last = self.changes.last_change(key)?;
                Some(last.put.then_some(last.rev))
            }
        }
    }

    fn write(&mut self, ops: Vec<Op>) -> Result<(), StoreError> {
        for op in ops {
            match op {
                Op::Put(key, val) => {
                    self.touched.insert(key.clone(), true);
                    self.rows.put(key, val, self.rev)?;
                }
                Op::Del(key) => {
                    self.rows.del(&key)?;
                    self.touched.insert(key, false);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use std::cell::Cell;

    use super::*;

    /// One row at revision 1, and how often it was asked for.
    #[derive(Default)]
    struct One {
        asked: Cell<usize>,
    }

    impl Rows for One {
        fn rev_of(&self, key: &[u8]) -> Result<Option<Rev>, StoreError> {
            self.asked.set(self.asked.get() + 1);
            Ok((key == b"row").then_some(1))
        }

        fn is_empty(&self, _: &[u8], _: &[u8]) -> Result<bool, StoreError> {
            Ok(false)
        }

        fn token(&self, _: &LockId) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn put(&mut self, _: Bytes, _: Bytes, _: Rev) -> Result<(), StoreError> {
            Ok(())
        }

        fn del(&mut self, _: &[u8]) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// Two changes are remembered.
    fn changes(keys: &[&'static str]) -> std::sync::Arc<Changes> {
        let changes = Changes::with_capacity(1, 2);
        for (rev, key) in (2..).zip(keys) {
            changes.publish(
                rev,
                BTreeMap::from([(Bytes::from_static(key.as_bytes()), true)]),
            );
        }
        changes
    }

    #[test]
    fn rows_are_asked_for_unless_all_changes_since_they_were_read_are_known() {
        let holds = |changes: &Changes, rev, since| {
            let mut rows = One::default();
            let read = Cond::Read {
                key: Bytes::from_static(b"row"),
                rev,
                since,
            };
            let txn = Txn {
                conds: vec![read],
                ops: Vec::new(),
            };
            let applied = apply(&mut rows, changes, vec![txn], Box::new(|_| Vec::new())).unwrap();
            (applied.outcomes != [Outcome::Conflict], rows.asked.get())
        };
        let others = changes(&["a", "b", "c", "d"]);
        assert_eq!(holds(&others, 1, 5), (true, 0));
        assert_eq!(holds(&others, 1, 3), (true, 0));
        // What came after 2 is no longer known.
        assert_eq!(holds(&others, 1, 2), (true, 1));
        assert_eq!(holds(&others, 0, 2), (false, 1));
        // The row itself changed: what was read before is not what is there.
        let itself = changes(&["a", "row"]);
        assert_eq!(holds(&itself, 1, 1), (false, 0));
        assert_eq!(holds(&itself, 3, 3), (true, 0));
        // That it did is forgotten.
        let forgotten = changes(&["row", "a", "b"]);
        assert_eq!(holds(&forgotten, 0, 1), (false, 1));
    }
}
