//! Numbers: integers of 64 bits and finite floats, in decimal; in HCL also hexadecimal.

use super::Kind;
use super::lex::Dialect;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Float(f64),
}

impl From<Number> for Kind {
    fn from(number: Number) -> Kind {
        match number {
            Number::Integer(value) => Kind::Integer(value),
            Number::Float(value) => Kind::Float(value),
        }
    }
}

/// RFC 8259 §6, and hexadecimal in HCL. A leading zero is refused in both:
/// HCL 1 would read it as octal, which nobody expects of `0600`.
pub(super) fn number(text: &str, dialect: Dialect) -> Option<Number> {
    if dialect == Dialect::Hcl
        && let Some(hex) = text.strip_prefix("0x")
    {
        let digits = hex.bytes().all(|b| b.is_ascii_hexdigit());
        let value = i64::from_str_radix(hex, 16).ok().filter(|_| digits)?;
        return Some(Number::Integer(value));
    }
    let body = text.strip_prefix('-').unwrap_or(text);
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let plain = digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    if !plain {
        return None;
    }
    match (fraction, exponent) {
        (None, None) => text.parse().ok().map(Number::Integer),
        _ => text
            .parse()
            .ok()
            .filter(|f: &f64| f.is_finite())
            .map(Number::Float),
    }
}
