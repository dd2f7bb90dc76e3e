//! Shamir's secret sharing over GF(2^8), byte by byte.
//!
//! Any `k` of `n` shares give the secret back; `k - 1` tell nothing about it,
//! because the coefficients are uniform, zero included. Split only uniformly
//! random secrets: the check value of a share must not become a way to guess.

mod gf256;
mod share;

use std::fmt;

use zeroize::Zeroizing;

use crate::{Random, SecretBytes};
pub use share::{AnyShare, PlainShare, SetId, Share};

/// How many shares there are and how many of them are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    need: u8,
    shares: u8,
}

impl Threshold {
    /// `need` of `shares`, with `1 <= need <= shares <= 255`; one of many is
    /// refused, as by Vault: it would be many copies of the key.
    pub fn parse(need: u64, shares: u64) -> Result<Self, ShareError> {
        let (Ok(need), Ok(shares)) = (u8::try_from(need), u8::try_from(shares)) else {
            return Err(ShareError::BadThreshold);
        };
        if need == 0 || need > shares || (need == 1 && shares > 1) {
            return Err(ShareError::BadThreshold);
        }
        Ok(Self { need, shares })
    }

    /// Shares needed.
    pub fn need(self) -> u8 {
        self.need
    }

    /// Shares made.
    pub fn shares(self) -> u8 {
        self.shares
    }
}

/// Splits a secret of 16 or 32 random bytes into `n` tagged shares, any `k` of
/// which give it back.
pub fn split(
    secret: &[u8],
    k: u8,
    n: u8,
    random: &dyn Random,
) -> Result<(SetId, Vec<Share>), ShareError> {
    let set = SetId::generate(random);
    let shares = split_plain(secret, k, n, random)?
        .into_iter()
        .map(|PlainShare { index, y }| Share {
            set,
            threshold: k,
            index,
            y,
        })
        .collect();
    Ok((set, shares))
}

/// Like [`split`], into shares as Vault writes them.
pub fn split_plain(
    secret: &[u8],
    k: u8,
    n: u8,
    random: &dyn Random,
) -> Result<Vec<PlainShare>, ShareError> {
    let threshold = Threshold::parse(k.into(), n.into())?;
    if secret.len() != 16 && secret.len() != 32 {
        return Err(ShareError::LengthMismatch);
    }
    let polynomials: Vec<_> = secret
        .iter()
        .map(|&byte| polynomial(byte, threshold.need, random))
        .collect();
    let shares = (1..=threshold.shares).map(|index| {
        let values = polynomials.iter().map(|p| gf256::evaluate(p, index));
        let y = SecretBytes::from_vec(values.collect());
        PlainShare { index, y }
    });
    Ok(shares.collect())
}

/// A random polynomial of degree below `k` whose value at zero is `secret`.
fn polynomial(secret: u8, k: u8, random: &dyn Random) -> Zeroizing<Vec<u8>> {
    let mut coefficients = Zeroizing::new(vec![0; k.into()]);
    random.fill(&mut coefficients);
    coefficients[0] = secret;
    coefficients
}

/// The secret of a set, from at least its threshold of shares. The first that
/// are enough are used; all are checked to belong together.
pub fn combine(shares: &[Share]) -> Result<SecretBytes, ShareError> {
    let first = shares
        .first()
        .ok_or(ShareError::TooFew { have: 0, need: 1 })?;
    for share in shares {
        if (share.set, share.threshold) != (first.set, first.threshold) {
            return Err(ShareError::WrongSet { index: share.index });
        }
    }
    let points: Vec<_> = shares.iter().map(|s| (s.index, &s.y)).collect();
    check_points(&points)?;
    let need = usize::from(first.threshold);
    let enough = points.get(..need).ok_or(ShareError::TooFew {
        have: shares.len(),
        need,
    })?;
    Ok(interpolate(enough))
}

/// The secret of shares that do not know their threshold. With too few, or
/// with shares of different sets, the result is wrong and nothing here can
/// tell: the caller finds out when it opens nothing.
pub fn combine_plain(shares: &[PlainShare]) -> Result<SecretBytes, ShareError> {
    if shares.is_empty() {
        return Err(ShareError::TooFew { have: 0, need: 1 });
    }
    let points: Vec<_> = shares.iter().map(|s| (s.index, &s.y)).collect();
    check_points(&points)?;
    Ok(interpolate(&points))
}

