//! Reading and writing values. They stay JSON text from the request to the row and back.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::encrypted;
use super::limits::Limits;
use super::merge::{is_object, merge, structure};
use super::model::{Metadata, Newest, metadata_row, version_row};
use super::purge;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{Data, Reply};

/// `GET data/<path>`: two rows are read.
pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let metadata = found(ctx, view).await?;
    let number = wanted(ctx, &metadata)?;
    match values(ctx, view, &metadata, number).await? {
        Some(values) if number == metadata.current => newest(&metadata, &values),
        Some(values) => answer(&metadata, number, "data", &values),
        None => gone(&metadata, number, "data"),
    }
}

pub(super) async fn subkeys(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let depth = ctx.body().int("depth")?.unwrap_or(0);
    let depth = usize::try_from(depth).map_err(|_| Fault::invalid("depth must not be negative"))?;
    let metadata = found(ctx, view).await?;
    let number = wanted(ctx, &metadata)?;
    match values(ctx, view, &metadata, number).await? {
        Some(values) => {
            let raw: &RawValue = serde_json::from_str(&values).map_err(|_| damaged(ctx))?;
            let keys = structure(raw, depth).map_err(|_| damaged(ctx))?;
            answer(&metadata, number, "subkeys", &keys.to_string())
        }
        None => gone(&metadata, number, "subkeys"),
    }
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (values, cas) = (given(ctx.body())?, expected(ctx.body())?);
    let engine = Limits::of_engine(view).await?;
    let metadata = Metadata::load_or_new(ctx, view).await?;
    check(cas, &engine, &metadata)?;
    let opened = encrypted::given(ctx, values)?;
    let values = opened.as_deref().unwrap_or(values);
    if option(ctx.body(), "unless_same")?
        && is_current(ctx, view, &metadata, values).await?
        && let Some(version) = metadata.version(metadata.current)
    {
        return Reply::of(&metadata.show_version(metadata.current, version));
    }
    append(ctx, view, &engine, metadata, values).await
}

/// Whether the latest version has exactly these values.
async fn is_current(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    metadata: &Metadata,
    given: &RawValue,
) -> Result<bool, Fault> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let stored = values(ctx, view, metadata, metadata.current).await?;
    Ok(stored.is_some_and(|stored| parse(&stored) == parse(given.get())))
}

/// RFC 7396 against the latest version.
pub(super) async fn patch(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (changes, cas) = (given(ctx.body())?, expected(ctx.body())?);
    let engine = Limits::of_engine(view).await?;
    let metadata = found(ctx, view).await?;
    check(cas, &engine, &metadata)?;
    let number = metadata.current;
    if metadata.version(number).is_none() {
        return Err(Fault::Missing);
    }
    let Some(old) = values(ctx, view, &metadata, number).await? else {
        return gone(&metadata, number, "data");
    };
    let old: &RawValue = serde_json::from_str(&old).map_err(|_| damaged(ctx))?;
    let opened = encrypted::given(ctx, changes)?;
    let changes = opened.as_deref().unwrap_or(changes);
    let merged = merge(Some(old), changes).map_err(|_| Fault::Internal("merge values"))?;
    append(ctx, view, &engine, Arc::unwrap_or_clone(metadata), &merged).await
}

async fn append(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    engine: &Limits,
    mut metadata: Metadata,
    values: &RawValue,
) -> Result<Reply, Fault> {
    let superfluous = metadata.push(engine, ctx.now());
    let number = metadata.current;
    let shown = metadata.version(number);
    let shown = shown.map(|version| metadata.show_version(number, version));
    let row = metadata.row(number);
    let place = version_row(&metadata.id, row);
    match row == number {
        // A number is given to one version only.
        true => view.put_new(&place, &values)?,
        false => {
            let values = of_version(number, values);
            view.put_unlisted_bytes(&place, &values).await?;
        }
    }
    purge::few(view, &metadata.id, superfluous).await?;
    metadata
        .store(view, ctx.param("path"), "write", ctx.now())
        .await?;
    match shown {
        Some(shown) => Reply::of(&shown),
        None => Err(Fault::Internal("a version that was just added is missing")),
    }
}

async fn found(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Arc<Metadata>, Fault> {
    Metadata::find(view, ctx.param("path"))
        .await?
        .ok_or(Fault::Missing)
}

/// The version asked for; it is among those that are kept.
fn wanted(ctx: &Ctx<'_>, metadata: &Metadata) -> Result<u64, Fault> {
    let asked = ctx
        .body()
        .int("version")?
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| *number > 0);
    let number = asked.unwrap_or(metadata.current);
    metadata
        .version(number)
        .map(|_| number)
        .ok_or(Fault::Missing)
}

