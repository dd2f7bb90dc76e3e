//! Secrets in memory: on the heap, at one place, wiped on drop.
//!
//! Moving a secret moves a pointer, so no copies are left behind. None of these
//! types prints its content, clones, serialises, or compares other than in
//! constant time. A caller that copies what `expose` lends is on its own.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::Random;

/// Decrypted bytes of one use: wiped on drop.
///
/// Its `Debug` shows no content; its `==` is not constant time.
pub type SecretVec = Zeroizing<Vec<u8>>;

/// A key of `N` bytes.
pub struct Key<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Key<N> {
    /// A uniformly random key.
    pub fn generate(random: &dyn Random) -> Self {
        Self::fill_with(|bytes| random.fill(bytes))
    }

    /// A copy of `bytes`; wiping the source is up to the caller.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, WrongLength> {
        if bytes.len() != N {
            return Err(WrongLength {
                have: bytes.len(),
                need: N,
            });
        }
        Ok(Self::fill_with(|out| out.copy_from_slice(bytes)))
    }

    /// Takes a box over as it is. An array is also accepted, but its place on
    /// the stack is not wiped.
    pub fn from_boxed(bytes: impl Into<Box<[u8; N]>>) -> Self {
        Self(bytes.into())
    }

    /// Writes the key at its final place, so that no copy exists elsewhere.
    pub(crate) fn fill_with(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut key = Self(Box::new([0; N]));
        write(&mut key.0);
        key
    }

    /// The bytes, for a primitive. Do not copy them.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Compares in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }

    /// A second copy of the key, by a name that a review can search for.
    pub fn duplicate(&self) -> Self {
        Self::fill_with(|out| out.copy_from_slice(self.expose()))
    }
}

impl<const N: usize> Drop for Key<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Key<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key<{N}>(..)")
    }
}

/// Secret bytes of any length, in a buffer that is exactly that long.
pub struct SecretBytes(Box<[u8]>);

impl SecretBytes {
    /// Takes the bytes over. If the vector has spare capacity it is copied to a
    /// buffer that fits and the old memory is wiped, spare part included.
    pub fn from_vec(mut bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Self(bytes.into_boxed_slice());
        }
        let exact = Self::from_slice(&bytes);
        bytes.zeroize();
        exact
    }

    /// A copy of `bytes`; wiping the source is up to the caller.
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(Box::from(bytes))
    }

    /// The bytes, for a primitive. Do not copy them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes; not a secret.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in constant time; the lengths are not secret.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// A secret text, such as a token.
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Takes the text over; only its current buffer is wiped on drop.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one answer that delivers it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(..)")
    }
}

/// A key of the wrong length was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongLength {
    /// Bytes offered.
    pub have: usize,
    /// Bytes needed.
    pub need: usize,
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the key has {} bytes, {} are needed",
            self.have, self.need
        )
    }
}

impl std::error::Error for WrongLength {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeded;

    #[test]
    fn debug_shows_no_content() {
        let key = Key::<4>::from_boxed([0xAB; 4]);
        assert_eq!(format!("{key:?}"), "Key<4>(..)");
        let bytes = SecretBytes::from_vec(vec![0xAB; 4]);
        assert_eq!(format!("{bytes:?}"), "SecretBytes(..)");
        let text = SecretString::new("hidden".to_owned());
        assert_eq!(format!("{text:?}"), "SecretString(..)");
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let refused = Key::<32>::from_slice(&[0; 31]).map(|_| ());
        assert_eq!(refused, Err(WrongLength { have: 31, need: 32 }));
    }

    #[test]
    fn equality_looks_at_every_byte() {
        let key = Key::<32>::generate(&Seeded::new(1));
        assert!(key.ct_eq(&key.duplicate()));
        for i in 0..32 {
            let mut other = *key.expose();
            other[i] ^= 1;
            assert!(!key.ct_eq(&Key::from_boxed(other)));
        }
    }

    #[test]
    fn spare_capacity_does_not_change_the_bytes() {
        let mut spare = Vec::with_capacity(100);
        spare.extend_from_slice(b"secret");
        let bytes = SecretBytes::from_vec(spare);
        assert_eq!(bytes.expose(), b"secret");
        assert_eq!(bytes.len(), 6);
    }
}
