//! Texts made of randomness: tokens, ids, UUIDs.
//!
//! A token is a prefix, 40 random base62 characters (238 bits) and 6 more that
//! are the CRC-32 of all before. The checksum is no protection: it lets secret
//! scanners tell a token from a text that only looks like one.

use zeroize::Zeroizing;

use crate::{Random, SecretString};

const BODY: usize = 40;
const CHECKSUM: usize = 6;

/// A fresh token, such as `hvs.` and 46 characters.
pub fn new_token(prefix: &str, random: &dyn Random) -> SecretString {
    let mut token = Zeroizing::new(String::with_capacity(prefix.len() + BODY + CHECKSUM));
    token.push_str(prefix);
    push_base62(&mut token, BODY, random);
    checked(std::mem::take(&mut *token))
}

/// `body` with its checksum at the end, for tokens that carry something else than randomness.
pub fn checked(body: String) -> SecretString {
    let body = Zeroizing::new(body);
    let mut token = Zeroizing::new(String::with_capacity(body.len() + CHECKSUM));
    token.push_str(&body);
    token.push_str(&checksum(&body));
    SecretString::new(std::mem::take(&mut *token))
}

/// Whether the last 6 characters are the checksum of the rest.
pub fn checksum_ok(token: &str) -> bool {
    token
        .len()
        .checked_sub(CHECKSUM)
        .and_then(|at| token.split_at_checked(at))
        .is_some_and(|(body, check)| checksum(body) == check)
}

/// `length` uniformly random characters of `0-9A-Za-z`, 5.95 bits each.
pub fn random_base62(length: usize, random: &dyn Random) -> String {
    let mut text = String::with_capacity(length);
    push_base62(&mut text, length, random);
    text
}

/// A random UUID (RFC 9562, version 4), 122 random bits.
pub fn uuid_v4(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 15));
    }
    text
}

/// Draws again on 248 and above, where a remainder would prefer some digits.
fn push_base62(text: &mut String, length: usize, random: &dyn Random) {
    const UNBIASED: u8 = 4 * 62;
    let mut bytes = Zeroizing::new([0; 64]);
    let mut missing = length;
    while missing > 0 {
        random.fill(&mut *bytes);
        let usable = bytes.iter().filter(|&&byte| byte < UNBIASED).take(missing);
        missing -= usable
            .map(|byte| text.push(base62_digit(byte % 62)))
            .count();
    }
}

/// `0-9A-Za-z` without a table, which the digits of a secret would index.
fn base62_digit(digit: u8) -> char {
    let upper = 0u8.wrapping_sub(u8::from(digit > 9));
    let lower = 0u8.wrapping_sub(u8::from(digit > 35));
    char::from(b'0' + digit + (7 & upper) + (6 & lower))
}

fn hex_digit(digit: u8) -> char {
    let letter = 0u8.wrapping_sub(u8::from(digit > 9));
    char::from(b'0' + digit + (39 & letter))
}

/// The CRC-32 of `body` in base 62, most significant digit first.
fn checksum(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = (rest % 62) as u8;
        rest /= 62;
    }
    digits.map(base62_digit).iter().collect()
}

/// CRC-32 (IEEE 802.3, reflected), bit by bit: no table here either.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            crc >> 1 ^ 0xEDB8_8320 & 0u32.wrapping_sub(crc & 1)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeded;

    #[test]
    fn crc32_of_the_standard_check_string() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn digits_run_through_the_alphabet() {
        let all: String = (0..62).map(base62_digit).collect();
        let digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        assert_eq!(all, digits);
        let hex: String = (0..16).map(hex_digit).collect();
        assert_eq!(hex, "0123456789abcdef");
    }

    #[test]
    fn a_token_has_its_shape_and_checksum() {
        let token = new_token("hvs.", &Seeded::new(5));
        let text = token.expose();
        assert_eq!(text.len(), 50);
        assert!(text[4..].bytes().all(|c| c.is_ascii_alphanumeric()));
        assert!(checksum_ok(text));
    }

    #[test]
    fn a_changed_character_breaks_the_checksum() {
        let token = new_token("hvs.", &Seeded::new(5));
        for i in 0..token.expose().len() {
            let mut bytes = token.expose().as_bytes().to_vec();
            bytes[i] = if bytes[i] == b'x' { b'y' } else { b'x' };
            assert!(!checksum_ok(&String::from_utf8_lossy(&bytes)), "at {i}");
        }
    }

    #[test]
    fn texts_that_are_no_tokens_have_no_checksum() {
        for text in [
            "",
            "hvs.",
            "hvs.abc",
            "\u{e9}\u{e9}\u{e9}\u{e9}",
            "a\u{20ac}aaaa",
        ] {
            assert!(!checksum_ok(text), "{text}");
        }
    }

    #[test]
    fn characters_are_uniform() {
        let text = random_base62(62_000, &Seeded::new(9));
        let mut counts = [0i64; 128];
        text.bytes().for_each(|c| counts[usize::from(c)] += 1);
        let squares: i64 = counts
            .iter()
            .filter(|&&n| n > 0)
            .map(|n| (n - 1000).pow(2))
            .sum();
        // Chi-square with 61 degrees of freedom: 120 is exceeded once in 10^5.
        assert!(squares / 1000 < 120, "chi-square {}", squares / 1000);
    }

    #[test]
    fn a_uuid_carries_its_version_and_variant() {
        let uuid = uuid_v4(&Seeded::new(1));
        let dashes: Vec<_> = uuid.match_indices('-').map(|(i, _)| i).collect();
        assert_eq!((uuid.len(), dashes), (36, vec![8, 13, 18, 23]));
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
    }
}