/// The values as JSON text; `None` if they were deleted or destroyed.
async fn values(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    metadata: &Metadata,
    number: u64,
) -> Result<Option<Zeroizing<String>>, Fault> {
    if metadata
        .version(number)
        .is_none_or(|version| version.is_gone(ctx.now()))
    {
        return Ok(None);
    }
    let row = metadata.row(number);
    let mut bytes = view
        .get_bytes(&version_row(&metadata.id, row))
        .await?
        .ok_or_else(|| damaged(ctx))?;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|_| damaged(ctx))?;
    let mut text = Zeroizing::new(text);
    if row != number {
        let start = start_of(number, &text).ok_or_else(|| damaged(ctx))?;
        text.drain(..start);
    }
    Ok(Some(text))
}

/// A row that had another version's values names the version: those that were in it before, put back
/// from an older copy, are not taken for these.
fn of_version(number: u64, values: &RawValue) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([number.to_string().as_bytes(), b" ", values.get().as_bytes()].concat())
}

/// Where the values start, if they are of this version.
fn start_of(number: u64, text: &str) -> Option<usize> {
    let (named, _) = text.split_once(' ')?;
    (named.parse() == Ok(number)).then_some(named.len() + 1)
}

fn damaged(ctx: &Ctx<'_>) -> Fault {
    Fault::Damaged(metadata_row(ctx.param("path")))
}

fn answer(metadata: &Metadata, number: u64, name: &str, values: &str) -> Result<Reply, Fault> {
    let shown = shown(metadata, number)?;
    Ok(Reply {
        data: Data::Raw(joined(name, values, &shown)),
        ..Reply::default()
    })
}

/// The newest version with its values is what nearly everybody asks for: but for the values, what is
/// said of it is kept.
fn newest(metadata: &Metadata, values: &str) -> Result<Reply, Fault> {
    let newest = match metadata.newest.get() {
        Some(newest) => newest,
        None => {
            let shown = shown(metadata, metadata.current)?;
            metadata.newest.get_or_init(|| Newest::new(shown))
        }
    };
    Ok(Reply {
        data: Data::Raw(joined("data", values, &newest.shown)),
        recorded: Some(Arc::clone(&newest.recorded)),
        ..Reply::default()
    })
}

fn shown(metadata: &Metadata, number: u64) -> Result<String, Fault> {
    let version = metadata.version(number).ok_or(Fault::Missing)?;
    serde_json::to_string(&metadata.show_version(number, version))
        .map_err(|_| Fault::Internal("serialise reply"))
}

/// Values are not parsed again: they were checked when they came in.
fn joined(name: &str, values: &str, metadata: &str) -> String {
    let parts = ["{\"", name, "\":", values, ",\"metadata\":", metadata, "}"];
    parts.concat()
}

/// 404 with the metadata, which clients take for a result.
fn gone(metadata: &Metadata, number: u64, name: &str) -> Result<Reply, Fault> {
    answer(metadata, number, name, "null").map(|reply| reply.status(404))
}

fn given(body: &Body) -> Result<&RawValue, Fault> {
    match body.raw("data") {
        None => Err(Fault::invalid("no data provided")),
        Some(raw) if is_object(raw) => Ok(raw),
        Some(_) => Err(Fault::invalid(
            "error converting input for field \"data\": expected an object",
        )),
    }
}

/// `options.cas`: the version that the client believes is current.
fn expected(body: &Body) -> Result<Option<i64>, Fault> {
    let unreadable =
        || Fault::invalid("error parsing check-and-set parameter: expected an integer");
    let Some(mut options) = body.map("options")? else {
        return Ok(None);
    };
    match options.remove("cas") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_i64().map(Some).ok_or_else(unreadable),
        Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| unreadable()),
        Some(_) => Err(unreadable()),
    }
}

/// A switch among the options of a write.
pub(super) fn option(body: &Body, name: &str) -> Result<bool, Fault> {
    let options = body.map("options")?.unwrap_or_default();
    match options.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(set)) => Ok(*set),
        Some(_) => Err(Fault::invalid(format!(
            "options.{name} must be true or false"
        ))),
    }
}

fn check(cas: Option<i64>, engine: &Limits, metadata: &Metadata) -> Result<(), Fault> {
    match cas {
        Some(cas) if u64::try_from(cas) == Ok(metadata.current) => Ok(()),
        Some(_) => Err(Fault::invalid(
            "check-and-set parameter did not match the current version",
        )),
        None if engine.cas_required || metadata.limits.cas_required => Err(Fault::invalid(
            "check-and-set parameter required for this call",
        )),
        None => Ok(()),
    }
}
