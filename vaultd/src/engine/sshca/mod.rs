//! The SSH CA: short-lived certificates for users and hosts, one-time passwords, and the list of what
//! is revoked.
//!
//! Promises: no certificate without principals, or with one that its role does not allow; nothing of a
//! request or of an identity reaches a certificate that could end a name, a list, a line or a command;
//! what a role restricts by default stays, unless the role says that callers may change it; no SHA-1,
//! DSA, or RSA below 2048 bits; a one-time password is good once. CA keys never leave. Does not promise:
//! a record of what was signed other than the audit log's.

mod issuer;
mod kind;
mod krl;
mod name;
mod option;
mod otp;
mod principal;
mod public;
mod role;
mod routes;
mod sign;
mod zero_address;

pub use otp::due;
pub use routes::{Call, ROWS};

use vault_ssh::PrivateKey;

use self::name::Name;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::policy::Templates;

/// What was worked out before the transaction.
#[derive(Default)]
pub struct Prepared {
    /// A new key, if the request asks for one.
    key: Option<PrivateKey>,
    /// What templates say of the caller.
    who: Option<Box<dyn Templates + Send + Sync>>,
    /// The system's lease times, in seconds.
    default_ttl: u64,
    max_ttl: u64,
}

/// Makes the key that is asked for, and looks up who asks.
pub async fn prepare(call: Call, ctx: &Ctx<'_>, outside: &Outside<'_>) -> Result<Prepared, Fault> {
    let key = match call {
        Call::WriteCa | Call::Import if issuer::generates(ctx.body())? => {
            Some(kind::of_authority(ctx.body())?)
        }
        Call::Issue => Some(kind::of_caller(ctx.body())?),
        _ => None,
    };
    let key = match key {
        Some(kind) => Some(kind::generate(kind, outside).await?),
        None => None,
    };
    let who = match (call, ctx.caller) {
        (Call::Sign | Call::Issue, Some(caller)) => outside.vault.templates(caller).await?,
        _ => None,
    };
    Ok(Prepared {
        key,
        who,
        default_ttl: outside.vault.ttl.default,
        max_ttl: outside.vault.ttl.max,
    })
}

/// Carries out one operation.
pub async fn run(
    call: Call,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    match call {
        Call::ReadCa => issuer::read_default(view).await,
        Call::WriteCa => issuer::write_ca(ctx, prepared, view).await,
        Call::DeleteCa => issuer::delete_all(view).await,
        Call::PublicKey => public::one(ctx, view).await,
        Call::PublicKeys => public::all(view).await,
        Call::ListIssuers => issuer::list(ctx, view).await,
        Call::Import => issuer::import(ctx, prepared, view).await,
        Call::ReadIssuer => issuer::read(ctx, view).await,
        Call::WriteIssuer => issuer::rename(ctx, view).await,
        Call::DeleteIssuer => issuer::delete(ctx, view).await,
        Call::ReadDefault => issuer::read_config(view).await,
        Call::WriteDefault => issuer::write_config(ctx, view).await,
        Call::ListRoles => role::list(ctx, view).await,
        Call::ReadRole => role::read(ctx, view).await,
        Call::WriteRole => role::write(ctx, view).await,
        Call::DeleteRole => role::delete(ctx, view).await,
        Call::Sign => sign::sign(ctx, prepared, view).await,
        Call::Issue => sign::issue(ctx, prepared, view).await,
        Call::Creds => otp::create(ctx, prepared, view).await,
        Call::Verify => otp::verify(ctx, view).await,
        Call::Lookup => zero_address::lookup(ctx, view).await,
        Call::ReadZeroAddress => zero_address::read(view).await,
        Call::WriteZeroAddress => zero_address::write(ctx, view).await,
        Call::DeleteZeroAddress => zero_address::delete(view).await,
        Call::Revoke => krl::revoke(ctx, view).await,
        Call::ListRevoked => krl::list(ctx, view).await,
        Call::Unrevoke => krl::unrevoke(ctx, view).await,
        Call::Krl => krl::serve(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match (call, Name::parse(ctx.param("name"), "role")) {
        (Call::WriteRole, Ok(name)) => Ok(view.exists(&name.role_row()).await?),
        // A bad name is refused once the policies have been asked.
        (Call::WriteRole, Err(_)) => Ok(false),
        _ => Ok(true),
    }
}
