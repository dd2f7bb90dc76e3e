//! The halves of a key.

use serde_json::json;

use super::key::{self, Key, Version};
use super::{readers, show};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// The version that is asked for, or the current one.
fn version<'k>(ctx: &Ctx<'_>, key: &'k Key) -> Result<(u64, &'k Version), Fault> {
    if key.retired {
        return Err(Fault::invalid("the key is retired: no target accepts it"));
    }
    let number = match ctx.body().int("version")? {
        None | Some(0) => key.current,
        Some(number) => u64::try_from(number).unwrap_or(0),
    };
    let version = key.versions.get(&number).ok_or_else(|| {
        Fault::invalid(format!(
            "the key has no version {number} any more; its current one is {}",
            key.current
        ))
    })?;
    Ok((number, version))
}

pub(super) async fn public(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, key) = Key::named(ctx, view).await?;
    let (number, version) = version(ctx, &key)?;
    Ok(Reply::json(json!({
        "public_key": show::line(&key, version),
        "fingerprint": version.key()?.fingerprint(),
        "version": number,
    })))
}

pub(super) async fn private(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, key) = Key::named(ctx, view).await?;
    let (number, version) = version(ctx, &key)?;
    let private = key::private(view, &name, number).await?;
    let failed = |_| Fault::Internal("the library writes no key");
    let text = match ctx.body().string("format")?.as_deref() {
        None | Some("" | "openssh") => private
            .to_openssh(&key.comment, ctx.random)
            .map_err(failed)?,
        Some("pem") => private.to_pem().map_err(failed)?,
        Some(_) => return Err(Fault::invalid("unknown format: use openssh or pem")),
    };
    readers::note(ctx, view, &name, number).await?;
    Ok(Reply::json(json!({
        "private_key": *text,
        "public_key": show::line(&key, version),
        "fingerprint": version.key()?.fingerprint(),
        "version": number,
    })))
}
