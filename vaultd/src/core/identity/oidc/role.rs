//! `oidc/role/…` and `oidc/token/…`: what an identity token says, and to whom.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_crypto::random_base62;

use super::claims::{self, Subject};
use super::{config, key};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::identity::store::surviving;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

const FOLDER: &str = "oidc/role";
const DAY: u64 = 86_400;

#[derive(Serialize, Deserialize)]
struct Role {
    /// The audience of its tokens.
    client_id: String,
    key: String,
    template: String,
    /// Seconds.
    ttl: u64,
}

async fn load(name: &str, view: &mut View<'_>) -> Result<Option<Role>, Fault> {
    Ok(view.get(&super::row(FOLDER, name)?).await?)
}

pub(super) async fn uses_key(key: &str, view: &mut View<'_>) -> Result<bool, Fault> {
    for name in view.list(FOLDER).await? {
        if load(&name, view).await?.is_some_and(|role| role.key == key) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list(view.list(FOLDER).await?)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let role = load(ctx.param("name"), view).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({
        "client_id": role.client_id,
        "key": role.key,
        "template": role.template,
        "ttl": role.ttl,
    })))
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&super::row(FOLDER, ctx.param("name"))?).await?;
    Ok(Reply::none())
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body) = (ctx.param("name"), ctx.body());
    let mut role = match load(name, view).await? {
        Some(role) => role,
        None => Role {
            client_id: random_base62(26, ctx.random),
            key: String::new(),
            template: String::new(),
            ttl: DAY,
        },
    };
    if let Some(key) = body.string("key")? {
        role.key = key;
    }
    if let Some(id) = body.string("client_id")?.filter(|id| !id.is_empty()) {
        role.client_id = id;
    }
    if let Some(ttl) = body.seconds("ttl")? {
        role.ttl = ttl;
    }
    if let Some(template) = body.string("template")? {
        let decoded = STANDARD.decode(template.trim()).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        role.template = decoded.unwrap_or(template);
        claims::check(&role.template, ctx)?;
    }
    if role.key.is_empty() {
        return Err(Fault::invalid("the key parameter is required"));
    }
    // Also makes sure that the name may be part of a row's path.
    let signs = key::Key::load(&role.key, view).await?;
    if signs
        .as_ref()
        .is_some_and(|key| role.ttl > key.verification_ttl)
    {
        return Err(Fault::invalid(
            "a role's token ttl cannot be longer than the verification_ttl of the key it references",
        ));
    }
    view.put(&super::row(FOLDER, name)?, &role).await?;
    match signs.is_some() || role.key == key::DEFAULT {
        true => Ok(Reply::none()),
        false => Ok(Reply::none()
            .warn("the named key does not exist yet: create it before tokens are asked for")),
    }
}

/// A token about the caller's own entity.
pub(super) async fn token(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let nobody = || Fault::invalid("no entity associated with the request's token");
    let standing = caller.standing.as_ref().ok_or_else(nobody)?;
    let role = load(ctx.param("name"), view).await?;
    let role = role.ok_or_else(|| Fault::invalid("no OIDC role of this name"))?;
    let missing = || Fault::invalid("the named key of the role does not exist");
    let key = key::ready(&role.key, ctx, view)
        .await?
        .ok_or_else(missing)?;
    if !key.allows(&role.client_id) {
        return Err(Fault::invalid(
            "the named key does not list the client ID of the role as an allowed client ID",
        ));
    }
    let groups = vault.memberships.groups(&vault.barrier).await?;
    let subject = Subject {
        entity: &standing.entity,
        groups: &groups.of_entity(&standing.entity),
        now: ctx.now(),
    };
    let mut claims = claims::fill(&role.template, &subject)?;
    let ttl = role.ttl.min(key.verification_ttl);
    let now = ctx.now().as_second();
    let own = [
        ("iss", json!(config::issuer(view).await?)),
        ("sub", json!(standing.entity.id)),
        ("aud", json!(role.client_id)),
        ("iat", json!(now)),
        ("exp", json!(now.saturating_add_unsigned(ttl))),
        ("namespace", json!("root")),
    ];
    claims.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(Reply::json(json!({
        "token": key::sign(&key, &Value::Object(claims))?,
        "client_id": role.client_id,
        "ttl": ttl,
    })))
}

/// Whether a token is one of ours, in time, for this client, and about somebody who is there.
pub(super) async fn introspect(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let token = ctx.body().required("token")?;
    let client = ctx.body().string("client_id")?.filter(|id| !id.is_empty());
    let answer = |active: bool| Ok(Reply::json(json!({"active": active})).bare());
    let Some(claims) = key::verified(&token, ctx, view).await? else {
        return answer(false);
    };
    let ends = claims["exp"].as_i64().unwrap_or(0);
    let ours = claims["iss"] == config::issuer(view).await?.as_str();
    let meant = client.is_none_or(|client| claims["aud"] == client.as_str());
    if ends <= ctx.now().as_second() || !ours || !meant {
        return answer(false);
    }
    let subject = claims["sub"].as_str().unwrap_or_default();
    // A subject that was merged is known under its new id as well.
    let known = surviving(view, subject).await?;
    answer(known.is_some_and(|entity| !entity.disabled))
}
