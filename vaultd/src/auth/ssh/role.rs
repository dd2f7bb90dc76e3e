//! Roles and settings: created, changed, deleted.

use serde_json::{Map, json};

use super::model::{Config, Role, parse_keys};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Seconds that a challenge may live at most.
const CHALLENGE_MAX: u64 = 600;

impl Role {
    /// Applies the fields that are present; the others keep their value.
    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(keys) = parse_keys(body, "public_keys")? {
            self.public_keys = keys;
        }
        if let Some(keys) = parse_keys(body, "trusted_ca_keys")? {
            self.trusted_ca_keys = keys;
        }
        if let Some(names) = body.list("allowed_principals")? {
            self.allowed_principals = names;
        }
        if let Some(fingerprints) = body.list("revoked_keys")? {
            if fingerprints.iter().any(|text| !text.starts_with("SHA256:")) {
                return Err(Fault::invalid(
                    "revoked_keys: expected fingerprints such as \"SHA256:…\" (ssh-keygen -l)",
                ));
            }
            self.revoked_keys = fingerprints;
        }
        if self.public_keys.is_empty() && self.trusted_ca_keys.is_empty() {
            return Err(Fault::invalid(
                "a role needs public_keys or trusted_ca_keys: without them nobody can log in",
            ));
        }
        if !self.trusted_ca_keys.is_empty() && self.allowed_principals.is_empty() {
            return Err(Fault::invalid(
                "trusted_ca_keys needs allowed_principals: the names that a certificate has to hold, or \"*\"",
            ));
        }
        self.token.update(body)
    }
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list(view.list("role").await?)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    let role: Role = view.get(&name.row()).await?.ok_or(Fault::Missing)?;
    let mut map = Map::new();
    for (field, list) in [
        ("public_keys", &role.public_keys),
        ("trusted_ca_keys", &role.trusted_ca_keys),
        ("allowed_principals", &role.allowed_principals),
        ("revoked_keys", &role.revoked_keys),
    ] {
        map.insert(field.into(), json!(list));
    }
    role.token.show(&mut map);
    Ok(Reply::map(map))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    let mut role: Role = view.get(&name.row()).await?.unwrap_or_default();
    role.update(ctx.body())?;
    view.put(&name.row(), &role).await?;
    Ok(Reply::none())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    view.delete(&name.row()).await?;
    Ok(Reply::none())
}

pub(super) async fn read_config(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config = Config::load(view).await?;
    Ok(Reply::json(json!({
        "challenge_ttl": config.challenge_ttl,
        "origins": config.origins,
    })))
}

pub(super) async fn write_config(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut config = Config::load(view).await?;
    if let Some(seconds) = ctx.body().seconds("challenge_ttl")? {
        if !(1..=CHALLENGE_MAX).contains(&seconds) {
            return Err(Fault::invalid("challenge_ttl: 1 second to 10 minutes"));
        }
        config.challenge_ttl = seconds;
    }
    if let Some(origins) = ctx.body().list("origins")? {
        let trimmed = origins.iter().map(|text| text.trim_end_matches('/'));
        config.origins = trimmed.map(str::to_owned).collect();
    }
    view.put(Config::ROW, &config).await?;
    Ok(Reply::none())
}
