//! Pki: authorities of one's own, on Vault's paths.
//!
//! Promises: limits of a role are checked on the names that the certificate will have, wherever they
//! come from; an issuer's key leaves only when it was asked for at its making; serial numbers have 159
//! random bits; no leaf outlives its issuer unless the issuer allows it; a revoked issuer signs
//! nothing. Does not promise: that a certificate is forgotten by who does not ask for revocations:
//! short lives do.

mod acme;
mod certs;
mod ends;
mod expiring;
mod format;
mod import;
mod issue;
mod issuer;
mod issuers;
mod key;
mod lists;
mod name;
mod ocsp;
mod revoke;
mod role;
mod root;
mod routes;
mod serial;
mod settings;
mod subject;
mod tidy;
mod validity;

use jiff::Timestamp;
use vault_crypto::PrivateKey;

pub use acme::{Done, Errand, due, remind, settle};
pub use expiring::{counts, endings};
pub use revoke::take_back;
pub use routes::{Call, ROWS};

use self::issuers::Form;
use self::lists::Kind;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::policy::Templates;

/// What was worked out before the transaction.
#[derive(Default)]
pub struct Prepared {
    /// A private key that nobody has yet.
    key: Option<PrivateKey>,
    /// What templates say of the caller.
    who: Option<Box<dyn Templates + Send + Sync>>,
    /// The system's lease times, in seconds.
    default_ttl: u64,
    max_ttl: u64,
}

impl Prepared {
    fn key(&self) -> Result<&PrivateKey, Fault> {
        self.key.as_ref().ok_or(Fault::Internal("no key was made"))
    }
}

/// New private keys, which take long with RSA, and lists of what is revoked, which may be long.
pub async fn prepare(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    prepare_lists(call, ctx, view, outside).await?;
    let kind = match call {
        Call::Issue => Some(role::Role::named(ctx, view).await?.kind()?),
        Call::GenerateRoot | Call::GenerateIntermediate if root::makes_key(ctx) => {
            Some(key::wanted(ctx.body())?)
        }
        Call::GenerateKey => Some(key::wanted(ctx.body())?),
        _ => None,
    };
    let key = match kind {
        Some(kind) => Some(key::make(kind, outside).await?),
        None => None,
    };
    let who = match (call, ctx.caller) {
        (Call::Issue | Call::Sign, Some(caller)) => outside.vault.templates(caller).await?,
        _ => None,
    };
    Ok(Prepared {
        key,
        who,
        default_ttl: outside.vault.ttl.default,
        max_ttl: outside.vault.ttl.max,
    })
}

