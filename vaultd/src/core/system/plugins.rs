//! The engines and methods that are built in, in the form in which Vault lists plugins. None can be
//! added: everything is in the one program.

use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::system::mounts::Table;

const KINDS: [&str; 3] = ["auth", "database", "secret"];

/// Names under which mounts of a kind are made.
fn names(kind: &str) -> Result<Vec<&'static str>, Fault> {
    match kind {
        "auth" => Ok(Table::Methods.types()),
        "secret" => Ok(Table::Engines.types()),
        "database" => Ok(Vec::new()),
        _ => Err(Fault::invalid(
            "the plugin type must be auth, database or secret",
        )),
    }
}

fn version(core: &Core) -> String {
    format!("v{}+builtin", core.settings.compat_version)
}

pub fn catalog(core: &Core) -> Result<Reply, Fault> {
    let mut shown = Map::new();
    let mut detailed = Vec::new();
    for kind in KINDS {
        let names = names(kind)?;
        for name in &names {
            detailed.push(json!({
                "name": name,
                "type": kind,
                "version": version(core),
                "builtin": true,
                "deprecation_status": "supported",
            }));
        }
        shown.insert(kind.to_owned(), json!(names));
    }
    shown.insert("detailed".into(), Value::Array(detailed));
    Ok(Reply::map(shown))
}

pub fn list(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let names = names(ctx.param("kind"))?;
    Reply::list(names.into_iter().map(str::to_owned).collect())
}

pub fn read(core: &Core, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let name = ctx.param("name");
    if !names(ctx.param("kind"))?.contains(&name) {
        return Err(Fault::Missing);
    }
    Ok(Reply::json(json!({
        "name": name,
        "builtin": true,
        "args": [],
        "command": "",
        "sha256": "",
        "version": version(core),
        "deprecation_status": "supported",
    })))
}

pub fn refuse() -> Result<Reply, Fault> {
    Err(Fault::invalid(
        "plugins cannot be added, removed or reloaded: every engine and method is built in",
    ))
}
