//! What is stored of a key, and the codes that it gives.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::name;

/// Where the keys are listed.
pub(super) const FOLDER: &str = "keys";

/// Letters, digits, `_`, `-` and `.`, with a letter, digit or `_` at both ends.
pub(super) fn row(ctx: &Ctx<'_>) -> Result<String, Fault> {
    let name = name::check(ctx.param("name"), "key")?;
    Ok(format!("{FOLDER}/{name}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
    #[serde(rename = "SHA512")]
    Sha512,
}

impl Algorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha512 => "SHA512",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Algorithm, Fault> {
        match text {
            "" | "SHA1" => Ok(Algorithm::Sha1),
            "SHA256" => Ok(Algorithm::Sha256),
            "SHA512" => Ok(Algorithm::Sha512),
            _ => Err(Fault::invalid(
                "the algorithm value is invalid: use SHA1, SHA256 or SHA512",
            )),
        }
    }
}

/// A key.
#[derive(Serialize, Deserialize)]
pub(super) struct Key {
    /// In base32, without padding.
    pub secret: Base32,
    pub issuer: String,
    pub account_name: String,
    /// Seconds.
    pub period: u64,
    pub algorithm: Algorithm,
    pub digits: u32,
    /// Periods before and after now whose codes are accepted: 0 or 1.
    pub skew: u64,
    /// Periods whose code was accepted already; only those that could come again.
    pub used: Vec<u64>,
}

/// A text in base32 that is wiped on drop.
#[derive(Serialize, Deserialize)]
#[serde(from = "String")]
pub(super) struct Base32(#[serde(serialize_with = "plain")] pub Zeroizing<String>);

impl From<String> for Base32 {
    fn from(text: String) -> Base32 {
        Base32(Zeroizing::new(text))
    }
}

fn plain<S: serde::Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

impl Key {
    pub(super) async fn load(view: &mut View<'_>, row: &str) -> Result<Option<Key>, Fault> {
        Ok(view.get(row).await?)
    }

    pub(super) async fn store(&self, view: &mut View<'_>, row: &str) -> Result<(), Fault> {
        Ok(view.put(row, self).await?)
    }

    /// The code of a period, by its number since 1970 (RFC 6238 over RFC 4226).
    pub(super) fn code(&self, period: u64) -> Result<Zeroizing<String>, Fault> {
        let secret = decode_base32(&self.secret.0)
            .ok_or(Fault::Internal("a stored TOTP key is no base32"))?;
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), &period.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag[tag.len() - 1] & 0xf);
        let mut word = [0; 4];
        word.copy_from_slice(&tag[at..at + 4]);
        let number = (u32::from_be_bytes(word) & 0x7fff_ffff) % 10_u32.pow(self.digits);
        let width = self.digits as usize;
        Ok(Zeroizing::new(format!("{number:0width$}")))
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// RFC 4648, without padding.
pub(super) fn encode_base32(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        for digit in 0..(chunk.len() * 8).div_ceil(5) {
            let value = bits >> (35 - 5 * digit) & 31;
            text.push(char::from(BASE32[value as usize]));
        }
    }
    text
}

/// Any case; padding may be there or not. `None` for anything else.
pub(super) fn decode_base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() * 5 / 8));
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits {
        let digit = digit.to_ascii_uppercase();
        let value = BASE32.iter().position(|&known| known == digit)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    fn key(secret: &[u8], algorithm: Algorithm) -> Key {
        Key {
            secret: Base32(encode_base32(secret)),
            issuer: String::new(),
            account_name: String::new(),
            period: 30,
            algorithm,
            digits: 8,
            skew: 1,
            used: Vec::new(),
        }
    }

    /// RFC 6238, appendix B.
    #[test]
    fn the_codes_of_rfc_6238() {
        let digits = b"1234567890".repeat(7);
        let keys = [
            key(&digits[..20], Algorithm::Sha1),
            key(&digits[..32], Algorithm::Sha256),
            key(&digits[..64], Algorithm::Sha512),
        ];
        for (time, codes) in [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000_u64, ["65353130", "77737706", "47863826"]),
        ] {
            for (key, code) in keys.iter().zip(codes) {
                assert_eq!(*key.code(time / 30).unwrap(), code);
            }
        }
    }

    /// RFC 4648, section 10.
    #[test]
    fn base32_of_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(*encode_base32(plain.as_bytes()), text);
            assert_eq!(*decode_base32(text).unwrap(), plain.as_bytes());
            let padded = format!("{}====", text.to_lowercase());
            assert_eq!(*decode_base32(&padded).unwrap(), plain.as_bytes());
        }
        for odd in ["MZ XQ", "MZ1Q", "MZ-Q", "é", "M=Y"] {
            assert!(decode_base32(odd).is_none(), "{odd}");
        }
    }
}
