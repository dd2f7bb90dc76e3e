//! Revocation lists: made when they are asked for and something has changed, or when they are about to
//! end, so that nobody waits for one that nobody fetches.

mod making;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_crypto::pem as frame;

use self::making::Wanted;
use super::issuer::Issuer;
use super::serial;
use super::settings::Lists;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// Revoked certificates: a folder for each issuer.
pub(super) const REVOKED: &str = "revoked";
/// Parts of a list that go together with what else a transaction deletes.
const FORGOTTEN_MAX: usize = 8;

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
    /// Rows that hold it.
    parts: usize,
}

pub(super) fn revoked_row(folder: &str, serial: &[u8]) -> String {
    format!("{REVOKED}/{folder}/{}", serial::hex(serial))
}

fn state_row(issuer: &str) -> String {
    format!("list-state/{issuer}")
}

fn parts_folder(issuer: &str, kind: Kind) -> String {
    match kind {
        Kind::Complete => format!("list/{issuer}"),
        Kind::Delta => format!("delta/{issuer}"),
    }
}

fn part_row(issuer: &str, kind: Kind, number: u64, index: usize) -> String {
    format!("{}/{number}/{index}", parts_folder(issuer, kind))
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
    let row = state_row(issuer);
    let state: State = view.get(&row).await?.unwrap_or_default();
    for kind in [Kind::Complete, Kind::Delta] {
        let Some(made) = state.of(kind) else {
            continue;
        };
        // Parts of a longer list stay behind, unread.
        for index in 0..made.parts.min(FORGOTTEN_MAX) {
            view.delete(&part_row(issuer, kind, made.number, index))
                .await?;
        }
    }
    view.delete(&row).await?;
    Ok(())
}

/// The list in DER.
pub(super) async fn der(
    reference: &str,
    kind: Kind,
    view: &mut View<'_>,
) -> Result<Vec<u8>, Fault> {
    current(reference, kind, view).await
}

/// The list in PEM.
pub(super) async fn pem(reference: &str, kind: Kind, view: &mut View<'_>) -> Result<String, Fault> {
    let der = der(reference, kind, view).await?;
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
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    if Issuer::find(view, reference).await?.is_none() {
        return Err(Fault::Missing);
    }
    Ok(answer(der(reference, kind, view).await?, pem))
}

/// Makes what a request is about to read, if it is due.
pub(super) async fn prepare(
    reference: &str,
    kind: Kind,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<(), Fault> {
    let wanted = Wanted {
        reference,
        kind,
        anew: false,
        now: ctx.now(),
    };
    Box::pin(wanted.make(ctx.mount.number, view, outside)).await
}

/// Makes every issuer's lists, now.
pub(super) async fn rotate(
    kind: Kind,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<(), Fault> {
    for issuer in Issuer::all(view).await? {
        if !issuer.key_id.is_empty() && issuer.may("crl-signing").is_ok() {
            let wanted = Wanted {
                reference: &issuer.id,
                kind,
                anew: true,
                now: ctx.now(),
            };
            Box::pin(wanted.make(ctx.mount.number, view, outside)).await?;
        }
    }
    Ok(())
}

pub(super) fn rotated() -> Reply {
    Reply::json(serde_json::json!({ "success": true }))
}

/// The list that was made last.
async fn current(reference: &str, kind: Kind, view: &mut View<'_>) -> Result<Vec<u8>, Fault> {
    if kind == Kind::Delta && !Lists::load(view).await?.enable_delta {
        return Err(Fault::Missing);
    }
    let issuer = Issuer::named(view, reference).await?;
    let state: State = view.get(&state_row(&issuer.id)).await?.unwrap_or_default();
    let made = state.of(kind).ok_or(Fault::Missing)?;
    let mut der = Vec::new();
    for index in 0..made.parts {
        let row = part_row(&issuer.id, kind, made.number, index);
        let text: Option<String> = view.get(&row).await?;
        let part = text.and_then(|text| STANDARD.decode(text).ok());
        der.extend(part.ok_or(Fault::Internal("a part of a revocation list is missing"))?);
    }
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

    fn of(&self, kind: Kind) -> Option<&Made> {
        match kind {
            Kind::Complete => self.complete.as_ref(),
            Kind::Delta => self.delta.as_ref(),
        }
    }
}
