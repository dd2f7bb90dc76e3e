//! Deleting, undeleting and destroying versions. Numbers of versions that are not there are skipped.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::limits::Limits;
use super::model::{Metadata, version_row};
use super::purge::CHUNK;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn delete_latest(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let Some(metadata) = Metadata::load(view, ctx.param("path")).await? else {
        return Ok(Reply::none());
    };
    let latest = BTreeSet::from([metadata.current]);
    mark_deleted(ctx, view, metadata, latest).await
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let numbers = given(ctx)?;
    let Some(metadata) = Metadata::load(view, ctx.param("path")).await? else {
        return Ok(Reply::none());
    };
    mark_deleted(ctx, view, metadata, numbers).await
}

async fn mark_deleted(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    mut metadata: Metadata,
    numbers: BTreeSet<u64>,
) -> Result<Reply, Fault> {
    for number in numbers {
        if let Some(version) = metadata.version_mut(number)
            && !version.is_gone(ctx.now())
        {
            version.deletion = Some(ctx.now());
        }
    }
    metadata
        .store(view, ctx.param("path"), "delete", ctx.now())
        .await?;
    Ok(Reply::none())
}

/// Versions that would delete themselves get their whole time again.
pub(super) async fn undelete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let numbers = given(ctx)?;
    let Some(mut metadata) = Metadata::load(view, ctx.param("path")).await? else {
        return Ok(Reply::none());
    };
    let engine = Limits::of_engine(view).await?;
    let deletion = metadata
        .limits
        .delete_after
        .deletion(engine.delete_after, ctx.now());
    for number in numbers {
        if let Some(version) = metadata.version_mut(number)
            && !version.destroyed
            && version.deletion.is_some()
        {
            version.deletion = deletion;
        }
    }
    metadata
        .store(view, ctx.param("path"), "undelete", ctx.now())
        .await?;
    Ok(Reply::none())
}

pub(super) async fn destroy(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let numbers = given(ctx)?;
    let Some(mut metadata) = Metadata::load(view, ctx.param("path")).await? else {
        return Ok(Reply::none());
    };
    let mut destroyed = 0;
    for number in numbers {
        let Some(version) = metadata
            .version_mut(number)
            .filter(|version| !version.destroyed)
        else {
            continue;
        };
        version.destroyed = true;
        destroyed += 1;
        if destroyed > CHUNK {
            return Err(Fault::invalid(format!(
                "at most {CHUNK} versions can be destroyed by one call; name fewer"
            )));
        }
        let row = metadata.row(number);
        view.delete_unlisted(&version_row(&metadata.id, row))
            .await?;
    }
    metadata
        .store(view, ctx.param("path"), "destroy", ctx.now())
        .await?;
    Ok(Reply::none())
}

/// The time came at which versions delete themselves.
pub async fn due(view: &mut View<'_>, path: &str, now: Timestamp) -> Result<(), Fault> {
    match Metadata::load(view, path).await? {
        Some(metadata) if metadata.due.is_some_and(|at| at <= now) => {
            metadata.store(view, path, "delete", now).await
        }
        _ => Ok(()),
    }
}

fn given(ctx: &Ctx<'_>) -> Result<BTreeSet<u64>, Fault> {
    match ctx.body().ints("versions")? {
        // A negative number names no version, as any other that is not there.
        Some(numbers) if !numbers.is_empty() => Ok(numbers
            .into_iter()
            .filter_map(|n| u64::try_from(n).ok())
            .collect()),
        _ => Err(Fault::invalid("No version number provided")),
    }
}
