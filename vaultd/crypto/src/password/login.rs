//! What a log-in by password is checked against.

use std::fmt;

use subtle::ConstantTimeEq;

use super::{Cost, SALT, StretchError, VERSION, parse_head, stretch};
use crate::{Key, Random};

/// What is stored of a password. It is not a secret key, but it lets its holder
/// try passwords.
pub struct PasswordHash {
    cost: Cost,
    salt: [u8; SALT],
    hash: Key<32>,
}

impl PasswordHash {
    /// `version 1 | cost (6) | salt (16) | hash (32)`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let hash = self.hash.expose();
        [&[VERSION][..], &self.cost.to_bytes(), &self.salt, hash].concat()
    }

    /// Parses exactly what [`PasswordHash::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadHash> {
        let (cost, salt, hash) = parse_head(bytes).ok_or(BadHash)?;
        let hash = Key::from_slice(hash).map_err(|_| BadHash)?;
        Ok(Self { cost, salt, hash })
    }

    /// What one attempt costs; hash again when it is below today's.
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// The stored bytes are no password hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadHash;

impl fmt::Display for BadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored password hash is damaged; set the password again")
    }
}

impl std::error::Error for BadHash {}

/// Hashes a password with a fresh salt.
pub fn hash_password(
    password: &[u8],
    cost: Cost,
    random: &dyn Random,
) -> Result<PasswordHash, StretchError> {
    let mut salt = [0; SALT];
    random.fill(&mut salt);
    let hash = stretch(password, &salt, cost)?;
    Ok(PasswordHash { cost, salt, hash })
}

/// Whether `password` is the one that was hashed. For a user that does not
/// exist pass `None`: it takes as long as one at [`Cost::LOGIN`] and is false.
pub fn verify_password(
    stored: Option<&PasswordHash>,
    password: &[u8],
) -> Result<bool, StretchError> {
    let (cost, salt) = stored.map_or((Cost::LOGIN, [0; SALT]), |s| (s.cost, s.salt));
    let hash: Key<32> = stretch(password, &salt, cost)?;
    // The decoy is compared as well, to zeros, so that both ways do the same.
    let expected = stored.map_or(&[0; 32], |s| s.hash.expose());
    let equal = bool::from(hash.expose().ct_eq(expected));
    Ok(equal & stored.is_some())
}
