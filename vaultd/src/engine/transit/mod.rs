//! Transit: encryption, signatures and HMACs as a service; callers name keys and never see them.
//!
//! Promises: key material leaves only by `export` and `backup`, and only if the key was made
//! exportable, which cannot be undone; what a key encrypted opens under the same key, context and
//! associated data only; no caller chooses a nonce; versions below the minimum are refused for every
//! operation. Does not promise: a limit on messages under one version. AES-GCM nonces are random and
//! 96 bits long: rotate before 2^32 messages, or use `xchacha20-poly1305`.

mod backup;
mod batch;
mod byok;
mod certificates;
mod cipher;
mod cmac;
mod encrypt;
mod export;
mod hash;
mod import;
mod keys;
mod later;
mod model;
mod public;
mod routes;
mod settings;
mod show;
mod sign;
mod signature;
mod tools;
mod version;

pub use later::tidy;
pub use routes::{Call, ROWS};
pub use tools::{hash, random};

use self::model::KeyName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Carries out one operation.
pub async fn run(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match call {
        Call::List => keys::list(ctx, view).await,
        Call::Create => keys::create(ctx, view).await,
        Call::Read => keys::read(ctx, view).await,
        Call::Delete => keys::delete(ctx, view).await,
        Call::Configure => keys::configure(ctx, view).await,
        Call::Rotate => keys::rotate(ctx, view).await,
        Call::SoftDelete => keys::soft_delete(ctx, view, true).await,
        Call::SoftRestore => keys::soft_delete(ctx, view, false).await,
        Call::Import => import::import(ctx, view).await,
        Call::ImportVersion => import::import_version(ctx, view).await,
        Call::WrappingKey => import::wrapping_key(view).await,
        Call::ReadCache => settings::read_cache(view).await,
        Call::WriteCache => settings::write_cache(ctx, view).await,
        Call::Trim => keys::trim(ctx, view).await,
        Call::ReadSettings => settings::read(view).await,
        Call::WriteSettings => settings::write(ctx, view).await,
        Call::Export => export::export(ctx, view).await,
        Call::ByokExport => byok::export(ctx, view).await,
        Call::Csr => certificates::csr(ctx, view).await,
        Call::SetCertificate => certificates::set_chain(ctx, view).await,
        Call::Cmac => cmac::make(ctx, view).await,
        Call::Backup => backup::backup(ctx, view).await,
        Call::Restore => backup::restore(ctx, view).await,
        Call::Encrypt => encrypt::encrypt(ctx, view).await,
        Call::Decrypt => encrypt::decrypt(ctx, view).await,
        Call::Rewrap => encrypt::rewrap(ctx, view).await,
        Call::DataKey => encrypt::data_key(ctx, view).await,
        Call::Hmac => sign::hmac(ctx, view).await,
        Call::Sign => sign::sign(ctx, view).await,
        Call::Verify => sign::verify(ctx, view).await,
        Call::Random => tools::random(ctx),
        Call::Hash => tools::hash(ctx),
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match (call, KeyName::parse(ctx.param("name"))) {
        (Call::Encrypt, Ok(name)) => Ok(view.exists(&name.row()).await?),
        // A bad name is refused once the policies have been asked.
        (Call::Encrypt, Err(_)) => Ok(false),
        _ => Ok(true),
    }
}
