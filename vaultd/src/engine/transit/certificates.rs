//! Certificates for keys that never leave: a request (PKCS #10, RFC 2986) signed by the key, and the
//! chain that an authority made of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use serde_json::json;
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

use super::export::{element, pem};
use super::hash::Hash;
use super::keys::existing;
use super::model::{Key, KeyName};
use super::public;
use super::signature::{self, Marshaling, Padding, Scheme};
use super::version::{KeyType, Version};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Certificates of one chain at most.
const CHAIN_MAX: usize = 10;

// DER (X.690)
const SEQUENCE: u8 = 0x30;
const ATTRIBUTES: u8 = 0xa0;
const BIT_STRING: u8 = 0x03;
const VERSION_0: [u8; 3] = [0x02, 0x01, 0x00];
/// `SubjectPublicKeyInfo` of Ed25519 up to the key (RFC 8410).
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

pub(super) async fn csr(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, key) = signing_key(ctx, view).await?;
    let at = index(ctx, &key)?;
    let template = ctx.body().string("csr")?.unwrap_or_default();
    let (subject, attributes) = match template.trim() {
        "" => (der(SEQUENCE, &[]), der(ATTRIBUTES, &[])),
        text => parts(text)
            .ok_or_else(|| Fault::invalid("the csr is not a certificate signing request in PEM"))?,
    };
    let request = request(&key, &key.versions[at], &subject, &attributes)?;
    Ok(Reply::json(json!({
        "name": name.as_str(),
        "type": key.kind.name(),
        "csr": pem("CERTIFICATE REQUEST", &request).as_str(),
    })))
}

pub(super) async fn set_chain(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut key) = signing_key(ctx, view).await?;
    let at = index(ctx, &key)?;
    let text = ctx.body().required("certificate_chain")?;
    let chain = certificates(&text)?;
    check_chain(key.kind, &key.versions[at], &chain)?;
    key.versions[at].chain = chain.iter().map(|one| STANDARD.encode(one)).collect();
    key.store(view, &name).await?;
    Ok(Reply::json(json!({
        "name": name.as_str(),
        "type": key.kind.name(),
        "certificate_chain": text,
    })))
}

/// As PEM; empty if there is none.
pub(super) fn show_chain(version: &Version) -> Result<String, Fault> {
    let mut text = String::new();
    for one in &version.chain {
        let der = STANDARD.decode(one);
        let der = der.map_err(|_| Fault::Internal("a stored certificate is no base64"))?;
        text.push_str(&pem("CERTIFICATE", &der));
    }
    Ok(text)
}

async fn signing_key(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(KeyName, Key), Fault> {
    let name = KeyName::of(ctx)?;
    let missing = format!("key with provided name '{}' not found", name.as_str());
    let key = existing(view, &name, &missing).await?;
    if !key.kind.signs() {
        return Err(Fault::invalid(format!(
            "key type '{}' does not support signing",
            key.kind.name()
        )));
    }
    if key.derived {
        return Err(Fault::invalid(
            "operation not supported for keys with derivation enabled",
        ));
    }
    Ok((name, key))
}

/// Where the asked version is; the latest if none is named.
fn index(ctx: &Ctx<'_>, key: &Key) -> Result<usize, Fault> {
    let asked = match ctx.body().int("version")? {
        None | Some(0) => Some(key.latest()),
        Some(number) => u64::try_from(number).ok(),
    };
    let at = asked.and_then(|number| usize::try_from(number.checked_sub(key.first)?).ok());
    at.filter(|at| *at < key.versions.len())
        .ok_or_else(|| Fault::invalid("the key has no such version"))
}

// Requests

/// Subject and attributes of a request in PEM, as they are.
fn parts(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let request = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).ok()?;
    X509CertificationRequest::from_der(&request).ok()?;
    let (whole, _) = element(&request, SEQUENCE)?;
    let (info, _) = element(whole, SEQUENCE)?;
    let (_, from_subject) = element(info, VERSION_0[0])?;
    let (_, from_key) = element(from_subject, SEQUENCE)?;
    let (_, attributes) = element(from_key, SEQUENCE)?;
    let (_, rest) = element(attributes, ATTRIBUTES)?;
    let subject = &from_subject[..from_subject.len() - from_key.len()];
    rest.is_empty()
        .then(|| (subject.to_vec(), attributes.to_vec()))
}

