//! Public keys, and the signatures that they verify.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use vault_crypto::Curve;
use x509_parser::der_parser::asn1_rs::Oid;
use x509_parser::prelude::{AlgorithmIdentifier, FromDer, SubjectPublicKeyInfo};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::signature_algorithm::SignatureAlgorithm;

use crate::Malformed;

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKind {
    /// RFC 8410.
    Ed25519,
    /// RFC 5480.
    Ecdsa(Curve),
    /// RFC 3279, with so many bits.
    Rsa(usize),
}

/// A public key: `SubjectPublicKeyInfo` in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
    kind: PublicKind,
}

/// Bits of RSA: fewer can be broken, more would take too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

impl PublicKey {
    /// Reads a key that can be used.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_der(der: &[u8]) -> Result<PublicKey, Malformed> {
        const UNKNOWN: Malformed =
            Malformed("the public key is not Ed25519, ECDSA (P-256, P-384, P-521) or RSA");
        let Ok((rest, info)) = SubjectPublicKeyInfo::from_der(der) else {
            return Err(UNKNOWN);
        };
        if !rest.is_empty() {
            return Err(UNKNOWN);
        }
        let algorithm = &info.algorithm;
        let kind = match info.parsed() {
            Ok(Parsed::RSA(key)) => {
                // Without the sign's zero.
                let zeros = key.modulus.iter().take_while(|byte| **byte == 0).count();
                let modulus = &key.modulus[zeros..];
                let first = modulus
                    .first()
                    .map_or(0, |byte| byte.leading_zeros() as usize);
                let bits = 8 * modulus.len() - first;
                if !RSA_BITS.contains(&bits) {
                    return Err(Malformed("an RSA key has 2048 to 8192 bits"));
                }
                return PublicKey::checked(der, PublicKind::Rsa(bits), &RSA_PKCS1_2048_8192_SHA256);
            }
            Ok(Parsed::EC(_)) => PublicKind::Ecdsa(curve(algorithm).ok_or(UNKNOWN)?),
            _ if is(&algorithm.algorithm, crate::oid::ED25519) => PublicKind::Ed25519,
            _ => return Err(UNKNOWN),
        };
        let verifier: &'static dyn VerificationAlgorithm = match kind {
            PublicKind::Ecdsa(Curve::P256) => &ECDSA_P256_SHA256_ASN1,
            PublicKind::Ecdsa(Curve::P384) => &ECDSA_P384_SHA384_ASN1,
            PublicKind::Ecdsa(Curve::P521) => &ECDSA_P521_SHA512_ASN1,
            _ => &ED25519,
        };
        PublicKey::checked(der, kind, verifier)
    }

    fn checked(
        der: &[u8],
        kind: PublicKind,
        verifier: &'static dyn VerificationAlgorithm,
    ) -> Result<PublicKey, Malformed> {
        match ParsedPublicKey::new(verifier, der) {
            Ok(_) => Ok(PublicKey {
                der: der.to_vec(),
                kind,
            }),
            Err(_) => Err(Malformed("the public key cannot be used")),
        }
    }

    /// Its encoding.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// What kind of key it is.
    pub fn kind(&self) -> PublicKind {
        self.kind
    }

    /// SHA-1 of the key's bits (RFC 5280, 4.2.1.2): a name, not a proof.
    pub fn id(&self) -> Vec<u8> {
        let bits = SubjectPublicKeyInfo::from_der(&self.der);
        let bits = bits.map_or(self.der.clone(), |(_, info)| {
            info.subject_public_key.data.to_vec()
        });
        digest(&SHA1_FOR_LEGACY_USE_ONLY, &bits).as_ref().to_vec()
    }

    /// Whether `signature` over `message` is this key's. SHA-1 is none.
    pub fn verifies(
        &self,
        algorithm: &AlgorithmIdentifier<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let Some(verifier) = self.verifier(algorithm) else {
            return false;
        };
        ParsedPublicKey::new(verifier, &self.der)
            .is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }

    fn verifier(
        &self,
        algorithm: &AlgorithmIdentifier<'_>,
    ) -> Option<&'static dyn VerificationAlgorithm> {
        use crate::oid;
        let named = |oid: &[u64]| is(&algorithm.algorithm, oid);
        Some(match self.kind {
            PublicKind::Ed25519 if named(oid::ED25519) => &ED25519,
            PublicKind::Ecdsa(Curve::P256) if named(oid::ECDSA_SHA256) => &ECDSA_P256_SHA256_ASN1,
            PublicKind::Ecdsa(Curve::P256) if named(oid::ECDSA_SHA384) => &ECDSA_P256_SHA384_ASN1,
            PublicKind::Ecdsa(Curve::P384) if named(oid::ECDSA_SHA384) => &ECDSA_P384_SHA384_ASN1,
            PublicKind::Ecdsa(Curve::P384) if named(oid::ECDSA_SHA256) => &ECDSA_P384_SHA256_ASN1,
            PublicKind::Ecdsa(Curve::P521) if named(oid::ECDSA_SHA512) => &ECDSA_P521_SHA512_ASN1,
            PublicKind::Rsa(_) if named(oid::RSA_SHA256) => &RSA_PKCS1_2048_8192_SHA256,
            PublicKind::Rsa(_) if named(oid::RSA_SHA384) => &RSA_PKCS1_2048_8192_SHA384,
            PublicKind::Rsa(_) if named(oid::RSA_SHA512) => &RSA_PKCS1_2048_8192_SHA512,
            PublicKind::Rsa(_) if named(oid::RSA_PSS) => pss(algorithm)?,
            _ => return None,
        })
    }
}

fn pss(algorithm: &AlgorithmIdentifier<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm)
    else {
        return None;
    };
    let hash = parameters.hash_algorithm_oid();
    Some(match parameters.salt_length() {
        32 if is(hash, crate::oid::SHA256) => &RSA_PSS_2048_8192_SHA256,
        48 if is(hash, crate::oid::SHA384) => &RSA_PSS_2048_8192_SHA384,
        64 if is(hash, crate::oid::SHA512) => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn curve(algorithm: &AlgorithmIdentifier<'_>) -> Option<Curve> {
    let name = algorithm.parameters.as_ref()?.as_oid().ok()?;
    let curves: [(&[u64], Curve); 3] = [
        (&[1, 2, 840, 10_045, 3, 1, 7], Curve::P256),
        (&[1, 3, 132, 0, 34], Curve::P384),
        (&[1, 3, 132, 0, 35], Curve::P521),
    ];
    let found = curves.iter().find(|(oid, _)| is(&name, oid));
    found.map(|(_, curve)| *curve)
}

pub fn is(oid: &Oid<'_>, parts: &[u64]) -> bool {
    oid.iter()
        .is_some_and(|iter| iter.eq(parts.iter().copied()))
}
