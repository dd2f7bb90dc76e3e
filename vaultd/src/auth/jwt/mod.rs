//! JWT and OIDC: who logs in shows what an issuer says about him, signed; with OIDC he is sent to the
//! issuer first.
//!
//! Promises: only keys from the mount's config count, each with the algorithms of its kind; a claim
//! that does not match is named, its value is not; an issuer that is down stops no login with a key
//! known from the last day, also after a restart. A browser login has a state, a nonce and a PKCE verifier of its own (RFC
//! 7636) and works once; so does one on a device (RFC 8628). A role that would let in strangers, since
//! its issuer signs for everybody, is refused. Does not promise: that a stolen token is noticed before it expires.

mod claims;
mod config;
mod device;
mod door;
mod issuers;
mod login;
mod model;
mod oidc;
mod published;
mod role;
mod routes;
mod shared_issuer;
mod state;
mod used;

pub use issuers::Issuers;
pub(in crate::auth) use issuers::Signer;
pub(in crate::auth) use model::{Place, Source};
pub(in crate::auth) use published::tidy as tidy_published;
pub use role::renewed;
pub use routes::{Call, ROWS};
pub use used::tidy;

use serde_json::{Map, Value};

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
    Config(Box<config::Checked>),
    Token(Box<login::Proof>),
    /// Where to send the person.
    Begun(Map<String, Value>),
    IdToken(Box<oidc::Answered>),
}

/// Asks issuers, where the operation needs it.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::Login => login::prove(ctx, view, outside).await,
        Call::AuthUrl => oidc::begin(ctx, view, outside).await.map(Prepared::Begun),
        Call::Poll => device::poll(ctx, view, outside).await,
        Call::Callback => oidc::exchange(ctx, view, outside).await,
        Call::WriteConfig => {
            let checked = config::check(ctx, view, outside.outbound).await?;
            Ok(Prepared::Config(Box::new(checked)))
        }
        Call::ReadConfig
        | Call::ListRoles
        | Call::ReadRole
        | Call::WriteRole
        | Call::DeleteRole => Ok(Prepared::Nothing),
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
        (Call::Login, Prepared::Token(proof)) => login::login(ctx, proof, view).await,
        (Call::AuthUrl, Prepared::Begun(data)) => Ok(begun(data)),
        (Call::Callback | Call::Poll, Prepared::IdToken(answered)) => {
            oidc::login(ctx, answered, view).await
        }
        (Call::WriteConfig, Prepared::Config(checked)) => config::write(checked, view).await,
        (Call::ReadConfig, _) => config::read(view).await,
        (Call::ListRoles, _) => roles::list(ctx, view).await,
        (Call::ReadRole, _) => roles::read::<Role>(ctx, view).await,
        (Call::WriteRole, _) => role::write(ctx, view).await,
        (Call::DeleteRole, _) => roles::delete(ctx, view).await,
        (Call::Login | Call::AuthUrl | Call::Callback | Call::Poll | Call::WriteConfig, _) => {
            Err(Fault::Internal("nothing was prepared"))
        }
    }
}

fn begun(data: &Map<String, Value>) -> Reply {
    let reply = Reply::map(data.clone());
    let nowhere = data["auth_url"]
        .as_str()
        .is_some_and(|url| url.starts_with('?'));
    match nowhere {
        true => reply.warn("the provider has no authorization_endpoint: nobody can be sent there"),
        false => reply,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::WriteRole => roles::exists(ctx, view).await,
        _ => Ok(true),
    }
}
