//! Certificates for public names from a public authority (ACME, RFC 8555): obtained, and renewed in time.
//!
//! Promises: a private key is made here, once for each order, and leaves only by `keypair`; what was
//! issued replaces the version before only if it is of that key, for those names, and good now; every
//! step is stored before and after it is taken, so that an order goes on where a stop left it; a failure
//! leaves the current version alone, and says at which step, why, and what to do; authorities' limits
//! are waited for. Programs are started only as the server's config names them. Does not promise: that
//! an authority is reached, or that a certificate which was read is served by who read it.

mod account;
mod cert;
mod certs;
mod client;
mod dns;
mod due;
mod errand;
mod issued;
mod keypair;
mod name;
mod routes;
mod schedule;
mod session;
mod show;
mod shown;
mod trouble;
mod work;

pub use errand::{Done, Errand};
pub use routes::{Call, ROWS};
pub use shown::{Handshake, endings, handshake, newest, response};
pub use work::{due, remind, settle};

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What was asked of an authority before the transaction.
#[derive(Default)]
pub enum Prepared {
    #[default]
    Nothing,
    AccountKey(client::Registered),
    /// This version.
    Revoked(u64),
}

/// A failure as a request's answer.
fn told(trouble: trouble::Trouble) -> Fault {
    Fault::invalid(format!("{}; what to do: {}", trouble.cause, trouble.hint))
}

/// What an authority is asked.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::RotateAccount => account::ask_rotation(ctx, view, outside).await,
        Call::Revoke => certs::ask_revocation(ctx, view, outside).await,
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
        Call::ListAccounts => account::list(ctx, view).await,
        Call::WriteAccount => account::write(ctx, view).await,
        Call::ReadAccount => account::read(ctx, view).await,
        Call::DeleteAccount => account::delete(ctx, view).await,
        Call::RotateAccount => match prepared {
            Prepared::AccountKey(key) => account::rotate(ctx, key, view).await,
            _ => Err(Fault::Internal("nothing was prepared")),
        },
        Call::ListDns => dns::list(ctx, view).await,
        Call::WriteDns => dns::write(ctx, view).await,
        Call::ReadDns => dns::read(ctx, view).await,
        Call::DeleteDns => dns::delete(ctx, view).await,
        Call::ListCerts => certs::list(ctx, view).await,
        Call::WriteCert => certs::write(ctx, view).await,
        Call::ReadCert => certs::read(ctx, view).await,
        Call::DeleteCert => certs::delete(ctx, view).await,
        Call::Renew => certs::renew(ctx, view).await,
        Call::Revoke => match prepared {
            Prepared::Revoked(version) => certs::revoke(ctx, *version, view).await,
            _ => Err(Fault::Internal("nothing was prepared")),
        },
        Call::History => certs::history(ctx, view).await,
        Call::Keypair => keypair::read(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    // A bad name is refused once the policies have been asked.
    let Ok(name) = name::Name::parse(ctx.param("name")) else {
        return Ok(false);
    };
    match call {
        Call::WriteAccount => Ok(view.exists(&account::row(&name)).await?),
        Call::WriteDns => dns::exists(view, &name).await,
        Call::WriteCert => Ok(view.exists(&cert::row(&name)).await?),
        _ => Ok(true),
    }
}
