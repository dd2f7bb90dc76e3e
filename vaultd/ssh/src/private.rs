//! Private keys: made, read, written, and signing. Wiped on drop (by the TLS library, which wipes all
//! that it frees).

use std::fmt;

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use vault_crypto::{Random, SecretVec};
use zeroize::Zeroizing;

use crate::key::{Curve, Key};
use crate::pem;
use crate::wire::{Malformed, Reader, push_number, push_string};

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RFC 8709.
    Ed25519,
    /// RFC 5656 with nistp256.
    P256,
    /// RFC 5656 with nistp384.
    P384,
    /// RFC 5656 with nistp521.
    P521,
    /// RFC 8332 with 2048 bits.
    Rsa2048,
    /// RFC 8332 with 3072 bits.
    Rsa3072,
    /// RFC 8332 with 4096 bits.
    Rsa4096,
}

/// The text holds no private key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPrivateKey {
    /// No PEM frame, or what is in it is not what the frame says.
    #[error(
        "not a private key: expected OpenSSH or PEM format, ed25519, ecdsa, or rsa with at least 2048 bits"
    )]
    Malformed,
    /// A passphrase is needed.
    #[error("the private key is encrypted: remove its passphrase first (ssh-keygen -p -N '')")]
    Encrypted,
    /// The numbers that signing needs are not in that format.
    #[error("an RSA key has to be in PEM format: convert a copy with ssh-keygen -p -N '' -m PEM")]
    RsaInOpenSsh,
}

impl From<Malformed> for BadPrivateKey {
    fn from(_: Malformed) -> BadPrivateKey {
        BadPrivateKey::Malformed
    }
}

