//! Renewal: the method that issued a token says what its role grants now; some ask others first.

use vault_proto::Sensitive;

use super::{Call, Show, batch, by_accessor, identity_policies, live, own, presented};
use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::dispatch::{self, Prepared};
use crate::core::fault::Fault;
use crate::core::issue;
use crate::core::login::Renewal;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::core::token::{self, Token};
use crate::core::unsealed::Unsealed;

fn renewal<'a>(token: &'a Token, ctx: &'a Ctx<'_>) -> Renewal<'a> {
    Renewal {
        role: &token.role,
        proof: &token.proof,
        policies: &token.policies,
        request: ctx.request,
    }
}

/// Asks others about a token that is to be renewed. One that cannot be is told so later.
pub async fn prepare(
    vault: &Unsealed,
    call: Call,
    ctx: &Ctx<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let mut tx = vault.barrier.begin();
    let id = match call {
        Call::Renew if batch(vault, ctx).await?.is_none() => presented(vault, ctx)?,
        Call::RenewSelf => own(ctx)?,
        Call::RenewAccessor => by_accessor(ctx, &mut tx).await?,
        _ => return Ok(Prepared::Nothing),
    };
    let Some(token) = live(ctx, &mut tx, &id).await? else {
        return Ok(Prepared::Nothing);
    };
    let mounts = vault.mounts.load_full();
    match mounts.by_number(token.mount) {
        Some(mount) => dispatch::ask_again(mount, &renewal(&token, ctx), &mut tx, outside).await,
        None => Ok(Prepared::Nothing),
    }
}

pub(super) async fn renew(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    prepared: &Prepared,
    id: &str,
    show: Show,
) -> Result<Reply, Fault> {
    if ctx
        .caller
        .is_some_and(|caller| caller.token.is_batch() && *caller.id == *id)
    {
        return Err(Fault::invalid("batch tokens cannot be renewed"));
    }
    let token = live(ctx, tx, id)
        .await?
        .ok_or_else(|| Fault::invalid("token not found"))?;
    let secret = match show {
        Show::NoSecret => String::new(),
        Show::Secret => match ctx.body().string("token")? {
            Some(secret) => secret,
            None => ctx
                .request
                .token
                .as_ref()
                .map(|secret| secret.to_string())
                .unwrap_or_default(),
        },
    };
    let increment = ctx.body().seconds("increment")?;
    let mounts = vault.mounts.load_full();
    let mount = mounts.by_number(token.mount);
    let mut now = token.clone();
    if let Some(mount) = mount
        && let Some(params) = dispatch::renewed(mount, &renewal(&token, ctx), prepared, tx).await?
    {
        now.max_ttl = params.max_ttl;
        now.period = params.period;
    }
    let (next, warnings) = issue::renewed(
        &now,
        increment,
        mount.map(|mount| &**mount),
        vault.ttl,
        ctx.now(),
    )?;
    token::update(tx, id, &token, &next).await?;
    let auth = issue::auth_block(
        &next,
        Sensitive::new(secret),
        &identity_policies(vault, &next).await?,
        ctx.now(),
    );
    Ok(Reply {
        auth: Some(Box::new(auth)),
        warnings,
        ..Reply::default()
    })
}
