//! Verification: opens every row, walks every listing, recomputes the presence sums, and names what
//! is damaged.
//!
//! A damaged value row is named through the listings, a listing row through the values below it, and
//! a row put back from an older copy through its bucket's sum (`explain`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use serde::Serialize;

use super::doubts::Doubts;
use super::error::BarrierError;
use super::explain::{Bucket, Cause};
use super::names;
use super::presence::{BUCKETS, bucket};
use super::storage::{Item, Storage};
use super::{Shared, envelope, tx};

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
}

impl Report {
    pub fn healthy(&self) -> bool {
        self.damaged.is_empty() && !self.rows_missing
    }
}

/// One row as found.
struct Row {
    mount: u64,
    /// `None` if it did not open.
    generation: Option<u64>,
    /// What its header says, opened or not.
    claimed: Option<u64>,
    name: Option<String>,
}

struct Listing {
    mount: u64,
    directory: String,
    name: String,
    flags: u8,
}

pub(super) async fn run(shared: &Shared) -> Result<Report, BarrierError> {
    let (items, sums, count) = one_moment(shared).await?;
    let mut report = examine(shared, &items, &sums, count);
    if !shared.storage.is_sound().await? {
        // What the engine does not find may be there all the same: nothing absent is believed.
        report.rows_missing = true;
        report.doubts.add_unnamed();
        (0..BUCKETS).for_each(|bucket| report.doubts.add_bucket(bucket));
    }
    Ok(report)
}

/// Rows and sums from one snapshot. The sums in memory would not do: they are ahead of the rows while a
/// commit is under way.
async fn one_moment(shared: &Shared) -> Result<(Vec<Item>, Vec<u128>, i64), BarrierError> {
    let mut snapshot = shared.storage.snapshot().await?;
    let mut items = Vec::new();
    let mut sum_rows: HashMap<Bytes, Bytes> = HashMap::new();
    loop {
        let page = snapshot.next().await?;
        if page.is_empty() {
            break;
        }
        for item in page {
            match item.key.first() {
                Some(&(names::VALUE | names::LISTING | names::DUE)) => items.push(item),
                Some(b'P') => drop(sum_rows.insert(item.key, item.val)),
                _ => {}
            }
        }
    }
    let keyring = shared.keyring.load_full();
    let presence =
        super::presence::Presence::from_rows(&keyring, |key| sum_rows.get(key).cloned())?;
    Ok((items, presence.sums().to_vec(), presence.count()))
}

fn examine(shared: &Shared, items: &[Item], sums: &[u128], count: i64) -> Report {
    let keyring = shared.keyring.load_full();
    let mut rows: BTreeMap<Bytes, Row> = BTreeMap::new();
    let mut listings = Vec::new();
    for item in items {
        let mount = names::mount_of(&item.key);
        let opened = envelope::open(&keyring, mount, &item.key, &item.val).ok();
        let (generation, name) = match &opened {
            None => (None, None),
            Some((plain, generation)) => (
                Some(*generation),
                name_of(&keyring, &item.key, mount, plain, &mut listings),
            ),
        };
        let claimed = envelope::claimed_generation(&item.val);
        rows.insert(
            item.key.clone(),
            Row {
                mount,
                generation,
                claimed,
                name,
            },
        );
    }

    let mut damaged = BTreeSet::new();
    let expected = expected_values(&keyring, &listings);
    for (key, (mount, path)) in &expected {
        if !rows.contains_key(key) {
            damaged.insert(Damage {
                mount: *mount,
                path: path.clone(),
                problem: Problem::Missing,
            });
        }
    }
    for (key, row) in &rows {
        if row.generation.is_none() {
            let path = expected
                .get(key)
                .map_or_else(|| described(key), |(_, path)| path.clone());
            damaged.insert(Damage {
                mount: row.mount,
                path,
                problem: Problem::Altered,
            });
        }
    }
    unreachable_entries(&listings, &mut damaged);

    let absent = absent_rows(&keyring, &rows, &expected);
    let mut doubts = Doubts::default();
    let newest = shared.sequence.load(std::sync::atomic::Ordering::Acquire);
    let off = check_sums(
        &keyring,
        &rows,
        &absent,
        sums,
        newest,
        &mut damaged,
        &mut doubts,
    );
    Report {
        rows: rows.len() as u64,
        expected_rows: count,
        damaged: damaged.into_iter().collect(),
        rows_missing: off || i64::try_from(rows.len()).ok() != Some(count),
        doubts,
    }
}

/// The path in a row's plaintext; listing entries are collected on the way.
fn name_of(
    keyring: &super::Keyring,
    key: &Bytes,
    mount: u64,
    plain: &[u8],
    listings: &mut Vec<Listing>,
) -> Option<String> {
    match *key.first()? {
        names::VALUE => tx::split_value(plain).map(|(path, _)| path.to_owned()),
        names::LISTING => {
            let (flags, directory) = tx::split_listing(plain)?;
            let name = names::listing_name(keyring, key)?;
            let name = std::str::from_utf8(&name).ok()?.to_owned();
            let path = joined(directory, &name);
            listings.push(Listing {
                mount,
                directory: directory.to_owned(),
                name,
                flags,
            });
            Some(path)
        }
        _ => Some("a due time".to_owned()),
    }
}

