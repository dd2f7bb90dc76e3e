//! Private keys of signatures: Ed25519 (RFC 8032), ECDSA (FIPS 186-5) and RSA (RFC 8017), made, read
//! and written as PKCS #8. The TLS library holds them and wipes what it frees.

mod kinds;

use std::fmt;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RsaKeyPair,
};
use zeroize::Zeroizing;

pub use self::kinds::{EcdsaKey, Ed25519Key, RsaKey};
use crate::pem;
use crate::{Random, SecretVec};

/// A curve of NIST (FIPS 186-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// With SHA-256.
    P256,
    /// With SHA-384.
    P384,
    /// With SHA-512.
    P521,
}

impl Curve {
    /// From the smallest to the largest.
    pub const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    /// Bytes of each half of a signature, and of a private key.
    pub fn half(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn signer(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }
}

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Of 256 bits.
    Ed25519,
    /// ECDSA with P-256.
    P256,
    /// ECDSA with P-384.
    P384,
    /// ECDSA with P-521.
    P521,
    /// Of 2048 bits.
    Rsa2048,
    /// Of 3072 bits.
    Rsa3072,
    /// Of 4096 bits.
    Rsa4096,
}

/// A hash function (FIPS 180-4) before an RSA signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaHash {
    /// Of 256 bits.
    Sha256,
    /// Of 384 bits.
    Sha384,
    /// Of 512 bits.
    Sha512,
}

/// The text or the bytes are no private key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPrivateKey {
    /// No PEM frame, or what is in it is not what the frame says.
    Malformed,
    /// A passphrase is needed.
    Encrypted,
}

impl fmt::Display for BadPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadPrivateKey::Malformed => {
                "not a private key: expected PEM with ed25519, ecdsa (P-256, P-384, P-521), or rsa \
                 with at least 2048 bits"
            }
            BadPrivateKey::Encrypted => "the private key is encrypted: remove its passphrase first",
        })
    }
}

impl std::error::Error for BadPrivateKey {}

/// The library could not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CannotSign;

impl fmt::Display for CannotSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key cannot sign")
    }
}

impl std::error::Error for CannotSign {}

/// A private key that signs.
pub enum PrivateKey {
    /// RFC 8032.
    Ed25519(Ed25519Key),
    /// FIPS 186-5.
    Ecdsa(EcdsaKey),
    /// RFC 8017, 2048 to 8192 bits.
    Rsa(RsaKey),
}

/// PKCS #8 of Ed25519 (RFC 8410), before the seed.
const ED25519_PKCS8: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

