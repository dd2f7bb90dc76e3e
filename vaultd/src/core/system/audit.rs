//! The audit devices, as the API shows them. They are set in the server's config only: a device
//! that could be made over the API is a way to write files.

use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub fn list(core: &Core) -> Reply {
    let shown: Map<String, Value> = core
        .audit
        .status()
        .into_iter()
        .map(|device| {
            let path = format!("{}/", device.name.trim_end_matches('/').rsplit('/').next().unwrap_or("device"));
            let entry = json!({
                "type": device.kind,
                "path": path,
                "description": if device.healthy { "accepts records" } else { "does not accept records" },
                "options": {},
                "local": false,
            });
            (path, entry)
        })
        .collect();
    Reply::map(shown).top_level()
}

pub fn hash(core: &Core, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let path = ctx.param("path");
    let known = core
        .audit
        .status()
        .iter()
        .any(|device| device.name.trim_end_matches('/').ends_with(path));
    if !known {
        return Err(Fault::invalid(format!("unknown audit backend: {path:?}")));
    }
    let input = ctx.body().string("input")?;
    let input = input.ok_or_else(|| Fault::invalid("the \"input\" parameter is empty"))?;
    let hash = core.audit.hmac(input.as_bytes()).ok_or(Fault::Sealed)?;
    Ok(Reply::json(json!({"hash": hash})).top_level())
}

pub fn enable(_: &Ctx<'_>) -> Result<Reply, Fault> {
    Err(Fault::invalid(
        "audit devices cannot be enabled over the API: add an [[audit]] section to the server's config",
    ))
}

pub fn disable() -> Result<Reply, Fault> {
    Err(Fault::invalid(
        "audit devices cannot be disabled over the API: change the server's config",
    ))
}
