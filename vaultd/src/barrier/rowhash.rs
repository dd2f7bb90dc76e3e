//! A quick hash of row keys, for maps in memory. Most of a key is pseudo-random under a key of ours, so
//! that nobody can choose keys that meet.

use std::hash::{BuildHasherDefault, Hasher};

pub type RowMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<RowHasher>>;

#[derive(Default)]
pub struct RowHasher(u64);

impl RowHasher {
    fn add(&mut self, word: u64) {
        // Of the golden ratio, odd: every bit of the word reaches the upper half.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for RowHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(last));
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    /// A map looks at the lowest bits, and at the highest.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash;

    use super::*;

    #[test]
    fn keys_that_differ_little_are_spread() {
        let hash = |key: [u8; 29]| {
            let mut hasher = RowHasher::default();
            key[..].hash(&mut hasher);
            hasher.finish()
        };
        let keys = (0..29).flat_map(|at| (0..=255).map(move |byte| (at, byte)));
        let hashes = keys.map(|(at, byte)| {
            let mut key = [0; 29];
            key[at] = byte;
            hash(key)
        });
        let mut low = [0; 64];
        hashes.for_each(|hash| low[(hash % 64) as usize] += 1);
        // 29 * 256 / 64 = 116 in each, and 28 more of the same key.
        assert!(low.iter().all(|count| (60..240).contains(count)), "{low:?}");
    }
}
