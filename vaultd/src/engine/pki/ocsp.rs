//! The OCSP responder: answers with the issuer's own key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jiff::SignedDuration;
use vault_x509::Hash;
use vault_x509::ocsp::{self, Questions, Refusal, Status};

use super::certs::Issued;
use super::issuer::{self, Issuer};
use super::settings::Lists;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const TYPE: &str = "application/ocsp-response";

fn refusal(refusal: Refusal) -> Reply {
    Reply {
        text: Some((TYPE, refusal.to_der())),
        ..Reply::none()
    }
}

/// The request is in the path (GET), in base64, or it is the body (POST).
pub(super) async fn answer(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let text = match ctx.param("request") {
        "" => ctx.body().required("request")?,
        text => text.to_owned(),
    };
    let der = STANDARD.decode(&text).or_else(|_| URL_SAFE.decode(&text));
    let der = der.unwrap_or_default();
    let Ok(questions) = Questions::from_der(&der) else {
        return Ok(refusal(Refusal::Malformed).status(400));
    };
    let settings = Lists::load(view).await?;
    if settings.ocsp_disable {
        return Ok(refusal(Refusal::Unauthorized));
    }
    // All questions of one request are about one issuer, whose key signs the answer.
    let mut found = None;
    for issuer in Issuer::all(view).await? {
        if issuer.key_id.is_empty() || issuer.may("ocsp-signing").is_err() {
            continue;
        }
        let facts = issuer::facts(&issuer.der()?)?;
        let ids = &questions.certificates;
        if ids.iter().all(|id| id.is_of(&facts.subject, &facts.public)) {
            found = Some(issuer);
            break;
        }
    }
    let Some(issuer) = found else {
        return Ok(refusal(Refusal::Unauthorized));
    };
    let mut statuses = Vec::new();
    for id in &questions.certificates {
        statuses.push(status(&issuer.id, &id.serial, view).await?);
    }
    let authority = issuer.open(view).await?;
    let now = ctx.now();
    let span = SignedDuration::from_secs(i64::try_from(settings.ocsp_expiry).unwrap_or(0));
    let next = (settings.ocsp_expiry > 0).then_some(now + span);
    let signer = authority.signer(Hash::Sha256, false);
    let answer = ocsp::answer(
        &questions,
        &statuses,
        &authority.facts.public,
        now,
        next,
        &signer,
    );
    Ok(match answer {
        Ok(der) => Reply {
            text: Some((TYPE, der)),
            ..Reply::none()
        },
        Err(_) => refusal(Refusal::InternalError),
    })
}

/// A certificate that is not stored is good unless it was revoked: it may be one of a role with
/// `no_store`. One that another issuer signed is unknown.
async fn status(issuer: &str, serial: &[u8], view: &mut View<'_>) -> Result<Status, Fault> {
    let Some(found) = Issued::get(view, serial).await? else {
        return Ok(Status::Good);
    };
    if found.issuer != issuer {
        return Ok(Status::Unknown);
    }
    Ok(match found.revoked_at {
        None => Status::Good,
        Some(at) => Status::Revoked(vault_x509::Revoked {
            serial: serial.to_vec(),
            at,
            reason: vault_x509::Reason::of(found.reason).unwrap_or_default(),
        }),
    })
}
