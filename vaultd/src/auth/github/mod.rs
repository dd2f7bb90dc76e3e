//! GitHub: a member of an organisation logs in with a GitHub token, and gets what his teams get.
//!
//! Promises: membership is compared by the organisation's number, which nobody else can get; the
//! token is sent to the configured GitHub only, over TLS, and not kept. Does not promise: that who
//! leaves the organisation loses a token that was issued; `token_max_ttl` bounds that.

mod api;
mod config;
mod login;
mod map;
mod routes;

pub use login::renewed;
pub use routes::{Call, ROWS};

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What was worked out before the transaction.
pub enum Prepared {
    Nothing,
    Config(Box<config::Config>),
    Member(Box<login::Member>),
}

/// Asks GitHub, where the operation needs it.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::Login => login::prove(ctx, view, outside).await,
        Call::WriteConfig => {
            let config = config::check(ctx, view, outside).await?;
            Ok(Prepared::Config(Box::new(config)))
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
        (Call::Login, Prepared::Member(member)) => login::login(ctx, member, view).await,
        (Call::WriteConfig, Prepared::Config(config)) => config::write(config, view).await,
        (Call::Login | Call::WriteConfig, _) => Err(Fault::Internal("nothing was prepared")),
        (Call::ReadConfig, _) => config::read(view).await,
        (Call::ListMaps(whose), _) => map::list(whose, ctx, view).await,
        (Call::ReadMap(whose), _) => map::read(whose, ctx, view).await,
        (Call::WriteMap(whose), _) => map::write(whose, ctx, view).await,
        (Call::DeleteMap(whose), _) => map::delete(whose, ctx, view).await,
    }
}
