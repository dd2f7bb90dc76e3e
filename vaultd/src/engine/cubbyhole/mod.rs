//! Cubbyhole: values that only the token that wrote them can read, and that end with it.
//!
//! Promises: a folder is named by the token's fingerprint, which comes from authentication and never
//! from the request, so no path leads into the folder of another token, whatever its policies.

mod purge;
mod routes;

pub use purge::purge;
pub use routes::{Call, ROWS};

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::kv1;

/// Carries out one operation.
pub async fn run(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match call {
        Call::Read => read(ctx, view).await,
        Call::Write => write(ctx, view).await,
        Call::Delete => delete(ctx, view).await,
        Call::List => list(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::Write => Ok(view.exists(&own_row(ctx)?).await?),
        _ => Ok(true),
    }
}

/// Deeper values could not be removed within one transaction, and their token not be revoked.
const DEPTH: usize = 32;

/// The row of a value in the cubbyhole of this id.
pub fn row(id: &str, path: &str) -> String {
    format!("{id}/{path}")
}

fn own_row(ctx: &Ctx<'_>) -> Result<String, Fault> {
    Ok(row(
        ctx.caller.ok_or(Fault::BadToken)?.cubbyhole()?,
        ctx.param("path"),
    ))
}

async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let Some(bytes) = view.get_bytes(&own_row(ctx)?).await? else {
        return Err(Fault::Missing);
    };
    kv1::answer(ctx.param("path"), &bytes)
}

async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    if ctx.param("path").split('/').count() > DEPTH {
        return Err(Fault::invalid(format!(
            "a path in a cubbyhole has at most {DEPTH} parts"
        )));
    }
    view.put(&own_row(ctx)?, &kv1::given(ctx.body())?).await?;
    Ok(Reply::none())
}

async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&own_row(ctx)?).await?;
    Ok(Reply::none())
}

async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, own_row(ctx)?.trim_end_matches('/')).await
}
