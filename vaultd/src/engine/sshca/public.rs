//! What hosts fetch without a token: public keys, as lines.

use super::issuer::{Issuer, Issuers};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Of the issuer that the path names, or of the default.
pub(super) async fn one(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuers = Issuers::load(view).await?;
    let issuer = issuers.find(ctx.param("issuer_ref"));
    Ok(text(format!(
        "{}\n",
        issuer.ok_or(Fault::Missing)?.public_key
    )))
}

/// Of all issuers: hosts that trust them all notice no rotation.
pub(super) async fn all(view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuers = Issuers::load(view).await?;
    if issuers.all.is_empty() {
        return Err(Fault::Missing);
    }
    let line = |issuer: &Issuer| match issuer.name.as_str() {
        "" => format!("{} {}\n", issuer.public_key, issuer.id),
        name => format!("{} {name}\n", issuer.public_key),
    };
    Ok(text(issuers.all.iter().map(line).collect()))
}

fn text(lines: String) -> Reply {
    Reply {
        text: Some(("text/plain; charset=utf-8", lines.into_bytes())),
        ..Reply::none()
    }
}