async fn prepare_lists(
    call: Call,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<(), Fault> {
    let (issuer, kind) = match (call, ctx.param("serial")) {
        (Call::List | Call::ListPem, _) => (issuer(ctx), Kind::Complete),
        (Call::Delta | Call::DeltaPem, _) => (issuer(ctx), Kind::Delta),
        (Call::ReadCert | Call::CertDer | Call::CertPem, "crl" | "unified-crl") => {
            ("default", Kind::Complete)
        }
        (Call::ReadCert, "delta-crl" | "unified-delta-crl") => ("default", Kind::Delta),
        (Call::RotateLists, _) => return lists::rotate(Kind::Complete, ctx, view, outside).await,
        (Call::RotateDeltas, _) => return lists::rotate(Kind::Delta, ctx, view, outside).await,
        _ => return Ok(()),
    };
    lists::prepare(issuer, kind, ctx, view, outside).await
}

fn issuer<'a>(ctx: &'a Ctx<'_>) -> &'a str {
    match ctx.param("ref") {
        "" => "default",
        reference => reference,
    }
}

/// Carries out one operation.
pub async fn run(
    call: Call,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let issuer = issuer(ctx);
    match call {
        Call::Acme(call) => Box::pin(acme::run(call, ctx, prepared, view)).await,
        Call::ListRoles => ctx.list_in(view, "role").await,
        Call::ReadRole => role::read(ctx, view).await,
        Call::WriteRole => role::write(ctx, false, view).await,
        Call::PatchRole => role::write(ctx, true, view).await,
        Call::DeleteRole => role::delete(ctx, view).await,
        Call::Issue => Box::pin(issue::issue(ctx, prepared, view)).await,
        Call::Sign => Box::pin(issue::sign(ctx, prepared, view)).await,
        Call::SignVerbatim => Box::pin(issue::sign_verbatim(ctx, prepared, view)).await,
        Call::GenerateRoot => Box::pin(root::generate(ctx, prepared, view)).await,
        Call::GenerateIntermediate => Box::pin(root::request(ctx, prepared, view)).await,
        Call::CrossSign => Box::pin(root::cross_sign(ctx, view)).await,
        Call::SignIntermediate => Box::pin(root::sign_intermediate(ctx, prepared, view)).await,
        Call::SignSelfIssued => Box::pin(root::sign_self_issued(ctx, view)).await,
        Call::Import => Box::pin(import::import(ctx, true, view)).await,
        Call::ImportCertificates => Box::pin(import::import(ctx, false, view)).await,
        Call::DeleteRoot => issuers::delete_root(view).await,
        Call::ListIssuers => issuers::list(ctx, view).await,
        Call::ReadIssuer => issuers::read(ctx, view).await,
        Call::WriteIssuer => Box::pin(issuers::update(ctx, false, view)).await,
        Call::PatchIssuer => Box::pin(issuers::update(ctx, true, view)).await,
        Call::DeleteIssuer => issuers::delete(ctx, view).await,
        Call::RevokeIssuer => revoke::revoke_issuer(ctx, view).await,
        Call::IssuerJson => issuers::json(ctx, view).await,
        Call::IssuerDer | Call::CaDer => issuers::raw(issuer, Form::Der, view).await,
        Call::IssuerPem | Call::CaPem => issuers::raw(issuer, Form::Pem, view).await,
        Call::CaChain => issuers::raw(issuer, Form::Chain, view).await,
        Call::ReadIssuersConfig => issuers::read_config(view).await,
        Call::WriteIssuersConfig => issuers::write_config(ctx, view).await,
        Call::ListKeys => key::list(ctx, view).await,
        Call::ReadKey => key::read(ctx, view).await,
        Call::WriteKey => key::rename(ctx, view).await,
        Call::DeleteKey => key::delete(ctx, view).await,
        Call::GenerateKey => key::generate(ctx, prepared.key()?, view).await,
        Call::ImportKey => key::import(ctx, view).await,
        Call::ReadKeysConfig => key::read_config(view).await,
        Call::WriteKeysConfig => key::write_config(ctx, view).await,
        Call::ListCerts => certs::list(ctx, certs::FOLDER, view).await,
        Call::ListCertsDetailed => certs::list_detailed(ctx, view).await,
        Call::ListRevoked => certs::list_revoked(ctx, view).await,
        Call::ReadCert => Box::pin(certs::read(ctx, view)).await,
        Call::CertDer => Box::pin(certs::raw(ctx, false, view)).await,
        Call::CertPem => Box::pin(certs::raw(ctx, true, view)).await,
        Call::Revoke => Box::pin(revoke::revoke(ctx, false, view)).await,
        Call::RevokeWithKey => Box::pin(revoke::revoke(ctx, true, view)).await,
        Call::List => Box::pin(lists::raw(issuer, Kind::Complete, false, view)).await,
        Call::ListPem => Box::pin(lists::raw(issuer, Kind::Complete, true, view)).await,
        Call::Delta => Box::pin(lists::raw(issuer, Kind::Delta, false, view)).await,
        Call::DeltaPem => Box::pin(lists::raw(issuer, Kind::Delta, true, view)).await,
        Call::RotateLists | Call::RotateDeltas => Ok(lists::rotated()),
        Call::Ocsp => Box::pin(ocsp::answer(ctx, view)).await,
        Call::ReadUrls => settings::read_urls(view).await,
        Call::WriteUrls => settings::write_urls(ctx, view).await,
        Call::ReadCluster => settings::read_cluster(view).await,
        Call::WriteCluster => settings::write_cluster(ctx, view).await,
        Call::ReadLists => settings::read_lists(view).await,
        Call::WriteLists => settings::write_lists(ctx, view).await,
        Call::Expiring => Box::pin(expiring::read(ctx, view)).await,
        Call::Tidy => tidy::start(ctx, view).await,
        Call::TidyStatus => tidy::status(view).await,
        Call::TidyCancel => tidy::cancel(view).await,
        Call::ReadAutoTidy => tidy::read_auto(view).await,
        Call::WriteAutoTidy => tidy::write_auto(ctx, view).await,
    }
}

/// Clears a little of what is over; true if there is more.
pub async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    Ok(tidy::tidy(now, view).await? || acme::tidy(now, view).await?)
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match (call, name::role_row(ctx)) {
        (Call::WriteRole, Ok(row)) => Ok(view.exists(&row).await?),
        // A bad name is refused once the policies have been asked.
        (Call::WriteRole, Err(_)) => Ok(false),
        _ => Ok(true),
    }
}
