//! KV, version 1: one set of values for each path, replaced by every write.
//!
//! Promises: values come back byte for byte, large integers included. Does not promise: any lease;
//! the duration that a read reports is advice to the client on when to read again.

mod routes;
mod secret;

pub use routes::{Call, ROWS};
pub(super) use secret::{answer, given};

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Carries out one operation.
pub async fn run(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match call {
        Call::Read => secret::read(ctx, view).await,
        Call::Write => secret::write(ctx, view).await,
        Call::Delete => secret::delete(ctx, view).await,
        Call::List => secret::list(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::Write => Ok(view.exists(ctx.param("path")).await?),
        _ => Ok(true),
    }
}
