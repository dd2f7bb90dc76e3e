//! Users and groups: which policies they have here.

use serde_json::json;

use super::config;
use super::model::{Group, User};
use super::name::{GroupName, UserName};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::parse_policies;
use crate::core::reply::Reply;
use crate::policy::PolicyName;

fn policies(body: &Body) -> Result<Option<Vec<PolicyName>>, Fault> {
    let Some(names) = body.list("policies")? else {
        return Ok(None);
    };
    let parsed = parse_policies(&names)?;
    match parsed.iter().any(PolicyName::is_root) {
        true => Err(Fault::invalid("auth methods cannot create root tokens")),
        false => Ok(Some(parsed)),
    }
}

async fn user_name(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<UserName, Fault> {
    let case_counts = config::load(view).await?.case_sensitive_names;
    UserName::parse(ctx.param("name"), case_counts)
}

async fn group_name(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<GroupName, Fault> {
    let case_counts = config::load(view).await?.case_sensitive_names;
    GroupName::parse(ctx.param("name"), case_counts)
}

pub(super) async fn read_user(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = user_name(ctx, view).await?.row();
    let user: User = view.get(&row).await?.ok_or(Fault::Missing)?;
    let groups = user.groups.join(",");
    Ok(Reply::json(
        json!({"policies": user.policies, "groups": groups}),
    ))
}

pub(super) async fn write_user(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = user_name(ctx, view).await?.row();
    let mut user: User = view.get(&row).await?.unwrap_or_default();
    if let Some(policies) = policies(ctx.body())? {
        user.policies = policies;
    }
    if let Some(groups) = ctx.body().list("groups")? {
        for group in &groups {
            GroupName::parse(group, true)?;
        }
        user.groups = groups;
    }
    view.put(&row, &user).await?;
    Ok(Reply::none())
}

pub(super) async fn delete_user(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = user_name(ctx, view).await?.row();
    view.delete(&row).await?;
    Ok(Reply::none())
}

pub(super) async fn read_group(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = group_name(ctx, view).await?.row();
    let group: Group = view.get(&row).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({"policies": group.policies})))
}

pub(super) async fn write_group(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = group_name(ctx, view).await?.row();
    let mut group: Group = view.get(&row).await?.unwrap_or_default();
    if let Some(policies) = policies(ctx.body())? {
        group.policies = policies;
    }
    view.put(&row, &group).await?;
    Ok(Reply::none())
}

pub(super) async fn delete_group(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = group_name(ctx, view).await?.row();
    view.delete(&row).await?;
    Ok(Reply::none())
}