/// A private key.
pub struct PrivateKey {
    public: Key,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

const MAGIC: &[u8] = b"openssh-key-v1\0";
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
            let pair = EcdsaKeyPair::generate(curve.signer()).ok()?;
            Some(Pair::Ecdsa(curve, pair))
        };
        let rsa = |size| RsaKeyPair::generate(size).ok().map(Pair::Rsa);
        let pair = match kind {
            KeyKind::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                random.fill(seed.as_mut_slice());
                let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
                pair.ok().map(Pair::Ed25519)
            }
            KeyKind::P256 => ecdsa(Curve::P256),
            KeyKind::P384 => ecdsa(Curve::P384),
            KeyKind::P521 => ecdsa(Curve::P521),
            KeyKind::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyKind::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyKind::Rsa4096 => rsa(KeySize::Rsa4096),
        };
        Ok(PrivateKey::of(pair.ok_or(BadPrivateKey::Malformed)?)?)
    }

    /// Reads the OpenSSH format, and PEM with PKCS #8, PKCS #1 (RSA) or SEC 1 (ECDSA).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<PrivateKey, BadPrivateKey> {
        let (label, bytes) = pem::read(text)?;
        match label {
            "OPENSSH PRIVATE KEY" => PrivateKey::from_openssh(&bytes),
            "PRIVATE KEY" => Ok(PrivateKey::from_pkcs8(&bytes)?),
            "RSA PRIVATE KEY" => {
                let pair = RsaKeyPair::from_der(&bytes).map_err(|_| BadPrivateKey::Malformed)?;
                Ok(PrivateKey::of(Pair::Rsa(pair))?)
            }
            "EC PRIVATE KEY" => {
                let pair = [Curve::P256, Curve::P384, Curve::P521].into_iter();
                let mut pair = pair.filter_map(|curve| {
                    let pair = EcdsaKeyPair::from_private_key_der(curve.signer(), &bytes).ok()?;
                    Some(Pair::Ecdsa(curve, pair))
                });
                let pair = pair.next().ok_or(BadPrivateKey::Malformed)?;
                Ok(PrivateKey::of(pair)?)
            }
            "ENCRYPTED PRIVATE KEY" => Err(BadPrivateKey::Encrypted),
            _ => Err(BadPrivateKey::Malformed),
        }
    }

    /// From DER (RFC 5958).
    ///
    /// # Errors
    /// If it is no key of a known kind.
    pub fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, Malformed> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return PrivateKey::of(Pair::Ed25519(pair));
        }
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve.signer(), der) {
                return PrivateKey::of(Pair::Ecdsa(curve, pair));
            }
        }
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| Malformed)?;
        PrivateKey::of(Pair::Rsa(pair))
    }

    fn of(pair: Pair) -> Result<PrivateKey, Malformed> {
        let public = match &pair {
            Pair::Ed25519(pair) => Key::ed25519(pair.public_key().as_ref()),
            Pair::Ecdsa(curve, pair) => Key::ecdsa(*curve, pair.public_key().as_ref()),
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let exponent = public.exponent().big_endian_without_leading_zero();
                Key::rsa(exponent, public.modulus().big_endian_without_leading_zero())
            }
        };
        match public.is_strong() {
            true => Ok(PrivateKey { public, pair }),
            false => Err(Malformed),
        }
    }

    /// The public half.
    pub fn public(&self) -> &Key {
        &self.public
    }

    /// DER (RFC 5958).
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_pkcs8(&self) -> Result<SecretVec, Malformed> {
        match &self.pair {
            Pair::Ed25519(pair) => {
                let seed = pair.seed().map_err(|_| Malformed)?;
                let seed = seed.as_be_bytes().map_err(|_| Malformed)?;
                let mut der = Zeroizing::new(Vec::with_capacity(48));
                der.extend_from_slice(ED25519_PKCS8);
                der.extend_from_slice(seed.as_ref());
                Ok(der)
            }
            Pair::Ecdsa(_, pair) => {
                let der = pair.to_pkcs8v1().map_err(|_| Malformed)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| Malformed)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
        }
    }

    /// PKCS #8 in PEM.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Malformed> {
        Ok(pem::write("PRIVATE KEY", &self.to_pkcs8()?, 64))
    }

    /// The format of `ssh-keygen`, without a passphrase.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_openssh(
        &self,
        comment: &str,
        random: &dyn Random,
    ) -> Result<Zeroizing<String>, Malformed> {
        // Large enough never to move: what is left behind by a move is not wiped.
        let mut secret = Zeroizing::new(Vec::with_capacity(8 << 10));
        let mut check = [0; 4];
        random.fill(&mut check);
        secret.extend_from_slice(&check);
        secret.extend_from_slice(&check);
        push_string(&mut secret, self.public.algorithm().as_bytes());
        self.push_secret(&mut secret)?;
        push_string(&mut secret, comment.as_bytes());
        let padding = (8 - secret.len() % 8) % 8;
        secret.extend((1u8..).take(padding));

        let mut whole = Zeroizing::new(Vec::with_capacity(16 << 10));
        whole.extend_from_slice(MAGIC);
        for none in [&b"none"[..], b"none", b""] {
            push_string(&mut whole, none);
        }
        whole.extend_from_slice(&1u32.to_be_bytes());
        push_string(&mut whole, &self.public.blob());
        push_string(&mut whole, &secret);
        Ok(pem::write("OPENSSH PRIVATE KEY", &whole, 70))
    }

    fn push_secret(&self, into: &mut Vec<u8>) -> Result<(), Malformed> {
        match &self.pair {
            Pair::Ed25519(pair) => {
                let seed = pair.seed().map_err(|_| Malformed)?;
                let seed = seed.as_be_bytes().map_err(|_| Malformed)?;
                let public = pair.public_key().as_ref();
                push_string(into, public);
                let both = Zeroizing::new([seed.as_ref(), public].concat());
                push_string(into, &both);
            }
            Pair::Ecdsa(curve, pair) => {
                let scalar: EcPrivateKeyBin<'_> =
                    pair.private_key().as_be_bytes().map_err(|_| Malformed)?;
                push_string(into, curve.name().as_bytes());
                push_string(into, pair.public_key().as_ref());
                push_number(into, scalar.as_ref());
            }
            Pair::Rsa(_) => {
                let der = self.to_pkcs8()?;
                let [n, e, d, p, q, _, _, inverse] = pem::rsa_numbers(&der)?;
                for number in [n, e, d, inverse, p, q] {
                    push_number(into, number);
                }
            }
        }
        Ok(())
    }

    fn from_openssh(bytes: &[u8]) -> Result<PrivateKey, BadPrivateKey> {
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(BadPrivateKey::Malformed);
        }
        let (cipher, _kdf, _options) = (reader.text()?, reader.string()?, reader.string()?);
        if cipher != "none" {
            return Err(BadPrivateKey::Encrypted);
        }
        if reader.u32()? != 1 {
            return Err(BadPrivateKey::Malformed);
        }
        let public = Key::from_blob(reader.string()?)?;
        let mut secret = Reader::new(reader.string()?);
        reader.end()?;
        if secret.u32()? != secret.u32()? {
            return Err(BadPrivateKey::Malformed);
        }
        let pair = match secret.text()? {
            "ssh-ed25519" => {
                let (point, both) = (secret.string()?, secret.string()?);
                let seed = both.get(..32).ok_or(Malformed)?;
                let pair = Ed25519KeyPair::from_seed_and_public_key(seed, point);
                Pair::Ed25519(pair.map_err(|_| Malformed)?)
            }
            "ssh-rsa" => return Err(BadPrivateKey::RsaInOpenSsh),
            algorithm => {
                let curve = Curve::of_algorithm(algorithm).ok_or(Malformed)?;
                let (_, point, scalar) = (secret.string()?, secret.string()?, secret.number()?);
                let mut filled = Zeroizing::new(vec![0; curve.half()]);
                let zeros = curve.half().checked_sub(scalar.len()).ok_or(Malformed)?;
                filled[zeros..].copy_from_slice(scalar);
                let signer = curve.signer();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(signer, &filled, point);
                Pair::Ecdsa(curve, pair.map_err(|_| Malformed)?)
            }
        };
        let key = PrivateKey::of(pair)?;
        match key.public == public {
            true => Ok(key),
            false => Err(BadPrivateKey::Malformed),
        }
    }

    /// A signature in SSH's form: its algorithm and its bytes. RSA signs with SHA-512.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        let algorithm = match &self.pair {
            Pair::Rsa(_) => "rsa-sha2-512",
            _ => self.public.algorithm(),
        };
        self.sign_as(algorithm, message)
    }

    /// As [`PrivateKey::sign`], with the algorithm that is asked for: an RSA key has two.
    ///
    /// # Errors
    /// If the key has no such algorithm, or the library cannot.
    pub fn sign_as(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut signed = Vec::with_capacity(64);
        push_string(&mut signed, algorithm.as_bytes());
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding = match algorithm {
                    "rsa-sha2-256" => &RSA_PKCS1_SHA256,
                    "rsa-sha2-512" => &RSA_PKCS1_SHA512,
                    _ => return Err(Malformed),
                };
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut bytes)
                    .map_err(|_| Malformed)?;
                push_string(&mut signed, &bytes);
            }
            _ if algorithm != self.public.algorithm() => return Err(Malformed),
            Pair::Ed25519(pair) => push_string(&mut signed, pair.sign(message).as_ref()),
            Pair::Ecdsa(curve, pair) => {
                let fixed = pair.sign(&random, message).map_err(|_| Malformed)?;
                let (r, s) = fixed
                    .as_ref()
                    .split_at_checked(curve.half())
                    .ok_or(Malformed)?;
                let mut numbers = Vec::with_capacity(160);
                push_number(&mut numbers, r);
                push_number(&mut numbers, s);
                push_string(&mut signed, &numbers);
            }
        }
        Ok(signed)
    }
}

impl Curve {
    fn signer(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public.fingerprint())
    }
}

#[cfg(test)]
mod tests;
