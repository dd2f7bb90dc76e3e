//! KV, version 2: each secret is a row of numbered versions.
//!
//! Promises: values come back byte for byte, large integers included; a check-and-set write
//! succeeds only against the version that it names; a destroyed version's values are deleted in
//! the same transaction that says so; a secret made again never meets the values of its
//! predecessor of the same name. Does not promise: that values pruned by number or removed with
//! their metadata leave the disk at once if they are many; [`tidy`] finishes that.

mod config;
mod data;
mod encrypted;
mod limits;
mod merge;
mod metadata;
mod model;
mod purge;
mod routes;
mod versions;

pub use config::max_stale;
pub use metadata::{children, known};
pub use purge::tidy;
pub use routes::{Call, ROWS};
pub use versions::due;

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Carries out one operation.
pub async fn run(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match call {
        Call::Read => data::read(ctx, view).await,
        // Boxed, so that the future of a read is as small as a read.
        other => Box::pin(rarer(other, ctx, view)).await,
    }
}

async fn rarer(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    match call {
        Call::ReadConfig => config::read(view).await,
        Call::WriteConfig => config::write(ctx, view).await,
        Call::Read => data::read(ctx, view).await,
        Call::Write => data::write(ctx, view).await,
        Call::Patch => data::patch(ctx, view).await,
        Call::EncryptionKey => encrypted::public_key(ctx),
        Call::Decrypt => encrypted::decrypt(ctx),
        Call::Subkeys => data::subkeys(ctx, view).await,
        Call::DeleteLatest => versions::delete_latest(ctx, view).await,
        Call::Delete => versions::delete(ctx, view).await,
        Call::Undelete => versions::undelete(ctx, view).await,
        Call::Destroy => versions::destroy(ctx, view).await,
        Call::ReadMetadata => metadata::read(ctx, view).await,
        Call::WriteMetadata => metadata::write(ctx, view).await,
        Call::PatchMetadata => metadata::patch(ctx, view).await,
        Call::DeleteMetadata => metadata::delete(ctx, view).await,
        Call::List => metadata::list(ctx, view).await,
        Call::ListDetailed => metadata::list_detailed(ctx, view).await,
    }
}

/// Whether what a creating operation would create is there already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match call {
        Call::Write | Call::WriteMetadata => {
            let found = model::Metadata::find(view, ctx.param("path")).await?;
            Ok(found.is_some())
        }
        _ => Ok(true),
    }
}

/// The answer to a path that is no route of this engine; clients match on the text.
pub fn unknown_path() -> Reply {
    let text = "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints \
        to use. If using the Vault CLI, use 'vault kv get' for this operation.";
    Reply::none().warn(text).status(404)
}
