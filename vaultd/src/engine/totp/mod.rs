//! TOTP (RFC 6238): makes and checks codes of six or eight digits that change every half minute.
//!
//! Promises: a code is accepted once, however many ask at the same time and however it is written;
//! only digits are a code; the key leaves only when it is generated, if it was not marked as not
//! exported. Does not promise: a limit on wrong guesses, which is the policies' and quotas' part. No
//! QR code is drawn: clients draw it from the URL.

mod code;
mod keys;
mod model;
mod routes;

pub use routes::{Call, ROWS};

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
        Call::Generate => code::generate(ctx, view).await,
        Call::Validate => code::validate(ctx, view).await,
    }
}

/// Nothing here tells creating from updating: a key is replaced by one of its name.
pub async fn exists(_: Call, _: &Ctx<'_>, _: &mut View<'_>) -> Result<bool, Fault> {
    Ok(true)
}
