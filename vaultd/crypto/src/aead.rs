//! Sealing of records: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), made
//! key-committing.
//!
//! A sealed record is `commitment (16) | nonce (24) | ciphertext | tag (16)`.
//! It opens only under the key and the associated data it was sealed with. The
//! nonce is random and 192 bits long, so no counter has to survive a crash.
//!
//! Poly1305 alone would let one blob open under two keys; the commitment (a
//! prefix of HKDF of the key) is compared first. Its 128 bits resist finding a
//! second key for a given record; two colliding keys made on purpose cost 2^64
//! derivations, by somebody who then also has to get both into the keyring.
//!
//! It does not hide the length, and does not notice that an older record was
//! put back: bind a generation in the associated data.

use std::fmt;

use aws_lc_rs::aead::{Aad as AwsAad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20::{R20, hchacha};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::{Aad, Key, Label, Random, SecretVec, derive};

const COMMIT: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Bytes that sealing adds.
pub const OVERHEAD: usize = COMMIT + NONCE + TAG;

/// A key that seals records, and the commitment to it.
pub struct RecordKey {
    key: Key<32>,
    commitment: Key<COMMIT>,
}

impl RecordKey {
    /// Computes the commitment once.
    pub fn new(key: Key<32>) -> Self {
        let commitment = derive(key.expose(), b"", Label::Commit, &[]);
        Self { key, commitment }
    }

    /// The 16 bytes that every record of this key starts with; not a secret.
    pub fn commitment(&self) -> &[u8; COMMIT] {
        self.commitment.expose()
    }

    /// Seals under a fresh random nonce.
    pub fn seal(&self, random: &dyn Random, aad: &Aad, plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.seal_into(random, aad.as_bytes(), plaintext, &mut out);
        out
    }

    /// Like [`RecordKey::seal`], appending to `out`.
    ///
    /// # Panics
    /// On a plaintext of 256 GiB or more.
    pub fn seal_into(&self, random: &dyn Random, aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) {
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce);
        // Reserving first: growth later would leave plaintext in freed memory.
        out.reserve(plaintext.len() + OVERHEAD);
        out.extend_from_slice(self.commitment());
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let (key, nonce) = self.message_key(&nonce);
        let sealed = key.seal_in_place_separate_tag(nonce, AwsAad::from(aad), &mut out[start..]);
        match sealed {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            Err(_) => panic!("a record is over 256 GiB"),
        }
    }

    /// Opens what [`RecordKey::seal`] made with the same associated data.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretVec, OpenError> {
        let (commitment, rest) = sealed
            .split_first_chunk::<COMMIT>()
            .ok_or(OpenError::Malformed)?;
        let (nonce, rest) = rest
            .split_first_chunk::<NONCE>()
            .ok_or(OpenError::Malformed)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(OpenError::Malformed)?;
        if !bool::from(commitment.ct_eq(self.commitment())) {
            return Err(OpenError::WrongKey);
        }
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        let (key, nonce) = self.message_key(nonce);
        key.open_separate_gather(nonce, AwsAad::from(aad), ciphertext, tag, &mut plaintext)
            .map_err(|_| OpenError::Altered)?;
        Ok(plaintext)
    }

    /// The ChaCha20-Poly1305 key and nonce of one message: HChaCha20 over the
    /// first 16 bytes of the nonce, then four zeros and the last 8.
    fn message_key(&self, nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
        let mut first = [0; 16];
        first.copy_from_slice(&nonce[..16]);
        let mut last = [0; 12];
        last[4..].copy_from_slice(&nonce[16..]);
        let mut subkey = hchacha::<R20>(self.key.expose().into(), &first.into());
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &subkey);
        subkey.as_mut_slice().zeroize();
        match unbound {
            Ok(key) => (LessSafeKey::new(key), Nonce::assume_unique_for_key(last)),
            Err(_) => unreachable!("HChaCha20 gives the 32 bytes that ChaCha20 takes"),
        }
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(..)")
    }
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// It is not a sealed value: too short, an unknown version, or a length
    /// that does not fit.
    Malformed,
    /// It was sealed under another key or passphrase.
    WrongKey,
    /// It was altered, moved to another place, or bound to other data.
    Altered,
    /// There is not enough memory for the cost of its passphrase.
    OutOfMemory,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a sealed value: it is cut off or of an unknown version",
            Self::WrongKey => "sealed under another key; check the passphrase or the key's term",
            Self::Altered => "the sealed value was altered or moved; restore it from a backup",
            Self::OutOfMemory => "not enough memory to stretch the passphrase; free some",
        })
    }
}

impl std::error::Error for OpenError {}
