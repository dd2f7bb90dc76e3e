//! The level of the server's own log, which can be changed while it runs.

use serde_json::{Map, json};

use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::log;

/// One logger, under the name of the program.
pub fn read() -> Reply {
    let mut shown = Map::new();
    shown.insert("vaultd".into(), json!(log::level()));
    Reply::map(shown)
}

pub fn write(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let level = ctx.body().required("level")?;
    // Names that Vault has for the same.
    let level = match level.as_str() {
        "trace" | "debug" | "info" | "warn" | "error" => level.as_str(),
        "notice" => "info",
        "warning" => "warn",
        "err" => "error",
        _ => {
            return Err(Fault::invalid(
                "level must be trace, debug, info, warn or error",
            ));
        }
    };
    log::set(level);
    Ok(Reply::none())
}

pub fn revert() -> Reply {
    log::revert();
    Reply::none()
}
