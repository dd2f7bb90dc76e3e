//! Revocation lists: made when they are asked for and something has changed, or when they are about to
//! end, so that nobody waits for one that nobody fetches.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_crypto::pem as frame;
use vault_x509::{Hash, Reason, Revocations, Revoked};

use super::issuer::{Authority, Issuer};
use super::settings::Lists;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Revoked certificates: a folder for each issuer.
pub(super) const REVOKED: &str = "revoked";
/// What of a list can be stored; a longer one is made anew for each who asks.
const STORED_MAX: usize = 700 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Complete,
    /// What changed since the complete one.
    Delta,
}

/// A revoked certificate.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    pub at: Timestamp,
    pub not_after: Timestamp,
    #[serde(default)]
    pub reason: u8,
}

/// Where the lists of an issuer stand.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// Of the last list of either kind.
    number: u64,
    /// Counts revocations.
    changes: u64,
    complete: Option<Made>,
    delta: Option<Made>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Made {
    number: u64,
    changes: u64,
    at: Timestamp,
    until: Timestamp,
    stored: bool,
}

fn state_row(issuer: &str) -> String {
    format!("list-state/{issuer}")
}

fn list_row(issuer: &str, kind: Kind) -> String {
    match kind {
        Kind::Complete => format!("list/{issuer}"),
        Kind::Delta => format!("delta/{issuer}"),
    }
}

/// A revocation: the next lists have to say so.
pub(super) async fn changed(issuer: &str, view: &mut View<'_>) -> Result<(), Fault> {
    let row = state_row(issuer);
    let mut state: State = view.get(&row).await?.unwrap_or_default();
    state.changes += 1;
    view.put(&row, &state).await?;
    Ok(())
}

/// The issuer is gone. Its revoked certificates stay known.
pub(super) async fn forget(issuer: &str, view: &mut View<'_>) -> Result<(), Fault> {
    view.delete(&list_row(issuer, Kind::Complete)).await?;
    view.delete(&list_row(issuer, Kind::Delta)).await?;
    view.delete(&state_row(issuer)).await?;
    Ok(())
}

