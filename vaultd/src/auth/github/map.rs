//! Which policies teams and users get.

use serde_json::json;

use super::routes::Whose;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::parse_policies;
use crate::core::reply::Reply;
use crate::policy::PolicyName;

/// What everybody of the organisation gets is mapped to this team or user.
const EVERYBODY: &str = "default";

fn row(whose: Whose, name: &str) -> String {
    format!("{}/{}", whose.folder(), name.to_lowercase())
}

fn named(ctx: &Ctx<'_>) -> Result<String, Fault> {
    let name = ctx.param("name");
    let odd = name.is_empty() || name.len() > 128 || name.chars().any(char::is_control);
    match odd {
        true => Err(Fault::invalid(
            "invalid name: use 1 to 128 printable characters",
        )),
        false => Ok(name.to_owned()),
    }
}

pub(super) async fn list(whose: Whose, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list(view.list(whose.folder()).await?)
}

/// Who is not mapped has no policies, and is shown so.
pub(super) async fn read(whose: Whose, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = named(ctx)?;
    let value: Option<String> = view.get(&row(whose, &name)).await?;
    Ok(Reply::json(
        json!({"key": name, "value": value.unwrap_or_default()}),
    ))
}

pub(super) async fn write(
    whose: Whose,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let name = named(ctx)?;
    let policies = ctx.body().list("value")?.unwrap_or_default();
    let parsed = parse_policies(&policies)?;
    view.put(&row(whose, &name), &policies.join(",")).await?;
    let reply = Reply::none();
    Ok(match parsed.iter().any(PolicyName::is_root) {
        true => {
            reply.warn("a login cannot grant \"root\": whoever this mapping is for cannot log in")
        }
        false => reply,
    })
}

pub(super) async fn delete(
    whose: Whose,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    view.delete(&row(whose, &named(ctx)?)).await?;
    Ok(Reply::none())
}

/// The policies of all of these names together, and of everybody.
pub(super) async fn policies(
    whose: Whose,
    names: &[String],
    view: &mut View<'_>,
) -> Result<Vec<PolicyName>, Fault> {
    let everybody = EVERYBODY.to_owned();
    let mut found = Vec::new();
    for name in names.iter().chain([&everybody]) {
        let value: Option<String> = view.get(&row(whose, name)).await?;
        let texts: Vec<String> = value
            .unwrap_or_default()
            .split(',')
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect();
        found.extend(parse_policies(&texts)?);
    }
    Ok(found)
}
