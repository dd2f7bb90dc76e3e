//! What ends soon: issuers and stored certificates, and how many of them for monitoring.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vault_x509::x509_parser::extensions::GeneralName;
use vault_x509::x509_parser::prelude::{FromDer, X509Certificate};

use super::certs::{self, Issued};
use super::ends::{self, Place};
use super::issuer::{Issuer, facts};
use super::serial;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::ending::Ending;

const DAY: u64 = 86_400;
/// Unless the request says otherwise.
const WITHIN: u64 = 30 * DAY;
/// Certificates of one answer, unless the request wants fewer.
const SHOWN_MAX: usize = 1000;
/// Days within which certificates are counted.
const STEPS: [u64; 3] = [1, 7, 30];

/// The soonest first; those that are revoked do not count.
pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let within = ctx.body().seconds("within")?.unwrap_or(WITHIN);
    let limit = match ctx.body().int("limit")?.map(usize::try_from) {
        None => SHOWN_MAX,
        Some(Ok(limit)) => limit.clamp(1, SHOWN_MAX),
        Some(Err(_)) => return Err(Fault::invalid("limit: expected a number from 1 to 1000")),
    };
    let (now, until) = (ctx.now(), later(ctx.now(), within));
    let (mut rows, mut issuers) = (Vec::new(), Vec::new());
    for issuer in Issuer::all(view).await? {
        let der = issuer.der()?;
        let facts = facts(&der)?;
        issuers.push(der);
        if facts.not_after <= until && issuer.revoked_at.is_none() {
            rows.push((
                facts.not_after,
                of_issuer(&issuer, &facts.serial, facts.not_after),
            ));
        }
    }
    // One more tells whether there are more.
    let asked = NonZeroUsize::MIN.saturating_add(limit);
    let found = ends::after(&Place::at(now), until, asked, view).await?;
    let more = found.len() > limit;
    for end in found.iter().take(limit) {
        let stored: Option<Issued> = view.get(&certs::row(&end.serial)).await?;
        let Some(stored) = stored.filter(|stored| stored.revoked_at.is_none()) else {
            continue;
        };
        // A root stores its own certificate as others.
        let der = stored.der()?;
        if !issuers.contains(&der) {
            rows.push((stored.not_after, of_certificate(&stored, &der, &end.serial)));
        }
    }
    rows.sort_by_key(|(not_after, _)| *not_after);
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    let reply = Reply::json(json!({ "certificates": rows, "more": more }));
    Ok(match more {
        true => reply.warn("there are more certificates that end: these are the soonest"),
        false => reply,
    })
}

fn later(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let span = SignedDuration::from_secs(seconds);
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}

fn of_issuer(issuer: &Issuer, number: &[u8], not_after: Timestamp) -> Value {
    json!({
        "kind": "issuer",
        "name": name_of(issuer),
        "serial_number": serial::colons(number),
        "not_after": not_after,
    })
}

fn name_of(issuer: &Issuer) -> &str {
    match issuer.name.as_str() {
        "" => &issuer.id,
        name => name,
    }
}

fn of_certificate(stored: &Issued, der: &[u8], number: &[u8]) -> Value {
    json!({
        "kind": "certificate",
        "name": subject(der),
        "serial_number": serial::colons(number),
        "not_after": whole(stored.not_after),
        "issuer_id": stored.issuer,
    })
}

/// As certificates have it.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The common name, or the first other one.
fn subject(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let common = certificate.subject().iter_common_name().next();
    if let Some(Ok(name)) = common.map(|name| name.as_str()) {
        return Some(name.to_owned());
    }
    let names = certificate.subject_alternative_name().ok()??;
    match names.value.general_names.first()? {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        other => Some(other.to_string()),
    }
}

/// Of every issuer.
pub async fn endings(view: &mut View<'_>) -> Result<Vec<Ending>, Fault> {
    let mut all = Vec::new();
    for issuer in Issuer::all(view).await? {
        all.push(Ending {
            name: name_of(&issuer).to_owned(),
            not_after: Some(facts(&issuer.der()?)?.not_after),
            is_failing: false,
        });
    }
    Ok(all)
}

/// Numbers of days, and how many stored certificates end within them, by whole days of UTC. Counts those
/// that are revoked, too.
pub async fn counts(now: Timestamp, view: &mut View<'_>) -> Result<Vec<(u64, u64)>, Fault> {
    let until = STEPS.map(|days| later(now, days * DAY));
    let counts = ends::counts(now, until, view).await?;
    Ok(STEPS.into_iter().zip(counts).collect())
}
