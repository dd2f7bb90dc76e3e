//! How a key stands: each target's step, and what is to be done about what failed; who has read which
//! version; and the same of all keys, in short.

use serde_json::{Map, Value, json};

use super::key::{FOLDER, Key};
use super::name::Name;
use super::readers::Readers;
use super::rotation::Stage;
use super::settings::Settings;
use super::show;
use super::target::Target;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// In one word.
fn state(key: &Key) -> &'static str {
    let failed = |target: &Target| target.held.values().any(|held| held.failure.is_some());
    match &key.rotation {
        _ if key.targets.values().any(failed) => "failing",
        _ if key.retired && key.versions.is_empty() => "retired",
        _ if key.retired => "retiring",
        Some(rotation) if rotation.is_back => "rolling back",
        Some(_) => "rotating",
        None if key.is_busy() => "working",
        None => "ready",
    }
}

fn time(at: Option<jiff::Timestamp>) -> Value {
    at.map_or(Value::Null, |at| at.to_string().into())
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, key) = Key::named(ctx, view).await?;
    reply(&name, &key, view).await
}

pub(super) async fn reply(name: &Name, key: &Key, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (settings, readers) = (
        Settings::load(view).await?,
        Readers::load(view, name).await?,
    );
    let targets: Map<String, Value> = key
        .targets
        .iter()
        .map(|(id, target)| (id.clone(), show::target(target)))
        .collect();
    let mut seen: Vec<Value> = Vec::new();
    for reader in readers.seen.values() {
        seen.push(json!({
            "name": reader.name,
            "version": reader.version,
            "last_read": reader.at.to_string(),
        }));
    }
    let rotation = key.rotation.as_ref().map(|rotation| {
        let behind = readers.seen.values().filter(|r| r.version == rotation.old);
        let old = key.versions.get(&rotation.old);
        let strangers = old.filter(|old| old.is_foreign);
        let strangers = strangers.map(|_| "whoever had the key before vaultd");
        let waits: Vec<&str> = match rotation.stage {
            Stage::Draining => behind
                .map(|reader| reader.name.as_str())
                .chain(strangers)
                .collect(),
            _ => Vec::new(),
        };
        json!({
            "stage": rotation.stage.name(),
            "old_version": rotation.old,
            "new_version": rotation.new,
            "rolled_back": rotation.is_back,
            "emergency": rotation.emergency,
            "began": rotation.began.to_string(),
            "switched": time(rotation.switched),
            "drain_ends": time(key.drain_ends(&settings)),
            "waits_for": waits,
        })
    });
    Ok(Reply::json(json!({
        "name": name.as_str(),
        "state": state(key),
        "current_version": key.current,
        "rotation": rotation,
        "next_rotation": time(key.rotates_at),
        "targets": targets,
        "readers": seen,
    })))
}

/// Keys of one answer, if the caller asks for no number.
const PAGE: usize = 100;

/// One line for each key.
pub(super) async fn board(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let names = view.list_within(FOLDER, &ctx.window()?).await?;
    let more = names.len() > PAGE;
    let mut keys = Map::new();
    for text in names.into_iter().take(PAGE) {
        let name = Name::parse(&text)?;
        let Some(key) = Key::find(view, &name).await? else {
            continue;
        };
        let readers = Readers::load(view, &name).await?;
        let last = readers.seen.values().max_by_key(|reader| reader.at);
        let places: Vec<String> = key.targets.values().map(|t| t.place.text()).collect();
        let failures: Vec<Value> = key.targets.iter().flat_map(show::failures).collect();
        keys.insert(
            text,
            json!({
                "state": state(&key),
                "current_version": key.current,
                "used_at": places,
                "last_reader": last.map(|reader| json!({
                    "name": reader.name,
                    "version": reader.version,
                    "last_read": reader.at.to_string(),
                })),
                "next_rotation": time(key.rotates_at),
                "failures": failures,
            }),
        );
    }
    let reply = Reply::json(json!({ "keys": keys }));
    Ok(match more {
        true => reply.warn("there are more keys: ask again with after=NAME of the last one"),
        false => reply,
    })
}
