//! OCSP messages (RFC 6960, 4): the request, and the response, which is read strictly.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::FromDer;
use x509_parser::certificate::X509Certificate;

use super::der::{
    BITS, ENUMERATED, Element, OCTETS, OID, Reader, SEQUENCE, TIME, context, element, positive,
};
use crate::auth::cert::certificate::significant;

/// `id-sha1` without parameters left out, as every responder knows it. It names a certificate here
/// and protects nothing.
const SHA1: &[u8] = &[6, 5, 0x2B, 0x0E, 3, 2, 0x1A, 5, 0];
/// `id-pkix-ocsp-basic` and `id-pkix-ocsp-nonce`.
const BASIC: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1];
const NONCE: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 0x30, 1, 2];

/// Names a certificate to a responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CertId {
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    /// Without leading zeros.
    serial: Vec<u8>,
}

impl CertId {
    pub(super) fn new(own: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> Option<CertId> {
        let (_, own) = X509Certificate::from_der(own).ok()?;
        let (_, issuer) = X509Certificate::from_der(issuer).ok()?;
        let hash = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
        Some(CertId {
            issuer_name: hash(issuer.subject().as_raw()),
            issuer_key: hash(&issuer.public_key().subject_public_key.data),
            serial: significant(own.raw_serial()).to_vec(),
        })
    }

    fn der(&self) -> Vec<u8> {
        element(
            SEQUENCE,
            &[
                &element(SEQUENCE, &[SHA1]),
                &element(OCTETS, &[&self.issuer_name]),
                &element(OCTETS, &[&self.issuer_key]),
                &positive(&self.serial),
            ],
        )
    }

    fn is(&self, id: Element<'_>) -> bool {
        let read = || {
            let mut inside = id.inside();
            let algorithm = inside.expect(SEQUENCE)?.inside().expect(OID)?.whole;
            let name = inside.expect(OCTETS)?.content;
            let key = inside.expect(OCTETS)?.content;
            let serial = inside.expect(super::der::INTEGER)?.content;
            Some(
                SHA1.starts_with(algorithm)
                    && name == self.issuer_name
                    && key == self.issuer_key
                    && significant(serial) == self.serial,
            )
        };
        read().unwrap_or(false)
    }
}

/// Asks about one certificate.
pub(super) fn request(id: &CertId, nonce: &[u8]) -> Vec<u8> {
    let nonce = element(OCTETS, &[&element(OCTETS, &[nonce])]);
    let extension = element(SEQUENCE, &[&element(OID, &[NONCE]), &nonce]);
    let extensions = element(context(2), &[&element(SEQUENCE, &[&extension])]);
    let requests = element(SEQUENCE, &[&element(SEQUENCE, &[&id.der()])]);
    element(SEQUENCE, &[&element(SEQUENCE, &[&requests, &extensions])])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CertStatus {
    Good,
    Revoked,
    Unknown,
}

/// A response, not believed yet.
pub(super) struct Response<'a> {
    /// What is signed.
    pub signed: &'a [u8],
    /// Content of the algorithm identifier.
    pub algorithm: &'a [u8],
    pub signature: &'a [u8],
    /// Of who may have signed.
    pub certificates: Vec<CertificateDer<'a>>,
    pub nonce: Option<&'a [u8]>,
    pub single: Single,
}

/// What it says about the certificate in question. Times in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Single {
    pub status: CertStatus,
    pub this_update: i64,
    pub next_update: Option<i64>,
}

impl<'a> Response<'a> {
    /// `None` if it is no success, cannot be read, or does not speak of the certificate exactly once.
    pub(super) fn read(bytes: &'a [u8], id: &CertId) -> Option<Response<'a>> {
        let mut all = Reader::new(bytes);
        let mut outer = all.expect(SEQUENCE)?.inside();
        let status = outer.expect(ENUMERATED)?.content;
        let body = outer.expect(context(0))?.only(SEQUENCE)?;
        if status != [0] || !outer.is_done() || !all.is_done() {
            return None;
        }
        let mut body = body.inside();
        let kind = body.expect(OID)?.content;
        let basic = body.expect(OCTETS)?.only(SEQUENCE)?;
        if kind != BASIC || !body.is_done() {
            return None;
        }
        let mut basic = basic.inside();
        let data = basic.expect(SEQUENCE)?;
        let algorithm = basic.expect(SEQUENCE)?.content;
        // A signature is whole bytes.
        let signature = basic.expect(BITS)?.content.strip_prefix(&[0])?;
        let mut certificates = Vec::new();
        if let Some(list) = basic.optional(context(0)) {
            let mut list = list.only(SEQUENCE)?.inside();
            while !list.is_done() {
                certificates.push(CertificateDer::from(list.expect(SEQUENCE)?.whole));
            }
        }
        let (single, nonce) = read_data(data, id)?;
        basic.is_done().then_some(Response {
            signed: data.whole,
            algorithm,
            signature,
            certificates,
            nonce,
            single,
        })
    }
}

fn read_data<'a>(data: Element<'a>, id: &CertId) -> Option<(Single, Option<&'a [u8]>)> {
    let mut data = data.inside();
    // Version 1, whether it is said or not.
    if let Some(version) = data.optional(context(0)) {
        version
            .only(super::der::INTEGER)
            .filter(|number| number.content == [0])?;
    }
    // Who says it is found by the signature.
    data.next()
        .filter(|responder| matches!(responder.tag, 0xA1 | 0xA2))?;
    data.expect(TIME)?;
    let mut responses = data.expect(SEQUENCE)?.inside();
    let mut found = Vec::new();
    while !responses.is_done() {
        let mut response = responses.expect(SEQUENCE)?.inside();
        let about = response.expect(SEQUENCE)?;
        let single = read_single(response)?;
        if id.is(about) {
            found.push(single);
        }
    }
    let mut nonce = None;
    if let Some(extensions) = data.optional(context(1)) {
        let mut list = extensions.only(SEQUENCE)?.inside();
        while !list.is_done() {
            let mut extension = list.expect(SEQUENCE)?.inside();
            if extension.expect(OID)?.content == NONCE {
                nonce = Some(extension.expect(OCTETS)?.only(OCTETS)?.content);
            }
        }
    }
    match (found.as_slice(), data.is_done()) {
        ([single], true) => Some((*single, nonce)),
        _ => None,
    }
}

fn read_single(mut rest: Reader<'_>) -> Option<Single> {
    let status = match rest.next()?.tag {
        0x80 => CertStatus::Good,
        0xA1 => CertStatus::Revoked,
        0x82 => CertStatus::Unknown,
        _ => return None,
    };
    let this_update = seconds(rest.expect(TIME)?)?;
    let next_update = match rest.optional(context(0)) {
        Some(next) => Some(seconds(next.only(TIME)?)?),
        None => None,
    };
    Some(Single {
        status,
        this_update,
        next_update,
    })
}

/// `YYYYMMDDHHMMSSZ`
fn seconds(time: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(time.content).ok()?.strip_suffix('Z')?;
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let time = Timestamp::strptime("%Y%m%d%H%M%S%z", format!("{text}+0000")).ok()?;
    Some(time.as_second())
}
