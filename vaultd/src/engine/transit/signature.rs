//! What signature algorithms do with one version of a key.
//!
//! Ed25519 (RFC 8032) signs the message itself. ECDSA (FIPS 186-5) signs a digest of any of the hash
//! functions with any curve. RSA (RFC 8017) is PSS or PKCS #1 v1.5 with SHA-256, SHA-384 or SHA-512.

use std::sync::LazyLock;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::rsa::RsaParameters;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair,
    RsaKeyPair, RsaPssSaltLength, RsaSignatureEncoding, UnparsedPublicKey, VerificationAlgorithm,
};

use super::cipher::derive_ed25519;
use super::hash::Hash;
use super::model::Key;
use super::version::{KeyType, Version};
use crate::core::fault::Fault;

/// How an ECDSA signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marshaling {
    /// DER (RFC 3279).
    Asn1,
    /// Both numbers at full length (RFC 7518), in URL-safe base64.
    Jws,
}

/// Length of a PSS salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Salt {
    /// As long as possible to sign; to verify, what signers commonly use.
    Auto,
    Hash,
    Bytes(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    Pss(Salt),
    Pkcs1,
}

/// How to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    pub hash: Hash,
    /// The input is the digest already. Means nothing to Ed25519.
    pub prehashed: bool,
    pub padding: Padding,
    pub marshaling: Marshaling,
}

/// A signature, and the public key if it depends on the context.
pub(super) struct Signed {
    pub signature: Vec<u8>,
    pub public: Option<Vec<u8>>,
}

pub(super) fn sign(
    key: &Key,
    version: &Version,
    scheme: &Scheme,
    context: &[u8],
    input: &[u8],
) -> Result<Signed, Fault> {
    if !version.has_private() {
        return Err(Fault::invalid(
            "requested version for signing does not contain a private part",
        ));
    }
    let material = version.material.expose();
    let plain = |signature| Signed {
        signature,
        public: None,
    };
    if let Some(curve) = Curve::of(key.kind) {
        return curve.sign(scheme, material, input).map(plain);
    }
    if key.kind.rsa_size().is_some() {
        return rsa_sign(scheme, material, input).map(plain);
    }
    if !key.derived {
        return Ok(plain(ed25519_sign(material, input)?));
    }
    let (pair, public) = derive_ed25519(version, context)?;
    Ok(Signed {
        signature: ed25519_sign(pair.expose(), input)?,
        public: Some(public),
    })
}

/// False for a signature that is not of this key and input, or is no signature at all.
pub(super) fn verify(
    key: &Key,
    version: &Version,
    scheme: &Scheme,
    context: &[u8],
    input: &[u8],
    signature: &[u8],
) -> Result<bool, Fault> {
    if key.derived {
        let (_, public) = derive_ed25519(version, context)?;
        return Ok(ed25519_verify(&public, input, signature));
    }
    let public = version.public_bytes()?;
    if let Some(curve) = Curve::of(key.kind) {
        return curve.verify(scheme, &public, input, signature);
    }
    if key.kind.rsa_size().is_some() {
        return rsa_verify(scheme, &public, input, signature);
    }
    Ok(ed25519_verify(&public, input, signature))
}

fn failed<E>(_: E) -> Fault {
    Fault::Internal("signing failed")
}

/// `pair` is the seed and the public key.
fn ed25519_sign(pair: &[u8], input: &[u8]) -> Result<Vec<u8>, Fault> {
    let (seed, public) = pair
        .split_first_chunk::<32>()
        .ok_or(Fault::Internal("a stored Ed25519 key is cut off"))?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(failed)?;
    Ok(pair.sign(input).as_ref().to_vec())
}

fn ed25519_verify(public: &[u8], input: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&signature::ED25519, public)
        .verify(input, signature)
        .is_ok()
}

// ECDSA

struct Curve {
    asn1: &'static EcdsaSigningAlgorithm,
    fixed: &'static EcdsaSigningAlgorithm,
    verify_asn1: &'static EcdsaVerificationAlgorithm,
    verify_fixed: &'static EcdsaVerificationAlgorithm,
    /// The digest that the library pairs with the curve.
    digest: &'static digest::Algorithm,
}

