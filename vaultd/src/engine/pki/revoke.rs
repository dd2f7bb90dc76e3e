//! Revocation: of a certificate by its number, by itself, by who has its key, and of an issuer.

use jiff::Timestamp;
use serde_json::json;
use vault_crypto::{PrivateKey, pem};
use vault_x509::Reason;
use zeroize::Zeroizing;

use super::certs::Issued;
use super::issuer::{self, Issuer};
use super::{key, lists, serial};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// `revoke`, and `revoke-with-key` for who has the private key.
pub(super) async fn revoke(
    ctx: &Ctx<'_>,
    with_key: bool,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let body = ctx.body();
    let number = body.string("serial_number")?.unwrap_or_default();
    let certificate = body.string("certificate")?.unwrap_or_default();
    let mut found = match (number.is_empty(), certificate.is_empty()) {
        (false, true) => {
            let found = Issued::get(view, &serial::parse(&number)?).await?;
            found.ok_or_else(|| Fault::invalid("certificate with that serial number not found"))?
        }
        (true, false) => given(&certificate, view).await?,
        _ => {
            return Err(Fault::invalid(
                "the serial number or the certificate to revoke must be provided, and not both",
            ));
        }
    };
    let der = found.der()?;
    let facts = issuer::facts(&der)?;
    if with_key {
        let text = Zeroizing::new(body.required("private_key")?);
        let own = PrivateKey::from_pem(&text).map_err(key::bad)?;
        if key::public(&own)? != facts.public {
            return Err(Fault::invalid(
                "the private key does not belong to the certificate",
            ));
        }
    }
    for issuer in Issuer::all(view).await? {
        if issuer.der()? == der {
            return Err(Fault::invalid(
                "adding issuer to its own CRL is not allowed: revoke it with issuer/:ref/revoke",
            ));
        }
    }
    if facts.not_after < ctx.now() {
        return Ok(Reply::none().warn("the certificate has expired: there is nothing to revoke"));
    }
    if found.revoked_at.is_none() {
        found.revoked_at = Some(ctx.now());
        found.reason = match with_key {
            true => Reason::KeyCompromise.code(),
            false => Reason::Unspecified.code(),
        };
        mark(&facts.serial, &found, view).await?;
    }
    let at = found.revoked_at.unwrap_or_else(|| ctx.now());
    Ok(Reply::json(json!({
        "revocation_time": at.as_second(),
        "revocation_time_rfc3339": at.to_string(),
        "state": "revoked",
    })))
}

/// The lease of a certificate has ended; one that has ended itself stays as it is.
pub async fn take_back(about: &str, now: Timestamp, view: &mut View<'_>) -> Result<(), Fault> {
    let number = serial::parse(about)?;
    let Some(mut found) = Issued::get(view, &number).await? else {
        return Ok(());
    };
    if found.revoked_at.is_some() || found.not_after <= now {
        return Ok(());
    }
    found.revoked_at = Some(now);
    found.reason = Reason::CessationOfOperation.code();
    mark(&number, &found, view).await
}

pub(super) async fn mark(number: &[u8], found: &Issued, view: &mut View<'_>) -> Result<(), Fault> {
    found.store(number, view).await?;
    let Some(at) = found.revoked_at else {
        return Ok(());
    };
    let entry = lists::Entry {
        at,
        not_after: found.not_after,
        reason: found.reason,
    };
    view.put(&lists::revoked_row(found.folder(), number), &entry)
        .await?;
    lists::changed(found.folder(), view).await
}

/// A certificate that need not be stored: its issuer's signature proves where it is from.
pub(super) async fn given(text: &str, view: &mut View<'_>) -> Result<Issued, Fault> {
    let Ok(("CERTIFICATE", der)) = pem::read(text) else {
        return Err(Fault::invalid("certificate: expected one in PEM"));
    };
    let facts = issuer::facts(&der)?;
    if let Some(found) = Issued::get(view, &facts.serial).await?
        && found.der()? == *der
    {
        return Ok(found);
    }
    for issuer in Issuer::all(view).await? {
        if issuer::facts(&issuer.der()?)?.signed(&der) {
            return Ok(Issued::new(&der, &issuer.id, facts.not_after));
        }
    }
    Err(Fault::invalid(
        "certificate: no issuer of this mount has signed it",
    ))
}

/// What an issuer signed stays valid for who does not ask; it signs nothing any more.
pub(super) async fn revoke_issuer(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut issuer = Issuer::named(view, ctx.param("ref")).await?;
    let der = issuer.der()?;
    let facts = issuer::facts(&der)?;
    let at = *issuer.revoked_at.get_or_insert(ctx.now());
    issuer.store(view, false).await?;
    // On the list of who signed it, if that one is here.
    for above in Issuer::all(view).await? {
        if above.id != issuer.id && issuer::facts(&above.der()?)?.signed(&der) {
            let mut found = Issued::new(&der, &above.id, facts.not_after);
            found.revoked_at = Some(at);
            mark(&facts.serial, &found, view).await?;
            break;
        }
    }
    Ok(Reply::json(json!({
        "issuer_id": issuer.id,
        "issuer_name": issuer.name,
        "revocation_time": at.as_second(),
        "revocation_time_rfc3339": at.to_string(),
        "revoked": true,
    })))
}
