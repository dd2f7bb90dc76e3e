//! The metadata of a secret: its limits, its versions, and what people note about it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::limits::Limits;
use super::model::{Metadata, metadata_row};
use super::purge;
use crate::barrier::{View, Window};
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const CUSTOM_KEYS: usize = 64;
const CUSTOM_KEY: usize = 128;
const CUSTOM_VALUE: usize = 512;

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let metadata = Metadata::load(view, ctx.param("path"))
        .await?
        .ok_or(Fault::Missing)?;
    Reply::of(&metadata.show())
}

/// Fields that are absent keep their value; `custom_metadata` is replaced as a whole.
pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut metadata = Metadata::load_or_new(ctx, view).await?;
    metadata.limits.update(ctx.body())?;
    if let Some(notes) = ctx.body().map("custom_metadata")? {
        metadata.custom = BTreeMap::new();
        note(&mut metadata.custom, notes)?;
    }
    save(ctx, view, metadata).await
}

/// As `write`, but `custom_metadata` is merged: null removes a key.
pub(super) async fn patch(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut metadata = Metadata::load(view, ctx.param("path"))
        .await?
        .ok_or(Fault::Missing)?;
    metadata.limits.update(ctx.body())?;
    if let Some(notes) = ctx.body().map("custom_metadata")? {
        note(&mut metadata.custom, notes)?;
    }
    save(ctx, view, metadata).await
}

async fn save(ctx: &Ctx<'_>, view: &mut View<'_>, mut metadata: Metadata) -> Result<Reply, Fault> {
    metadata.updated = ctx.now();
    metadata
        .store(view, ctx.param("path"), "metadata-write", ctx.now())
        .await?;
    overruled(ctx.body(), &Limits::of_engine(view).await?)
}

/// Says which of the given limits the engine's own make void.
fn overruled(body: &Body, engine: &Limits) -> Result<Reply, Fault> {
    if engine.cas_required && body.bool("cas_required")? == Some(false) {
        let text = "\"cas_required\" set to false, but is mandated by backend config. This value will be ignored.";
        return Ok(Reply::none().warn(text));
    }
    Ok(Reply::none())
}

/// Removes the secret with all its versions; absent is fine.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let path = ctx.param("path");
    if let Some(metadata) = Metadata::load(view, path).await? {
        let (id, rows) = (metadata.id.clone(), metadata.rows());
        metadata.delete(view, path).await?;
        purge::all(view, &id, rows, path).await?;
    }
    Ok(Reply::none())
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    Reply::list(names(ctx, view).await?)
}

/// With the metadata of each secret; folders have none.
pub(super) async fn list_detailed(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let names = names(ctx, view).await?;
    let mut info = BTreeMap::new();
    for name in names.iter().filter(|name| !name.ends_with('/')) {
        let path = match ctx.param("path") {
            "" => name.clone(),
            directory => format!("{directory}/{name}"),
        };
        if let Some(metadata) = Metadata::load(view, &path).await? {
            let shown = serde_json::to_value(metadata.show())
                .map_err(|_| Fault::Internal("serialise reply"))?;
            info.insert(name.clone(), shown);
        }
    }
    Reply::list_with_info(names, info)
}

async fn names(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Vec<String>, Fault> {
    children(ctx.param("path"), &ctx.window()?, view).await
}

/// Names in a folder, without slashes at its ends, for a search.
pub async fn children(
    folder: &str,
    window: &Window,
    view: &mut View<'_>,
) -> Result<Vec<String>, Fault> {
    let row = metadata_row(folder);
    Ok(view.list_within(row.trim_end_matches('/'), window).await?)
}

/// What is known of a secret but its values, as its metadata shows it.
pub async fn known(path: &str, view: &mut View<'_>) -> Result<Option<Value>, Fault> {
    let metadata = Metadata::load(view, path).await?;
    let shown = metadata.map(|metadata| serde_json::to_value(metadata.show()));
    shown
        .transpose()
        .map_err(|_| Fault::Internal("serialise reply"))
}

/// Sets and, by null, removes keys; the outcome is within the limits or nothing is stored.
fn note(
    custom: &mut BTreeMap<String, String>,
    notes: serde_json::Map<String, Value>,
) -> Result<(), Fault> {
    let refuse = |text: String| {
        Err(Fault::Invalid(format!(
            "custom_metadata validation failed: {text}"
        )))
    };
    for (key, value) in notes {
        let value = match value {
            Value::Null => {
                custom.remove(&key);
                continue;
            }
            Value::String(value) => value,
            Value::Number(number) => number.to_string(),
            _ => return refuse("values must be strings".to_owned()),
        };
        if key.is_empty() || key.len() > CUSTOM_KEY {
            return refuse(format!("a key must have 1 to {CUSTOM_KEY} bytes"));
        }
        if value.is_empty() || value.len() > CUSTOM_VALUE {
            return refuse(format!("a value must have 1 to {CUSTOM_VALUE} bytes"));
        }
        if key.chars().chain(value.chars()).any(char::is_control) {
            return refuse("keys and values must be printable".to_owned());
        }
        custom.insert(key, value);
    }
    match custom.len() > CUSTOM_KEYS {
        true => refuse(format!("at most {CUSTOM_KEYS} keys are allowed")),
        false => Ok(()),
    }
}
