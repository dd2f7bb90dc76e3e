//! The engine's work between requests: which errands are due, and what is stored of each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use vault_crypto::Random;

use super::errand::{self, Done, Errand, Task};
use super::key::{self, BUSY, Key};
use super::known_hosts;
use super::name::Name;
use super::readers::Readers;
use super::rotation::{News, Rotation, Stage, Waiting};
use super::settings::Settings;
use super::target::Step;
use crate::barrier::View;
use crate::core::errand::Room;
use crate::core::fault::Fault;

/// What can be done now, about so much. The view's transaction is not to be committed. A key that cannot
/// be read is in nobody's way.
pub async fn due(
    now: Timestamp,
    room: &Room<'_>,
    view: &mut View<'_>,
) -> Result<Vec<Errand>, Fault> {
    let mut errands = Vec::new();
    for name in view.list(BUSY).await? {
        if errands.len() >= room.count {
            break;
        }
        match of_one(&Name::parse(&name)?, now, room, view).await {
            Ok(found) => errands.extend(found),
            Err(fault) => tracing::warn!(%fault, key = name, "no errand: will be tried again"),
        }
    }
    Ok(errands)
}

async fn of_one(
    name: &Name,
    now: Timestamp,
    room: &Room<'_>,
    view: &mut View<'_>,
) -> Result<Vec<Errand>, Fault> {
    let Some(mut key) = Key::find(view, name).await? else {
        return Ok(Vec::new());
    };
    let mut errands = errand::of_key(name, &key, now, room, view).await?;
    let own = |task| Errand {
        key: name.clone(),
        task,
        lanes: vec![name.as_str().to_owned()],
    };
    match key.rotation.as_ref().map(|rotation| rotation.stage) {
        Some(Stage::Planned) => errands.push(own(Task::Generate(key.key_type))),
        Some(Stage::Draining) => {
            moved(&mut key, name, now, view).await?;
            if key
                .rotation
                .is_none_or(|rotation| rotation.stage != Stage::Draining)
            {
                errands.push(own(Task::Advance));
            }
        }
        _ => {}
    }
    Ok(errands)
}

async fn moved(
    key: &mut Key,
    name: &Name,
    now: Timestamp,
    view: &mut View<'_>,
) -> Result<(News, Vec<u64>), Fault> {
    let (readers, settings) = (
        Readers::load(view, name).await?,
        Settings::load(view).await?,
    );
    Ok(key.advance(&Waiting {
        readers: &readers,
        settings: &settings,
        now,
    }))
}

/// Moves a key on as far as it goes, and stores it.
pub(super) async fn advance(
    key: &mut Key,
    name: &Name,
    now: Timestamp,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let (news, dropped) = moved(key, name, now, view).await?;
    for version in dropped {
        key.drop_version(version, name, view).await?;
    }
    for (word, version) in news {
        view.announce(&key::row(name), word, version);
    }
    key.store(view, name).await
}

/// Stores what came of an errand; nothing if the key has gone another way meanwhile.
pub async fn settle(
    errand: &Errand,
    done: &Done,
    now: Timestamp,
    random: &dyn Random,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let name = &errand.key;
    let Some(mut key) = Key::find(view, name).await? else {
        return Ok(());
    };
    match (&errand.task, done) {
        (Task::Generate(_), Done::Pair(pair)) => {
            let Some(rotation) = key.rotation.clone() else {
                return Ok(());
            };
            if rotation.stage != Stage::Planned {
                return Ok(());
            }
            let new = key.add_version(pair, name, now, random, view).await?;
            key.want(new, now);
            key.rotation = Some(Rotation {
                new,
                stage: Stage::Publishing,
                ..rotation
            });
        }
        (
            Task::At {
                target,
                version,
                step,
                ..
            },
            Done::Step(outcome),
        ) => {
            let Some(found) = key.targets.get_mut(target) else {
                return Ok(());
            };
            let Some(held) = found
                .held
                .get_mut(version)
                .filter(|held| held.step == *step)
            else {
                return Ok(());
            };
            let path = format!("{}/targets/{target}", key::row(name));
            match (outcome, step) {
                (Err(trouble), _) => {
                    if held.failed(trouble, now) {
                        view.announce(&path, "failed", *version);
                        if let Some((host, shown)) = &trouble.changed_host {
                            let shown: BTreeSet<String> = shown.iter().cloned().collect();
                            known_hosts::changed(view, host, shown, now).await?;
                        }
                    }
                }
                (Ok(()), Step::Publish) => {
                    held.turn(Step::Prove, now);
                    view.announce(&path, "published", *version);
                }
                (Ok(()), Step::Prove | Step::Keep) => {
                    held.turn(Step::Keep, now);
                    held.proved = Some(now);
                    view.announce(&path, "proved", *version);
                }
                (Ok(()), Step::Remove) => {
                    held.turn(Step::Refuse, now);
                    view.announce(&path, "removed", *version);
                }
                (Ok(()), Step::Refuse) => {
                    found.held.remove(version);
                    view.announce(&path, "refused", *version);
                }
            }
        }
        _ => {}
    }
    advance(&mut key, name, now, view).await
}

/// The time of a rotation has come.
pub async fn remind(about: &str, now: Timestamp, view: &mut View<'_>) -> Result<(), Fault> {
    let name = Name::parse(about)?;
    let Some(mut key) = Key::find(view, &name).await? else {
        return Ok(());
    };
    // Due times are rounded up to a millisecond.
    let is_time = key.rotates_at.is_some_and(|at| at <= now);
    if !is_time || key.rotation.is_some() || key.retired {
        return Ok(());
    }
    key.rotation = Some(Rotation::planned(key.current, false, now));
    view.announce(&key::row(&name), "rotating", key.current);
    key.store(view, &name).await
}
