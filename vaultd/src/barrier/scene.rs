//! The rows of some buckets that are not as they should be: which is damaged, and how.
//!
//! A damaged value row is named through the listings, a listing row through the rows below it, and a
//! row put back from an older copy through its bucket's sum (`explain`).

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::explain::{Bucket, Cause};
use super::presence::{BUCKETS, bucket};
use super::storage::Rev;
use super::verify::{Damage, Findings, Problem, Row};
use super::{Keyring, names, tx};

/// A row of the scene, without its content.
struct Kept {
    mount: u64,
    generation: Option<u64>,
    claimed: Option<u64>,
    rev: Rev,
    name: Option<String>,
}

/// A row that other rows speak of.
struct Named {
    damage: Damage,
    /// Whether it must be there: a value need not be listed.
    certain: bool,
}

pub(super) struct Scene<'k> {
    keyring: &'k Keyring,
    /// By bucket: whether it is looked into.
    inside: Vec<bool>,
    rows: BTreeMap<Bytes, Kept>,
    named: HashMap<Bytes, Named>,
    /// The directory whose own entries were named last: its listing rows come one after another.
    last: Option<(u64, String)>,
}

impl<'k> Scene<'k> {
    pub(super) fn new(keyring: &'k Keyring, buckets: &[usize]) -> Scene<'k> {
        let mut inside = vec![false; BUCKETS];
        buckets.iter().for_each(|at| inside[*at] = true);
        Scene {
            keyring,
            inside,
            rows: BTreeMap::new(),
            named: HashMap::new(),
            last: None,
        }
    }

    pub(super) fn add(&mut self, row: Row) {
        let name = match &row.opened {
            Some((plain, _)) => self.name(&row.key, row.mount, plain),
            None => None,
        };
        if self.inside[bucket(&row.key)] {
            let kept = Kept {
                mount: row.mount,
                generation: row.opened.map(|(_, generation)| generation),
                claimed: row.claimed,
                rev: row.rev,
                name,
            };
            self.rows.insert(row.key, kept);
        }
    }

    /// The path of a row that opened; what it says about other rows is noted on the way.
    fn name(&mut self, key: &Bytes, mount: u64, plain: &[u8]) -> Option<String> {
        match *key.first()? {
            names::VALUE => {
                let (path, _) = tx::split_value(plain)?;
                self.name_entries(mount, path, path.to_owned(), false);
                Some(path.to_owned())
            }
            names::LISTING => {
                let (flags, directory) = tx::split_listing(plain)?;
                let name = names::listing_name(self.keyring, key)?;
                let path = joined(directory, std::str::from_utf8(&name).ok()?);
                if tx::is_leaf(flags) {
                    let value = names::value_key(self.keyring, mount, &path);
                    self.note(value, mount, path.clone(), Problem::Missing, true);
                }
                let seen = self.last.as_ref();
                if !seen.is_some_and(|(last, name)| *last == mount && name == directory) {
                    if !directory.is_empty() {
                        self.name_entries(mount, directory, format!("{directory}/"), true);
                    }
                    self.last = Some((mount, directory.to_owned()));
                }
                Some(path)
            }
            _ => Some("a due time".to_owned()),
        }
    }

    /// The entries of a path and of the directories above it.
    fn name_entries(&mut self, mount: u64, path: &str, shown: String, certain: bool) {
        let (mut child, mut shown) = (path, shown);
        loop {
            let (directory, name) = names::split_last(child);
            let key = names::listing_key(self.keyring, mount, directory, name);
            self.note(key, mount, shown, Problem::Unlisted, certain);
            if directory.is_empty() {
                return;
            }
            (child, shown) = (directory, format!("{directory}/"));
        }
    }

    fn note(&mut self, key: Bytes, mount: u64, path: String, problem: Problem, certain: bool) {
        if self.inside[bucket(&key)] {
            let damage = Damage {
                mount,
                path,
                problem,
            };
            let named = self.named.entry(key).or_insert(Named { damage, certain });
            named.certain |= certain;
        }
    }

    pub(super) fn examine(self, sums: &[u128], newest: u64, findings: &mut Findings) {
        for (key, row) in self.rows.iter().filter(|(_, row)| row.generation.is_none()) {
            let path = self
                .named
                .get(key)
                .map_or_else(|| described(key), |named| named.damage.path.clone());
            let correction = findings.repair.buckets.entry(bucket(key)).or_default();
            correction.altered.push((key.clone(), row.rev));
            if self.named.contains_key(key) {
                findings.repair.relist.insert((row.mount, path.clone()));
            }
            findings.damaged.insert(Damage {
                mount: row.mount,
                path,
                problem: Problem::Altered,
            });
        }
        let absent = || {
            let named = self.named.iter();
            named.filter(|(key, _)| !self.rows.contains_key(*key))
        };
        for (_, named) in absent().filter(|(_, named)| named.certain) {
            findings.lost(&named.damage);
        }

        let mut buckets: BTreeMap<usize, Bucket<'_>> = BTreeMap::new();
        for at in (0..BUCKETS).filter(|at| self.inside[*at]) {
            buckets.insert(at, Bucket::new(&self.keyring.presence, sums[at]));
        }
        for (key, row) in &self.rows {
            if let Some(bucket) = buckets.get_mut(&bucket(key)) {
                match row.generation {
                    Some(generation) => bucket.opened(key, generation),
                    None => bucket.altered(key, row.claimed),
                }
            }
        }
        for (key, _) in absent() {
            if let Some(bucket) = buckets.get_mut(&bucket(key)) {
                bucket.absent(key);
            }
        }
        for (at, bucket) in &buckets {
            if let Some(cause) = bucket.explain(newest) {
                self.blame(*at, bucket, cause, findings);
            }
        }
    }

    /// Notes what makes a bucket's sum wrong.
    fn blame(&self, at: usize, bucket: &Bucket<'_>, cause: Cause<'_>, findings: &mut Findings) {
        findings.off = true;
        if let Cause::Absent(key) = &cause
            && let Some(named) = self.named.get(*key)
        {
            findings.lost(&named.damage);
        }
        let Findings {
            damaged,
            doubts,
            repair,
            ..
        } = findings;
        doubts.add_bucket(at);
        let damage = |key: &Bytes, problem| {
            let row = self.rows.get(key)?;
            Some(Damage {
                mount: row.mount,
                path: row.name.clone().unwrap_or_else(|| described(key)),
                problem,
            })
        };
        match cause {
            Cause::Row(key, problem) => {
                if let (Some(row), Problem::Foreign) = (self.rows.get(key), problem) {
                    repair.drop.insert((row.mount, key.clone()));
                }
                damaged.extend(damage(key, problem));
                doubts.add_row(key.clone());
            }
            Cause::Altered => {}
            Cause::Absent(key) => {
                doubts.add_missing(key);
            }
            Cause::Unknown => {
                doubts.add_unnamed();
                for key in bucket.members() {
                    damaged.extend(damage(key, Problem::Suspect));
                    doubts.add_row(key.clone());
                }
            }
        }
    }
}

impl Findings {
    /// A row is gone that others name.
    fn lost(&mut self, damage: &Damage) {
        self.repair
            .relist
            .insert((damage.mount, damage.path.clone()));
        self.damaged.insert(damage.clone());
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
    match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    }
}