/// The list in DER.
pub(super) async fn der(
    reference: &str,
    kind: Kind,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Vec<u8>, Fault> {
    current(reference, kind, false, ctx, view).await
}

/// The list in PEM.
pub(super) async fn pem(
    reference: &str,
    kind: Kind,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<String, Fault> {
    let der = der(reference, kind, ctx, view).await?;
    Ok(frame::write("X509 CRL", &der, 64).trim_end().to_owned())
}

pub(super) fn answer(der: Vec<u8>, pem: bool) -> Reply {
    Reply {
        text: Some(match pem {
            true => (
                "application/x-pem-file",
                frame::write("X509 CRL", &der, 64)
                    .trim_end()
                    .as_bytes()
                    .to_vec(),
            ),
            false => ("application/pkix-crl", der),
        }),
        ..Reply::none()
    }
}

/// Without an envelope.
pub(super) async fn raw(
    reference: &str,
    kind: Kind,
    pem: bool,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    if Issuer::find(view, reference).await?.is_none() {
        return Err(Fault::Missing);
    }
    Ok(answer(der(reference, kind, ctx, view).await?, pem))
}

/// Every issuer's lists, now.
pub(super) async fn rotate(kind: Kind, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    for issuer in Issuer::all(view).await? {
        if !issuer.key_id.is_empty() && issuer.may("crl-signing").is_ok() {
            current(&issuer.id, kind, true, ctx, view).await?;
        }
    }
    Ok(Reply::json(serde_json::json!({ "success": true })))
}

async fn current(
    reference: &str,
    kind: Kind,
    anew: bool,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Vec<u8>, Fault> {
    let settings = Lists::load(view).await?;
    if kind == Kind::Delta && !settings.enable_delta {
        return Err(Fault::Missing);
    }
    let issuer = Issuer::named(view, reference).await?;
    let row = state_row(&issuer.id);
    let mut state: State = view.get(&row).await?.unwrap_or_default();
    if kind == Kind::Delta && state.complete.is_none() {
        return Err(Fault::Missing);
    }
    let made = match kind {
        Kind::Complete => &state.complete,
        Kind::Delta => &state.delta,
    };
    if let Some(made) = made
        && made.stored
        && !anew
        && !state.is_due(made, kind, &settings, ctx.now())
        && let Some(text) = view.get::<String>(&list_row(&issuer.id, kind)).await?
    {
        return STANDARD
            .decode(text)
            .map_err(|_| Fault::Internal("a stored list is no base64"));
    }
    issuer.may("crl-signing")?;
    let authority = issuer.open(view).await?;
    let (der, made) = state
        .make(kind, &authority, &settings, ctx.now(), view)
        .await?;
    if made.stored {
        let row = list_row(&authority.issuer.id, kind);
        view.put(&row, &STANDARD.encode(&der)).await?;
    }
    match kind {
        Kind::Complete => {
            state.complete = Some(made);
            state.delta = None;
        }
        Kind::Delta => state.delta = Some(made),
    }
    view.put(&row, &state).await?;
    Ok(der)
}

impl State {
    /// Without automatic rebuilding, whoever asks gets what is true now.
    fn is_due(&self, made: &Made, kind: Kind, settings: &Lists, now: Timestamp) -> bool {
        let seconds = |seconds: u64| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0));
        let changed = made.changes != self.changes;
        match kind {
            Kind::Delta => {
                changed && now >= made.at + seconds(settings.delta_rebuild_interval)
                    || now >= made.until
            }
            Kind::Complete if settings.auto_rebuild => {
                now >= made.until - seconds(settings.auto_rebuild_grace_period)
            }
            // Lists that are passed on by others should not end on the way.
            Kind::Complete => changed || now >= made.until - seconds(settings.expiry / 4),
        }
    }

    async fn make(
        &mut self,
        kind: Kind,
        authority: &Authority,
        settings: &Lists,
        now: Timestamp,
        view: &mut View<'_>,
    ) -> Result<(Vec<u8>, Made), Fault> {
        let since = match (kind, &self.complete) {
            (Kind::Delta, Some(complete)) => Some((complete.number, complete.at)),
            _ => None,
        };
        let revoked = match settings.disable {
            true => Vec::new(),
            false => entries(&authority.issuer.id, since.map(|(_, at)| at), now, view).await?,
        };
        self.number += 1;
        let span = SignedDuration::from_secs(i64::try_from(settings.expiry).unwrap_or(i64::MAX));
        let until = now
            .checked_add(span)
            .map_err(|_| Fault::invalid("config/crl: expiry is too long"))?;
        let list = Revocations {
            issuer: &authority.facts.subject,
            issuer_key_id: &authority.key_id,
            number: self.number,
            since: since.map(|(number, _)| number),
            this_update: now,
            next_update: until,
            revoked: &revoked,
        };
        let der = list
            .sign(&authority.signer(Hash::Sha256, false))
            .map_err(|_| Fault::Internal("sign a revocation list"))?;
        let made = Made {
            number: self.number,
            changes: self.changes,
            at: now,
            until,
            stored: der.len() <= STORED_MAX,
        };
        Ok((der, made))
    }
}

/// What an issuer has revoked and what has not ended by itself.
async fn entries(
    issuer: &str,
    since: Option<Timestamp>,
    now: Timestamp,
    view: &mut View<'_>,
) -> Result<Vec<Revoked>, Fault> {
    let folder = format!("{REVOKED}/{issuer}");
    let mut found = Vec::new();
    for name in view.list(&folder).await? {
        let entry: Option<Entry> = view.get(&format!("{folder}/{name}")).await?;
        let Some(entry) = entry else {
            continue;
        };
        if entry.not_after < now || since.is_some_and(|since| entry.at < since) {
            continue;
        }
        let serial = hex::decode(&name).map_err(|_| Fault::Internal("a serial number"))?;
        found.push(Revoked {
            serial,
            at: entry.at,
            reason: Reason::of(entry.reason).unwrap_or_default(),
        });
    }
    Ok(found)
}
