//! Google Cloud: service accounts log in with a token that they signed, or that Google signed for them
//! (`iam`), and machines of Compute Engine with the identity token of their metadata server (`gce`).
//!
//! Promises: only RS256 with a key that Google publishes now, or within the last day if it does not
//! answer; a token is for one role, by its audience; what a service account signs itself says nothing
//! of machines. A role that would let in strangers, since everybody may make accounts and machines at
//! Google, is refused. With credentials Google is asked about the account or the machine at each login
//! and renewal; without, only what was signed counts, and a role that needs more lets nobody in. The
//! credentials' key is sent nowhere, and access tokens only to the endpoints that the credentials were
//! given with. Does not promise: that a stolen token is noticed before it expires.

mod api;
mod claims;
mod config;
mod grant;
mod inquiry;
mod login;
mod model;
mod renewal;
mod role;
mod routes;
mod signers;
mod standing;

pub use grant::Google;
pub use renewal::{ask_again, renewed};
pub use routes::{Call, ROWS};
pub use signers::tidy;

use crate::auth::roles;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What was worked out before the transaction.
pub enum Prepared {
    Nothing,
    Login(Box<login::Proof>),
    Renewal(Box<renewal::Still>),
}

/// Asks Google about a login.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::Login => {
            let proof = login::prove(ctx, view, outside).await?;
            Ok(Prepared::Login(Box::new(proof)))
        }
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
        (Call::Login, Prepared::Login(proof)) => login::login(ctx, proof, view).await,
        (Call::Login, _) => Err(Fault::Internal("nothing was prepared")),
        (Call::ReadConfig, _) => config::read(view).await,
        (Call::WriteConfig, _) => config::write(ctx, view).await,
        (Call::ListRoles, _) => roles::list(ctx, view).await,
        (Call::ReadRole, _) => role::read(ctx, view).await,
        (Call::WriteRole, _) => role::write(ctx, view).await,
        (Call::DeleteRole, _) => roles::delete(ctx, view).await,
        (Call::EditServiceAccounts, _) => role::edit_service_accounts(ctx, view).await,
        (Call::EditLabels, _) => role::edit_labels(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::WriteRole => roles::exists(ctx, view).await,
        _ => Ok(true),
    }
}
