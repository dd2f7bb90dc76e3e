//! What a role may hold, and the settings of a mount.

use serde_json::{Map, Value, json};

use super::model::{Config, Role, parse_keys};
use crate::auth::name::RoleName;
use crate::auth::roles;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Seconds that a challenge may live at most.
const CHALLENGE_MAX: u64 = 600;

impl roles::Role for Role {
    fn new(_name: &RoleName) -> Role {
        Role::default()
    }

    fn update(&mut self, _name: &RoleName, body: &Body) -> Result<(), Fault> {
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

    fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        for (field, list) in [
            ("public_keys", &self.public_keys),
            ("trusted_ca_keys", &self.trusted_ca_keys),
            ("allowed_principals", &self.allowed_principals),
            ("revoked_keys", &self.revoked_keys),
        ] {
            map.insert(field.into(), json!(list));
        }
        self.token.show(&mut map);
        map
    }
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
