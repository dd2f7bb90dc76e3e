//! `entity-alias/…`: how login mounts name entities.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::index::ENTITIES;
use super::model::{Entity, EntityAlias, made_up_name, metadata};
use super::name::alias_name;
use super::show;
use super::store::{entity, entity_by_alias, entity_by_factor, put_entity};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

pub(super) async fn list(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let ids = ctx.page(ENTITIES.aliases(view).await?)?;
    let mounts = vault.mounts.load();
    let mut info = BTreeMap::new();
    for id in &ids {
        let Some(owner) = entity_by_alias(view, id).await? else {
            continue;
        };
        if let Some(alias) = owner.aliases.iter().find(|alias| alias.id == *id) {
            let mut shown = show::alias_in_list(&alias.id, &alias.name, &alias.accessor, &mounts);
            shown["canonical_id"] = json!(owner.id);
            shown["custom_metadata"] = json!(alias.custom_metadata);
            shown["local"] = Value::Bool(false);
            info.insert(id.clone(), shown);
        }
    }
    Reply::list_with_info(ids, info)
}

pub(super) async fn read(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let id = ctx.param("id");
    let owner = entity_by_alias(view, id).await?.ok_or(Fault::Missing)?;
    let alias = owner.aliases.iter().find(|alias| alias.id == id);
    let mounts = vault.mounts.load();
    Ok(Reply::json(show::entity_alias(
        &owner.id,
        alias.ok_or(Fault::Missing)?,
        &mounts,
    )))
}

/// Absent is fine.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let id = ctx.param("id");
    if let Some(old) = entity_by_alias(view, id).await? {
        let mut new = old.clone();
        new.aliases.retain(|alias| alias.id != id);
        new.updated = ctx.now();
        put_entity(view, Some(&old), &new).await?;
    }
    Ok(Reply::none())
}

/// The accessor of a login mount that is there.
pub(super) fn known_accessor(vault: &Unsealed, accessor: &str) -> Result<(), Fault> {
    match show::mount_of(&vault.mounts.load(), accessor) {
        Some(_) => Ok(()),
        None => Err(Fault::invalid(
            "invalid mount accessor: use the accessor of a login method, see sys/auth",
        )),
    }
}

/// What the request says, as far as it says it.
struct Asked {
    id: Option<String>,
    name: Option<String>,
    accessor: Option<String>,
    owner: Option<String>,
    custom_metadata: Option<BTreeMap<String, String>>,
}

impl Asked {
    fn of(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Asked, Fault> {
        let body = ctx.body();
        let text = |name: &str| -> Result<Option<String>, Fault> {
            Ok(body.string(name)?.filter(|text| !text.is_empty()))
        };
        let accessor = text("mount_accessor")?;
        if let Some(accessor) = &accessor {
            known_accessor(vault, accessor)?;
        }
        let in_path = ctx.param("id");
        Ok(Asked {
            id: match in_path.is_empty() {
                true => text("id")?,
                false => Some(in_path.to_owned()),
            },
            name: text("name")?.map(|name| alias_name(&name)).transpose()?,
            accessor,
            owner: match text("canonical_id")? {
                Some(id) => Some(id),
                None => text("entity_id")?,
            },
            custom_metadata: metadata(body, "custom_metadata")?,
        })
    }
}

/// By id, else by name and accessor; what is not there is made, if need be with an entity.
pub(super) async fn write(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let asked = Asked::of(vault, ctx)?;
    let (old, alias) = find(ctx, &asked, view).await?;
    let target = target(ctx, &asked, old.as_ref(), view).await?;
    let moved = old.as_ref().filter(|old| old.id != target.entity.id);
    let mut entity = target.entity;
    entity.aliases.retain(|known| known.id != alias.id);
    if entity.alias_of(&alias.accessor).is_some() {
        return Err(Fault::invalid(
            "entity has an alias for this mount accessor already: delete it first, or change it by its id",
        ));
    }
    let shown = json!({"id": alias.id, "canonical_id": entity.id});
    entity.aliases.push(alias);
    entity.updated = ctx.now();
    if let Some(old) = moved {
        let mut without = old.clone();
        let gone = entity.aliases.last().map(|alias| alias.id.as_str());
        without
            .aliases
            .retain(|known| Some(known.id.as_str()) != gone);
        put_entity(view, Some(old), &without).await?;
    }
    put_entity(view, target.old.as_ref(), &entity).await?;
    Ok(Reply::json(shown))
}

/// The alias with the request's changes, and the entity that has it now.
async fn find(
    ctx: &Ctx<'_>,
    asked: &Asked,
    view: &mut View<'_>,
) -> Result<(Option<Entity>, EntityAlias), Fault> {
    let factor = asked.accessor.as_deref().zip(asked.name.as_deref());
    let (owner, known) = match (&asked.id, factor) {
        (Some(id), _) => {
            let owner = entity_by_alias(view, id).await?;
            let owner = owner.ok_or_else(|| Fault::invalid("invalid alias ID"))?;
            let known = owner.aliases.iter().find(|alias| alias.id == *id).cloned();
            (Some(owner), known)
        }
        (None, Some((accessor, name))) => {
            let owner = entity_by_factor(view, accessor, name).await?;
            let of_owner = owner.as_ref().and_then(|owner| owner.alias_of(accessor));
            let known = of_owner.cloned();
            (owner, known)
        }
        (None, None) => (None, None),
    };
    let mut alias = match known {
        Some(alias) => alias,
        None => {
            let missing = |field: &str| Fault::invalid(format!("missing {field}"));
            let name = asked.name.clone().ok_or_else(|| missing("alias name"))?;
            let accessor = asked.accessor.as_deref();
            let accessor = accessor.ok_or_else(|| missing("mount_accessor"))?;
            EntityAlias::new(name, accessor, ctx.random, ctx.now())
        }
    };
    if let Some(name) = &asked.name {
        alias.name.clone_from(name);
    }
    if let Some(accessor) = &asked.accessor {
        alias.accessor.clone_from(accessor);
    }
    if let Some(custom) = &asked.custom_metadata {
        alias.custom_metadata.clone_from(custom);
    }
    alias.updated = ctx.now();
    Ok((owner, alias))
}

struct Target {
    /// As stored; `None` if it is new.
    old: Option<Entity>,
    entity: Entity,
}

/// The entity that is to have the alias: asked for, or the one that has it, or a new one.
async fn target(
    ctx: &Ctx<'_>,
    asked: &Asked,
    owner: Option<&Entity>,
    view: &mut View<'_>,
) -> Result<Target, Fault> {
    let old = match (&asked.owner, owner) {
        (Some(id), _) => {
            let found = entity(view, id).await?;
            Some(found.ok_or_else(|| Fault::invalid("invalid canonical ID"))?)
        }
        (None, owner) => owner.cloned(),
    };
    let entity = match &old {
        Some(old) => old.clone(),
        None => Entity::new(made_up_name("entity", ctx.random)?, ctx.random, ctx.now()),
    };
    Ok(Target { old, entity })
}
