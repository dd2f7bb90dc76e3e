//! Whether a certificate is still good, as the responders of its issuer say (RFC 6960).
//!
//! Promises: a response counts only if it is about this certificate, is signed by the issuer, by who
//! the issuer lets sign responses, or by an authority that the role names, and is of now. What is
//! revoked is refused whatever the role says; what is not known is refused unless it says so. Does not
//! promise: that a responder's own certificate is not revoked.

mod der;
mod message;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::asn1_rs::FromDer;
use x509_parser::certificate::X509Certificate;

use self::der::{BITS, Reader, SEQUENCE};
use self::message::{CertId, CertStatus, Response, Single, request};
use super::model::Ocsp;
use crate::outbound::{Failure, Outbound, Request, Trust, Url};

/// Seconds by which clocks may differ.
const SKEW: i64 = 300;
/// Seconds for which a response counts that does not say until when.
const AGE_MAX: i64 = 86_400;

/// What is known in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked,
    /// And why.
    Unknown(String),
}

/// What is asked, by whom it may be answered, and when.
pub(super) struct Question<'a> {
    pub own: &'a CertificateDer<'a>,
    /// Who signed it, which has to be made sure of.
    pub issuer: Option<CertificateDer<'static>>,
    /// As the certificate names them.
    pub responders: &'a [String],
    pub rules: &'a Ocsp,
    pub nonce: [u8; 32],
    /// Seconds since 1970.
    pub now: i64,
}

/// The one of these that has signed the certificate.
pub(super) fn issuer_of<'c>(
    own: &CertificateDer<'_>,
    candidates: impl IntoIterator<Item = &'c CertificateDer<'static>>,
) -> Option<CertificateDer<'static>> {
    let (_, parsed) = X509Certificate::from_der(own).ok()?;
    let named = |candidate: &CertificateDer<'_>| {
        X509Certificate::from_der(candidate)
            .is_ok_and(|(_, found)| found.subject().as_raw() == parsed.issuer().as_raw())
    };
    let mut candidates = candidates.into_iter();
    let found = candidates.find(|candidate| named(candidate) && vouches_for(candidate, own));
    found.cloned()
}

/// Whether the key of `signer` has signed a certificate or a list: what is signed, how, and the
/// signature.
pub(super) fn vouches_for(signer: &CertificateDer<'_>, signed: &[u8]) -> bool {
    let parts = || {
        let mut parts = Reader::new(signed).expect(SEQUENCE)?.inside();
        let message = parts.expect(SEQUENCE)?.whole;
        let algorithm = parts.expect(SEQUENCE)?.content;
        let signature = parts.expect(BITS)?.content.strip_prefix(&[0])?;
        Some(has_signed(signer, message, algorithm, signature))
    };
    parts().unwrap_or(false)
}

fn has_signed(signer: &CertificateDer<'_>, message: &[u8], how: &[u8], signature: &[u8]) -> bool {
    let Ok(signer) = EndEntityCert::try_from(signer) else {
        return false;
    };
    let known = default_provider().signature_verification_algorithms.all;
    known
        .iter()
        .filter(|algorithm| algorithm.signature_alg_id().as_ref() == how)
        .any(|algorithm| {
            signer
                .verify_signature(*algorithm, message, signature)
                .is_ok()
        })
}

/// Asks the responders.
pub(super) async fn ask(outbound: &Outbound, question: &Question<'_>) -> Status {
    let unknown = |why: &str| Status::Unknown(why.to_owned());
    let Some(issuer) = &question.issuer else {
        return unknown("its issuer's certificate is not known: add it to ocsp_ca_certificates");
    };
    let Some(id) = CertId::new(question.own, issuer) else {
        return unknown("it cannot be named to a responder");
    };
    let named = question.responders.iter();
    let servers: Vec<Url> = match question.rules.servers.is_empty() {
        true => named.filter_map(|text| Url::parse(text).ok()).collect(),
        false => question.rules.servers.clone(),
    };
    let mut last = unknown("neither the certificate nor the role names a responder");
    let mut good = 0;
    for server in &servers {
        match ask_one(outbound, question, issuer, &id, server).await {
            Status::Revoked => return Status::Revoked,
            Status::Good if !question.rules.query_all => return Status::Good,
            Status::Good => good += 1,
            unknown @ Status::Unknown(_) => last = unknown,
        }
    }
    match good > 0 && good == servers.len() {
        true => Status::Good,
        false => last,
    }
}

async fn ask_one(
    outbound: &Outbound,
    question: &Question<'_>,
    issuer: &CertificateDer<'_>,
    id: &CertId,
    server: &Url,
) -> Status {
    let body = request(id, &question.nonce);
    let mut tries = 0..=question.rules.retries;
    let answer = loop {
        let request = Request::post(server.clone(), "application/ocsp-request", body.clone());
        let request = request.accept("application/ocsp-response");
        let answer = outbound.send(&Trust::System, request).await;
        let answer = answer.and_then(crate::outbound::Answer::success);
        tries.next();
        match answer {
            // Who waits for a login waits for one of these, not for five.
            Err(Failure::Timeout) => break answer,
            Err(_) if !tries.is_empty() => {}
            answer => break answer,
        }
    };
    let judged = answer
        .map_err(|failure| format!("its responder does not answer: {failure}"))
        .and_then(|body| judge(question, issuer, id, &body).map_err(str::to_owned));
    match judged {
        Ok(CertStatus::Good) => Status::Good,
        Ok(CertStatus::Revoked) => Status::Revoked,
        Ok(CertStatus::Unknown) => Status::Unknown("its responder does not know it".to_owned()),
        Err(why) => Status::Unknown(why),
    }
}

/// What a response says, if it may be believed.
fn judge(
    question: &Question<'_>,
    issuer: &CertificateDer<'_>,
    id: &CertId,
    body: &[u8],
) -> Result<CertStatus, &'static str> {
    let response = Response::read(body, id).ok_or("the response is not one about it")?;
    if response.nonce.is_some_and(|nonce| nonce != question.nonce) {
        return Err("the response is for another question");
    }
    let rules = question.rules.authorities();
    let signers = || std::iter::once(issuer).chain(&rules);
    let delegates = response.certificates.iter().filter(|delegate| {
        may_sign(delegate, question.now) && signers().any(|signer| vouches_for(signer, delegate))
    });
    let signed = signers().chain(delegates).any(|signer| {
        has_signed(
            signer,
            response.signed,
            response.algorithm,
            response.signature,
        )
    });
    match signed {
        false => Err("the response is not signed by who may"),
        true if !is_current(question, response.single) => Err("the response is not of now"),
        true => Ok(response.single.status),
    }
}

/// A certificate for signing responses (RFC 6960, 4.2.2.2), and valid.
fn may_sign(delegate: &CertificateDer<'_>, now: i64) -> bool {
    X509Certificate::from_der(delegate).is_ok_and(|(_, parsed)| {
        let validity = parsed.validity();
        let purposes = parsed.extended_key_usage();
        (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
            && purposes.is_ok_and(|found| found.is_some_and(|usage| usage.value.ocsp_signing))
    })
}

fn is_current(question: &Question<'_>, single: Single) -> bool {
    let now = question.now;
    let age = now.saturating_sub(single.this_update);
    let age_max = i64::try_from(question.rules.this_update_max_age).unwrap_or(i64::MAX);
    let in_time = match single.next_update {
        Some(next) => now <= next.saturating_add(SKEW),
        None => age_max > 0 || age <= AGE_MAX,
    };
    age >= -SKEW && in_time && (age_max == 0 || age <= age_max)
}