static P256: Curve = Curve {
    asn1: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
    fixed: &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    verify_asn1: &signature::ECDSA_P256_SHA256_ASN1,
    verify_fixed: &signature::ECDSA_P256_SHA256_FIXED,
    digest: &digest::SHA256,
};
static P384: Curve = Curve {
    asn1: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
    fixed: &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    verify_asn1: &signature::ECDSA_P384_SHA384_ASN1,
    verify_fixed: &signature::ECDSA_P384_SHA384_FIXED,
    digest: &digest::SHA384,
};
static P521: Curve = Curve {
    asn1: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    fixed: &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
    verify_asn1: &signature::ECDSA_P521_SHA512_ASN1,
    verify_fixed: &signature::ECDSA_P521_SHA512_FIXED,
    digest: &digest::SHA512,
};

impl Curve {
    fn of(kind: KeyType) -> Option<&'static Curve> {
        match kind {
            KeyType::P256 => Some(&P256),
            KeyType::P384 => Some(&P384),
            KeyType::P521 => Some(&P521),
            _ => None,
        }
    }

    fn sign(&self, scheme: &Scheme, pkcs8: &[u8], input: &[u8]) -> Result<Vec<u8>, Fault> {
        let algorithm = match scheme.marshaling {
            Marshaling::Asn1 => self.asn1,
            Marshaling::Jws => self.fixed,
        };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(failed)?;
        let signature = pair.sign_digest(&self.number(scheme, input)?);
        Ok(signature.map_err(failed)?.as_ref().to_vec())
    }

    fn verify(
        &self,
        scheme: &Scheme,
        public: &[u8],
        input: &[u8],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        let algorithm = match scheme.marshaling {
            Marshaling::Asn1 => self.verify_asn1,
            Marshaling::Jws => self.verify_fixed,
        };
        let key = UnparsedPublicKey::new(algorithm, public);
        let number = self.number(scheme, input)?;
        Ok(key.verify_digest(&number, signature).is_ok())
    }

    /// The digest as ECDSA takes it, which is a number: a longer digest counts with its leftmost
    /// bits, a shorter one is the same with zeros in front. So every hash function fits every curve.
    fn number(&self, scheme: &Scheme, input: &[u8]) -> Result<Digest, Fault> {
        let digest = match scheme.prehashed {
            true if input.is_empty() => {
                return Err(Fault::invalid("a prehashed input cannot be empty"));
            }
            true => input.to_vec(),
            false => scheme.hash.of(input),
        };
        let length = self.digest.output_len();
        let mut number = vec![0; length];
        let taken = digest.len().min(length);
        number[length - taken..].copy_from_slice(&digest[..taken]);
        Digest::import_less_safe(&number, self.digest).map_err(failed)
    }
}

// RSA

/// The library wants its parameters for ever: one of each hash function and salt length.
struct Pss {
    signers: Vec<RsaSignatureEncoding>,
    verifiers: Vec<RsaParameters>,
}

impl Pss {
    /// The longest salt is that of RSA-4096 with SHA-256.
    const LONGEST: u16 = 512 - 32 - 2;

    fn new(signer: fn() -> RsaSignatureEncoding, verifier: fn() -> RsaParameters) -> Pss {
        let lengths = (0..=Pss::LONGEST).map(RsaPssSaltLength::Custom);
        Pss {
            signers: lengths
                .clone()
                .map(|n| signer().with_pss_salt_length(n))
                .collect(),
            verifiers: lengths
                .map(|n| verifier().with_pss_salt_length(n))
                .collect(),
        }
    }
}

static PSS_SHA256: LazyLock<Pss> = LazyLock::new(|| {
    Pss::new(
        || signature::RSA_PSS_SHA256,
        || signature::RSA_PSS_2048_8192_SHA256,
    )
});
static PSS_SHA384: LazyLock<Pss> = LazyLock::new(|| {
    Pss::new(
        || signature::RSA_PSS_SHA384,
        || signature::RSA_PSS_2048_8192_SHA384,
    )
});
static PSS_SHA512: LazyLock<Pss> = LazyLock::new(|| {
    Pss::new(
        || signature::RSA_PSS_SHA512,
        || signature::RSA_PSS_2048_8192_SHA512,
    )
});

/// What RSA does with one hash function.
struct RsaHash {
    digest: &'static digest::Algorithm,
    pkcs1: &'static RsaSignatureEncoding,
    verify_pkcs1: &'static RsaParameters,
    pss: &'static Pss,
}

