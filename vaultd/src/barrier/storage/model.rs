//! Random batches against a model that is a sorted map and nothing else.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::conformance::txn;
use super::*;

#[derive(Clone, Debug)]
enum Guard {
    Rev(u8, u8),
    Absent(u8),
    Exists(u8),
    NoneNewer(u8, u8, u8),
    /// Of a row, how far back; and how many revisions the store had reached since when it was read.
    Read(u8, u8, u8),
}

#[derive(Clone, Debug)]
struct Step {
    guards: Vec<Guard>,
    /// `None` deletes.
    ops: Vec<(u8, Option<u8>)>,
}

fn guard() -> impl Strategy<Value = Guard> {
    let row = 0..8u8;
    prop_oneof![
        (row.clone(), any::<u8>()).prop_map(|(k, back)| Guard::Rev(k, back)),
        row.clone().prop_map(Guard::Absent),
        row.clone().prop_map(Guard::Exists),
        (row.clone(), row.clone(), any::<u8>())
            .prop_map(|(lo, hi, back)| Guard::NoneNewer(lo, hi, back)),
        (row, any::<u8>(), any::<u8>()).prop_map(|(k, back, later)| Guard::Read(k, back, later)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let op = (0..8u8, proptest::option::weighted(0.7, any::<u8>()));
    (
        proptest::collection::vec(guard(), 0..3),
        proptest::collection::vec(op, 0..4),
    )
        .prop_map(|(guards, ops)| Step { guards, ops })
}

fn row(k: u8) -> Bytes {
    Bytes::copy_from_slice(&[b'k', k])
}

#[derive(Clone, Default)]
struct Model {
    rows: BTreeMap<u8, (u8, Rev)>,
    changed: BTreeMap<u8, Rev>,
    /// The rows as of each revision.
    past: BTreeMap<Rev, BTreeMap<u8, (u8, Rev)>>,
    rev: Rev,
}

impl Model {
    /// Revisions are drawn near the current one, so that conditions hold often enough.
    fn since(&self, back: u8) -> Rev {
        self.rev.saturating_sub(Rev::from(back % 4))
    }

    fn cond(&self, guard: &Guard) -> Cond {
        match *guard {
            Guard::Rev(k, back) => Cond::Rev(row(k), self.since(back)),
            Guard::Absent(k) => Cond::Absent(row(k)),
            Guard::Exists(k) => Cond::Exists(row(k)),
            Guard::NoneNewer(lo, hi, back) => Cond::NoneNewer {
                lo: row(lo),
                hi: row(hi),
                since: self.since(back),
            },
            Guard::Read(k, back, later) => {
                let since = self.since(back);
                let read_at = self.rev.min(since + Rev::from(later % 4));
                let then = self.past.range(..=read_at).next_back();
                let rev = then.and_then(|(_, rows)| rows.get(&k));
                Cond::Read {
                    key: row(k),
                    rev: rev.map_or(0, |row| row.1),
                    since,
                }
            }
        }
    }

    fn holds(&self, cond: &Cond) -> bool {
        let get = |key: &Bytes| self.rows.get(&key[1]);
        match cond {
            Cond::Rev(key, rev) => get(key).is_some_and(|row| row.1 == *rev),
            Cond::Absent(key) => get(key).is_none(),
            Cond::Exists(key) => get(key).is_some(),
            Cond::Read { key, rev, .. } => get(key).map_or(0, |row| row.1) == *rev,
            Cond::NoneNewer { lo, hi, since: 0 } => {
                !self.rows.keys().any(|k| (lo[1]..hi[1]).contains(k))
            }
            Cond::NoneNewer { lo, hi, since } => !self
                .changed
                .iter()
                .any(|(k, rev)| (lo[1]..hi[1]).contains(k) && rev > since),
            Cond::Fence(..) => false,
        }
    }

    fn apply(&mut self, batch: &[Txn]) -> Vec<bool> {
        let next = self.rev + 1;
        let mut held = Vec::new();
        for txn in batch {
            let holds = txn.conds.iter().all(|cond| self.holds(cond));
            for op in txn.ops.iter().filter(|_| holds) {
                let key = match op {
                    Op::Put(key, val) => {
                        self.rows.insert(key[1], (val[0], next));
                        key
                    }
                    Op::Del(key) => {
                        self.rows.remove(&key[1]);
                        key
                    }
                };
                self.changed.insert(key[1], next);
                self.rev = next;
            }
            held.push(holds);
        }
        self.past.insert(self.rev, self.rows.clone());
        held
    }

    fn items(&self) -> Vec<Item> {
        let item = |(k, (val, rev)): (&u8, &(u8, Rev))| Item {
            key: row(*k),
            val: vec![*val].into(),
            rev: *rev,
        };
        self.rows.iter().map(item).collect()
    }
}

/// One engine must agree with the model after every batch.
async fn agrees(engine: &Engine, batches: &[Vec<Step>]) -> Model {
    let mut model = Model {
        rev: engine.revision(),
        ..Model::default()
    };
    for steps in batches {
        let batch: Vec<Txn> = steps
            .iter()
            .map(|step| {
                let op = |(k, val): &(u8, Option<u8>)| match val {
                    Some(val) => Op::Put(row(*k), vec![*val].into()),
                    None => Op::Del(row(*k)),
                };
                txn(
                    step.guards.iter().map(|guard| model.cond(guard)).collect(),
                    step.ops.iter().map(op).collect(),
                )
            })
            .collect();
        let held = model.apply(&batch);
        let outcomes = engine
            .commit(batch, Box::new(|_| Vec::new()))
            .await
            .unwrap();
        let expected: Vec<Outcome> = held
            .iter()
            .map(|held| {
                if *held {
                    Outcome::Done(model.rev)
                } else {
                    Outcome::Conflict
                }
            })
            .collect();
        assert_eq!(outcomes, expected);
        assert_eq!(engine.revision(), model.rev);
        assert_eq!(
            engine.scan(b"k", b"l", None, 100).await.unwrap().items,
            model.items()
        );
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engines_agree_with_a_sorted_map(
        batches in proptest::collection::vec(proptest::collection::vec(step(), 1..5), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            agrees(&Engine::Memory(Memory::new()), &batches).await;
            let dir = TempDir::new().unwrap();
            let model = agrees(&Engine::Sqlite(Sqlite::open(dir.path()).unwrap()), &batches).await;
            let reopened = Sqlite::open(dir.path()).unwrap();
            assert_eq!(reopened.revision(), model.rev);
            assert_eq!(reopened.scan(b"k", b"l", None, 100).await.unwrap().items, model.items());
        });
    }
}
