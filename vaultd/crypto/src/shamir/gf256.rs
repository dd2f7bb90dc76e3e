//! GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1 (0x11b), as in Vault.
//!
//! No table and no branch depends on a value: tables would be indexed by bytes
//! of the secret, and caches remember. `black_box` keeps the compiler from
//! turning a mask back into a branch; that is a strong hint, not a guarantee.

use std::hint::black_box;

/// The product of `a` and `b`.
pub(super) fn mul(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= a & mask(b >> bit);
        a = a << 1 ^ 0x1b & mask(a >> 7);
    }
    product
}

/// All ones if the lowest bit of `x` is set, else zero.
fn mask(x: u8) -> u8 {
    black_box(0u8.wrapping_sub(x & 1))
}

/// The inverse of `a`, which is a^254. Zero has none and gives zero.
pub(super) fn invert(a: u8) -> u8 {
    // 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128
    let mut power = a;
    let mut inverse = 1;
    for _ in 0..7 {
        power = mul(power, power);
        inverse = mul(inverse, power);
    }
    inverse
}

/// The value at `x` of the polynomial with these coefficients, constant first.
pub(super) fn evaluate(coefficients: &[u8], x: u8) -> u8 {
    let fold = |sum, &coefficient: &u8| mul(sum, x) ^ coefficient;
    coefficients.iter().rev().fold(0, fold)
}

/// The weight of the point at `x` in the interpolation at zero through points
/// at all of `xs`, which are distinct.
pub(super) fn weight_at_zero(x: u8, xs: &[u8]) -> u8 {
    xs.iter()
        .filter(|&&other| other != x)
        .fold(1, |weight, &other| {
            mul(weight, mul(other, invert(other ^ x)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// School multiplication of polynomials, then long division by 0x11b.
    fn slow_mul(a: u8, b: u8) -> u8 {
        let mut product = 0u16;
        for i in 0..8 {
            if b & 1 << i != 0 {
                product ^= u16::from(a) << i;
            }
        }
        for i in (8..16).rev() {
            if product & 1 << i != 0 {
                product ^= 0x11b << (i - 8);
            }
        }
        product as u8
    }

    #[test]
    fn every_product_equals_school_multiplication() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(mul(a, b), slow_mul(a, b), "{a} * {b}");
            }
        }
    }

    #[test]
    fn every_inverse_inverts_and_zero_gives_zero() {
        assert_eq!(invert(0), 0);
        for a in 1..=255 {
            assert_eq!(slow_mul(a, invert(a)), 1, "{a}");
        }
    }

    #[test]
    fn the_example_of_fips_197_holds() {
        assert_eq!(mul(0x57, 0x83), 0xc1);
        assert_eq!(mul(0x57, 0x13), 0xfe);
        assert_eq!(invert(0x53), 0xca);
    }

    #[test]
    fn evaluation_is_the_sum_of_powers() {
        let coefficients = [0x2a, 0x00, 0xff];
        for x in 0..=255 {
            let slow = 0x2a ^ slow_mul(0xff, slow_mul(x, x));
            assert_eq!(evaluate(&coefficients, x), slow);
        }
    }
}
