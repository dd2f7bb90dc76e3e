//! Passphrases: Argon2id (RFC 9106), version 0x13.
//!
//! A thief of what is stored can try passphrases at the price of one [`Cost`]
//! each, so a weak passphrase stays weak. The cost is part of the stored bytes
//! and therefore capped: a hostile file can make one attempt slow, not exhaust
//! the machine.

mod login;
mod wrapped;

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use crate::Key;
pub use login::{BadHash, PasswordHash, hash_password, verify_password};
pub use wrapped::{Wrapped, unwrap_secret, wrap};

const SALT: usize = 16;
const VERSION: u8 = 1;

/// What one attempt at a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u8,
    lanes: u8,
}

impl Cost {
    /// For operators' secrets, opened a few times a year: 256 MiB, 3 passes.
    pub const OPERATOR: Self = Self {
        memory_kib: 256 * 1024,
        passes: 3,
        lanes: 1,
    };

    /// For log-ins, many at a time: 19 MiB, 2 passes.
    pub const LOGIN: Self = Self {
        memory_kib: 19 * 1024,
        passes: 2,
        lanes: 1,
    };

    /// At most 1 GiB (in KiB), 16 passes and 4 lanes; at least one pass and
    /// lane, and 8 KiB for each lane.
    pub fn parse(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, BadCost> {
        let ok = (1..=16).contains(&passes)
            && (1..=4).contains(&lanes)
            && (8 * lanes..=1024 * 1024).contains(&memory_kib);
        if !ok {
            return Err(BadCost);
        }
        Ok(Self {
            memory_kib,
            passes: passes as u8,
            lanes: lanes as u8,
        })
    }

    /// Memory in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub fn passes(self) -> u8 {
        self.passes
    }

    /// Lanes. They are computed one after the other.
    pub fn lanes(self) -> u8 {
        self.lanes
    }

    /// `memory (u32, big endian) | passes | lanes`.
    fn to_bytes(self) -> [u8; 6] {
        let [a, b, c, d] = self.memory_kib.to_be_bytes();
        [a, b, c, d, self.passes, self.lanes]
    }

    fn from_bytes([a, b, c, d, passes, lanes]: [u8; 6]) -> Result<Self, BadCost> {
        let memory_kib = u32::from_be_bytes([a, b, c, d]);
        Self::parse(memory_kib, passes.into(), lanes.into())
    }
}

/// The cost is outside of what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCost;

impl fmt::Display for BadCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the Argon2id cost is out of range: use 8 KiB per lane to 1 GiB of memory, \
             1 to 16 passes, 1 to 4 lanes",
        )
    }
}

impl std::error::Error for BadCost {}

/// Why a passphrase could not be stretched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StretchError {
    /// The memory of the cost is not there.
    OutOfMemory,
    /// The passphrase is over 4 GiB or the key under 4 bytes.
    Length,
}

impl fmt::Display for StretchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "not enough memory to stretch the passphrase; free some",
            Self::Length => "the passphrase is too long or the key too short for Argon2id",
        })
    }
}

impl std::error::Error for StretchError {}

/// A key from a passphrase. Slow on purpose: never call it on a thread that
/// other requests wait for, and limit how many run at once.
pub fn stretch<const N: usize>(
    passphrase: &[u8],
    salt: &[u8; SALT],
    cost: Cost,
) -> Result<Key<N>, StretchError> {
    let (memory, passes, lanes) = (cost.memory_kib, cost.passes.into(), cost.lanes.into());
    let params = Params::new(memory, passes, lanes, Some(N)).map_err(|_| StretchError::Length)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut result = Ok(());
    let key = Key::fill_with(|out| result = fill(&argon2, passphrase, salt, out));
    result.map(|()| key)
}

/// Runs Argon2id in memory of our own, which is wiped after.
fn fill(
    argon2: &Argon2<'_>,
    passphrase: &[u8],
    salt: &[u8],
    out: &mut [u8],
) -> Result<(), StretchError> {
    let count = argon2.params().block_count();
    let mut blocks: Vec<Block> = Vec::new();
    blocks
        .try_reserve_exact(count)
        .map_err(|_| StretchError::OutOfMemory)?;
    blocks.resize(count, Block::default());
    let filled = argon2.hash_password_into_with_memory(passphrase, salt, out, &mut blocks);
    blocks.iter_mut().for_each(Zeroize::zeroize);
    filled.map_err(|_| StretchError::Length)
}

/// `version | cost | salt`, and what follows.
fn parse_head(bytes: &[u8]) -> Option<(Cost, [u8; SALT], &[u8])> {
    let (&[VERSION], rest) = bytes.split_first_chunk::<1>()? else {
        return None;
    };
    let (cost, rest) = rest.split_first_chunk::<6>()?;
    let (salt, rest) = rest.split_first_chunk::<SALT>()?;
    Some((Cost::from_bytes(*cost).ok()?, *salt, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{AssociatedData, ParamsBuilder};

    #[test]
    fn the_vector_of_rfc_9106_holds() -> Result<(), Box<dyn std::error::Error>> {
        let mut params = ParamsBuilder::new();
        params.m_cost(32).t_cost(3).p_cost(4).output_len(32);
        params.data(AssociatedData::new(&[4; 12])?);
        let (id, version) = (Algorithm::Argon2id, Version::V0x13);
        let argon2 = Argon2::new_with_secret(&[3; 8], id, version, params.build()?)?;
        let mut tag = [0; 32];
        fill(&argon2, &[1; 32], &[2; 16], &mut tag)?;
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        assert_eq!(hex::encode(tag), expected);
        Ok(())
    }

    #[test]
    fn the_named_costs_are_within_the_caps() {
        for cost in [Cost::OPERATOR, Cost::LOGIN] {
            assert_eq!(Cost::from_bytes(cost.to_bytes()), Ok(cost));
        }
    }
}
