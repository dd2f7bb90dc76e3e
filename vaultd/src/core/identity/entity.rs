//! `entity/…`: who there is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::index::ENTITIES;
use super::model::{Entity, made_up_name, metadata, policies};
use super::name::Name;
use super::show;
use super::store::{current, delete_entity, entity, entity_by_name, put_entity};
use crate::barrier::{Tx, View};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::reserved;
use crate::core::reply::{After, Reply};
use crate::core::retry::committed;
use crate::core::unsealed::Unsealed;

pub(super) async fn list_ids(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let ids = ctx.page(ENTITIES.ids(view).await?)?;
    let mut info = BTreeMap::new();
    for id in &ids {
        if let Some(entity) = current(&vault.barrier, id).await? {
            let shown = in_list(vault, &entity, "name", entity.name.as_str());
            info.insert(id.clone(), shown);
        }
    }
    Reply::list_with_info(ids, info)
}

pub(super) async fn list_names(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let mut names: Vec<_> = ENTITIES.names(view).await?;
    names = names.iter().map(|row| Name::of_row(row)).collect();
    names.sort_unstable();
    let names = ctx.page(names)?;
    let mut info = BTreeMap::new();
    for name in &names {
        if let Some(entity) = entity_by_name(view, &Name::parse(name)?).await? {
            info.insert(name.clone(), in_list(vault, &entity, "id", &entity.id));
        }
    }
    Reply::list_with_info(names, info)
}

fn in_list(vault: &Unsealed, entity: &Entity, field: &str, value: &str) -> Value {
    let mounts = vault.mounts.load();
    let aliases = entity.aliases.iter();
    let aliases: Vec<_> = aliases
        .map(|alias| show::alias_in_list(&alias.id, &alias.name, &alias.accessor, &mounts))
        .collect();
    json!({field: value, "aliases": aliases})
}

/// The entity as clients read it, with its groups of now.
pub(super) async fn shown(vault: &Unsealed, entity: &Entity) -> Result<Reply, Fault> {
    let groups = vault.memberships.groups(&vault.barrier).await?;
    let membership = groups.of_entity(entity);
    let mounts = vault.mounts.load();
    Ok(Reply::json(show::entity(entity, &membership, &mounts)))
}

pub(super) async fn read_by_id(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let found = entity(view, ctx.param("id")).await?;
    shown(vault, &found.ok_or(Fault::Missing)?).await
}

pub(super) async fn read_by_name(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let found = entity_by_name(view, &Name::parse(ctx.param("name"))?).await?;
    shown(vault, &found.ok_or(Fault::Missing)?).await
}

/// By the id in the path or the body, else by the name; what is not there is made.
pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let in_path = ctx.param("id");
    let id = match in_path.is_empty() {
        true => body.string("id")?.filter(|id| !id.is_empty()),
        false => Some(in_path.to_owned()),
    };
    let name = match ctx.param("name") {
        "" => body.string("name")?.filter(|name| !name.is_empty()),
        name => Some(name.to_owned()),
    };
    let name = name.map(|name| Name::parse(&name)).transpose()?;
    let old = match (&id, &name) {
        (Some(id), _) => {
            let found = entity(view, id).await?;
            let unknown = || Fault::invalid("entity not found from id");
            Some(found.ok_or_else(unknown)?)
        }
        (None, Some(name)) => entity_by_name(view, name).await?,
        (None, None) => None,
    };
    let mut new = match (&old, &name) {
        (Some(old), _) => old.clone(),
        (None, Some(name)) => Entity::new(name.clone(), ctx.random, ctx.now()),
        (None, None) => {
            let name = made_up_name("entity", ctx.random)?;
            Entity::new(name, ctx.random, ctx.now())
        }
    };
    // Found by its name, an entity keeps the spelling that it has.
    if let (Some(name), Some(_)) = (name, &id) {
        new.name = name;
    }
    if let Some(metadata) = metadata(body, "metadata")? {
        new.metadata = metadata;
    }
    if let Some(policies) = policies(body)? {
        new.policies = policies;
    }
    if let Some(disabled) = body.bool("disabled")? {
        new.disabled = disabled;
    }
    new.updated = ctx.now();
    put_entity(view, old.as_ref(), &new).await?;
    match old {
        Some(_) => Ok(Reply::none()),
        None => Ok(Reply::json(
            json!({"id": new.id, "name": new.name, "aliases": null}),
        )),
    }
}

/// Absent is fine. Tokens of an entity that is gone are refused.
pub(super) async fn delete_by_id(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    if let Some(found) = entity(view, ctx.param("id")).await? {
        delete_entity(view, &found).await?;
    }
    Ok(Reply::none())
}

pub(super) async fn delete_by_name(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    if let Some(found) = entity_by_name(view, &name).await? {
        delete_entity(view, &found).await?;
    }
    Ok(Reply::none())
}

/// More than one commit can hold, so each has its own, after the request was recorded.
pub(super) fn batch_delete(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let ids = ctx.body().list("entity_ids")?.unwrap_or_default();
    if ids.is_empty() {
        return Err(Fault::invalid("missing entity ids to delete"));
    }
    Ok(Reply {
        after: Some(After::DeleteEntities(ids)),
        ..Reply::none()
    })
}

/// Deletes what is left of these entities.
pub async fn delete_all(vault: &Unsealed, ids: &[String]) -> Result<(), Fault> {
    for id in ids {
        committed!(vault, |tx| delete_one(tx, id).await)?;
    }
    Ok(())
}

async fn delete_one(tx: &mut Tx, id: &str) -> Result<(), Fault> {
    let mut view = tx.view(reserved::IDENTITY);
    match entity(&mut view, id).await? {
        Some(found) => delete_entity(&mut view, &found).await,
        None => Ok(()),
    }
}
