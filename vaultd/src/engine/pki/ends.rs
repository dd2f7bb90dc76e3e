//! What ends when: an index of the certificates that are stored, day by day, so that neither tidying nor
//! a timeline reads all of them.
//!
//! ```text
//! end/<date>/<time of day>-<serial>    the folder of what its issuer revoked
//! ```

use std::num::NonZeroUsize;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::serial;
use crate::barrier::{Cursor, View, Window};
use crate::core::fault::Fault;

const FOLDER: &str = "end";

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn name(at: Timestamp, serial: &[u8]) -> String {
    format!("{}-{}", at.strftime("%H%M%S"), serial::hex(serial))
}

fn row(at: Timestamp, serial: &[u8]) -> String {
    format!("{FOLDER}/{}/{}", day(at), name(at, serial))
}

pub(super) async fn put(
    at: Timestamp,
    serial: &[u8],
    issuer: &str,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    Ok(view.put(&row(at, serial), &issuer).await?)
}

/// A place in the index; the default is its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    day: String,
    name: String,
}

impl Place {
    /// Before everything that ends at this time or later.
    pub fn at(time: Timestamp) -> Place {
        Place {
            day: day(time),
            name: name(time, &[]),
        }
    }
}

/// An entry of the index.
pub(super) struct End {
    pub place: Place,
    pub serial: Vec<u8>,
}

impl End {
    pub fn row(&self) -> String {
        format!("{FOLDER}/{}/{}", self.place.day, self.place.name)
    }

    /// Below which folder its revocation is stored.
    pub async fn issuer(&self, view: &mut View<'_>) -> Result<String, Fault> {
        Ok(view.get(&self.row()).await?.unwrap_or_default())
    }
}

/// The first entries after a place that end before a time, the soonest first.
pub(super) async fn after(
    place: &Place,
    before: Timestamp,
    limit: NonZeroUsize,
    view: &mut View<'_>,
) -> Result<Vec<End>, Fault> {
    let (last_day, last_name) = (day(before), name(before, &[]));
    let mut found = Vec::new();
    for folder in view.list(FOLDER).await? {
        let day = folder.trim_end_matches('/');
        if day < place.day.as_str() || day > last_day.as_str() {
            continue;
        }
        let window = Window {
            after: (day == place.day).then(|| place.name.clone()),
            limit: NonZeroUsize::new(limit.get() - found.len()),
        };
        let names = view
            .list_within(&format!("{FOLDER}/{day}"), &window)
            .await?;
        for name in names {
            if day == last_day && name >= last_name {
                return Ok(found);
            }
            let digits = name.split_once('-').map_or("", |(_, digits)| digits);
            let serial = hex::decode(digits).map_err(|_| Fault::Internal("a serial number"))?;
            found.push(End {
                place: Place {
                    day: day.to_owned(),
                    name,
                },
                serial,
            });
        }
        if found.len() >= limit.get() {
            break;
        }
    }
    Ok(found)
}

/// How many entries there are from one day until each of several others, all included.
pub(super) async fn counts<const N: usize>(
    from: Timestamp,
    until: [Timestamp; N],
    view: &mut View<'_>,
) -> Result<[u64; N], Fault> {
    let (first, until) = (day(from), until.map(day));
    let mut counts = [0; N];
    for folder in view.list(FOLDER).await? {
        let day = folder.trim_end_matches('/');
        if day < first.as_str() || until.iter().all(|last| day > last.as_str()) {
            continue;
        }
        let entries = count(&format!("{FOLDER}/{day}"), view).await?;
        for (count, last) in counts.iter_mut().zip(&until) {
            if day <= last.as_str() {
                *count += entries;
            }
        }
    }
    Ok(counts)
}

/// A folder may be too long to be listed at once.
async fn count(folder: &str, view: &mut View<'_>) -> Result<u64, Fault> {
    let mut count = 0;
    let mut cursor = Cursor::default();
    loop {
        match view.page(folder, &mut cursor).await?.len() {
            0 => return Ok(count),
            names => count += names as u64,
        }
    }
}
