//! Settings of the engine.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Encrypting never creates a key.
    pub disable_upsert: bool,
    /// As clients set it; keys are not cached apart from the rows of the store.
    #[serde(default)]
    cache_size: u32,
}

impl Settings {
    const ROW: &str = "settings";

    pub(super) async fn load(view: &mut View<'_>) -> Result<Settings, Fault> {
        Ok(view.get(Settings::ROW).await?.unwrap_or_default())
    }

    pub(super) async fn store(&self, view: &mut View<'_>) -> Result<(), Fault> {
        Ok(view.put(Settings::ROW, self).await?)
    }
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let settings = Settings::load(view).await?;
    Ok(Reply::json(
        json!({ "disable_upsert": settings.disable_upsert }),
    ))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut settings = Settings::load(view).await?;
    if let Some(disable) = ctx.body().bool("disable_upsert")? {
        settings.disable_upsert = disable;
    }
    settings.store(view).await?;
    read(view).await
}

pub(super) async fn read_cache(view: &mut View<'_>) -> Result<Reply, Fault> {
    let settings = Settings::load(view).await?;
    Ok(Reply::json(json!({ "size": settings.cache_size })))
}

/// 0 is "no limit", as elsewhere; else at least 10.
pub(super) async fn write_cache(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let size = ctx.body().int("size")?.unwrap_or(0);
    let size = u32::try_from(size)
        .ok()
        .filter(|size| *size == 0 || *size >= 10);
    let size =
        size.ok_or_else(|| Fault::invalid("size must be 0 or a value greater or equal to 10"))?;
    let mut settings = Settings::load(view).await?;
    settings.cache_size = size;
    settings.store(view).await?;
    Ok(Reply::none())
}
