//! Policies: both of Vault's APIs over one store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::reserved;
use crate::core::reply::{After, Reply};
use crate::core::unsealed::policy_row;
use crate::policy::{Policy, PolicyName};

fn name(ctx: &Ctx<'_>) -> Result<PolicyName, Fault> {
    ctx.param("name")
        .parse()
        .map_err(|error| Fault::invalid(format!("{error}")))
}

async fn names(tx: &mut Tx) -> Result<Vec<String>, Fault> {
    let mut names = tx.view(reserved::POLICIES).list("acl").await?;
    // It cannot be given to anyone.
    names.retain(|name| name != PolicyName::RESPONSE_WRAPPING);
    names.push(PolicyName::ROOT.to_owned());
    names.sort();
    Ok(names)
}

pub async fn list(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let names = names(tx).await?;
    ctx.list(names)
}

pub async fn list_legacy(tx: &mut Tx) -> Result<Reply, Fault> {
    let names = names(tx).await?;
    Ok(Reply::json(json!({"keys": names, "policies": names})).top_level())
}

/// `text` is the field that holds the policy: `rules` of old, `policy` now.
pub async fn read(ctx: &Ctx<'_>, tx: &mut Tx, text: &str) -> Result<Reply, Fault> {
    let name = name(ctx)?;
    let stored: Option<String> = match name.is_root() {
        true => Some(String::new()),
        false => tx.view(reserved::POLICIES).get(&policy_row(&name)).await?,
    };
    let stored = stored.ok_or(Fault::Missing)?;
    let mut reply = Reply::json(json!({"name": name.as_str(), text: stored}));
    reply.top_level = text == "rules";
    Ok(reply)
}

pub async fn write(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let name = name(ctx)?;
    if name.is_root() || name.is_response_wrapping() {
        return Err(Fault::invalid(format!(
            "cannot update {:?} policy",
            name.as_str()
        )));
    }
    let body = ctx.body();
    let text = match body.string("policy")?.filter(|text| !text.is_empty()) {
        Some(text) => text,
        None => body.string("rules")?.unwrap_or_default(),
    };
    if text.is_empty() {
        return Err(Fault::invalid("'policy' parameter not supplied or empty"));
    }
    let decoded = STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.unwrap_or(text);
    Policy::parse(&name, &text)
        .map_err(|error| Fault::invalid(format!("failed to parse policy: {error}")))?;
    tx.view(reserved::POLICIES)
        .put(&policy_row(&name), &text)
        .await?;
    Ok(Reply {
        after: Some(After::Policies),
        ..Reply::none()
    })
}

pub async fn delete(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let name = name(ctx)?;
    if name.is_root() || name == PolicyName::default_policy() || name.is_response_wrapping() {
        return Err(Fault::invalid(format!(
            "cannot delete {:?} policy",
            name.as_str()
        )));
    }
    tx.view(reserved::POLICIES)
        .delete(&policy_row(&name))
        .await?;
    Ok(Reply {
        after: Some(After::Policies),
        ..Reply::none()
    })
}
