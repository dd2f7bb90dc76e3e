//! What an agent needs to know: the key for a host, and the keys of the host.

use serde_json::json;

use super::key::Key;
use super::name::{self, Name};
use super::{known_hosts, show};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn lookup(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let host = body.string("host")?.filter(|text| !text.is_empty());
    let host = host.map(|text| name::host(&text)).transpose()?;
    let name = Name::parse(&body.required("key")?)?;
    let key = Key::find(view, &name).await?.ok_or(Fault::Missing)?;
    if key.retired {
        return Err(Fault::invalid("the key is retired: no target accepts it"));
    }
    let version = key.versions.get(&key.current).ok_or(Fault::Missing)?;
    let mut lines = Vec::new();
    if let Some(host) = host {
        lines.extend(known_hosts::lines(view, &host).await?);
    }
    Ok(Reply::json(json!({
        "key": name.as_str(),
        "version": key.current,
        "public_key": show::line(&key, version),
        "known_hosts": lines,
    })))
}