impl RsaHash {
    fn of(hash: Hash) -> Result<RsaHash, Fault> {
        Ok(match hash {
            Hash::Sha256 => RsaHash {
                digest: &digest::SHA256,
                pkcs1: &signature::RSA_PKCS1_SHA256,
                verify_pkcs1: &signature::RSA_PKCS1_2048_8192_SHA256,
                pss: &PSS_SHA256,
            },
            Hash::Sha384 => RsaHash {
                digest: &digest::SHA384,
                pkcs1: &signature::RSA_PKCS1_SHA384,
                verify_pkcs1: &signature::RSA_PKCS1_2048_8192_SHA384,
                pss: &PSS_SHA384,
            },
            Hash::Sha512 => RsaHash {
                digest: &digest::SHA512,
                pkcs1: &signature::RSA_PKCS1_SHA512,
                verify_pkcs1: &signature::RSA_PKCS1_2048_8192_SHA512,
                pss: &PSS_SHA512,
            },
            _ => {
                return Err(Fault::invalid(
                    "hash_algorithm not supported for RSA keys: use sha2-256, sha2-384 or sha2-512",
                ));
            }
        })
    }

    fn digest(&self, scheme: &Scheme, input: &[u8]) -> Result<Digest, Fault> {
        if !scheme.prehashed {
            return Ok(digest::digest(self.digest, input));
        }
        Digest::import_less_safe(input, self.digest).map_err(|_| {
            Fault::invalid("the prehashed input is not as long as a digest of hash_algorithm")
        })
    }

    /// The longest salt for a modulus of so many bytes (RFC 8017, 9.1.1).
    fn longest_salt(&self, modulus: usize) -> usize {
        modulus
            .saturating_sub(self.digest.output_len() + 2)
            .min(usize::from(Pss::LONGEST))
    }

    fn salt(&self, bytes: u16, modulus: usize) -> Result<usize, Fault> {
        match usize::from(bytes) {
            length if length <= self.longest_salt(modulus) => Ok(length),
            _ => Err(Fault::invalid(
                "requested salt length is invalid: too long for the key",
            )),
        }
    }
}

fn rsa_sign(scheme: &Scheme, pkcs8: &[u8], input: &[u8]) -> Result<Vec<u8>, Fault> {
    let hash = RsaHash::of(scheme.hash)?;
    let digest = hash.digest(scheme, input)?;
    let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(failed)?;
    let modulus = pair.public_modulus_len();
    let encoding: &'static RsaSignatureEncoding = match scheme.padding {
        Padding::Pkcs1 => hash.pkcs1,
        Padding::Pss(salt) => {
            let length = match salt {
                Salt::Auto => hash.longest_salt(modulus),
                Salt::Hash => hash.digest.output_len(),
                Salt::Bytes(bytes) => hash.salt(bytes, modulus)?,
            };
            &hash.pss.signers[length]
        }
    };
    let mut signature = vec![0; modulus];
    pair.sign_digest(encoding, &digest, &mut signature)
        .map_err(failed)?;
    Ok(signature)
}

fn rsa_verify(
    scheme: &Scheme,
    public: &[u8],
    input: &[u8],
    signature: &[u8],
) -> Result<bool, Fault> {
    let hash = RsaHash::of(scheme.hash)?;
    let digest = hash.digest(scheme, input)?;
    let holds = |algorithm: &'static dyn VerificationAlgorithm| {
        UnparsedPublicKey::new(algorithm, public)
            .verify_digest(&digest, signature)
            .is_ok()
    };
    let Padding::Pss(salt) = scheme.padding else {
        return Ok(holds(hash.verify_pkcs1));
    };
    // A signature is as long as the modulus, or none.
    let modulus = signature.len();
    let own = hash.digest.output_len();
    let lengths = match salt {
        // The library cannot tell the length from the signature.
        Salt::Auto => vec![hash.longest_salt(modulus), own, 0, 20],
        Salt::Hash => vec![own],
        Salt::Bytes(bytes) => vec![usize::from(bytes)],
    };
    Ok(lengths
        .into_iter()
        .filter_map(|length| hash.pss.verifiers.get(length))
        .any(|algorithm| holds(algorithm)))
}
