//! Reading and writing values: the path of a secret is the path of its row, its values are JSON text.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::barrier::View;
use crate::core::body::{Body, parse_seconds};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{Data, LeaseInfo, Reply};

/// Seconds reported when neither the secret nor the mount says otherwise: 32 days.
const DEFAULT_LEASE: u64 = 2_764_800;

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let path = ctx.param("path");
    let Some(bytes) = view.get_bytes(path).await? else {
        return Err(Fault::Missing);
    };
    let default = match ctx.mount.config.default_lease_ttl {
        0 => DEFAULT_LEASE,
        seconds => seconds,
    };
    let duration = own_lease(&bytes).unwrap_or(default);
    let lease = LeaseInfo {
        duration,
        ..LeaseInfo::default()
    };
    Ok(Reply {
        lease,
        ..answer(path, &bytes)?
    })
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.put(ctx.param("path"), &given(ctx.body())?).await?;
    view.announce(ctx.param("path"), "write", 0);
    Ok(Reply::none())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(ctx.param("path")).await?;
    view.announce(ctx.param("path"), "delete", 0);
    Ok(Reply::none())
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, ctx.param("path")).await
}

/// The whole body as the values to store.
pub(in crate::engine) fn given(body: &Body) -> Result<Box<RawValue>, Fault> {
    if body.is_empty() {
        return Err(Fault::invalid("missing data fields"));
    }
    to_raw_value(&body.iter().collect::<BTreeMap<_, _>>())
        .map_err(|_| Fault::Internal("serialise values"))
}

/// Stored values as the data of an answer.
pub(in crate::engine) fn answer(path: &str, bytes: &[u8]) -> Result<Reply, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Damaged(path.to_owned()))?;
    Ok(Reply {
        data: Data::Raw(text.to_owned()),
        ..Reply::default()
    })
}

/// The `ttl` or `lease` that a secret carries itself. One that is no duration is just a value.
fn own_lease(values: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Lease {
        ttl: Option<Value>,
        lease: Option<Value>,
    }
    let Lease { ttl, lease } = serde_json::from_slice(values).ok()?;
    match ttl.or(lease)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => parse_seconds(&text),
        _ => None,
    }
}
