//! AppRole: a program logs in with a role id, which says who it is, and a secret id, which proves it.
//!
//! Promises: an unknown role id, an unknown secret id, an expired and a used-up one get the same
//! answer after the same steps; of any number of logins at once, a secret id admits as many as it
//! has uses; nothing reaches a secret id through another role. Does not promise: that the role id
//! stays secret.

mod login;
mod model;
mod role;
mod routes;
mod secret_id;
mod tidy;

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests;

pub use login::{check, renewed, role_of_login};
pub use routes::{Call, Property, ROWS};
pub use tidy::tidy;

use crate::auth::roles;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Carries out one operation.
pub async fn run(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match call {
        Call::Login => login::login(ctx, view).await,
        Call::ListRoles => role::list(ctx, view).await,
        Call::ReadRole => role::read(ctx, view).await,
        Call::WriteRole => role::write(ctx, view).await,
        Call::DeleteRole => role::delete(ctx, view).await,
        Call::Read(property) => role::read_property(property, ctx, view).await,
        Call::Write(property) => role::write_property(property, ctx, view).await,
        Call::Reset(property) => role::reset_property(property, ctx, view).await,
        Call::IssueSecretId => secret_id::issue(ctx, view).await,
        Call::AcceptSecretId => secret_id::accept(ctx, view).await,
        Call::ListAccessors => secret_id::list(ctx, view).await,
        Call::LookupSecretId => secret_id::lookup(ctx, view).await,
        Call::DestroySecretId => secret_id::destroy(ctx, view).await,
        Call::LookupAccessor => secret_id::lookup_accessor(ctx, view).await,
        Call::DestroyAccessor => secret_id::destroy_accessor(ctx, view).await,
        Call::Tidy => tidy::start(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::WriteRole => roles::exists(ctx, view).await,
        _ => Ok(true),
    }
}