impl PrivateKey {
    /// Makes a key. RSA takes up to seconds: call it where that blocks nobody.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn generate(kind: KeyKind, random: &dyn Random) -> Result<PrivateKey, BadPrivateKey> {
        let ecdsa = |curve: Curve| {
            let pair = EcdsaKeyPair::generate(curve.signer());
            pair.map(|pair| PrivateKey::Ecdsa(EcdsaKey { curve, pair }))
        };
        let rsa = |size| RsaKeyPair::generate(size).map(|pair| PrivateKey::Rsa(RsaKey(pair)));
        let made = match kind {
            KeyKind::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                random.fill(seed.as_mut_slice());
                return PrivateKey::from_ed25519_seed(seed.as_slice());
            }
            KeyKind::P256 => ecdsa(Curve::P256),
            KeyKind::P384 => ecdsa(Curve::P384),
            KeyKind::P521 => ecdsa(Curve::P521),
            KeyKind::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyKind::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyKind::Rsa4096 => rsa(KeySize::Rsa4096),
        };
        made.map_err(|_| BadPrivateKey::Malformed)
    }

    /// From the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// If there are not 32.
    pub fn from_ed25519_seed(seed: &[u8]) -> Result<PrivateKey, BadPrivateKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        let pair = pair.map_err(|_| BadPrivateKey::Malformed)?;
        Ok(PrivateKey::Ed25519(Ed25519Key(pair)))
    }

    /// From a private number, without leading zeros or with, and its uncompressed point.
    ///
    /// # Errors
    /// If they do not belong together.
    pub fn from_ecdsa(
        curve: Curve,
        scalar: &[u8],
        point: &[u8],
    ) -> Result<PrivateKey, BadPrivateKey> {
        let zeros = curve.half().checked_sub(scalar.len());
        let mut filled = Zeroizing::new(vec![0; curve.half()]);
        filled[zeros.ok_or(BadPrivateKey::Malformed)?..].copy_from_slice(scalar);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.signer(), &filled, point);
        let pair = pair.map_err(|_| BadPrivateKey::Malformed)?;
        Ok(PrivateKey::Ecdsa(EcdsaKey { curve, pair }))
    }

    /// From DER (RFC 5958).
    ///
    /// # Errors
    /// If it is no key of a known kind.
    pub fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, BadPrivateKey> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(PrivateKey::Ed25519(Ed25519Key(pair)));
        }
        for curve in Curve::ALL {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve.signer(), der) {
                return Ok(PrivateKey::Ecdsa(EcdsaKey { curve, pair }));
            }
        }
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| BadPrivateKey::Malformed)?;
        Ok(PrivateKey::Rsa(RsaKey(pair)))
    }

    /// From PEM with PKCS #8, PKCS #1 (RSA) or SEC 1 (ECDSA).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(text: &str) -> Result<PrivateKey, BadPrivateKey> {
        let (label, der) = pem::read(text)?;
        PrivateKey::from_labelled(label, &der)
    }

    /// From what was in a PEM frame with this label.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_labelled(label: &str, der: &[u8]) -> Result<PrivateKey, BadPrivateKey> {
        match label {
            "PRIVATE KEY" => PrivateKey::from_pkcs8(der),
            "RSA PRIVATE KEY" => match RsaKeyPair::from_der(der) {
                Ok(pair) => Ok(PrivateKey::Rsa(RsaKey(pair))),
                Err(_) => Err(BadPrivateKey::Malformed),
            },
            "EC PRIVATE KEY" => {
                let mut pairs = Curve::ALL.into_iter().filter_map(|curve| {
                    let pair = EcdsaKeyPair::from_private_key_der(curve.signer(), der).ok()?;
                    Some(PrivateKey::Ecdsa(EcdsaKey { curve, pair }))
                });
                pairs.next().ok_or(BadPrivateKey::Malformed)
            }
            "ENCRYPTED PRIVATE KEY" => Err(BadPrivateKey::Encrypted),
            _ => Err(BadPrivateKey::Malformed),
        }
    }

    /// DER (RFC 5958).
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_pkcs8(&self) -> Result<SecretVec, BadPrivateKey> {
        let failed = |_| BadPrivateKey::Malformed;
        match self {
            PrivateKey::Ed25519(key) => {
                let mut der = Zeroizing::new(Vec::with_capacity(48));
                der.extend_from_slice(ED25519_PKCS8);
                der.extend_from_slice(&key.seed()?);
                Ok(der)
            }
            PrivateKey::Ecdsa(key) => {
                let der = key.pair.to_pkcs8v1().map_err(failed)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
            PrivateKey::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.0.as_der().map_err(failed)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
        }
    }

    /// PKCS #8 in PEM.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, BadPrivateKey> {
        Ok(pem::write("PRIVATE KEY", &self.to_pkcs8()?, 64))
    }

    /// PEM as OpenSSL wrote it first: PKCS #1 of RSA, SEC 1 of ECDSA; PKCS #8 of Ed25519, which has no
    /// other.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_traditional_pem(&self) -> Result<Zeroizing<String>, BadPrivateKey> {
        match self {
            PrivateKey::Ed25519(_) => self.to_pem(),
            PrivateKey::Ecdsa(key) => {
                let der: Result<EcPrivateKeyRfc5915Der<'_>, _> = key.pair.private_key().as_der();
                let der = der.map_err(|_| BadPrivateKey::Malformed)?;
                Ok(pem::write("EC PRIVATE KEY", der.as_ref(), 64))
            }
            PrivateKey::Rsa(_) => {
                let der = self.to_pkcs8()?;
                Ok(pem::write("RSA PRIVATE KEY", pem::pkcs1_of(&der)?, 64))
            }
        }
    }

    /// `SubjectPublicKeyInfo` (RFC 5280) in DER.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn public_der(&self) -> Result<Vec<u8>, BadPrivateKey> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self {
            PrivateKey::Ed25519(key) => key.0.public_key().as_der(),
            PrivateKey::Ecdsa(key) => key.pair.public_key().as_der(),
            PrivateKey::Rsa(key) => key.0.public_key().as_der(),
        };
        let der = der.map_err(|_| BadPrivateKey::Malformed)?;
        Ok(der.as_ref().to_vec())
    }

    /// Bits of the modulus or of the curve.
    pub fn bits(&self) -> usize {
        match self {
            PrivateKey::Ed25519(_) => 256,
            PrivateKey::Ecdsa(key) => match key.curve {
                Curve::P256 => 256,
                Curve::P384 => 384,
                Curve::P521 => 521,
            },
            PrivateKey::Rsa(key) => 8 * key.0.public_modulus_len(),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
