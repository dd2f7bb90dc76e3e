//! `group/…`: entities and groups that share policies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::index::{ENTITIES, GROUPS};
use super::model::{Entity, Group, GroupKind, made_up_name, metadata, policies};
use super::name::Name;
use super::show;
use super::store::{delete_group, group, group_by_name, note_links, put_group, surviving};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{After, Reply};
use crate::core::unsealed::Unsealed;

pub(super) async fn list_ids(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let ids = ctx.page(GROUPS.ids(view).await?)?;
    let groups = vault.memberships.groups(&vault.barrier).await?;
    let mut info = BTreeMap::new();
    for id in &ids {
        if let Some(group) = groups.get(id) {
            let parents = groups.parents(id).len();
            info.insert(id.clone(), in_list(vault, group, "name", parents));
        }
    }
    Reply::list_with_info(ids, info)
}

pub(super) async fn list_names(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let mut names: Vec<_> = GROUPS.names(view).await?;
    names = names.iter().map(|row| Name::of_row(row)).collect();
    names.sort_unstable();
    let names = ctx.page(names)?;
    let groups = vault.memberships.groups(&vault.barrier).await?;
    let mut info = BTreeMap::new();
    for name in &names {
        if let Some(group) = group_by_name(view, &Name::parse(name)?).await? {
            let parents = groups.parents(&group.id).len();
            info.insert(name.clone(), in_list(vault, &group, "id", parents));
        }
    }
    Reply::list_with_info(names, info)
}

fn in_list(vault: &Unsealed, group: &Group, field: &str, parents: usize) -> Value {
    let value = match field {
        "id" => group.id.as_str(),
        _ => group.name.as_str(),
    };
    let mounts = vault.mounts.load();
    let alias = group
        .alias
        .as_ref()
        .map(|alias| show::alias_in_list(&alias.id, &alias.name, &alias.accessor, &mounts));
    let mut shown = json!({
        field: value,
        "policies": group.policies,
        "num_member_entities": group.entities.len(),
        "num_parent_groups": parents,
    });
    if let Some(alias) = alias {
        shown["alias"] = alias;
    }
    shown
}

/// The group as clients read it, with its members of now.
pub(super) async fn shown(
    vault: &Unsealed,
    group: &Group,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let members = match group.kind {
        GroupKind::Internal => listed(group, view).await?,
        GroupKind::External => vouched(group, view).await?,
    };
    let groups = vault.memberships.groups(&vault.barrier).await?;
    let mounts = vault.mounts.load();
    Ok(Reply::json(show::group(group, &members, &groups, &mounts)))
}

/// Listed members: those who are gone left out, those who were merged under their new id.
async fn listed(group: &Group, view: &mut View<'_>) -> Result<Vec<String>, Fault> {
    let mut members = Vec::with_capacity(group.entities.len());
    for id in &group.entities {
        if let Some(found) = surviving(view, id).await?
            && !members.contains(&found.id)
        {
            members.push(found.id);
        }
    }
    Ok(members)
}

/// Those for whom the method vouched. Looks at every entity: nobody but a reader of the group asks.
async fn vouched(group: &Group, view: &mut View<'_>) -> Result<Vec<String>, Fault> {
    let Some(own) = &group.alias else {
        return Ok(Vec::new());
    };
    let mut members = Vec::new();
    for id in ENTITIES.ids(view).await? {
        let found: Option<Entity> = ENTITIES.get(view, &id).await?;
        let alias = found
            .as_ref()
            .and_then(|found| found.alias_of(&own.accessor));
        if alias.is_some_and(|alias| alias.groups.contains(&own.name)) {
            members.push(id);
        }
    }
    Ok(members)
}

pub(super) async fn read_by_id(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let found = group(view, ctx.param("id")).await?;
    shown(vault, &found.ok_or(Fault::Missing)?, view).await
}

