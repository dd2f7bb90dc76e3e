//! Settings of the engine.

use serde_json::json;

use super::limits::{Expiry, Limits};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Beside the limits: it is the engine's alone.
const MAX_STALE_ROW: &str = "max_stale";

/// Seconds for which hosts may keep the engine's secrets for an outage, where a secret says nothing
/// else; 0 is not at all.
pub async fn max_stale(view: &mut View<'_>) -> Result<u64, Fault> {
    Ok(view.get(MAX_STALE_ROW).await?.unwrap_or(0))
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let limits = Limits::of_engine(view).await?;
    let mut shown = json!({
        "max_versions": limits.max_versions,
        "cas_required": limits.cas_required,
        "delete_version_after": limits.delete_after.show(),
    });
    // Clients of Vault know no such field.
    match max_stale(view).await? {
        0 => {}
        seconds => shown["max_stale"] = json!(Expiry::After(seconds).show()),
    }
    Ok(Reply::json(shown))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut limits = Limits::of_engine(view).await?;
    limits.update(ctx.body())?;
    limits.store_of_engine(view).await?;
    if let Some(seconds) = ctx.body().seconds("max_stale")? {
        view.put_unlisted(MAX_STALE_ROW, &seconds).await?;
    }
    Ok(Reply::none())
}
