//! Names at rest: AES-256-SIV (RFC 5297), deterministic, so that a name can be
//! found by sealing it again, and readable, so that it can be listed.
//!
//! The parent is associated data: the same name under two parents looks
//! different, and a name moved to another parent does not open. Names are
//! padded to a multiple of 16 bytes (0x80, then zeros). What still shows: that
//! two names under one parent are equal, and the length in steps of 16.

use std::fmt;

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use zeroize::Zeroizing;

use crate::{Key, OpenError, SecretVec};

const BLOCK: usize = 16;

/// A key that seals names.
pub struct NameKey(Key<64>);

impl NameKey {
    /// Takes the two AES-256 keys of SIV.
    pub fn new(key: Key<64>) -> Self {
        Self(key)
    }

    /// Seals `name` under `parent`: 16 bytes of SIV and the padded name.
    ///
    /// # Panics
    /// On a name of more than 64 GiB.
    pub fn seal(&self, parent: &[u8], name: &[u8]) -> Vec<u8> {
        let padded = pad(name);
        match self.cipher().encrypt([parent], &padded) {
            Ok(sealed) => sealed,
            Err(_) => panic!("a name is over 64 GiB"),
        }
    }

    /// Opens what [`NameKey::seal`] made under the same parent.
    ///
    /// SIV does not commit to its key, so a wrong key is reported as altered.
    pub fn open(&self, parent: &[u8], sealed: &[u8]) -> Result<SecretVec, OpenError> {
        if sealed.len() < 2 * BLOCK || !sealed.len().is_multiple_of(BLOCK) {
            return Err(OpenError::Malformed);
        }
        let padded = self
            .cipher()
            .decrypt([parent], sealed)
            .map_err(|_| OpenError::Altered)?;
        unpad(Zeroizing::new(padded)).ok_or(OpenError::Malformed)
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(self.0.expose().into())
    }
}

fn pad(name: &[u8]) -> SecretVec {
    let length = (name.len() / BLOCK + 1) * BLOCK;
    let mut padded = Zeroizing::new(Vec::with_capacity(length));
    padded.extend_from_slice(name);
    padded.push(0x80);
    padded.resize(length, 0);
    padded
}

/// Removes at most one block of padding: a second would be another encoding of
/// the same name. The bytes are authentic here, so timing tells nothing.
fn unpad(mut padded: SecretVec) -> Option<SecretVec> {
    let end = padded.iter().rposition(|&byte| byte != 0)?;
    if padded[end] != 0x80 || padded.len() - end > BLOCK {
        return None;
    }
    padded.truncate(end);
    Some(padded)
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> NameKey {
        NameKey::new(Key::from_boxed([3; 64]))
    }

    proptest! {
        #[test]
        fn names_come_back_and_hide_their_length(
            parent in prop::collection::vec(any::<u8>(), 0..20),
            name in prop::collection::vec(prop_oneof![Just(0), Just(0x80), any::<u8>()], 0..70),
        ) {
            let sealed = key().seal(&parent, &name);
            prop_assert_eq!(sealed.len(), 16 + (name.len() / 16 + 1) * 16);
            let opened = key().open(&parent, &sealed)?;
            prop_assert_eq!(opened.as_slice(), name.as_slice());
        }
    }

    #[test]
    fn the_same_name_is_found_again_but_not_under_another_parent() {
        let sealed = key().seal(b"parent", b"name");
        assert_eq!(sealed, key().seal(b"parent", b"name"));
        assert_ne!(sealed, key().seal(b"other", b"name"));
        assert_eq!(
            key().open(b"other", &sealed).map(|_| ()),
            Err(OpenError::Altered)
        );
    }

    #[test]
    fn padding_that_is_missing_or_too_long_is_refused() {
        let forged = |padded: &[u8]| {
            let sealed = key().cipher().encrypt([b"p"], padded);
            key().open(b"p", &sealed.unwrap_or_default()).map(|_| ())
        };
        assert_eq!(forged(&[0; 16]), Err(OpenError::Malformed));
        assert_eq!(forged(&[b'a'; 16]), Err(OpenError::Malformed));
        let mut two_blocks = [0; 32];
        two_blocks[0] = 0x80;
        assert_eq!(forged(&two_blocks), Err(OpenError::Malformed));
        two_blocks[15..17].copy_from_slice(&[b'a', 0x80]);
        assert_eq!(forged(&two_blocks), Ok(()));
    }

    #[test]
    fn the_vector_of_rfc_5297_holds() -> Result<(), hex::FromHexError> {
        // The RFC has one for AES-128 only; the code is the same.
        let key = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        let aad = "101112131415161718191a1b1c1d1e1f2021222324252627";
        let (key, aad) = (hex::decode(key)?, hex::decode(aad)?);
        let plain = hex::decode("112233445566778899aabbccddee")?;
        let sealed = aes_siv::siv::Aes128Siv::new_from_slice(&key)
            .ok()
            .and_then(|mut siv| siv.encrypt([&aad], &plain).ok());
        let expected = "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c";
        assert_eq!(sealed, Some(hex::decode(expected)?));
        Ok(())
    }
}
