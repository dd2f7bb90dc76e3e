//! The settings of a mount.

use serde_json::json;

use super::model::Config;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn load(view: &mut View<'_>) -> Result<Config, Fault> {
    Ok(view.get(Config::ROW).await?.unwrap_or_default())
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config = load(view).await?;
    Ok(Reply::json(json!({
        "disable_binding": config.disable_binding,
        "enable_identity_alias_metadata": config.alias_metadata,
        "enable_metadata_on_failures": config.metadata_on_failures,
        "ocsp_cache_size": config.ocsp_cache_size,
        "role_cache_size": config.role_cache_size,
    })))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let mut config = load(view).await?;
    if let Some(flag) = body.bool("enable_metadata_on_failures")? {
        config.metadata_on_failures = flag;
    }
    if let Some(flag) = body.bool("disable_binding")? {
        config.disable_binding = flag;
    }
    if let Some(flag) = body.bool("enable_identity_alias_metadata")? {
        config.alias_metadata = flag;
    }
    if let Some(size) = body.int("ocsp_cache_size")? {
        if size < 2 {
            return Err(Fault::invalid("invalid cache size, must be >= 2"));
        }
        config.ocsp_cache_size = size;
    }
    if let Some(size) = body.int("role_cache_size")? {
        if size < -1 {
            return Err(Fault::invalid("invalid role cache size, must be >= -1"));
        }
        config.role_cache_size = size;
    }
    view.put(Config::ROW, &config).await?;
    Ok(Reply::none())
}
