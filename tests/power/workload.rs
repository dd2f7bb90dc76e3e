//! What the power-loss workload writes: batch n is a function of n, so the whole content after any
//! batch is known.

use std::collections::BTreeMap;

/// Batches after which rows are deleted again.
const KEPT: u64 = 12;

pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Rows that batch `n` (from 1) puts, or deletes with `None`.
pub(crate) fn batch(n: u64) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut ops = vec![(b"newest".to_vec(), Some(n.to_be_bytes().to_vec()))];
    for row in 0..rows_of(n) {
        ops.push((key(n, row), Some(value(n, row))));
    }
    if let Some(old) = n.checked_sub(KEPT) {
        ops.extend((0..rows_of(old)).map(|row| (key(old, row), None)));
    }
    ops
}

/// The whole content after batches `1..=n`.
pub(crate) fn content(n: u64) -> Rows {
    let first = n.saturating_sub(KEPT) + 1;
    let ops = (first..=n).flat_map(batch);
    ops.filter_map(|(key, val)| Some((key, val?))).collect()
}

fn rows_of(n: u64) -> u64 {
    if n == 0 { 0 } else { 2 + n % 4 }
}

fn key(n: u64, row: u64) -> Vec<u8> {
    // Scattered, as the barrier's keys are.
    let scattered = (n * 8 + row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [&b"row"[..], &scattered.to_be_bytes()].concat()
}

/// From nothing to several pages.
fn value(n: u64, row: u64) -> Vec<u8> {
    let length = match (n * 5 + row) % 9 {
        0 => 0,
        1 => 9000 + n as usize % 4096,
        2 => 4096,
        other => 40 * other as usize,
    };
    let seed = n.wrapping_mul(31).wrapping_add(row);
    (0..length as u64)
        .map(|at| (seed.wrapping_add(at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}
