//! What happens once before a request's transaction, which may run several times.

use std::sync::Arc;

use super::Call;
use crate::auth::{approle, cert, gcp, github, jwt, kubernetes, ldap, userpass};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Data;
use crate::core::retry::ATTEMPTS;
use crate::core::slow::Outside;
use crate::core::unsealed::Unsealed;
use crate::core::{Core, locked, system, token_method};
use crate::engine::{acme, pki, sshca, sshkeys};

/// What a method worked out before the transaction.
#[derive(Default)]
pub enum Prepared {
    #[default]
    Nothing,
    /// The whole answer: an operation of core's own that reads in transactions of its own.
    Answer(Data),
    SshCa(sshca::Prepared),
    SshKeys(sshkeys::Prepared),
    Pki(pki::Prepared),
    Acme(acme::Prepared),
    Userpass(userpass::Prepared),
    Jwt(jwt::Prepared),
    Kubernetes(kubernetes::Prepared),
    Github(github::Prepared),
    Gcp(gcp::Prepared),
    Cert(cert::Prepared),
    Ldap(ldap::Prepared),
}

/// False for most: they have nothing to do before their transaction.
pub fn is_needed(call: Call) -> bool {
    matches!(
        call,
        Call::System(_)
            | Call::SshCa(_)
            | Call::SshKeys(_)
            | Call::Pki(_)
            | Call::Acme(_)
            | Call::Userpass(_)
            | Call::Jwt(_)
            | Call::Kubernetes(_)
            | Call::Github(_)
            | Call::Gcp(_)
            | Call::Cert(_)
            | Call::Ldap(_)
            | Call::Approle(approle::Call::Login)
            | Call::Token(
                token_method::Call::Renew
                    | token_method::Call::RenewSelf
                    | token_method::Call::RenewAccessor
            )
    )
}

/// Slow work, once the request is permitted and recorded, and before its transaction: that may run
/// several times, this is done once. It may read, in a transaction of its own that is never
/// committed; what it read may have changed when the request's transaction runs, which has to check.
pub async fn prepare(
    core: &Core,
    vault: &Arc<Unsealed>,
    call: Call,
    ctx: &Ctx<'_>,
) -> Result<Prepared, Fault> {
    if let Call::System(call) = call {
        let answer = Box::pin(system::prepare(core, vault, call, ctx)).await?;
        return Ok(answer.map_or(Prepared::Nothing, Prepared::Answer));
    }
    let outside = Outside {
        vault,
        slow: &core.slow,
        lockouts: &core.lockouts,
        random: &core.random,
        outbound: &core.outbound,
        issuers: &core.issuers,
    };
    // It reads nothing of its own: the loop below would be wasted on every signature.
    if let Call::SshCa(call) = call {
        let prepared = Box::pin(sshca::prepare(call, ctx, &outside)).await?;
        return Ok(Prepared::SshCa(prepared));
    }
    for _ in 0..ATTEMPTS {
        let mut tx = vault.barrier.begin();
        let view = &mut tx.view(ctx.mount.number);
        let outcome = match call {
            Call::Pki(call) => Box::pin(pki::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Pki),
            Call::Acme(call) => Box::pin(acme::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Acme),
            Call::SshKeys(call) => Box::pin(sshkeys::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::SshKeys),
            Call::Userpass(call) => userpass::prepare(call, ctx, view, &outside)
                .await
                .map(Prepared::Userpass),
            Call::Jwt(call) => Box::pin(jwt::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Jwt),
            Call::Kubernetes(call) => Box::pin(kubernetes::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Kubernetes),
            Call::Github(call) => Box::pin(github::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Github),
            Call::Gcp(call) => Box::pin(gcp::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Gcp),
            Call::Cert(call) => Box::pin(cert::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Cert),
            Call::Ldap(call) => Box::pin(ldap::prepare(call, ctx, view, &outside))
                .await
                .map(Prepared::Ldap),
            Call::Token(call) => Box::pin(token_method::prepare(vault, call, ctx, &outside)).await,
            Call::Approle(_) => approle::check(ctx, view, &outside)
                .await
                .map(|()| Prepared::Nothing),
            _ => Ok(Prepared::Nothing),
        };
        locked::save(core, vault).await?;
        match outcome {
            Err(Fault::Conflict) => tokio::task::yield_now().await,
            outcome => return outcome,
        }
    }
    Err(Fault::Internal("too many concurrent updates"))
}
