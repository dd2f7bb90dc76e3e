//! Settings of the engine.

use serde_json::json;

use super::model::Limits;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let limits = Limits::of_engine(view).await?;
    Ok(Reply::json(json!({
        "max_versions": limits.max_versions,
        "cas_required": limits.cas_required,
        "delete_version_after": limits.delete_after.show(),
    })))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut limits = Limits::of_engine(view).await?;
    limits.update(ctx.body())?;
    limits.store_of_engine(view).await?;
    Ok(Reply::none())
}
