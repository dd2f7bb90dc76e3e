//! `identity/oidc/`: tokens that say to others who somebody is (OpenID Connect Core 1.0).
//!
//! Promises: a token says of its caller's own entity only; template values are data and stay data; a
//! private key never leaves. Does not promise that a token ends with what it says: it is believed until
//! it expires, as far as its reader does not ask `introspect`.

mod claims;
mod config;
mod jws;
mod key;
mod role;

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ConfigRead,
    ConfigWrite,
    KeyList,
    KeyRead,
    KeyWrite,
    KeyDelete,
    KeyRotate,
    RoleList,
    RoleRead,
    RoleWrite,
    RoleDelete,
    Token,
    Introspect,
    Discovery,
    PublicKeys,
}

pub async fn run(
    vault: &Unsealed,
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    match call {
        Call::ConfigRead => config::read(view).await,
        Call::ConfigWrite => config::write(ctx, view).await,
        Call::KeyList => key::list(ctx, view).await,
        Call::KeyRead => key::read(ctx, view).await,
        Call::KeyWrite => key::write(ctx, view).await,
        Call::KeyDelete => key::delete(ctx, view).await,
        Call::KeyRotate => key::rotate(ctx, view).await,
        Call::RoleList => role::list(ctx, view).await,
        Call::RoleRead => role::read(ctx, view).await,
        Call::RoleWrite => role::write(ctx, view).await,
        Call::RoleDelete => role::delete(ctx, view).await,
        Call::Token => role::token(vault, ctx, view).await,
        Call::Introspect => role::introspect(ctx, view).await,
        Call::Discovery => config::discovery(view).await,
        Call::PublicKeys => config::keys(ctx, view).await,
    }
}

/// The row of something with a name.
fn row(folder: &str, name: &str) -> Result<String, Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let fits = (1..=128).contains(&name.len()) && name.bytes().all(plain);
    match fits && name != "." && name != ".." {
        true => Ok(format!("{folder}/{name}")),
        false => Err(Fault::invalid(
            "invalid name: use 1 to 128 letters, digits, '_', '-' or '.'",
        )),
    }
}
