//! Which rows there must be.
//!
//! Every row that a transaction wrote counts as an element PRF(row key, generation) in one bucket of
//! 1,056; a bucket keeps the sum of its elements modulo 2^128 (an additive keyed multiset hash).
//! The rows of a value bucket, and those of a slab of listing buckets, are neighbours on the disk, so
//! that one of them is checked without reading the others (`absence`):
//!
//! ```text
//! values    512 buckets: the first 9 bits of the row's tag
//! listings  16 slabs of 32: 4 bits of the directory's tag, then 5 of the sealed name
//! due times 32: a hash of the key
//! ```
//! Sums are stored, sealed, in the same commit as the rows. Since generations are never used twice,
//! a row that was deleted, added or put back from an older copy changes a sum, and verification
//! finds it. The header names the generation of every row of sums, so that a row of sums cannot be
//! put back together with the rows that it counts. What is not found: the whole file put back from an
//! older copy.

use std::collections::HashMap;

use bytes::Bytes;
use vault_crypto::{Prf, Random};

use super::envelope::{self, Place};
use super::error::BarrierError;
use super::keyring::Keyring;
use super::names;
use super::storage::{Engine, Op, Storage};

pub const BUCKETS: usize = VALUE_BUCKETS + LISTING_SLABS * SLAB + SLAB;
pub const VALUE_BUCKETS: usize = 512;
pub const LISTING_SLABS: usize = 16;
/// Buckets of a stored row of sums.
pub const SLAB: usize = 32;
const ROWS: usize = BUCKETS / SLAB;
pub const TAG: u8 = b'P';

/// One change of one row: generations before and after.
#[derive(Clone)]
pub struct Delta {
    bucket: usize,
    change: u128,
    count: i64,
}

impl Delta {
    pub fn new(prf: &Prf, row: &[u8], before: Option<u64>, after: Option<u64>) -> Delta {
        let added = after.map_or(0, |generation| element(prf, row, generation));
        let removed = before.map_or(0, |generation| element(prf, row, generation));
        Delta {
            bucket: bucket(row),
            change: added.wrapping_sub(removed),
            count: i64::from(after.is_some()) - i64::from(before.is_some()),
        }
    }
}

impl Delta {
    /// What makes a sum right that damage made wrong.
    pub fn correction(bucket: usize, change: u128, count: i64) -> Delta {
        Delta {
            bucket,
            change,
            count,
        }
    }
}

pub fn element(prf: &Prf, row: &[u8], generation: u64) -> u128 {
    let tag = prf.tag(&[row, &generation.to_be_bytes()]);
    let mut half = [0; 16];
    half.copy_from_slice(&tag[..16]);
    u128::from_be_bytes(half)
}

/// Bytes that a key made by somebody else may lack count as zero.
pub fn bucket(row: &[u8]) -> usize {
    let byte = |at: usize| usize::from(row.get(at).copied().unwrap_or(0));
    match row.first() {
        Some(&names::VALUE) => byte(names::TAG_AT) << 1 | byte(names::TAG_AT + 1) >> 7,
        Some(&names::LISTING) => {
            listing_slab(row) * SLAB + VALUE_BUCKETS + (byte(names::SEALED_AT) >> 3)
        }
        _ => VALUE_BUCKETS + LISTING_SLABS * SLAB + spread(row) % SLAB,
    }
}

/// The slab of a listing row or of its directory's prefix.
pub fn listing_slab(row: &[u8]) -> usize {
    usize::from(row.get(names::TAG_AT).copied().unwrap_or(0) >> 4)
}

/// FNV-1a.
fn spread(row: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in row {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 32)) as usize
}

/// The sums as of the last commit.
pub struct Presence {
    sums: Vec<u128>,
    count: i64,
    /// Generation of the last write of any row.
    sequence: u64,
    /// Own generation of the stored sums.
    writes: u64,
    /// Generation of each stored row of sums.
    generations: [u64; ROWS],
}

impl Presence {
    pub fn empty() -> Presence {
        Presence {
            sums: vec![0; BUCKETS],
            count: 0,
            sequence: 0,
            writes: 0,
            generations: [0; ROWS],
        }
    }

    pub fn sums(&self) -> &[u128] {
        &self.sums
    }

