//! Kubernetes: a pod logs in with the token of its service account.
//!
//! Promises: the cluster is asked about each token, so a deleted account or pod logs in no more; the
//! name is the cluster's answer, never the token's own text; a role's audience is checked in the
//! answer. Does not promise: that an issued token ends with the pod.

mod config;
mod login;
mod model;
mod review;
mod role;
mod routes;

pub use role::renewed;
pub use routes::{Call, ROWS};

use self::model::Role;
use crate::auth::roles;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What was worked out before the transaction.
pub enum Prepared {
    Nothing,
    Reviewed(Box<login::Proof>),
}

/// Asks the cluster about the token of a login.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::Login => login::prove(ctx, view, outside).await,
        _ => Ok(Prepared::Nothing),
    }
}

/// Carries out one operation.
pub async fn run(
    call: Call,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    match (call, prepared) {
        (Call::Login, Prepared::Reviewed(proof)) => login::login(ctx, proof, view).await,
        (Call::Login, Prepared::Nothing) => Err(Fault::Internal("nothing was prepared")),
        (Call::ReadConfig, _) => config::read(view).await,
        (Call::WriteConfig, _) => config::write(ctx, view).await,
        (Call::ListRoles, _) => roles::list(ctx, view).await,
        (Call::ReadRole, _) => roles::read::<Role>(ctx, view).await,
        (Call::WriteRole, _) => Ok(roles::write::<Role>(ctx, view).await?.0),
        (Call::DeleteRole, _) => roles::delete(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::WriteRole => roles::exists(ctx, view).await,
        _ => Ok(true),
    }
}
