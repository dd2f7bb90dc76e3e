//! Kinds of keys and one version of a key: how its material is made and what its public part is.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::Random;

use crate::core::fault::Fault;
use crate::engine::secret::Secret;

/// What a key is for, and with which algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub(super) enum KeyType {
    Aes128,
    Aes256,
    ChaCha20,
    XChaCha20,
    Ed25519,
    P256,
    P384,
    P521,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    Hmac,
    Cmac128,
    Cmac256,
}

/// Bytes of an HMAC key, if nobody says otherwise.
pub(super) const HMAC_KEY: usize = 32;

impl KeyType {
    pub(super) const ALL: [KeyType; 14] = [
        KeyType::Aes128,
        KeyType::Aes256,
        KeyType::ChaCha20,
        KeyType::XChaCha20,
        KeyType::Ed25519,
        KeyType::P256,
        KeyType::P384,
        KeyType::P521,
        KeyType::Rsa2048,
        KeyType::Rsa3072,
        KeyType::Rsa4096,
        KeyType::Hmac,
        KeyType::Cmac128,
        KeyType::Cmac256,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            KeyType::Aes128 => "aes128-gcm96",
            KeyType::Aes256 => "aes256-gcm96",
            KeyType::ChaCha20 => "chacha20-poly1305",
            KeyType::XChaCha20 => "xchacha20-poly1305",
            KeyType::Ed25519 => "ed25519",
            KeyType::P256 => "ecdsa-p256",
            KeyType::P384 => "ecdsa-p384",
            KeyType::P521 => "ecdsa-p521",
            KeyType::Rsa2048 => "rsa-2048",
            KeyType::Rsa3072 => "rsa-3072",
            KeyType::Rsa4096 => "rsa-4096",
            KeyType::Hmac => "hmac",
            KeyType::Cmac128 => "aes128-cmac",
            KeyType::Cmac256 => "aes256-cmac",
        }
    }

    pub(super) fn parse(name: &str) -> Result<KeyType, Fault> {
        let found = KeyType::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            let names = KeyType::ALL.map(KeyType::name).join(", ");
            Fault::invalid(format!("unknown key type: use one of {names}"))
        })
    }

    /// The name that goes with a public key.
    pub(super) fn public_name(self) -> &'static str {
        match self {
            KeyType::P256 => "P-256",
            KeyType::P384 => "P-384",
            KeyType::P521 => "P-521",
            other => other.name(),
        }
    }

    /// Bytes of a symmetric cipher's key; `None` for everything else.
    pub(super) fn cipher_key(self) -> Option<usize> {
        match self {
            KeyType::Aes128 => Some(16),
            KeyType::Aes256 | KeyType::ChaCha20 | KeyType::XChaCha20 => Some(32),
            _ => None,
        }
    }

    /// Bytes of the key of a message authentication code with AES; `None` for everything else.
    pub(super) fn cmac_key(self) -> Option<usize> {
        match self {
            KeyType::Cmac128 => Some(16),
            KeyType::Cmac256 => Some(32),
            _ => None,
        }
    }

    pub(super) fn is_symmetric(self) -> bool {
        self.cipher_key().is_some()
    }

    pub(super) fn rsa_size(self) -> Option<KeySize> {
        match self {
            KeyType::Rsa2048 => Some(KeySize::Rsa2048),
            KeyType::Rsa3072 => Some(KeySize::Rsa3072),
            KeyType::Rsa4096 => Some(KeySize::Rsa4096),
            _ => None,
        }
    }

    pub(super) fn curve(self) -> Option<&'static EcdsaSigningAlgorithm> {
        match self {
            KeyType::P256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyType::P384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyType::P521 => Some(&ECDSA_P521_SHA512_ASN1_SIGNING),
            _ => None,
        }
    }

    pub(super) fn encrypts(self) -> bool {
        self.is_symmetric() || self.rsa_size().is_some()
    }

    pub(super) fn signs(self) -> bool {
        self.curve().is_some() || self.rsa_size().is_some() || self == KeyType::Ed25519
    }

    pub(super) fn derives(self) -> bool {
        self.is_symmetric() || self == KeyType::Ed25519
    }
}

impl From<KeyType> for &'static str {
    fn from(kind: KeyType) -> &'static str {
        kind.name()
    }
}

impl TryFrom<String> for KeyType {
    type Error = Fault;

