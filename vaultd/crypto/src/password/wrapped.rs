//! A secret under a passphrase, in bytes that leave the server, such as a file
//! with a share. Cost, salt and context are bound to it.

use super::{Cost, SALT, StretchError, VERSION, parse_head, stretch};
use crate::aad::length;
use crate::{Aad, OVERHEAD, OpenError, Random, RecordKey, SecretVec};

/// A secret wrapped by a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    cost: Cost,
    salt: [u8; SALT],
    sealed: Vec<u8>,
}

/// Wraps `secret`. `context` (such as a share's id) must be given again to
/// unwrap it, and so cannot be exchanged.
pub fn wrap(
    passphrase: &[u8],
    context: &[u8],
    secret: &[u8],
    cost: Cost,
    random: &dyn Random,
) -> Result<Wrapped, StretchError> {
    let mut salt = [0; SALT];
    random.fill(&mut salt);
    let key = RecordKey::new(stretch(passphrase, &salt, cost)?);
    let sealed = key.seal(random, &wrap_aad(cost, &salt, context), secret);
    Ok(Wrapped { cost, salt, sealed })
}

/// Unwraps what [`wrap`] made. A wrong passphrase is [`OpenError::WrongKey`],
/// another context [`OpenError::Altered`].
pub fn unwrap_secret(
    wrapped: &Wrapped,
    passphrase: &[u8],
    context: &[u8],
) -> Result<SecretVec, OpenError> {
    let Wrapped { cost, salt, sealed } = wrapped;
    let key = stretch(passphrase, salt, *cost).map_err(|error| match error {
        StretchError::OutOfMemory => OpenError::OutOfMemory,
        StretchError::Length => OpenError::WrongKey,
    })?;
    RecordKey::new(key).open(wrap_aad(*cost, salt, context).as_bytes(), sealed)
}

fn wrap_aad(cost: Cost, salt: &[u8; SALT], context: &[u8]) -> Aad {
    Aad::new("vaultd/wrapped/v1")
        .field(&cost.to_bytes())
        .field(salt)
        .field(context)
}

impl Wrapped {
    /// `version 1 | cost (6) | salt (16) | length (u32, big endian) | sealed`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = length(&self.sealed);
        [
            &[VERSION][..],
            &self.cost.to_bytes(),
            &self.salt,
            &length,
            &self.sealed,
        ]
        .concat()
    }

    /// Parses exactly what [`Wrapped::to_bytes`] writes; a cost over the caps
    /// is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenError> {
        let (cost, salt, rest) = parse_head(bytes).ok_or(OpenError::Malformed)?;
        let (length, sealed) = rest.split_first_chunk::<4>().ok_or(OpenError::Malformed)?;
        let fits = u32::from_be_bytes(*length) as usize == sealed.len();
        if !fits || sealed.len() < OVERHEAD {
            return Err(OpenError::Malformed);
        }
        Ok(Self {
            cost,
            salt,
            sealed: sealed.to_vec(),
        })
    }

    /// What one attempt costs.
    pub fn cost(&self) -> Cost {
        self.cost
    }
}
