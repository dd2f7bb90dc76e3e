//! Who reads a key, and which version they have: a rotation waits for them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::name::Name;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;

/// One who reads again and again costs no more than one write in this time.
const PRECISION: SignedDuration = SignedDuration::from_secs(60);
/// Who has not read for so long is no reader any more.
const MEMORY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The oldest are forgotten beyond it.
const MAX: usize = 1000;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Readers {
    /// By entity, or by accessor for a token of no entity.
    pub seen: BTreeMap<String, Reader>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Reader {
    pub name: String,
    pub version: u64,
    pub at: Timestamp,
}

fn row(name: &Name) -> String {
    format!("readers/{}", name.as_str())
}

impl Readers {
    pub(super) async fn load(view: &mut View<'_>, name: &Name) -> Result<Readers, Fault> {
        Ok(view.get(&row(name)).await?.unwrap_or_default())
    }
}

/// Remembers that the caller has a version now.
pub(super) async fn note(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    name: &Name,
    version: u64,
) -> Result<(), Fault> {
    let Some(caller) = ctx.caller else {
        return Ok(());
    };
    let (token, now) = (&caller.token, ctx.now());
    let id = match (token.entity_id.as_str(), token.accessor.as_str()) {
        ("", "") => &*caller.id,
        ("", accessor) => accessor,
        (entity, _) => entity,
    };
    let mut readers = Readers::load(view, name).await?;
    let known = readers.seen.get(id);
    if known.is_some_and(|reader| {
        reader.version == version && now.duration_since(reader.at) < PRECISION
    }) {
        return Ok(());
    }
    let reader = Reader {
        name: token.display_name.clone(),
        version,
        at: now,
    };
    readers.seen.insert(id.to_owned(), reader);
    readers
        .seen
        .retain(|_, reader| now.duration_since(reader.at) < MEMORY);
    while readers.seen.len() > MAX {
        let oldest = readers.seen.iter().min_by_key(|(_, reader)| reader.at);
        let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
            break;
        };
        readers.seen.remove(&oldest);
    }
    Ok(view.put(&row(name), &readers).await?)
}

pub(super) async fn forget(view: &mut View<'_>, name: &Name) -> Result<(), Fault> {
    Ok(view.delete(&row(name)).await?)
}
