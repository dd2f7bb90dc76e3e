//! Cert: a machine logs in with the certificate that it shows in the TLS handshake.
//!
//! Promises: the handshake has proved the key; here it is decided whether a role trusts the
//! certificate. A role that pins a certificate compares the whole of it. A role that trusts an
//! authority wants a valid path to it (RFC 5280): validity by the core's clock, basic constraints, path
//! lengths, key usage, name constraints, and a purpose that covers clients. Certificates of a stored
//! revocation list are refused, from the first request after a restart. A token is renewed only over a
//! connection with the same certificate. A role can have the responders of a certificate's issuer asked
//! at each login and renewal.

mod asked;
mod certificate;
mod config;
mod crl;
mod failure;
mod login;
mod matching;
mod model;
mod ocsp;
mod renewal;
mod role;
mod routes;
mod trust;

pub use renewal::{ask_again, renewed};
pub use routes::{Call, ROWS};

use self::asked::Asked;
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
    Asked(Box<Asked>),
    Fetched(Box<crl::Crl>),
}

/// Asks responders and fetches revocation lists, where the operation needs it.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    match call {
        Call::Login => match login::ask(ctx, view, outside).await {
            Ok(asked) => Ok(Prepared::Asked(Box::new(asked))),
            Err(fault) => Err(failure::describe(ctx, view, fault).await),
        },
        Call::WriteCrl => {
            let list = crl::fetched(ctx, view, outside.outbound).await?;
            Ok(list.map_or(Prepared::Nothing, |list| Prepared::Fetched(Box::new(list))))
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
    match call {
        Call::Login => match prepared {
            Prepared::Asked(asked) => match login::login(ctx, asked, view).await {
                Err(fault) => Err(failure::describe(ctx, view, fault).await),
                reply => reply,
            },
            _ => Err(Fault::Internal("nothing was prepared")),
        },
        Call::ListRoles => roles::list(ctx, view).await,
        Call::ReadRole => roles::read::<Role>(ctx, view).await,
        Call::WriteRole => Ok(roles::write::<Role>(ctx, view).await?.0),
        Call::DeleteRole => roles::delete(ctx, view).await,
        Call::ReadConfig => config::read(view).await,
        Call::WriteConfig => config::write(ctx, view).await,
        Call::ListCrls => crl::list(ctx, view).await,
        Call::ReadCrl => crl::read(ctx, view).await,
        Call::WriteCrl => match prepared {
            Prepared::Fetched(list) => crl::write(ctx, Some(list), view).await,
            _ => crl::write(ctx, None, view).await,
        },
        Call::DeleteCrl => crl::delete(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::WriteRole => roles::exists(ctx, view).await,
        _ => Ok(true),
    }
}
