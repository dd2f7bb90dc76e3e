//! Reads and writes entities and groups; keeps the rows by which they are found true.

use std::sync::Arc;

use super::index::{ENTITIES, GROUPS, Link};
use super::model::{Entity, EntityAlias, Group, GroupAlias};
use super::name::{Name, is_id};
use crate::barrier::{Barrier, View};
use crate::core::fault::Fault;
use crate::core::mount::reserved;

/// Aliases of one entity: what one commit can move.
pub const ALIASES_MAX: usize = 12;

fn link(alias: &EntityAlias) -> Link<'_> {
    Link {
        id: &alias.id,
        accessor: &alias.accessor,
        name: &alias.name,
    }
}

fn group_link(alias: &GroupAlias) -> Link<'_> {
    Link {
        id: &alias.id,
        accessor: &alias.accessor,
        name: &alias.name,
    }
}

fn merged_row(id: &str) -> String {
    format!("merged/{id}")
}

pub async fn entity(view: &mut View<'_>, id: &str) -> Result<Option<Entity>, Fault> {
    ENTITIES.get(view, id).await
}

/// The entity with this id, or the one that it became part of.
pub async fn surviving(view: &mut View<'_>, id: &str) -> Result<Option<Entity>, Fault> {
    if !is_id(id) {
        return Ok(None);
    }
    if let Some(found) = ENTITIES.get(view, id).await? {
        return Ok(Some(found));
    }
    match view.get::<String>(&merged_row(id)).await? {
        Some(id) => ENTITIES.get(view, &id).await,
        None => Ok(None),
    }
}

/// The same without a transaction, parsed once for each change: for every request.
pub async fn current(barrier: &Barrier, id: &str) -> Result<Option<Arc<Entity>>, Fault> {
    if !is_id(id) {
        return Ok(None);
    }
    let parse = |bytes: &[u8]| serde_json::from_slice::<Entity>(bytes).ok();
    let row = ENTITIES.row(id);
    if let Some(found) = barrier.memo(reserved::IDENTITY, &row, parse).await? {
        return Ok(Some(found));
    }
    let parse_id = |bytes: &[u8]| serde_json::from_slice::<String>(bytes).ok();
    let row = merged_row(id);
    match barrier.memo(reserved::IDENTITY, &row, parse_id).await? {
        Some(id) => Ok(barrier
            .memo(reserved::IDENTITY, &ENTITIES.row(&id), parse)
            .await?),
        None => Ok(None),
    }
}

pub async fn entity_by_name(view: &mut View<'_>, name: &Name) -> Result<Option<Entity>, Fault> {
    match ENTITIES.by_name(view, name).await? {
        Some(id) => ENTITIES.get(view, &id).await,
        None => Ok(None),
    }
}

pub async fn entity_by_alias(view: &mut View<'_>, alias: &str) -> Result<Option<Entity>, Fault> {
    match ENTITIES.by_alias(view, alias).await? {
        Some(id) => ENTITIES.get(view, &id).await,
        None => Ok(None),
    }
}

pub async fn entity_by_factor(
    view: &mut View<'_>,
    accessor: &str,
    name: &str,
) -> Result<Option<Entity>, Fault> {
    match ENTITIES.by_factor(view, accessor, name).await? {
        Some(id) => ENTITIES.get(view, &id).await,
        None => Ok(None),
    }
}

/// Stores an entity in place of what it was.
pub async fn put_entity(
    view: &mut View<'_>,
    old: Option<&Entity>,
    new: &Entity,
) -> Result<(), Fault> {
    if new.aliases.len() > ALIASES_MAX {
        return Err(Fault::invalid(format!(
            "an entity has at most {ALIASES_MAX} aliases"
        )));
    }
    let id = &new.id;
    ENTITIES
        .rename(view, id, old.map(|old| &old.name), Some(&new.name))
        .await?;
    let before = old.map_or(&[][..], |old| &old.aliases);
    for gone in before {
        if !new.aliases.iter().any(|alias| alias.id == gone.id) {
            ENTITIES.relink(view, id, Some(link(gone)), None).await?;
        }
    }
    for alias in &new.aliases {
        let was = before.iter().find(|was| was.id == alias.id);
        ENTITIES
            .relink(view, id, was.map(link), Some(link(alias)))
            .await?;
    }
    let known = old.map_or(&[][..], |old| &old.merged);
    for merged in new.merged.iter().filter(|id| !known.contains(id)) {
        view.put_unlisted(&merged_row(merged), id).await?;
    }
    ENTITIES.put(view, id, new).await
}

/// Removes an entity with its aliases. Groups need not be told: no other entity ever gets its id.
pub async fn delete_entity(view: &mut View<'_>, entity: &Entity) -> Result<(), Fault> {
    let id = &entity.id;
    ENTITIES.rename(view, id, Some(&entity.name), None).await?;
    for alias in &entity.aliases {
        ENTITIES.relink(view, id, Some(link(alias)), None).await?;
    }
    for merged in entity.merged.iter().take(MERGED_MAX) {
        view.delete_unlisted(&merged_row(merged)).await?;
    }
    ENTITIES.remove(view, id).await
}

/// What one commit can clear; rows beyond lead to nothing.
const MERGED_MAX: usize = 16;

pub async fn group(view: &mut View<'_>, id: &str) -> Result<Option<Group>, Fault> {
    GROUPS.get(view, id).await
}

pub async fn group_by_name(view: &mut View<'_>, name: &Name) -> Result<Option<Group>, Fault> {
    match GROUPS.by_name(view, name).await? {
        Some(id) => GROUPS.get(view, &id).await,
        None => Ok(None),
    }
}

pub async fn group_by_alias(view: &mut View<'_>, alias: &str) -> Result<Option<Group>, Fault> {
    match GROUPS.by_alias(view, alias).await? {
        Some(id) => GROUPS.get(view, &id).await,
        None => Ok(None),
    }
}

pub async fn group_by_factor(
    view: &mut View<'_>,
    accessor: &str,
    name: &str,
) -> Result<Option<Group>, Fault> {
    match GROUPS.by_factor(view, accessor, name).await? {
        Some(id) => GROUPS.get(view, &id).await,
        None => Ok(None),
    }
}

/// Stores a group in place of what it was.
pub async fn put_group(view: &mut View<'_>, old: Option<&Group>, new: &Group) -> Result<(), Fault> {
    let id = &new.id;
    GROUPS
        .rename(view, id, old.map(|old| &old.name), Some(&new.name))
        .await?;
    let was = old.and_then(|old| old.alias.as_ref()).map(group_link);
    let is = new.alias.as_ref().map(group_link);
    GROUPS.relink(view, id, was, is).await?;
    GROUPS.put(view, id, new).await
}

/// Removes a group with its alias. Groups that held it need not be told.
pub async fn delete_group(view: &mut View<'_>, group: &Group) -> Result<(), Fault> {
    let id = &group.id;
    GROUPS.rename(view, id, Some(&group.name), None).await?;
    let was = group.alias.as_ref().map(group_link);
    GROUPS.relink(view, id, was, None).await?;
    GROUPS.remove(view, id).await
}

/// Makes two changes of the nesting at once conflict: each is checked against what the other did.
pub async fn note_links(view: &mut View<'_>) -> Result<(), Fault> {
    let changes: u64 = view.get("group-links").await?.unwrap_or(0);
    Ok(view.put("group-links", &(changes + 1)).await?)
}
