//! `auth/token/`: the method that every server has.

mod create;
mod renew;
mod role;
mod routes;

use std::sync::Arc;

use serde_json::Map;
use vault_proto::Sensitive;
use vault_proto::token::Lookup;

use super::accessors;
use super::context::Ctx;
use super::dispatch::Prepared;
use super::fault::Fault;
use super::reply::{After, Reply};
use super::standing::texts;
use super::token::{self, Token};
use super::unsealed::Unsealed;
use crate::barrier::Tx;
use crate::policy::PolicyName;

pub use renew::prepare;
pub use routes::{Call, ROWS};

pub async fn run(
    vault: &Unsealed,
    call: Call,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    tx: &mut Tx,
) -> Result<Reply, Fault> {
    match call {
        Call::Create => create::run(vault, ctx, tx, create::Kind::Child).await,
        Call::CreateOrphan => create::run(vault, ctx, tx, create::Kind::Orphan).await,
        Call::CreateWithRole => create::run(vault, ctx, tx, create::Kind::Role(ctx.param("role"))).await,
        // Whoever names no token means its own.
        Call::Lookup if ctx.body().string("token")?.is_none_or(|token| token.is_empty()) => {
            lookup_self(vault, ctx, tx).await
        }
        Call::Lookup => match batch(vault, ctx).await? {
            Some(token) => describe(vault, ctx, &token, ctx.body().required("token")?).await,
            None => lookup(vault, ctx, tx, &presented(vault, ctx)?, Show::Secret).await,
        },
        Call::LookupSelf => lookup_self(vault, ctx, tx).await,
        Call::LookupAccessor => {
            let id = by_accessor(ctx, tx).await?;
            lookup(vault, ctx, tx, &id, Show::NoSecret).await
        }
        Call::Renew => match batch(vault, ctx).await? {
            Some(_) => Err(Fault::invalid("batch tokens cannot be renewed")),
            None => renew::renew(vault, ctx, tx, prepared, &presented(vault, ctx)?, Show::Secret).await,
        },
        Call::RenewSelf => renew::renew(vault, ctx, tx, prepared, &own(ctx)?, Show::Secret).await,
        Call::RenewAccessor => {
            let id = by_accessor(ctx, tx).await?;
            renew::renew(vault, ctx, tx, prepared, &id, Show::NoSecret).await
        }
        Call::Revoke => match batch(vault, ctx).await? {
            Some(_) => Err(irrevocable()),
            None => Ok(revoked(vec![presented(vault, ctx)?])),
        },
        Call::RevokeSelf if ctx.caller.is_some_and(|caller| caller.token.is_batch()) => Err(irrevocable()),
        Call::RevokeSelf => Ok(revoked(vec![own(ctx)?])),
        // Gone is gone: who cleans up twice is not stopped by it.
        Call::RevokeAccessor => Ok(match token::by_accessor(tx, &ctx.body().required("accessor")?).await? {
            Some(id) => revoked(vec![id]),
            None => Reply::none().warn("No token found with this accessor"),
        }),
        Call::RevokeOrphan => {
            let id = presented(vault, ctx)?;
            if token::get(tx, &id).await?.is_none() {
                return Err(Fault::invalid("token to revoke not found"));
            }
            Ok(Reply { after: Some(After::RevokeOrphan(vec![id])), ..Reply::none() })
        }
        Call::Accessors => Reply::list(accessors::list(tx, &ctx.window()?).await?),
        Call::Tidy => Ok(Reply::none()
            .warn("Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs.")
            .status(202)),
        Call::RoleList => role::list(ctx, tx).await,
        Call::RoleRead => role::read(ctx, tx).await,
        Call::RoleWrite => role::write(ctx, tx).await,
        Call::RoleDelete => role::delete(ctx, tx).await,
    }
}

fn revoked(ids: Vec<String>) -> Reply {
    Reply {
        after: Some(After::Revoke(ids)),
        ..Reply::none()
    }
}

