//! `group-alias/…`: how login mounts name external groups.

use std::collections::BTreeMap;

use serde_json::json;

use super::alias::known_accessor;
use super::index::GROUPS;
use super::model::{Group, GroupAlias, GroupKind, made_up_name};
use super::name::alias_name;
use super::show;
use super::store::{group, group_by_alias, group_by_factor, put_group};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{After, Reply};
use crate::core::unsealed::Unsealed;
use vault_crypto::uuid_v4;

pub(super) async fn list(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let ids = ctx.page(GROUPS.aliases(view).await?)?;
    let mounts = vault.mounts.load();
    let mut info = BTreeMap::new();
    for id in &ids {
        let owner = group_by_alias(view, id).await?;
        if let Some((owner, alias)) = owner.as_ref().and_then(|o| Some((o, o.alias.as_ref()?))) {
            let mut shown = show::alias_in_list(&alias.id, &alias.name, &alias.accessor, &mounts);
            shown["canonical_id"] = json!(owner.id);
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
    let owner = group_by_alias(view, ctx.param("id")).await?;
    let owner = owner.ok_or(Fault::Missing)?;
    let alias = owner.alias.as_ref().ok_or(Fault::Missing)?;
    let mounts = vault.mounts.load();
    Ok(Reply::json(show::group_alias(&owner.id, alias, &mounts)))
}

/// Absent is fine.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let Some(old) = group_by_alias(view, ctx.param("id")).await? else {
        return Ok(Reply::none());
    };
    let mut new = old.clone();
    new.alias = None;
    store(ctx, view, Some(&old), new).await?;
    Ok(changed(Reply::none()))
}

fn changed(reply: Reply) -> Reply {
    Reply {
        after: Some(After::Groups),
        ..reply
    }
}

async fn store(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    old: Option<&Group>,
    mut new: Group,
) -> Result<(), Fault> {
    new.modify_index += 1;
    new.updated = ctx.now();
    put_group(view, old, &new).await
}

/// By id, else by name and accessor. A group has one alias; without a group, one is made.
pub(super) async fn write(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let body = ctx.body();
    let text = |name: &str| -> Result<Option<String>, Fault> {
        Ok(body.string(name)?.filter(|text| !text.is_empty()))
    };
    let id = match ctx.param("id") {
        "" => text("id")?,
        id => Some(id.to_owned()),
    };
    let (name, accessor) = (text("name")?, text("mount_accessor")?);
    let name = name.map(|name| alias_name(&name)).transpose()?;
    if let Some(accessor) = &accessor {
        known_accessor(vault, accessor)?;
    }
    let owner = match (&id, accessor.as_deref().zip(name.as_deref())) {
        (Some(id), _) => {
            let unknown = || Fault::invalid("invalid group alias ID");
            Some(group_by_alias(view, id).await?.ok_or_else(unknown)?)
        }
        (None, Some((accessor, name))) => group_by_factor(view, accessor, name).await?,
        (None, None) => None,
    };
    let known = owner.as_ref().and_then(|owner| owner.alias.clone());
    let missing = |field: &str| Fault::invalid(format!("missing {field}"));
    let alias = GroupAlias {
        id: match &known {
            Some(known) => known.id.clone(),
            None => uuid_v4(ctx.random),
        },
        created: known.as_ref().map_or(ctx.now(), |known| known.created),
        name: name
            .or_else(|| known.as_ref().map(|known| known.name.clone()))
            .ok_or_else(|| missing("alias name"))?,
        accessor: accessor
            .or_else(|| known.as_ref().map(|known| known.accessor.clone()))
            .ok_or_else(|| missing("mount_accessor"))?,
        updated: ctx.now(),
    };
    let target = match text("canonical_id")? {
        Some(id) => {
            let unknown = || Fault::invalid("invalid group ID");
            Some(group(view, &id).await?.ok_or_else(unknown)?)
        }
        None => owner.clone(),
    };
    if let Some(owner) = owner
        .as_ref()
        .filter(|owner| Some(&owner.id) != target.as_ref().map(|t| &t.id))
    {
        let mut without = owner.clone();
        without.alias = None;
        store(ctx, view, Some(owner), without).await?;
    }
    let mut new = match &target {
        Some(target) => target.clone(),
        None => {
            let name = made_up_name("group", ctx.random)?;
            Group::new(name, GroupKind::External, ctx.random, ctx.now())
        }
    };
    if new.kind != GroupKind::External {
        return Err(Fault::invalid("alias can't be set on an internal group"));
    }
    let shown = json!({"id": alias.id, "canonical_id": new.id});
    new.alias = Some(alias);
    store(ctx, view, target.as_ref(), new).await?;
    Ok(changed(Reply::json(shown)))
}
