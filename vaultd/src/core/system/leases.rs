//! Leases by their ids and by where they came from. The paths of old clients lead here too.

use serde_json::{Value, json};
use vault_crypto::uuid_v4;

use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::lease::{self, Ending, promise};
use crate::core::reply::{After, Reply};
use crate::core::token::seconds_between;
use crate::core::unsealed::Unsealed;

/// In the path or in the body.
fn given(ctx: &Ctx<'_>) -> Result<String, Fault> {
    let in_path = Some(ctx.param("lease")).filter(|lease| !lease.is_empty());
    let lease = match in_path {
        Some(lease) => Some(lease.to_owned()),
        None => ctx.body().string("lease_id")?,
    };
    lease
        .filter(|lease| !lease.is_empty())
        .ok_or_else(|| Fault::invalid("lease_id must be specified"))
}

pub async fn lookup(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let id = given(ctx)?;
    if let Some(promise) = promise::find(tx, &id).await? {
        return Ok(Reply::json(json!({
            "id": id,
            "issue_time": promise.created.to_string(),
            "expire_time": promise.expires.to_string(),
            "last_renewal": Value::Null,
            "renewable": false,
            "ttl": seconds_between(ctx.now(), promise.expires),
        })));
    }
    let found = lease::find(tx, &id).await?;
    let (_, token) = found
        .filter(|(_, token)| token.expires.is_some_and(|end| ctx.now() < end))
        .ok_or_else(|| Fault::invalid("invalid lease"))?;
    Ok(Reply::json(json!({
        "id": id,
        "issue_time": token.created.to_string(),
        "expire_time": token.expires.map(|end| end.to_string()),
        "last_renewal": token.last_renewal.map(|at| at.to_string()),
        "renewable": token.renewable,
        "ttl": token.ttl_left(ctx.now()),
    })))
}

pub async fn list(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    Reply::list(lease::list(tx, ctx.param("prefix"), &ctx.window()?).await?)
}

/// Only engines' leases are renewed here, and those of certificates never are.
pub async fn renew(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let id = given(ctx)?;
    if promise::find(tx, &id).await?.is_some() {
        return Err(Fault::invalid("lease is not renewable"));
    }
    Err(match lease::find(tx, &id).await? {
        Some(_) => Fault::invalid("tokens cannot be renewed through this endpoint"),
        None => Fault::invalid("lease not found"),
    })
}

/// Unknown is fine. One lease is always revoked before the answer.
pub async fn revoke(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let id = given(ctx)?;
    if promise::is_promise(&id) {
        promise::end(vault, &id, tx).await?;
        return Ok(accepted(waits(ctx)?));
    }
    let found = lease::find(tx, &id).await?;
    let ids = found.into_iter().map(|(fingerprint, _)| fingerprint);
    Ok(Reply {
        after: Some(After::Revoke(ids.collect())),
        ..accepted(waits(ctx)?)
    })
}

/// The answer waits unless told otherwise: clients take 202 for a failure.
fn waits(ctx: &Ctx<'_>) -> Result<bool, Fault> {
    Ok(ctx.body().bool("sync")?.unwrap_or(true))
}

/// 204 for what is done, 202 for what goes on.
fn accepted(done: bool) -> Reply {
    match done {
        true => Reply::none(),
        false => Reply::none().status(202),
    }
}

/// A prefix that is a lease's whole id stands for that lease, as in Vault.
pub async fn revoke_prefix(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    wait: bool,
) -> Result<Reply, Fault> {
    let prefix = ctx.param("prefix");
    let wait = wait || waits(ctx)?;
    if promise::find(tx, prefix).await?.is_some() {
        promise::end(vault, prefix, tx).await?;
        return Ok(accepted(wait));
    }
    if let Some((fingerprint, _)) = lease::find(tx, prefix).await? {
        return Ok(Reply {
            after: Some(After::Revoke(vec![fingerprint])),
            ..accepted(wait)
        });
    }
    let ending = Ending {
        mark: uuid_v4(ctx.random),
        prefix: prefix.to_owned(),
    };
    lease::begin(tx, &ending).await?;
    Ok(Reply {
        after: Some(After::EndLeases { ending, wait }),
        ..accepted(wait)
    })
}

/// Rows of leases go with their tokens; nothing is left over that would have to be looked for.
pub fn tidy() -> Reply {
    Reply::none()
        .warn("Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs.")
        .status(202)
}

/// Nothing here is irrevocable: a token goes in one commit.
pub async fn count(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let counts = match irrevocable(ctx)? {
        true => Default::default(),
        false => lease::count(tx, &vault.mounts.load()).await?,
    };
    let all: u64 = counts.values().sum();
    Ok(Reply::json(json!({"lease_count": all, "counts": counts})))
}

pub fn list_irrevocable(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    match irrevocable(ctx)? {
        true => Ok(Reply::json(
            json!({"lease_count": 0, "leases": Vec::<Value>::new()}),
        )),
        false => Err(Fault::Missing),
    }
}

fn irrevocable(ctx: &Ctx<'_>) -> Result<bool, Fault> {
    match ctx.body().string("type")?.as_deref() {
        None | Some("") => Ok(false),
        Some("irrevocable") => Ok(true),
        Some(_) => Err(Fault::invalid("type must be 'irrevocable' or absent")),
    }
}
