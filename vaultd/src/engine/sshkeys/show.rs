//! A key as its readers see it; no private half.

use serde_json::{Map, Value, json};

use super::key::{Key, Version};
use super::name::Name;
use super::settings::Settings;
use super::target::Target;
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
        "targets": key.targets.iter().map(|(id, target)| (id.clone(), target.place.show())).collect::<Map<_, _>>(),
        "next_rotation": key.rotates_at.map(|at| at.to_string()),
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

/// A target with what is done there.
pub(super) fn target(target: &Target) -> Value {
    let mut shown = target.place.show();
    let mut versions = Map::new();
    for (number, held) in &target.held {
        let failure = held.failure.as_ref().map(|failure| {
            json!({
                "cause": failure.cause,
                "what_to_do": failure.hint,
                "at": failure.at.to_string(),
                "tries": failure.tries,
                "next_try": held.next.to_string(),
            })
        });
        versions.insert(
            number.to_string(),
            json!({
                "step": held.step.name(),
                "since": held.since.to_string(),
                "proved": held.proved.map(|at| at.to_string()),
                "failure": failure,
            }),
        );
    }
    if let Value::Object(map) = &mut shown {
        map.insert("deleting".into(), target.leaving.into());
        map.insert("versions".into(), versions.into());
    }
    shown
}

/// What is wrong at a target.
pub(super) fn failures((id, target): (&String, &Target)) -> Vec<Value> {
    let failed = target.held.iter().filter_map(|(version, held)| {
        let failure = held.failure.as_ref()?;
        Some(json!({
            "target": id,
            "version": version,
            "step": held.step.name(),
            "cause": failure.cause,
            "what_to_do": failure.hint,
        }))
    });
    failed.collect()
}
