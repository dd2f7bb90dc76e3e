//! A key as its readers see it; no private half.

use serde_json::{Map, Value, json};

use super::key::{Key, Version};
use super::name::Name;
use super::settings::Settings;
use crate::barrier::View;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn key(name: &Name, key: &Key, view: &mut View<'_>) -> Result<Reply, Fault> {
    let settings = Settings::load(view).await?;
    let mut versions = Map::new();
    for (number, version) in &key.versions {
        versions.insert(number.to_string(), self::version(key, version)?);
    }
    Ok(Reply::json(json!({
        "name": name.as_str(),
        "key_type": key.key_type.name(),
        "comment": key.comment,
        "rotation_period": key.rotation_period(&settings),
        "grace": key.grace.unwrap_or(settings.grace),
        "created_time": key.created.to_string(),
        "current_version": key.current,
        "versions": versions,
        "retired": key.retired,
    })))
}

pub(super) fn version(key: &Key, version: &Version) -> Result<Value, Fault> {
    Ok(json!({
        "public_key": line(key, version),
        "fingerprint": version.key()?.fingerprint(),
        "created_time": version.created.to_string(),
    }))
}

/// `ssh-ed25519 AAAA… comment`
pub(super) fn line(key: &Key, version: &Version) -> String {
    match key.comment.as_str() {
        "" => version.public.clone(),
        comment => format!("{} {comment}", version.public),
    }
}
