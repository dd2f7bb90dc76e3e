//! What an operator asks of a key: rotate, roll back, verify, retire.

use super::key::{Key, row};
use super::rotation::{Rotation, Stage};
use super::target::Step;
use super::{status, work};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Begins a rotation; of one that is under way, tries again at once what failed.
pub(super) async fn rotate(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut key) = Key::named(ctx, view).await?;
    let emergency = ctx.body().bool("emergency")?.unwrap_or(false);
    if key.retired {
        return Err(Fault::invalid("the key is retired: make another one"));
    }
    let mut warning = None;
    match &mut key.rotation {
        None => {
            key.rotation = Some(Rotation::planned(key.current, emergency, ctx.now()));
            view.announce(&row(&name), "rotating", key.current);
        }
        Some(rotation) => {
            rotation.emergency |= emergency;
            warning = Some("a rotation is under way: what failed is tried again now");
        }
    }
    key.try_now(ctx.now());
    work::advance(&mut key, &name, ctx.now(), view).await?;
    let reply = status::reply(&name, &key, view).await?;
    Ok(match warning {
        Some(text) => reply.warn(text),
        None => reply,
    })
}

/// Back to the version from before, as long as no target has lost it.
pub(super) async fn rollback(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut key) = Key::named(ctx, view).await?;
    let Some(rotation) = key.rotation.clone() else {
        return Err(Fault::invalid(
            "no rotation is under way: there is nothing to go back to",
        ));
    };
    let now = ctx.now();
    let back = Rotation {
        old: rotation.new,
        new: rotation.old,
        is_back: true,
        ..rotation
    };
    key.rotation = match rotation.stage {
        Stage::Planned => None,
        // Nobody has read the new one.
        Stage::Publishing if !rotation.is_back => {
            key.unwant(rotation.new, now);
            Some(Rotation {
                stage: Stage::Removing,
                ..back
            })
        }
        Stage::Draining if !rotation.is_back => Some(Rotation {
            stage: Stage::Publishing,
            switched: None,
            ..back
        }),
        Stage::Removing if !rotation.is_back => {
            return Err(Fault::invalid(
                "the old version is being removed already: rotate once more instead",
            ));
        }
        _ => return Err(Fault::invalid("the rotation is being rolled back already")),
    };
    key.try_now(now);
    work::advance(&mut key, &name, now, view).await?;
    status::reply(&name, &key, view).await
}

/// Logs in everywhere once more.
pub(super) async fn verify(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut key) = Key::named(ctx, view).await?;
    for target in key.targets.values_mut() {
        for held in target
            .held
            .values_mut()
            .filter(|held| held.step == Step::Keep)
        {
            held.turn(Step::Prove, ctx.now());
        }
    }
    key.try_now(ctx.now());
    key.store(view, &name).await?;
    status::reply(&name, &key, view).await
}

/// Takes the key away from every target, for good.
pub(super) async fn retire(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut key) = Key::named(ctx, view).await?;
    key.retired = true;
    key.rotation = None;
    key.rotates_at = None;
    for target in key.targets.values_mut() {
        target.empty(ctx.now());
    }
    key.try_now(ctx.now());
    work::advance(&mut key, &name, ctx.now(), view).await?;
    status::reply(&name, &key, view).await
}
