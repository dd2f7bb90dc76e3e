//! Making, taking over, showing and deleting keys.

use super::key::{FOLDER, Key, KeyType, Pair};
use super::name::{self, Name};
use super::published::Published;
use super::settings::{self, Settings};
use super::{index, readers, show, token};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// What was worked out before the transaction.
#[derive(Default)]
pub enum Prepared {
    #[default]
    Nothing,
    /// A pair for a key that was not there.
    Pair(Pair),
    /// The keys of a host.
    Published(Published),
    /// A token that a forge gave.
    Token(token::Given),
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, key) = Key::named(ctx, view).await?;
    show::key(&name, &key, view).await
}

/// RSA keys take seconds to make.
pub(super) async fn prepare(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    if Key::find(view, &name).await?.is_some() || ctx.body().asks("private_key") {
        return Ok(Prepared::Nothing);
    }
    let kind = key_type(ctx, view).await?;
    let random = std::sync::Arc::clone(outside.random);
    let pair = outside.slow.run(move || Pair::generate(kind, &*random));
    Ok(Prepared::Pair(pair.await??))
}

async fn key_type(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<KeyType, Fault> {
    match ctx.body().string("key_type")? {
        Some(text) => KeyType::parse(&text),
        None => Ok(Settings::load(view).await?.key_type),
    }
}

pub(super) async fn write(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let (name, body) = (Name::parse(ctx.param("name"))?, ctx.body());
    let found = Key::find(view, &name).await?;
    let is_new = found.is_none();
    let mut key = match found {
        Some(key) => key,
        None => Key::new(key_type(ctx, view).await?, ctx.now()),
    };
    if let Some(text) = body.string("key_type")? {
        key.key_type = KeyType::parse(&text)?;
    }
    if let Some(text) = body.string("comment")? {
        key.comment = name::comment(text)?;
    }
    if let Some(period) = body.seconds("rotation_period")? {
        key.rotation_period = Some(settings::rotation_period(period)?);
        key.plan(&Settings::load(view).await?, ctx.now());
    }
    if let Some(grace) = body.seconds("grace")? {
        key.grace = Some(grace);
    }
    let given = body.string("private_key")?.filter(|text| !text.is_empty());
    match (given.map(zeroize::Zeroizing::new), is_new) {
        (Some(_), false) => {
            return Err(Fault::invalid(
                "the key exists: private_key takes a key over only under a new name",
            ));
        }
        (Some(text), true) => {
            let pair = Pair::parse(&text)?;
            key.current = key
                .add_version(&pair, &name, ctx.now(), ctx.random, view)
                .await?;
        }
        (None, true) => {
            let Prepared::Pair(pair) = prepared else {
                return Err(Fault::Conflict);
            };
            key.current = key
                .add_version(pair, &name, ctx.now(), ctx.random, view)
                .await?;
        }
        (None, false) => {}
    }
    if is_new {
        key.plan(&Settings::load(view).await?, ctx.now());
    }
    key.store(view, &name).await?;
    if is_new {
        view.announce(&super::key::row(&name), "created", key.current);
    }
    show::key(&name, &key, view).await
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    let Some(mut key) = Key::find(view, &name).await? else {
        return Ok(Reply::none());
    };
    let mut held = key.targets.values().map(|target| &target.held);
    if !held.all(|held| held.is_empty()) {
        return Err(Fault::invalid(
            "the key has targets: retire it first, or delete them, so that nobody accepts it any more",
        ));
    }
    for id in key.targets.keys() {
        index::remove(id, &key, &name, view).await?;
    }
    let versions: Vec<u64> = key.versions.keys().copied().collect();
    for version in versions {
        key.drop_version(version, &name, view).await?;
    }
    readers::forget(view, &name).await?;
    view.delete(&super::key::busy_row(&name)).await?;
    view.delete(&super::key::row(&name)).await?;
    view.announce(&super::key::row(&name), "deleted", key.last);
    Ok(Reply::none())
}
