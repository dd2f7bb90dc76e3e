//! A keyed pseudo-random function: HMAC-SHA256 (RFC 2104, RFC 4231).
//!
//! Looking up by a tag instead of the value makes comparison timing harmless
//! and keeps the value out of storage.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Key;
use crate::aad::length;

/// An HMAC key, its two pads already absorbed: a tag of a short message is two compressions.
/// (aws-lc makes and wipes a context for each tag, which takes longer than the hashing.)
pub struct Prf(Hmac<Sha256>);

impl Prf {
    /// Prepares the key.
    pub fn new(key: &Key<32>) -> Self {
        match Hmac::new_from_slice(key.expose()) {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("HMAC takes a key of any length"),
        }
    }

    /// The tag of a list of parts, each prefixed by its length (u32, big
    /// endian), so that moving a border gives another tag.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&length(part));
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Plain HMAC of `message`. One key should serve either this or
    /// [`Prf::tag`]: a message may look like an encoded list.
    pub fn tag_raw(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prf(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac::{HMAC_SHA256, Key as OtherKey, sign};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tags_equal_a_second_implementation(
            key in any::<[u8; 32]>(),
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..4),
        ) {
            let prf = Prf::new(&Key::from_boxed(key));
            let views: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let mut encoded = Vec::new();
            for part in &parts {
                encoded.extend_from_slice(&(part.len() as u32).to_be_bytes());
                encoded.extend_from_slice(part);
            }
            let other = sign(&OtherKey::new(HMAC_SHA256, &key), &encoded);
            prop_assert_eq!(&prf.tag(&views)[..], other.as_ref());
            prop_assert_eq!(&prf.tag_raw(&encoded)[..], other.as_ref());
        }
    }

    #[test]
    fn a_moved_border_gives_another_tag() {
        let prf = Prf::new(&Key::from_boxed([7; 32]));
        assert_ne!(prf.tag(&[b"a", b"bc"]), prf.tag(&[b"ab", b"c"]));
        assert_ne!(prf.tag(&[b"a"]), prf.tag(&[b"a", b""]));
    }
}