/// Every value row that the listings promise.
fn expected_values(
    keyring: &super::Keyring,
    listings: &[Listing],
) -> HashMap<Bytes, (u64, String)> {
    listings
        .iter()
        .filter(|entry| tx::is_leaf(entry.flags))
        .map(|entry| {
            let path = joined(&entry.directory, &entry.name);
            (
                names::value_key(keyring, entry.mount, &path),
                (entry.mount, path),
            )
        })
        .collect()
}

/// Entries in a directory that its own parent does not list.
fn unreachable_entries(listings: &[Listing], damaged: &mut BTreeSet<Damage>) {
    let directories: HashSet<(u64, String)> = listings
        .iter()
        .filter(|entry| tx::is_directory(entry.flags))
        .map(|entry| (entry.mount, joined(&entry.directory, &entry.name)))
        .collect();
    for entry in listings.iter().filter(|entry| !entry.directory.is_empty()) {
        if !directories.contains(&(entry.mount, entry.directory.clone())) {
            let path = format!("{}/", entry.directory);
            damaged.insert(Damage {
                mount: entry.mount,
                path,
                problem: Problem::Unlisted,
            });
        }
    }
}

/// Rows that are not there and may have been: values that listings promise, and the listing entries
/// of values. A value that was never listed has no entry; no generation explains its bucket then.
fn absent_rows(
    keyring: &super::Keyring,
    rows: &BTreeMap<Bytes, Row>,
    expected: &HashMap<Bytes, (u64, String)>,
) -> HashMap<Bytes, Damage> {
    let mut absent = HashMap::new();
    let mut add = |key: Bytes, mount, path: &str, problem| {
        if !rows.contains_key(&key) {
            absent.insert(
                key,
                Damage {
                    mount,
                    path: path.to_owned(),
                    problem,
                },
            );
        }
    };
    for (key, (mount, path)) in expected {
        add(key.clone(), *mount, path, Problem::Missing);
    }
    for (key, row) in rows
        .iter()
        .filter(|(key, _)| key.first() == Some(&names::VALUE))
    {
        let Some(path) = row
            .name
            .as_deref()
            .or_else(|| expected.get(key).map(|(_, path)| path.as_str()))
        else {
            continue;
        };
        let mut child = path;
        loop {
            let (directory, name) = names::split_last(child);
            let shown = if child == path {
                path.to_owned()
            } else {
                format!("{child}/")
            };
            add(
                names::listing_key(keyring, row.mount, directory, name),
                row.mount,
                &shown,
                Problem::Unlisted,
            );
            if directory.is_empty() {
                break;
            }
            child = directory;
        }
    }
    absent
}

/// Compares the sums; true if rows are missing, outdated or foreign.
fn check_sums(
    keyring: &super::Keyring,
    rows: &BTreeMap<Bytes, Row>,
    absent: &HashMap<Bytes, Damage>,
    sums: &[u128],
    newest: u64,
    damaged: &mut BTreeSet<Damage>,
    doubts: &mut Doubts,
) -> bool {
    let mut buckets: Vec<Bucket<'_>> = sums
        .iter()
        .map(|sum| Bucket::new(&keyring.presence, *sum))
        .collect();
    debug_assert_eq!(buckets.len(), BUCKETS);
    for (key, row) in rows {
        let bucket = &mut buckets[bucket(key)];
        match row.generation {
            Some(generation) => bucket.opened(key, generation),
            None => bucket.altered(key, row.claimed),
        }
    }
    for key in absent.keys() {
        buckets[bucket(key)].absent(key);
    }
    let mut off = false;
    for (at, bucket) in buckets.iter().enumerate() {
        let Some(cause) = bucket.explain(newest) else {
            continue;
        };
        off = true;
        doubts.add_bucket(at);
        match cause {
            Cause::Row(key, problem) => {
                if let Some(row) = rows.get(key) {
                    damaged.insert(damage(key, row, problem));
                    doubts.add_row(key.clone());
                }
            }
            Cause::Altered => {}
            Cause::Absent(key) => {
                damaged.extend(absent.get(key).cloned());
                doubts.add_missing(key);
            }
            Cause::Unknown => {
                doubts.add_unnamed();
                for key in bucket.members() {
                    if let Some(row) = rows.get(key) {
                        damaged.insert(damage(key, row, Problem::Suspect));
                    }
                    doubts.add_row(key.clone());
                }
            }
        }
    }
    off
}

fn damage(key: &Bytes, row: &Row, problem: Problem) -> Damage {
    Damage {
        mount: row.mount,
        path: row.name.clone().unwrap_or_else(|| described(key)),
        problem,
    }
}

fn described(key: &Bytes) -> String {
    let kind = match key.first() {
        Some(&names::VALUE) => "value",
        Some(&names::LISTING) => "listing",
        _ => "due time",
    };
    format!("{kind} row {}", hex::encode(key))
}

fn joined(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}
