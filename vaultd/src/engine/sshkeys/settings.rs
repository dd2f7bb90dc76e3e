//! What keys have that say nothing else.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::key::KeyType;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub key_type: KeyType,
    /// Seconds; 0 rotates on request only.
    pub rotation_period: u64,
    /// Seconds that readers have for fetching a new version.
    pub grace: u64,
    /// Seconds that may pass between reading a key and connecting with it.
    pub linger: u64,
}

const ROW: &str = "config";
const DAY: u64 = 86_400;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            key_type: KeyType::Ed25519,
            rotation_period: 0,
            grace: DAY,
            linger: 60,
        }
    }
}

impl Settings {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Settings, Fault> {
        Ok(view.get(ROW).await?.unwrap_or_default())
    }
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let settings = Settings::load(view).await?;
    Ok(Reply::json(json!({
        "key_type": settings.key_type.name(),
        "rotation_period": settings.rotation_period,
        "grace": settings.grace,
        "linger": settings.linger,
    })))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (body, mut settings) = (ctx.body(), Settings::load(view).await?);
    if let Some(name) = body.string("key_type")? {
        settings.key_type = KeyType::parse(&name)?;
    }
    if let Some(period) = body.seconds("rotation_period")? {
        settings.rotation_period = rotation_period(period)?;
    }
    if let Some(grace) = body.seconds("grace")? {
        settings.grace = grace;
    }
    if let Some(linger) = body.seconds("linger")? {
        settings.linger = linger;
    }
    view.put(ROW, &settings).await?;
    read(view).await
}

/// Shorter periods would rotate before a rotation is over.
pub(super) fn rotation_period(seconds: u64) -> Result<u64, Fault> {
    match seconds {
        1..60 => Err(Fault::invalid(
            "rotation_period must be 0 (on request only) or at least 60 seconds",
        )),
        _ => Ok(seconds),
    }
}
