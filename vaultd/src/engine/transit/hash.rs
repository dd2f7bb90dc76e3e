//! Hash functions by the names that clients use, and HMAC (RFC 2104) over them.

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use crate::core::fault::Fault;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl Hash {
    /// `field` is named in the error.
    pub(super) fn parse(name: &str, field: &str) -> Result<Hash, Fault> {
        Ok(match name {
            "sha1" => Hash::Sha1,
            "sha2-224" => Hash::Sha224,
            "" | "sha2-256" => Hash::Sha256,
            "sha2-384" => Hash::Sha384,
            "sha2-512" => Hash::Sha512,
            "sha3-256" => Hash::Sha3_256,
            "sha3-384" => Hash::Sha3_384,
            "sha3-512" => Hash::Sha3_512,
            _ => {
                return Err(Fault::invalid(format!(
                    "unsupported {field}: use sha1, sha2-224, sha2-256, sha2-384, sha2-512, \
                     sha3-256, sha3-384 or sha3-512"
                )));
            }
        })
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha224 => &digest::SHA224,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
            Hash::Sha3_256 => &digest::SHA3_256,
            Hash::Sha3_384 => &digest::SHA3_384,
            Hash::Sha3_512 => &digest::SHA3_512,
        }
    }

    pub(super) fn of(self, data: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), data).as_ref().to_vec()
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha224 => hmac::HMAC_SHA224,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha384 => hmac::HMAC_SHA384,
            Hash::Sha512 => hmac::HMAC_SHA512,
            // The library has no HMAC over SHA-3.
            Hash::Sha3_256 | Hash::Sha3_384 | Hash::Sha3_512 => return self.plain_hmac(key, data),
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, key), data);
        tag.as_ref().to_vec()
    }

    /// HMAC by its definition.
    fn plain_hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let algorithm = self.algorithm();
        let mut block = Zeroizing::new(vec![0; algorithm.block_len()]);
        if key.len() > block.len() {
            let short = Zeroizing::new(self.of(key));
            block[..short.len()].copy_from_slice(&short);
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let under = |pad: u8, parts: &[&[u8]]| {
            let padded = Zeroizing::new(block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>());
            let mut context = digest::Context::new(algorithm);
            context.update(&padded);
            for part in parts {
                context.update(part);
            }
            context.finish().as_ref().to_vec()
        };
        under(0x5c, &[&under(0x36, &[data])])
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digests_of_fips_180_and_202() {
        let cases = [
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "sha2-256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                "sha3-256",
                "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
            ),
        ];
        for (name, digest) in cases {
            let hash = Hash::parse(name, "algorithm").unwrap();
            assert_eq!(hex::encode(hash.of(b"abc")), digest, "{name}");
        }
        for odd in ["sha3-224", "none", "SHA2-256", "md5", " sha1"] {
            assert!(Hash::parse(odd, "algorithm").is_err(), "{odd}");
        }
    }

    #[test]
    fn hmac_by_its_definition_is_the_library_s() {
        for hash in [
            Hash::Sha1,
            Hash::Sha224,
            Hash::Sha256,
            Hash::Sha384,
            Hash::Sha512,
        ] {
            for length in [0, 1, 63, 64, 65, 127, 128, 129, 300] {
                let key = vec![7; length];
                assert_eq!(hash.plain_hmac(&key, b"data"), hash.hmac(&key, b"data"));
            }
        }
    }

    /// RFC 4231, case 2.
    #[test]
    fn hmac_of_rfc_4231() {
        let tag = Hash::Sha256.hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            hex::encode(tag),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    /// NIST's example for HMAC-SHA3-256 with a key of less than a block.
    #[test]
    fn hmac_over_sha_3() {
        let key: Vec<u8> = (0..32).collect();
        let tag = Hash::Sha3_256.hmac(&key, b"Sample message for keylen<blocklen");
        assert_eq!(
            hex::encode(tag),
            "4fe8e202c4f058e8dddc23d8c34e467343e23555e24fc2f025d598f558f67205"
        );
    }
}
