//! Shares as operators hold them.
//!
//! A tagged share knows its set, its threshold and its number, and carries a
//! check value, so that a wrong or mistyped share is found at once and named.
//! The check value is a hash of uniformly random bytes and tells nothing about
//! them. It does not stop an operator who forges a share on purpose.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::ShareError;
use crate::{Random, SecretBytes, SecretVec, Sha256};

const VERSION: u8 = 1;
const CHECK: usize = 16;
/// version, set, threshold, check, index
const FRAME: usize = 1 + 8 + 1 + CHECK + 1;

/// Which splitting a share comes from. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetId([u8; 8]);

impl SetId {
    /// A fresh id.
    pub fn generate(random: &dyn Random) -> Self {
        let mut id = [0; 8];
        random.fill(&mut id);
        Self(id)
    }

    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetId({self})")
    }
}

/// One share of a set.
pub struct Share {
    pub(super) set: SetId,
    pub(super) threshold: u8,
    pub(super) index: u8,
    pub(super) y: SecretBytes,
}

impl Share {
    /// The set it comes from.
    pub fn set(&self) -> SetId {
        self.set
    }

    /// How many shares of the set are needed.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Its number in the set, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// `version 1 | set (8) | threshold | y (16 or 32) | check (16) | index`:
    /// 43 or 59 bytes. The index comes last, as in Vault.
    pub fn to_bytes(&self) -> SecretVec {
        let mut out = Zeroizing::new(Vec::with_capacity(FRAME + self.y.len()));
        out.push(VERSION);
        out.extend_from_slice(&self.set.0);
        out.push(self.threshold);
        out.extend_from_slice(self.y.expose());
        out.extend_from_slice(&self.check());
        out.push(self.index);
        out
    }

    /// Parses either kind; their lengths differ. A tagged share is checked.
    pub fn parse(bytes: &[u8]) -> Result<AnyShare, ShareError> {
        const TAGGED_16: usize = FRAME + 16;
        const TAGGED_32: usize = FRAME + 32;
        match bytes.len() {
            17 | 33 => PlainShare::parse(bytes).map(AnyShare::Plain),
            TAGGED_16 | TAGGED_32 => Self::parse_tagged(bytes)
                .ok_or(ShareError::Malformed)?
                .map(AnyShare::Tagged),
            _ => Err(ShareError::Malformed),
        }
    }

    fn parse_tagged(bytes: &[u8]) -> Option<Result<Self, ShareError>> {
        let (&[VERSION], rest) = bytes.split_first_chunk::<1>()? else {
            return None;
        };
        let (set, rest) = rest.split_first_chunk::<8>()?;
        let (&threshold, rest) = rest.split_first()?;
        let (&index, rest) = rest.split_last()?;
        let (y, check) = rest.split_last_chunk::<CHECK>()?;
        let share = Self {
            set: SetId(*set),
            threshold,
            index,
            y: SecretBytes::from_slice(y),
        };
        Some(share.accept(check))
    }

    fn accept(self, check: &[u8; CHECK]) -> Result<Self, ShareError> {
        if self.index == 0 {
            return Err(ShareError::ZeroIndex);
        }
        if !bool::from(self.check().ct_eq(check)) {
            return Err(ShareError::Damaged { index: self.index });
        }
        if self.threshold == 0 {
            return Err(ShareError::Malformed);
        }
        Ok(self)
    }

    fn check(&self) -> [u8; CHECK] {
        let mut hash = Sha256::new();
        hash.update(b"vaultd share v1");
        hash.update(&self.set.0);
        hash.update(&[self.threshold, self.index]);
        hash.update(self.y.expose());
        let mut check = [0; CHECK];
        check.copy_from_slice(&hash.finish()[..CHECK]);
        check
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of {}, ..)", self.index, self.set)
    }
}

/// A share as Vault and OpenBao write it: `y (16 or 32) | x`. It knows neither
/// set nor threshold, so a wrong one only shows when the result opens nothing.
pub struct PlainShare {
    pub(super) index: u8,
    pub(super) y: SecretBytes,
}

impl PlainShare {
    /// Its x coordinate, never zero.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// `y | x`, 17 or 33 bytes.
    pub fn to_bytes(&self) -> SecretVec {
        let mut out = Zeroizing::new(Vec::with_capacity(self.y.len() + 1));
        out.extend_from_slice(self.y.expose());
        out.push(self.index);
        out
    }

    /// Parses 17 or 33 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ShareError> {
        match bytes.split_last() {
            Some((_, y)) if y.len() != 16 && y.len() != 32 => Err(ShareError::Malformed),
            Some((0, _)) => Err(ShareError::ZeroIndex),
            Some((&index, y)) => Ok(Self {
                index,
                y: SecretBytes::from_slice(y),
            }),
            None => Err(ShareError::Malformed),
        }
    }
}

impl fmt::Debug for PlainShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainShare({}, ..)", self.index)
    }
}

/// A share of either kind.
#[derive(Debug)]
pub enum AnyShare {
    /// Ours.
    Tagged(Share),
    /// Vault's or OpenBao's.
    Plain(PlainShare),
}
