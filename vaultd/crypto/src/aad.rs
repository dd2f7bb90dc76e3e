//! Associated data: what a ciphertext is bound to.
//!
//! The encoding is injective: each part is its length (u32, big endian) and its
//! bytes, so two different lists of parts never give the same bytes. Joining
//! texts without lengths would let `a` + `bc` pass for `ab` + `c`.

/// A builder for associated data.
///
/// The domain fixes the meaning of each field by its position. A number is the
/// field of its eight bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aad(Vec<u8>);

impl Aad {
    /// Starts with the domain, such as `vaultd/record/v1`.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self(Vec::with_capacity(192)).field(domain.as_bytes())
    }

    /// Adds a field of any length.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&length(bytes));
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number (8 bytes, big endian).
    #[must_use]
    pub fn u64(self, number: u64) -> Self {
        self.field(&number.to_be_bytes())
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Aad {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The length that goes before `part`.
///
/// # Panics
/// On a part over 4 GiB: cut off, its length would no longer be injective.
pub(crate) fn length(part: &[u8]) -> [u8; 4] {
    assert!(part.len() <= u32::MAX as usize, "a part is over 4 GiB");
    (part.len() as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(parts: &[Vec<u8>]) -> Aad {
        parts.iter().fold(Aad::new("d"), |aad, p| aad.field(p))
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        let aad = Aad::new("ab").field(b"").u64(258);
        let expected = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\x01\x02";
        assert_eq!(aad.as_bytes(), expected);
    }

    #[test]
    fn a_moved_border_changes_the_encoding() {
        let left = Aad::new("d").field(b"a").field(b"bc");
        let right = Aad::new("d").field(b"ab").field(b"c");
        assert_ne!(left, right);
    }

    proptest! {
        // Small alphabet and lengths, so that near collisions do come up.
        #[test]
        fn different_parts_give_different_bytes(
            a in prop::collection::vec(prop::collection::vec(0u8..3, 0..6), 0..5),
            b in prop::collection::vec(prop::collection::vec(0u8..3, 0..6), 0..5),
        ) {
            prop_assert_eq!(a == b, encode(&a) == encode(&b));
        }

        #[test]
        fn the_same_bytes_cut_elsewhere_give_different_encodings(
            bytes in prop::collection::vec(any::<u8>(), 1..40),
            cut in any::<prop::sample::Index>(),
            other in any::<prop::sample::Index>(),
        ) {
            let split = |at: usize| encode(&[bytes[..at].to_vec(), bytes[at..].to_vec()]);
            let (cut, other) = (cut.index(bytes.len()), other.index(bytes.len()));
            prop_assert_eq!(cut == other, split(cut) == split(other));
        }
    }
}
