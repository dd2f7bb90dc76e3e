//! Users: created, changed, deleted.

use std::sync::Arc;

use serde_json::{Map, json};
use vault_crypto::{Cost, hash_password};

use super::Prepared;
use super::model::{Hash, Password, User, UserName};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{TokenParams, parse_cidrs, parse_policies};
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::policy::PolicyName;

/// Hashes the new password, if the request has one.
pub(super) async fn hash(ctx: &Ctx<'_>, outside: &Outside<'_>) -> Result<Prepared, Fault> {
    UserName::parse(ctx.param("name"))?;
    let Some(password) = Password::given(ctx.body())? else {
        return Ok(Prepared::Nothing);
    };
    let random = Arc::clone(outside.random);
    let hash = outside
        .slow
        .run(move || hash_password(password.as_bytes(), Cost::LOGIN, &*random))
        .await?
        .map_err(|_| Fault::Internal("hash of a password"))?;
    Ok(Prepared::New(Hash::of(&hash)))
}

fn new_hash(prepared: &Prepared) -> Option<Hash> {
    match prepared {
        Prepared::New(hash) => Some(hash.clone()),
        Prepared::Nothing | Prepared::Proven(_) => None,
    }
}

impl User {
    fn new(hash: Hash) -> User {
        User {
            hash,
            token: TokenParams::default(),
            old_policies: false,
        }
    }

    /// Applies the fields that are present, and those that had another name before Vault 1.2.
    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        self.update_policies(body)?;
        if let Some(seconds) = body.seconds("ttl")? {
            self.token.ttl = seconds;
        }
        if let Some(seconds) = body.seconds("max_ttl")? {
            self.token.max_ttl = seconds;
        }
        if let Some(cidrs) = body.list("bound_cidrs")? {
            self.token.bound_cidrs = parse_cidrs(&cidrs, "bound_cidrs")?;
        }
        self.token.update(body)
    }

    fn update_policies(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(names) = body.list("policies")? {
            self.token.policies = parse_policies(&names)?;
            self.old_policies = !names.is_empty();
        }
        if let Some(names) = body.list("token_policies")? {
            self.token.policies = parse_policies(&names)?;
            self.old_policies = false;
        }
        match self.token.policies.iter().any(PolicyName::is_root) {
            true => Err(Fault::invalid("auth methods cannot create root tokens")),
            false => Ok(()),
        }
    }
}

async fn find(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(UserName, Option<User>), Fault> {
    let name = UserName::parse(ctx.param("name"))?;
    let user = view.get(&name.row()).await?;
    Ok((name, user))
}

/// A user whose settings are to be changed.
async fn require(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(UserName, User), Fault> {
    let (name, user) = find(ctx, view).await?;
    let user = user.ok_or_else(|| Fault::invalid("username does not exist"))?;
    Ok((name, user))
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, "user").await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, user) = find(ctx, view).await?;
    let user = user.ok_or(Fault::Missing)?;
    let mut map = Map::new();
    user.token.show(&mut map);
    if user.old_policies {
        map.insert("policies".into(), json!(user.token.policies));
    }
    Ok(Reply::map(map))
}

pub(super) async fn write(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let (name, found) = find(ctx, view).await?;
    let mut user = match (found, new_hash(prepared)) {
        (Some(user), None) => user,
        (Some(user), Some(hash)) => User { hash, ..user },
        (None, Some(hash)) => User::new(hash),
        (None, None) => return Err(Fault::invalid("missing password")),
    };
    user.update(ctx.body())?;
    view.put(&name.row(), &user).await?;
    Ok(Reply::none())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = UserName::parse(ctx.param("name"))?;
    view.delete(&name.row()).await?;
    Ok(Reply::none())
}

pub(super) async fn set_password(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let hash = new_hash(prepared).ok_or_else(|| Fault::invalid("missing password"))?;
    let (name, user) = require(ctx, view).await?;
    view.put(&name.row(), &User { hash, ..user }).await?;
    Ok(Reply::none())
}

pub(super) async fn set_policies(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut user) = require(ctx, view).await?;
    user.update_policies(ctx.body())?;
    view.put(&name.row(), &user).await?;
    Ok(Reply::none())
}