fn request(
    key: &Key,
    version: &Version,
    subject: &[u8],
    attributes: &[u8],
) -> Result<Vec<u8>, Fault> {
    let info = der(
        SEQUENCE,
        &[&VERSION_0, subject, &spki(key.kind, version)?, attributes],
    );
    let (hash, algorithm) = algorithm(key.kind);
    let scheme = Scheme {
        hash,
        prehashed: false,
        padding: Padding::Pkcs1,
        marshaling: Marshaling::Asn1,
    };
    let signature = signature::sign(key, version, &scheme, &[], &info)?.signature;
    let signature = der(BIT_STRING, &[&[0], &signature]);
    Ok(der(SEQUENCE, &[&info, &algorithm, &signature]))
}

fn spki(kind: KeyType, version: &Version) -> Result<Vec<u8>, Fault> {
    let public = version.public_bytes()?;
    Ok(match kind {
        KeyType::Ed25519 => [&ED25519[..], &public].concat(),
        _ => public,
    })
}

/// The hash function and `AlgorithmIdentifier` (RFC 4055, 5758, 8410) that go with a type.
fn algorithm(kind: KeyType) -> (Hash, Vec<u8>) {
    const ECDSA: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    const RSA_SHA256: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    const NULL: [u8; 2] = [0x05, 0x00];
    let ecdsa = |last: u8| der(SEQUENCE, &[&der(0x06, &[&ECDSA, &[last]])]);
    match kind {
        KeyType::P256 => (Hash::Sha256, ecdsa(2)),
        KeyType::P384 => (Hash::Sha384, ecdsa(3)),
        KeyType::P521 => (Hash::Sha512, ecdsa(4)),
        KeyType::Ed25519 => (Hash::Sha512, ED25519[2..9].to_vec()),
        _ => (
            Hash::Sha256,
            der(SEQUENCE, &[&der(0x06, &[&RSA_SHA256]), &NULL]),
        ),
    }
}

/// One element with what it holds.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let digits = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(0)..];
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend_from_slice(digits);
        }
    }
    out.extend(parts.iter().flat_map(|part| part.iter().copied()));
    out
}

// Chains

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain =
        read.map_err(|_| Fault::invalid("could not decode a PEM block in the certificate chain"))?;
    match chain.len() {
        0 => Err(Fault::invalid(
            "provided certificate chain did not contain any valid PEM encoded certificate",
        )),
        1..=CHAIN_MAX => Ok(chain),
        _ => Err(Fault::invalid(format!(
            "a chain has at most {CHAIN_MAX} certificates"
        ))),
    }
}

/// The key's own certificate first, and after it authorities only.
fn check_chain(
    kind: KeyType,
    version: &Version,
    chain: &[CertificateDer<'_>],
) -> Result<(), Fault> {
    for (at, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| {
            Fault::invalid("could not parse a certificate in the certificate chain")
        })?;
        match (at, certificate.is_ca()) {
            (0, true) => {
                return Err(Fault::invalid(
                    "certificate in the first element is not a valid leaf certificate",
                ));
            }
            (0, false) => {
                let own = public::of_spki(kind, certificate.public_key().raw);
                if own != Some(version.public_bytes()?) {
                    return Err(Fault::invalid(
                        "leaf certificate public key does not match the selected key version",
                    ));
                }
            }
            (_, true) => {}
            (_, false) => {
                return Err(Fault::invalid(
                    "after the leaf certificate come those of its issuers only: there is one that is no CA",
                ));
            }
        }
    }
    Ok(())
}
