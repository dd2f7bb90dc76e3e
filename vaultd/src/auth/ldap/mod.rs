//! LDAP: a person logs in with his name and password in a directory.
//!
//! Promises: a name is escaped for the place where it stands (RFC 4514, 4515) and has one spelling,
//! so that neither lockout nor entity sees one person as two; a password is never empty, never stored,
//! and tried once for each login; an unknown name and a wrong password get the same answer. A name is
//! locked after a few wrong passwords (`core::lockout`). A renewal asks the directory again. Does not
//! promise that where it can be asked only with the person's password (groups without binddn): who
//! left a group keeps a token's policies until the next login there.

mod config;
mod directory;
mod login;
mod members;
mod model;
mod name;
mod renewal;
mod routes;

pub use renewal::{ask_again, renewed};
pub use routes::{Call, ROWS};

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What was worked out before the transaction.
pub enum Prepared {
    Nothing,
    Proven(Box<login::Proof>),
    Seen(Box<renewal::Seen>),
}

/// Asks the directory about a login.
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
        (Call::Login, Prepared::Proven(proof)) => login::login(ctx, proof, view).await,
        (Call::Login, _) => Err(Fault::Internal("nothing was prepared")),
        (Call::ReadConfig, _) => config::read(view).await,
        (Call::WriteConfig, _) => config::write(ctx, view).await,
        (Call::ListUsers, _) => ctx.list_in(view, "user").await,
        (Call::ReadUser, _) => members::read_user(ctx, view).await,
        (Call::WriteUser, _) => members::write_user(ctx, view).await,
        (Call::DeleteUser, _) => members::delete_user(ctx, view).await,
        (Call::ListGroups, _) => ctx.list_in(view, "group").await,
        (Call::ReadGroup, _) => members::read_group(ctx, view).await,
        (Call::WriteGroup, _) => members::write_group(ctx, view).await,
        (Call::DeleteGroup, _) => members::delete_group(ctx, view).await,
    }
}
