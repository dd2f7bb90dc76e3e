//! SSH keys that rotate without an outage: deploy keys of repositories, and keys of accounts on servers.
//!
//! Promises: a private half leaves only by `creds`; `sign` signs nothing but one login with that very
//! key; an old version is removed only after every target has accepted the new one in a real login and
//! whoever reads the key has fetched it, or the time for that is over; a failure leaves what worked
//! working, and says where, at which step, why, and what to do. Every step is stored before and after
//! it is taken, so that a rotation goes on where a stop left it. Does not promise: that a key which was
//! read is forgotten by who read it.

mod authorized_keys;
mod creds;
mod errand;
mod forge;
mod handshake;
mod index;
mod key;
mod keys;
mod known_hosts;
mod lines;
mod lookup;
mod name;
mod orders;
mod place;
mod published;
mod readers;
mod rotation;
mod routes;
mod servers;
mod settings;
mod show;
mod sign;
mod status;
mod target;
mod targets;
mod token;
mod work;

#[cfg(test)]
mod tests;

pub use errand::{Done, Errand};
pub use keys::Prepared;
pub use routes::{Call, ROWS};
pub use work::{due, remind, settle};

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What takes long, before the transaction.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::WriteKey => keys::prepare(ctx, view, outside).await,
        Call::ImportHost => published::ask(ctx, view, outside)
            .await
            .map(Prepared::Published),
        Call::ForgeToken => token::ask(ctx, view, outside).await.map(Prepared::Token),
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
    match call {
        Call::ReadConfig => settings::read(view).await,
        Call::WriteConfig => settings::write(ctx, view).await,
        Call::ListKeys => keys::list(ctx, view).await,
        Call::WriteKey => keys::write(ctx, prepared, view).await,
        Call::ReadKey => keys::read(ctx, view).await,
        Call::DeleteKey => keys::delete(ctx, view).await,
        Call::ListForges => forge::list(ctx, view).await,
        Call::WriteForge => forge::write(ctx, view).await,
        Call::ReadForge => forge::read(ctx, view).await,
        Call::DeleteForge => forge::delete(ctx, view).await,
        Call::ForgeToken => match prepared {
            Prepared::Token(given) => Ok(token::show(given)),
            _ => Err(Fault::Internal("nothing was prepared")),
        },
        Call::ListServers => servers::list(ctx, view).await,
        Call::WriteServer => servers::write(ctx, view).await,
        Call::ReadServer => servers::read(ctx, view).await,
        Call::DeleteServer => servers::delete(ctx, view).await,
        Call::ListTargets => targets::list(ctx, view).await,
        Call::WriteTarget => targets::write(ctx, view).await,
        Call::ReadTarget => targets::read(ctx, view).await,
        Call::DeleteTarget => targets::delete(ctx, view).await,
        Call::Rotate => orders::rotate(ctx, view).await,
        Call::Rollback => orders::rollback(ctx, view).await,
        Call::Verify => orders::verify(ctx, view).await,
        Call::Retire => orders::retire(ctx, view).await,
        Call::Status => status::read(ctx, view).await,
        Call::Board => status::board(ctx, view).await,
        Call::Lines => lines::read(ctx, view).await,
        Call::Public => creds::public(ctx, view).await,
        Call::Creds => creds::private(ctx, view).await,
        Call::Sign => sign::sign(ctx, view).await,
        Call::Lookup => lookup::lookup(ctx, view).await,
        Call::ListHosts => known_hosts::list(ctx, view).await,
        Call::WriteHost => known_hosts::write(ctx, view).await,
        Call::ReadHost => known_hosts::read(ctx, view).await,
        Call::DeleteHost => known_hosts::delete(ctx, view).await,
        Call::ImportHost => match prepared {
            Prepared::Published(published) => known_hosts::import(ctx, published, view).await,
            _ => Err(Fault::Internal("nothing was prepared")),
        },
        Call::CompareHost => known_hosts::compare(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match (call, name::Name::parse(ctx.param("name"))) {
        (Call::WriteKey, Ok(name)) => Ok(view.exists(&key::row(&name)).await?),
        // A bad name is refused once the policies have been asked.
        (Call::WriteKey, Err(_)) => Ok(false),
        _ => Ok(true),
    }
}