/// Same length everywhere, and no x coordinate twice.
fn check_points(points: &[(u8, &SecretBytes)]) -> Result<(), ShareError> {
    for (i, &(index, y)) in points.iter().enumerate() {
        if y.len() != points[0].1.len() {
            return Err(ShareError::LengthMismatch);
        }
        if points[..i].iter().any(|&(earlier, _)| earlier == index) {
            return Err(ShareError::Duplicate { index });
        }
    }
    Ok(())
}

/// Lagrange interpolation at zero. The points are checked.
fn interpolate(points: &[(u8, &SecretBytes)]) -> SecretBytes {
    let xs: Vec<u8> = points.iter().map(|&(x, _)| x).collect();
    let mut secret = vec![0; points.first().map_or(0, |(_, y)| y.len())];
    for &(x, y) in points {
        let weight = gf256::weight_at_zero(x, &xs);
        for (sum, &value) in secret.iter_mut().zip(y.expose()) {
            *sum ^= gf256::mul(weight, value);
        }
    }
    SecretBytes::from_vec(secret)
}

/// What is wrong with a share or a set of shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareError {
    /// Not a share.
    Malformed,
    /// The check value does not fit: a typing error, or bytes lost.
    Damaged {
        /// The number that the share claims.
        index: u8,
    },
    /// Not of the same set as the first share.
    WrongSet {
        /// The share's number.
        index: u8,
    },
    /// The same number twice.
    Duplicate {
        /// The number.
        index: u8,
    },
    /// More shares are needed.
    TooFew {
        /// Shares given.
        have: usize,
        /// Shares needed.
        need: usize,
    },
    /// The number is zero, where the secret itself would be.
    ZeroIndex,
    /// The shares, or the secret to split, have the wrong length.
    LengthMismatch,
    /// That many of that many cannot be.
    BadThreshold,
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a share; paste it whole, as it was handed out"),
            Self::Damaged { index } => {
                write!(f, "share {index} is damaged; compare it with the original")
            }
            Self::WrongSet { index } => write!(f, "share {index} belongs to another set"),
            Self::Duplicate { index } => write!(f, "share {index} was given twice"),
            Self::TooFew { have, need } => {
                write!(f, "{have} of {need} needed shares were given; add more")
            }
            Self::ZeroIndex => f.write_str("a share cannot have the number 0; it is damaged"),
            Self::LengthMismatch => {
                f.write_str("shares and secret must have the same length, 16 or 32 bytes")
            }
            Self::BadThreshold => {
                f.write_str("use 1 share of 1, or at least 2 and at most all of up to 255 shares")
            }
        }
    }
}

impl std::error::Error for ShareError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeded;

    /// Chi-square with 255 degrees of freedom: 380 is exceeded once in 10^6.
    fn chi_square(counts: &[u32; 256]) -> u32 {
        let expected = counts.iter().sum::<u32>() / 256;
        let squares: u32 = counts.iter().map(|&n| n.abs_diff(expected).pow(2)).sum();
        squares / expected
    }

    fn coefficient_counts(draw: impl Fn(&Seeded) -> u8) -> [u32; 256] {
        let random = Seeded::new(1);
        let mut counts = [0; 256];
        (0..64_000).for_each(|_| counts[usize::from(draw(&random))] += 1);
        counts
    }

    #[test]
    fn coefficients_are_uniform_zero_included() {
        for at in 1..4 {
            let counts = coefficient_counts(|random| polynomial(0x53, 4, random)[at]);
            assert!(chi_square(&counts) < 380, "{}", chi_square(&counts));
            assert!(counts[0] > 0);
        }
    }

    #[test]
    fn a_highest_coefficient_that_is_never_zero_would_be_caught() {
        let never_zero = coefficient_counts(|random| {
            let drawn = polynomial(0x53, 4, random)[3];
            if drawn == 0 { 1 } else { drawn }
        });
        assert!(chi_square(&never_zero) > 380);
    }

    #[test]
    fn one_share_of_a_pair_fits_every_secret_equally() {
        for secret in [0, 1, 0x53, 0xff] {
            for x in 1..=255 {
                let mut seen = [false; 256];
                for coefficient in 0..=255 {
                    let y = gf256::evaluate(&[secret, coefficient], x);
                    seen[usize::from(y)] = true;
                }
                assert!(seen.iter().all(|&seen| seen), "secret {secret}, x {x}");
            }
        }
    }
}
