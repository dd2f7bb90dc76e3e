//! Public keys that come without their private part: such a version verifies, and encrypts with RSA.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    ParsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use super::version::KeyType;
use crate::core::fault::Fault;

/// The first bytes of an elliptic point that is written whole.
const UNCOMPRESSED: u8 = 4;

/// The public key in PEM (RFC 7468), as a version of this type keeps it.
pub(super) fn parse(kind: KeyType, pem: &str) -> Result<Vec<u8>, Fault> {
    if !kind.signs() {
        return Err(Fault::invalid(
            "provided type does not support public_key import",
        ));
    }
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| Fault::invalid("error parsing public key: not in PEM format"))?;
    of_spki(kind, &der)
        .ok_or_else(|| Fault::invalid(format!("the public key is not one of type {}", kind.name())))
}

/// The same from `SubjectPublicKeyInfo` (RFC 5280); `None` if it is no key of this type.
pub(super) fn of_spki(kind: KeyType, der: &[u8]) -> Option<Vec<u8>> {
    if let Some(size) = kind.rsa_size() {
        let key = PublicEncryptingKey::from_der(der).ok()?;
        let canonical: PublicKeyX509Der<'_> = key.as_der().ok()?;
        return (key.key_size_bytes() == size.len()).then(|| canonical.as_ref().to_vec());
    }
    let (rest, spki) = SubjectPublicKeyInfo::from_der(der).ok()?;
    let point = &*spki.subject_public_key.data;
    let algorithm: &'static dyn VerificationAlgorithm = match kind {
        KeyType::P256 => &ECDSA_P256_SHA256_ASN1,
        KeyType::P384 => &ECDSA_P384_SHA384_ASN1,
        KeyType::P521 => &ECDSA_P521_SHA512_ASN1,
        KeyType::Ed25519 => &ED25519,
        _ => return None,
    };
    // The whole of it says which curve it is, the point alone would not.
    ParsedPublicKey::new(algorithm, der).ok()?;
    match kind {
        KeyType::Ed25519 => Some(point.to_vec()),
        _ => (rest.is_empty() && point.first() == Some(&UNCOMPRESSED)).then(|| der.to_vec()),
    }
}
