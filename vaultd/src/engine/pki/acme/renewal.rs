//! When a certificate should be renewed (RFC 9773), and that another takes its place.

use http::header::RETRY_AFTER;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use vault_x509::x509_parser::prelude::{FromDer, X509Certificate};

use super::account::Account;
use super::certificate::Owner;
use super::directory::Directory;
use super::problem::{Kind, Outcome, Problem};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::reply::Reply;
use crate::engine::pki::certs::Issued;
use crate::engine::pki::issuer::{self, Issuer};
use crate::jose;

/// Seconds after which a client should ask again.
const ASK_AGAIN: &str = "21600";

/// The key id of the issuer and the serial number (RFC 9773, 4.1).
struct Id {
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl Id {
    fn parse(text: &str) -> Result<Id, Problem> {
        let bad = || {
            let text = "expected the key id of the issuer and the serial number, each in base64url, with a dot between";
            Problem::malformed(text)
        };
        let (issuer, serial) = text.split_once('.').ok_or_else(bad)?;
        let part = |text: &str| jose::decode(text).filter(|bytes| (1..=64).contains(&bytes.len()));
        Ok(Id {
            issuer: part(issuer).ok_or_else(bad)?,
            serial: part(serial).ok_or_else(bad)?,
        })
    }
}

/// The suggested window: after two thirds of the certificate's life; at once, if it or its issuer is
/// revoked.
pub(super) async fn info(ctx: &Ctx<'_>, view: &mut View<'_>) -> Outcome<Reply> {
    Directory::of(ctx, view).await?;
    let id = Id::parse(ctx.param("certificate"))?;
    let missing = || Problem::malformed("there is no such certificate").status(404);
    let found = Issued::get(view, &id.serial).await?.ok_or_else(missing)?;
    let issuer = Issuer::find(view, &found.issuer).await?;
    let issuer = issuer.ok_or_else(missing)?;
    if issuer::facts(&issuer.der()?)?.public.id() != id.issuer {
        return Err(missing().into());
    }
    let der = found.der()?;
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return Err(missing().into());
    };
    let from = certificate.validity().not_before.timestamp();
    let until = certificate.validity().not_after.timestamp();
    let life = (until - from).max(0);
    let urgent = found.revoked_at.is_some() || issuer.revoked_at.is_some();
    let (start, end) = match urgent {
        true => {
            let now = ctx.now().as_second();
            (now - 3600, now - 1800)
        }
        false => (until - life / 3, until - life / 3 + life / 24),
    };
    let moment = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    // Both may be in the past of a certificate that has ended: it is renewed at once as well.
    let body = json!({
        "suggestedWindow": {
            "start": moment(start).to_string(),
            "end": moment(end).max(moment(start) + SignedDuration::from_secs(1)).to_string(),
        },
    });
    Ok(Reply::json(body).bare().header(RETRY_AFTER, ASK_AGAIN))
}

/// Only one's own certificate can be replaced, and only once.
pub(super) async fn replaceable(text: &str, account: &Account, view: &mut View<'_>) -> Outcome<()> {
    let id = Id::parse(text)?;
    let owner = Owner::of(&id.serial, view).await?;
    let owner = owner.filter(|owner| owner.account == account.id);
    match owner {
        None => Err(Problem::malformed("replaces: this account has no such certificate").into()),
        Some(owner) if owner.replaced => {
            let text = "replaces: the certificate was replaced already";
            Err(Problem::new(Kind::AlreadyReplaced, text).into())
        }
        Some(_) => Ok(()),
    }
}

/// The order that replaces it is carried out.
pub(super) async fn replaced(text: &str, view: &mut View<'_>) -> Outcome<()> {
    let id = Id::parse(text)?;
    if let Some(mut owner) = Owner::of(&id.serial, view).await? {
        owner.replaced = true;
        owner.store(&id.serial, view).await?;
    }
    Ok(())
}
