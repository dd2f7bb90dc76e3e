//! Verification: opens every row, recomputes the presence sums, and names what is damaged.
//!
//! The first pass keeps nothing but sums. If some are off, or rows did not open, further passes over
//! the same snapshot look at the rows of those buckets (`scene`), a bounded number at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::Serialize;
use vault_crypto::SecretVec;

use super::absence::sums;
use super::accept::Repair;
use super::doubts::Doubts;
use super::error::BarrierError;
use super::presence::{BUCKETS, bucket, element};
use super::scene::Scene;
use super::storage::{Rev, Snapshot, Storage};
use super::{Keyring, Shared, envelope, names};

const PAGE: usize = 500;
/// Rows that are kept at a time while damage is named.
const KEPT: u64 = 50_000;

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// It does not open: its bytes were changed, or it was moved or swapped.
    Altered,
    /// It is gone.
    Missing,
    /// It is an older copy of itself.
    Outdated,
    /// It was never written by this server, or was deleted and is back.
    Foreign,
    /// The value is there but its directory does not list it.
    Unlisted,
    /// One of several in its bucket that cannot be told apart.
    Suspect,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Damage {
    pub mount: u64,
    pub path: String,
    pub problem: Problem,
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub rows: u64,
    pub expected_rows: i64,
    pub damaged: Vec<Damage>,
    /// Rows are missing, outdated or not ours.
    pub rows_missing: bool,
    #[serde(skip)]
    pub(super) doubts: Doubts,
    #[serde(skip)]
    pub(super) repair: Repair,
    /// The engine's own structure is whole.
    #[serde(skip)]
    pub(super) sound: bool,
}

impl Report {
    pub fn healthy(&self) -> bool {
        self.damaged.is_empty() && !self.rows_missing
    }

    /// Names this damage, in 32 hex digits: the same as long as nothing else is damaged.
    pub fn id(&self) -> String {
        let buckets: Vec<usize> = self.repair.buckets.keys().copied().collect();
        let shown = serde_json::to_vec(&(&self.damaged, buckets, self.sound)).unwrap_or_default();
        hex::encode(&vault_crypto::sha256(&shown)[..16])
    }
}

/// One row as read.
pub(super) struct Row {
    pub(super) key: Bytes,
    pub(super) mount: u64,
    /// Plaintext and generation; `None` if it did not open.
    pub(super) opened: Option<(SecretVec, u64)>,
    /// The generation in its header, opened or not.
    pub(super) claimed: Option<u64>,
    pub(super) rev: Rev,
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) damaged: BTreeSet<Damage>,
    pub(super) doubts: Doubts,
    /// The sum of some bucket is off.
    pub(super) off: bool,
    pub(super) repair: Repair,
}

pub(super) async fn run(shared: &Shared) -> Result<Report, BarrierError> {
    let keyring = shared.keyring.load_full();
    let mut snapshot = shared.storage.snapshot().await?;
    let stored = sums(&mut snapshot, &keyring).await?;
    let mut store = Store {
        shared,
        keyring: Arc::clone(&keyring),
        snapshot,
    };
    let mut tally = Tally::new(stored.sums(), &keyring);
    store.each(|row| tally.add(&row)).await?;

    let mut findings = Findings::default();
    let newest = shared.sequence.load(Ordering::Acquire);
    for group in tally.groups() {
        let mut scene = Scene::new(&keyring, &group);
        store.each(|row| scene.add(row)).await?;
        scene.examine(stored.sums(), newest, &mut findings);
    }
    drop(store);

    let Findings {
        damaged,
        mut doubts,
        off,
        mut repair,
    } = findings;
    tally.correct(&mut repair, stored.count());
    let rows = tally.rows();
    let mut rows_missing = off || i64::try_from(rows).ok() != Some(stored.count());
    let sound = shared.storage.is_sound().await?;
    if !sound {
        // What the engine does not find may be there all the same: nothing absent is believed.
        rows_missing = true;
        doubts.add_unnamed();
        (0..BUCKETS).for_each(|bucket| doubts.add_bucket(bucket));
    }
    Ok(Report {
        rows,
        expected_rows: stored.count(),
        damaged: damaged.into_iter().collect(),
        rows_missing,
        doubts,
        repair,
        sound,
    })
}

/// All rows of one revision, as often as needed.
struct Store<'s> {
    shared: &'s Shared,
    keyring: Arc<Keyring>,
    snapshot: Snapshot,
}

impl Store<'_> {
    async fn each(&mut self, mut see: impl FnMut(Row)) -> Result<(), BarrierError> {
        for tag in [names::DUE, names::LISTING, names::VALUE] {
            let mut after: Option<Bytes> = None;
            loop {
                if self.shared.closing.load(Ordering::Acquire) {
                    return Err(BarrierError::Key("the server is being sealed"));
                }
                let page = self
                    .snapshot
                    .scan(&[tag], &[tag + 1], after.as_deref(), PAGE)
                    .await?;
                after = page.items.last().map(|item| item.key.clone());
                for item in page.items {
                    let mount = names::mount_of(&item.key);
                    see(Row {
                        mount,
                        opened: envelope::open(&self.keyring, mount, &item.key, &item.val).ok(),
                        claimed: envelope::claimed_generation(&item.val),
                        rev: item.rev,
                        key: item.key,
                    });
                }
                if !page.more {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// What the first pass keeps of each bucket.
struct Tally<'k> {
    keyring: &'k Keyring,
    /// The stored sum without the rows that were seen, as their headers say.
    rest: Vec<u128>,
    /// The stored sum without the rows that opened.
    left: Vec<u128>,
    opened: i64,
    seen: Vec<u64>,
    altered: Vec<bool>,
}

impl<'k> Tally<'k> {
    fn new(sums: &[u128], keyring: &'k Keyring) -> Tally<'k> {
        Tally {
            keyring,
            rest: sums.to_vec(),
            left: sums.to_vec(),
            opened: 0,
            seen: vec![0; BUCKETS],
            altered: vec![false; BUCKETS],
        }
    }

    fn add(&mut self, row: &Row) {
        let at = bucket(&row.key);
        self.seen[at] += 1;
        self.altered[at] |= row.opened.is_none();
        if let Some(generation) = row.claimed {
            let element = element(&self.keyring.presence, &row.key, generation);
            self.rest[at] = self.rest[at].wrapping_sub(element);
            if row.opened.is_some() {
                self.left[at] = self.left[at].wrapping_sub(element);
            }
        }
        self.opened += i64::from(row.opened.is_some());
    }

    /// What the sums lack to be those of the rows that opened.
    fn correct(&self, repair: &mut Repair, count: i64) {
        for at in (0..BUCKETS).filter(|at| self.left[*at] != 0) {
            repair.buckets.entry(at).or_default().change = self.left[at].wrapping_neg();
        }
        // One of them carries the whole difference in number.
        if let Some(first) = repair.buckets.values_mut().next() {
            first.count = self.opened - count;
        }
    }

    fn rows(&self) -> u64 {
        self.seen.iter().sum()
    }

    /// The buckets to look into, so many at a time that their rows can be kept.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut kept = KEPT;
        for at in (0..BUCKETS).filter(|at| self.rest[*at] != 0 || self.altered[*at]) {
            kept += self.seen[at];
            match groups.last_mut() {
                Some(group) if kept <= KEPT => group.push(at),
                _ => {
                    groups.push(vec![at]);
                    kept = self.seen[at];
                }
            }
        }
        groups
    }
}
