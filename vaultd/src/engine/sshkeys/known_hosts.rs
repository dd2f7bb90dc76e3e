//! Keys of hosts, pinned by an operator.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vault_ssh::Key as PublicKey;

use super::name;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const FOLDER: &str = "known-hosts";

#[derive(Serialize, Deserialize)]
pub(super) struct Pins {
    /// `ssh-ed25519 AAAA…`
    pub keys: Vec<String>,
    /// Where they are from.
    pub source: String,
    pub since: Timestamp,
}

fn row(host: &str) -> String {
    format!("{FOLDER}/{host}")
}

/// The pinned keys of a host, as SSH names it.
pub(super) async fn pins(view: &mut View<'_>, host: &str) -> Result<Option<Pins>, Fault> {
    Ok(view.get(&row(host)).await?)
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let host = name::host(ctx.param("host"))?;
    let pins = pins(view, &host).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({
        "host": host,
        "keys": pins.keys,
        "source": pins.source,
        "since": pins.since.to_string(),
    })))
}

/// Other keys than those that are pinned only if the operator says so.
pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (host, body) = (name::host(ctx.param("host"))?, ctx.body());
    let mut keys = Vec::new();
    for line in body.list("keys")?.unwrap_or_default() {
        let key = PublicKey::from_line(&line).map_err(|_| {
            Fault::invalid("keys: not a public key of the form 'ssh-ed25519 AAAA…'")
        })?;
        keys.push(key.line());
    }
    if keys.is_empty() {
        return Err(Fault::invalid(
            "missing keys: the lines that 'ssh-keyscan HOST' prints, checked",
        ));
    }
    let known = pins(view, &host).await?;
    let replace = body.bool("replace")?.unwrap_or(false);
    if known.is_some_and(|known| known.keys != keys) && !replace {
        return Err(Fault::invalid(
            "other keys are pinned for the host: check with its operator, then give replace=true",
        ));
    }
    let pins = Pins {
        keys,
        source: name::comment(body.string("source")?.unwrap_or_default())?,
        since: ctx.now(),
    };
    view.put(&row(&host), &pins).await?;
    Ok(Reply::none())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&row(&name::host(ctx.param("host"))?)).await?;
    Ok(Reply::none())
}
