//! Userpass: a person logs in with a name and a password.
//!
//! Promises: passwords are stored as Argon2id hashes only; an unknown name and a wrong password get
//! the same answer after the same work; a name is locked after a few wrong passwords in any spelling
//! (`core::lockout`). Does not promise: that a weak password withstands who has the unsealed store.

mod login;
mod model;
mod routes;
mod user;

pub use login::renewed;
pub use routes::{Call, ROWS};

use self::model::{Hash, UserName};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What was worked out before the transaction.
pub enum Prepared {
    /// The request sets no password.
    Nothing,
    /// The hash of a new password.
    New(Hash),
    /// The password is right for the user who had this hash.
    Proven(Hash),
}

/// Hashes the password of the request, if it has one.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::Login => login::prove(ctx, view, outside).await,
        Call::WriteUser | Call::SetPassword => user::hash(ctx, outside).await,
        Call::ListUsers | Call::ReadUser | Call::DeleteUser | Call::SetPolicies => {
            Ok(Prepared::Nothing)
        }
    }
}

/// Carries out one operation.
pub async fn run(
    call: Call,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    match call {
        Call::Login => login::login(ctx, prepared, view).await,
        Call::ListUsers => user::list(ctx, view).await,
        Call::ReadUser => user::read(ctx, view).await,
        Call::WriteUser => user::write(ctx, prepared, view).await,
        Call::DeleteUser => user::delete(ctx, view).await,
        Call::SetPassword => user::set_password(ctx, prepared, view).await,
        Call::SetPolicies => user::set_policies(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match (call, UserName::parse(ctx.param("name"))) {
        (Call::WriteUser, Ok(name)) => Ok(view.exists(&name.row()).await?),
        // A bad name is refused once the policies have been asked.
        (Call::WriteUser, Err(_)) => Ok(false),
        _ => Ok(true),
    }
}