/// The live token in the body, if it is a batch token: it has no row of its own.
async fn batch(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Option<Arc<Token>>, Fault> {
    let secret = ctx.body().string("token")?.unwrap_or_default();
    let found = vault.tokens.find(&vault.barrier, &secret).await?;
    Ok(found
        .map(|(_, token)| token)
        .filter(|token| token.is_batch() && token.expires.is_none_or(|end| ctx.now() < end)))
}

fn irrevocable() -> Fault {
    Fault::invalid("batch tokens cannot be revoked; they end with their parent or their TTL")
}

/// Fingerprint of the token in the body.
fn presented(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<String, Fault> {
    let secret = ctx
        .body()
        .string("token")?
        .filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| Fault::invalid("missing token ID"))?;
    Ok(vault.tokens.fingerprint(&secret))
}

fn own(ctx: &Ctx<'_>) -> Result<String, Fault> {
    Ok(ctx.caller.ok_or(Fault::BadToken)?.id.to_string())
}

async fn by_accessor(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<String, Fault> {
    let accessor = ctx
        .body()
        .string("accessor")?
        .filter(|accessor| !accessor.is_empty());
    let accessor = accessor.ok_or_else(|| Fault::invalid("missing accessor"))?;
    token::by_accessor(tx, &accessor)
        .await?
        .ok_or_else(|| Fault::invalid("invalid accessor"))
}

/// Only who presented the secret sees it again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Secret,
    NoSecret,
}

async fn lookup(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    id: &str,
    show: Show,
) -> Result<Reply, Fault> {
    let token = live(ctx, tx, id)
        .await?
        .ok_or_else(|| Fault::Forbidden("bad token".to_owned()))?;
    let secret = match show {
        Show::Secret => ctx.body().string("token")?.unwrap_or_default(),
        Show::NoSecret => String::new(),
    };
    describe(vault, ctx, &token, secret).await
}

async fn lookup_self(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let secret = ctx
        .request
        .token
        .as_ref()
        .map(|secret| secret.to_string())
        .unwrap_or_default();
    if caller.token.is_batch() {
        return describe(vault, ctx, &caller.token, secret).await;
    }
    // The row may already be gone if this was the token's last use.
    let token = token::get(tx, &caller.id).await?;
    describe(vault, ctx, token.as_ref().unwrap_or(&caller.token), secret).await
}

async fn live(ctx: &Ctx<'_>, tx: &mut Tx, id: &str) -> Result<Option<Token>, Fault> {
    let token = token::get(tx, id).await?;
    Ok(token.filter(|token| token.expires.is_none_or(|end| ctx.now() < end)))
}

async fn describe(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    token: &Token,
    secret: String,
) -> Result<Reply, Fault> {
    let seconds = |at: jiff::Timestamp| at.to_string();
    let shown = Lookup {
        accessor: token.accessor.clone(),
        creation_time: token.created.as_second(),
        creation_ttl: token.creation_ttl,
        display_name: token.display_name.clone(),
        entity_id: token.entity_id.clone(),
        expire_time: token.expires.map(seconds),
        explicit_max_ttl: token.explicit_max_ttl,
        id: Sensitive::new(secret),
        issue_time: Some(seconds(token.created)),
        meta: (!token.meta.is_empty()).then(|| token.meta.clone()),
        num_uses: token.num_uses,
        orphan: token.parent.is_none(),
        path: token.path.clone(),
        policies: token.policy_names().to_vec(),
        period: (token.period > 0).then_some(token.period),
        renewable: token.renewable,
        ttl: token.ttl_left(ctx.now()),
        kind: token.kind_name().to_owned(),
    };
    let mut reply = serde_json::to_value(&shown)
        .map(Reply::json)
        .map_err(|_| Fault::Internal("token lookup"))?;
    let added = identity_policies(vault, token).await?;
    if let super::reply::Data::Map(map) = &mut reply.data {
        if !added.is_empty() {
            map.insert("identity_policies".into(), texts(&added).into());
            map.insert("external_namespace_policies".into(), Map::new().into());
        }
        if let Some(at) = token.last_renewal {
            map.insert("last_renewal".into(), at.to_string().into());
            map.insert("last_renewal_time".into(), at.as_second().into());
        }
        if !token.role.is_empty() {
            map.insert("role".into(), token.role.clone().into());
        }
        if !token.bound_cidrs.is_empty() {
            map.insert(
                "bound_cidrs".into(),
                super::login::show_cidrs(&token.bound_cidrs).into(),
            );
        }
    }
    Ok(reply)
}

/// What the token's entity adds. One that is gone adds nothing.
async fn identity_policies(vault: &Unsealed, token: &Token) -> Result<Vec<PolicyName>, Fault> {
    match vault.entity_of(token).await {
        Ok(Some(entity)) => vault.identity_policies(&entity).await,
        Ok(None) | Err(Fault::BadToken) => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

/// A name for people: only letters, digits, `-`, `_` and `.` stay.
fn clean_display_name(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    kept.trim_matches('-').to_owned()
}
