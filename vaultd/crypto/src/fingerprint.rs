//! Keyed fingerprints of texts, to be looked for in large files.
//!
//! A text is found in two steps: the *bucket* of its first eight bytes, a multiplication that is
//! cheap enough for each position of a file, and then its *tag*, HMAC-SHA256 cut to 128 bits.
//!
//! Whoever holds the key and the fingerprints can test guesses, 20 bits of a text's start cheaply and
//! the rest at the speed of HMAC. Without the key they say nothing about the texts.

use crate::{Key, Prf};

/// What a scanner computes with.
pub struct Fingerprinter {
    prf: Prf,
    multiplier: u64,
}

impl Fingerprinter {
    /// Bytes of the window that the bucket is made of.
    pub const WINDOW: usize = 8;
    /// Buckets are below this number.
    pub const BUCKETS: usize = 1 << 20;

    /// Prepares the key.
    pub fn new(key: &Key<32>) -> Self {
        let prf = Prf::new(key);
        let tag = prf.tag(&[b"window"]);
        let mut first = [0; 8];
        first.copy_from_slice(&tag[..8]);
        Self {
            prf,
            // Odd, so that no bit of a window is lost.
            multiplier: u64::from_le_bytes(first) | 1,
        }
    }

    /// The bucket of eight bytes, read little endian.
    #[inline]
    pub fn bucket(&self, window: u64) -> u32 {
        (window.wrapping_mul(self.multiplier) >> 44) as u32
    }

    /// The tag of a whole text.
    pub fn tag(&self, text: &[u8]) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.prf.tag(&[b"text", text])[..16]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seed: u8) -> Fingerprinter {
        Fingerprinter::new(&Key::from_boxed([seed; 32]))
    }

    #[test]
    fn another_key_gives_other_fingerprints() {
        assert_eq!(of(1).tag(b"text"), of(1).tag(b"text"));
        assert_ne!(of(1).tag(b"text"), of(2).tag(b"text"));
        let window = u64::from_le_bytes(*b"password");
        assert_ne!(of(1).bucket(window), of(2).bucket(window));
    }

    #[test]
    fn every_byte_of_the_window_counts_and_buckets_are_in_bounds() {
        let fingerprinter = of(3);
        let base = u64::from_le_bytes(*b"abcdefgh");
        for byte in 0..8 {
            let other = base ^ (0x15 << (8 * byte));
            assert_ne!(fingerprinter.bucket(base), fingerprinter.bucket(other));
        }
        assert!((fingerprinter.bucket(u64::MAX) as usize) < Fingerprinter::BUCKETS);
    }
}