    pub fn count(&self) -> i64 {
        self.count
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Applies committed changes and gives the rows to store with them.
    pub fn apply<'d>(
        &mut self,
        deltas: impl Iterator<Item = &'d Delta>,
        sequence: u64,
        keyring: &Keyring,
        random: &dyn Random,
    ) -> Vec<Op> {
        let mut touched = [false; ROWS];
        for delta in deltas {
            self.sums[delta.bucket] = self.sums[delta.bucket].wrapping_add(delta.change);
            self.count += delta.count;
            touched[delta.bucket / SLAB] = true;
        }
        self.sequence = self.sequence.max(sequence);
        self.writes += 1;
        let rows = (0..ROWS).filter(|row| touched[*row]);
        let mut ops: Vec<Op> = rows.map(|row| self.row(row, keyring, random)).collect();
        ops.push(self.header(keyring, random));
        ops
    }

    /// Every row, for a store that has none.
    pub fn rows(&mut self, keyring: &Keyring, random: &dyn Random) -> Vec<Op> {
        self.writes += 1;
        let mut ops: Vec<Op> = (0..ROWS)
            .map(|row| self.row(row, keyring, random))
            .collect();
        ops.push(self.header(keyring, random));
        ops
    }

    fn row(&mut self, row: usize, keyring: &Keyring, random: &dyn Random) -> Op {
        let mut plain = Vec::with_capacity(SLAB * 16);
        for sum in &self.sums[row * SLAB..(row + 1) * SLAB] {
            plain.extend_from_slice(&sum.to_be_bytes());
        }
        self.generations[row] = self.writes;
        sealed(row_key(row), self.writes, &plain, keyring, random)
    }

    fn header(&self, keyring: &Keyring, random: &dyn Random) -> Op {
        let mut plain = Vec::with_capacity((2 + ROWS) * 8);
        plain.extend_from_slice(&self.count.to_be_bytes());
        plain.extend_from_slice(&self.sequence.to_be_bytes());
        for generation in &self.generations {
            plain.extend_from_slice(&generation.to_be_bytes());
        }
        sealed(row_key(ROWS), self.writes, &plain, keyring, random)
    }

    /// Reads the stored sums. Every row must be there and open.
    pub async fn load(storage: &Engine, keyring: &Keyring) -> Result<Presence, BarrierError> {
        let mut rows = HashMap::new();
        for row in 0..=ROWS {
            let key = row_key(row);
            if let Some(item) = storage.get(&key).await? {
                rows.insert(key, item.val);
            }
        }
        Presence::from_rows(keyring, |key| rows.get(key).cloned())
    }

    /// The same from rows that are at hand.
    pub fn from_rows(
        keyring: &Keyring,
        stored: impl Fn(&Bytes) -> Option<Bytes>,
    ) -> Result<Presence, BarrierError> {
        let damaged = || BarrierError::Damaged("the presence sums".to_owned());
        let open = |row| {
            let key = row_key(row);
            let record = stored(&key).ok_or_else(damaged)?;
            envelope::open(keyring, 0, &key, &record).map_err(|_| damaged())
        };
        let mut presence = Presence::empty();
        let (header, writes) = open(ROWS)?;
        let (fields, rest) = header.as_chunks::<8>();
        let [count, sequence, generations @ ..] = fields else {
            return Err(damaged());
        };
        if generations.len() != ROWS || !rest.is_empty() {
            return Err(damaged());
        }
        presence.writes = writes;
        presence.count = i64::from_be_bytes(*count);
        presence.sequence = u64::from_be_bytes(*sequence);
        for (row, wanted) in generations.iter().enumerate() {
            let (plain, generation) = open(row)?;
            if generation != u64::from_be_bytes(*wanted) {
                return Err(damaged());
            }
            presence.generations[row] = generation;
            let start = row * SLAB;
            for (at, sum) in plain.as_chunks::<16>().0.iter().enumerate().take(SLAB) {
                presence.sums[start + at] = u128::from_be_bytes(*sum);
            }
        }
        Ok(presence)
    }
}

fn sealed(key: Bytes, generation: u64, plain: &[u8], keyring: &Keyring, random: &dyn Random) -> Op {
    let record = envelope::seal(
        keyring,
        random,
        &Place {
            mount: 0,
            row: &key,
            generation,
        },
        plain,
    );
    Op::Put(key, record.into())
}

fn row_key(row: usize) -> Bytes {
    vec![TAG, u8::try_from(row).unwrap_or(u8::MAX)].into()
}
