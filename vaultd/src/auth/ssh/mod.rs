//! Ssh: a person or a machine logs in with an SSH key, from an agent too, or an OpenSSH certificate.
//!
//! The client asks for a challenge, signs it as `ssh-keygen -Y sign -n login@vaultd` does, and sends the
//! signature. Promises: a challenge is good once, for a short time, for one role and one address; a
//! signature for any other purpose is not a login; SHA-1 and short RSA keys are refused; a token does
//! not outlive the certificate that it was issued for. Does not promise: that a login cannot be passed
//! on by a false server, unless `origins` is set in the config.

mod challenge;
mod login;
mod model;
mod role;
mod routes;

#[cfg(test)]
mod tests;

pub use challenge::tidy;
pub use login::renewed;
pub use routes::{Call, ROWS};

use self::model::Role;
use crate::auth::roles;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Keeps signatures for other uses of a key, such as Git's, from being logins, and the reverse.
const NAMESPACE: &str = "login@vaultd";

/// Carries out one operation.
pub async fn run(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match call {
        Call::Challenge => challenge::give(ctx, view).await,
        Call::Login => login::login(ctx, view).await,
        Call::ListRoles => roles::list(ctx, view).await,
        Call::ReadRole => roles::read::<Role>(ctx, view).await,
        Call::WriteRole => Ok(roles::write::<Role>(ctx, view).await?.0),
        Call::DeleteRole => roles::delete(ctx, view).await,
        Call::ReadConfig => role::read_config(view).await,
        Call::WriteConfig => role::write_config(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::WriteRole => roles::exists(ctx, view).await,
        _ => Ok(true),
    }
}