    fn try_from(name: String) -> Result<KeyType, Fault> {
        KeyType::parse(&name)
    }
}

/// One version of a key.
#[derive(Serialize, Deserialize)]
pub(super) struct Version {
    pub created: Timestamp,
    /// The key of a cipher, of HMAC or of CMAC; for Ed25519 the seed and the public key (64 bytes); for
    /// ECDSA and RSA PKCS #8 (RFC 5958). Empty if only the public key was brought.
    pub material: Secret,
    /// The key of `hmac/`; empty in keys of type `hmac`, whose material it is.
    pub hmac: Secret,
    /// In base64: the point of Ed25519 (RFC 8032), `SubjectPublicKeyInfo` (RFC 5280) of ECDSA and
    /// RSA; empty for all else.
    pub public: String,
    /// In base64, DER: the certificate of the public key first, then those of its issuers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
}

impl Version {
    /// RSA takes up to seconds: call it where that blocks nobody.
    pub(super) fn generate(
        kind: KeyType,
        hmac_size: usize,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Version, Fault> {
        let symmetric = kind.cipher_key().or(kind.cmac_key());
        let material = match (symmetric, kind.curve(), kind.rsa_size()) {
            (Some(length), _, _) => Secret::random(length, random),
            (_, Some(curve), _) => {
                let pair = EcdsaKeyPair::generate(curve).map_err(failed)?;
                Secret::copy(pair.to_pkcs8v1().map_err(failed)?.as_ref())
            }
            (_, _, Some(size)) => {
                let pair = RsaKeyPair::generate(size).map_err(failed)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                Secret::copy(der.as_ref())
            }
            _ if kind == KeyType::Hmac => Secret::random(hmac_size, random),
            _ => ed25519_pair(Secret::random(32, random).expose())?,
        };
        let public =
            public_part(kind, &material).ok_or(Fault::Internal("a new key is unusable"))?;
        let hmac = match kind {
            KeyType::Hmac => Secret::new(Vec::new()),
            _ => Secret::random(HMAC_KEY, random),
        };
        Ok(Version {
            created: now,
            material,
            hmac,
            public: STANDARD.encode(public),
            chain: Vec::new(),
        })
    }

    pub(super) fn has_private(&self) -> bool {
        self.material.len() > 0
    }

    pub(super) fn public_bytes(&self) -> Result<Vec<u8>, Fault> {
        STANDARD
            .decode(&self.public)
            .map_err(|_| Fault::Internal("a stored public key is no base64"))
    }

    /// The key of HMACs.
    pub(super) fn hmac_key(&self) -> &Secret {
        if self.hmac.len() == 0 {
            &self.material
        } else {
            &self.hmac
        }
    }
}

/// The public part of the material, empty if it has none. `None` if the material is no such key.
pub(super) fn public_part(kind: KeyType, material: &Secret) -> Option<Vec<u8>> {
    let bytes = material.expose();
    if let Some(curve) = kind.curve() {
        let pair = EcdsaKeyPair::from_pkcs8(curve, bytes).ok()?;
        return spki(pair.public_key());
    }
    if let Some(size) = kind.rsa_size() {
        let pair = RsaKeyPair::from_pkcs8(bytes).ok()?;
        let fits = pair.public_modulus_len() == size.len();
        return spki(pair.public_key()).filter(|_| fits);
    }
    match kind.cipher_key().or(kind.cmac_key()) {
        Some(length) => (bytes.len() == length).then(Vec::new),
        None if kind == KeyType::Hmac => (bytes.len() >= HMAC_KEY).then(Vec::new),
        None => {
            let (seed, public) = bytes.split_first_chunk::<32>()?;
            Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
            Some(public.to_vec())
        }
    }
}

fn spki<'k>(key: &impl AsDer<PublicKeyX509Der<'k>>) -> Option<Vec<u8>> {
    Some(key.as_der().ok()?.as_ref().to_vec())
}

/// The seed and the public key that follows from it.
pub(super) fn ed25519_pair(seed: &[u8]) -> Result<Secret, Fault> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|_| Fault::Internal("an Ed25519 seed has 32 bytes"))?;
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(seed);
    bytes.extend_from_slice(pair.public_key().as_ref());
    Ok(Secret::new(bytes))
}

fn failed(_: aws_lc_rs::error::Unspecified) -> Fault {
    Fault::Internal("key generation failed")
}