pub(super) async fn read_by_name(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let found = group_by_name(view, &Name::parse(ctx.param("name"))?).await?;
    shown(vault, &found.ok_or(Fault::Missing)?, view).await
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
    let kind = body.string("type")?.filter(|kind| !kind.is_empty());
    let kind = kind.map(|kind| GroupKind::parse(&kind)).transpose()?;
    let old = match (&id, &name) {
        (Some(id), _) => {
            let unknown = || Fault::invalid("invalid group ID");
            Some(group(view, id).await?.ok_or_else(unknown)?)
        }
        (None, Some(name)) => group_by_name(view, name).await?,
        (None, None) => None,
    };
    let mut new = match &old {
        Some(old) => old.clone(),
        None => {
            let name = match &name {
                Some(name) => name.clone(),
                None => made_up_name("group", ctx.random)?,
            };
            let kind = kind.unwrap_or(GroupKind::Internal);
            Group::new(name, kind, ctx.random, ctx.now())
        }
    };
    if kind.is_some_and(|kind| kind != new.kind) {
        return Err(Fault::invalid("group type cannot be changed"));
    }
    if let (Some(name), Some(_)) = (name, &id) {
        new.name = name;
    }
    if let Some(metadata) = metadata(body, "metadata")? {
        new.metadata = metadata;
    }
    if let Some(policies) = policies(body)? {
        new.policies = policies;
    }
    members(ctx, &mut new, view).await?;
    new.modify_index += 1;
    new.updated = ctx.now();
    put_group(view, old.as_ref(), &new).await?;
    let reply = Reply::json(json!({"id": new.id, "name": new.name}));
    Ok(changed(reply))
}

fn changed(reply: Reply) -> Reply {
    Reply {
        after: Some(After::Groups),
        ..reply
    }
}

/// Sets the members that the request names.
async fn members(ctx: &Ctx<'_>, group: &mut Group, view: &mut View<'_>) -> Result<(), Fault> {
    let entities = ctx.body().list("member_entity_ids")?;
    let groups = ctx.body().list("member_group_ids")?;
    let named = |ids: &Option<Vec<String>>| ids.as_ref().is_some_and(|ids| !ids.is_empty());
    if group.kind == GroupKind::External && (named(&entities) || named(&groups)) {
        return Err(Fault::invalid(
            "members can't be set manually for external groups: the login method names them",
        ));
    }
    if let Some(ids) = entities {
        group.entities.clear();
        for id in ids {
            let found = surviving(view, &id).await?;
            let found =
                found.ok_or_else(|| Fault::invalid("invalid entity ID in member_entity_ids"))?;
            if !group.entities.contains(&found.id) {
                group.entities.push(found.id);
            }
        }
    }
    if let Some(ids) = groups
        && ids != group.groups
    {
        note_links(view).await?;
        refuse_circle(&group.id, &ids, view).await?;
        group.groups.clear();
        for id in ids {
            if !group.groups.contains(&id) {
                group.groups.push(id);
            }
        }
    }
    Ok(())
}

/// Groups that one may hold, at any depth: what a check looks at.
const BELOW_MAX: usize = 10_000;

/// Looks at everything below the new members.
async fn refuse_circle(own: &str, members: &[String], view: &mut View<'_>) -> Result<(), Fault> {
    let mut open = Vec::new();
    for id in members {
        let found = super::store::group(view, id).await?;
        open.push(found.ok_or_else(|| Fault::invalid("invalid group ID in member_group_ids"))?);
    }
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if next.id == own {
            return Err(Fault::invalid(
                "cyclic relationship: a group cannot be a member of itself, directly or through others",
            ));
        }
        if seen.len() >= BELOW_MAX {
            return Err(Fault::invalid("too many nested groups"));
        }
        if seen.insert(next.id) {
            for id in &next.groups {
                // A group that is gone holds nothing.
                open.extend(super::store::group(view, id).await?);
            }
        }
    }
    Ok(())
}

/// Absent is fine.
pub(super) async fn delete_by_id(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let found = group(view, ctx.param("id")).await?;
    delete(found, view).await
}

pub(super) async fn delete_by_name(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let found = group_by_name(view, &Name::parse(ctx.param("name"))?).await?;
    delete(found, view).await
}

async fn delete(found: Option<Group>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match found {
        Some(found) => delete_group(view, &found)
            .await
            .map(|()| changed(Reply::none())),
        None => Ok(Reply::none()),
    }
}
