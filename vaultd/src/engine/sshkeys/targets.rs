//! Where a key is to be good.

use super::index;
use super::key::{Key, row};
use super::name::Name;
use super::place::Place;
use super::target::{Held, Step, Target};
use super::{show, status, work};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// All are in one row.
const MAX: usize = 500;

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, key) = Key::named(ctx, view).await?;
    ctx.list(key.targets.keys().cloned().collect())
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, key) = Key::named(ctx, view).await?;
    let target = key.targets.get(ctx.param("id")).ok_or(Fault::Missing)?;
    Ok(Reply::json(show::target(target)))
}

/// The key is put there at once, and proved.
pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut key) = Key::named(ctx, view).await?;
    let (id, place, now) = (
        Name::parse(ctx.param("id"))?,
        Place::parse(ctx.body())?,
        ctx.now(),
    );
    if key.retired {
        return Err(Fault::invalid("the key is retired: make another one"));
    }
    match key.targets.get(id.as_str()) {
        Some(target) if target.leaving => {
            return Err(Fault::invalid(
                "the target is being deleted: wait until it is gone",
            ));
        }
        Some(target) if target.place == place => return Ok(Reply::json(show::target(target))),
        Some(_) => {
            return Err(Fault::invalid(
                "the target exists and is elsewhere: delete it first, or use another id",
            ));
        }
        None if key
            .targets
            .values()
            .any(|target| target.place.is_same(&place)) =>
        {
            return Err(Fault::invalid(
                "the key has a target at that very place already",
            ));
        }
        None if key.targets.len() >= MAX => {
            return Err(Fault::invalid(
                "a key has at most 500 targets: make another key",
            ));
        }
        None => {}
    }
    check(&place, view).await?;
    let mut target = Target::new(place);
    let publish = || Held::to(Step::Publish, now);
    target.held.insert(key.current, publish());
    if let Some(rotation) = key.rotation.as_ref().filter(|rotation| rotation.new > 0) {
        target.held.entry(rotation.new).or_insert_with(publish);
    }
    index::add(&target.place, &name, view).await?;
    key.targets.insert(id.as_str().to_owned(), target);
    view.announce(&row(&name), "target-added", key.current);
    key.store(view, &name).await?;
    status::reply(&name, &key, view).await
}

async fn check(place: &Place, view: &mut View<'_>) -> Result<(), Fault> {
    let is_there = match place {
        Place::Repository { forge, .. } => view.exists(&format!("forges/{forge}")).await?,
        Place::Server { server, .. } => view.exists(&format!("servers/{server}")).await?,
        Place::Command { .. } => true,
    };
    match is_there {
        true => Ok(()),
        false => Err(Fault::invalid(
            "there is no such forge or server: write it first",
        )),
    }
}

/// The key is taken away there first; with `force`, it is only forgotten.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, mut key) = Key::named(ctx, view).await?;
    let force = ctx.body().bool("force")?.unwrap_or(false);
    index::remove(ctx.param("id"), &key, &name, view).await?;
    let Some(target) = key.targets.get_mut(ctx.param("id")) else {
        return Ok(Reply::none());
    };
    target.leaving = true;
    target.empty(ctx.now());
    if force {
        target.held.clear();
    }
    view.announce(&row(&name), "target-removed", key.current);
    work::advance(&mut key, &name, ctx.now(), view).await?;
    status::reply(&name, &key, view).await
}
