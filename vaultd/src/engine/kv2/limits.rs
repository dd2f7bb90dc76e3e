//! What an engine and a secret of it may both limit: how many versions, for how long, and how carefully.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::barrier::View;
use crate::core::body::Body;
use crate::core::fault::Fault;

/// The metadata of all versions is one row, which every write replaces.
const MOST_VERSIONS: u32 = 1000;
/// The longest `delete_version_after`: a hundred years.
const LONGEST: u64 = 100 * 366 * 86_400;
const CONFIG_ROW: &str = "config";

/// When versions delete themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expiry {
    /// As the other of engine and secret says.
    #[default]
    Unset,
    /// Never, whatever the other says.
    Never,
    /// This many seconds after they were written.
    After(u64),
}

impl Expiry {
    /// Reads `delete_version_after`: negative is never, 0 takes the setting back.
    pub(super) fn parse(body: &Body) -> Result<Option<Expiry>, Fault> {
        const NAME: &str = "delete_version_after";
        if body.raw(NAME).is_some_and(|raw| {
            raw.get()
                .trim_start_matches('"')
                .trim_start()
                .starts_with('-')
        }) {
            return Ok(Some(Expiry::Never));
        }
        match body.seconds(NAME)? {
            None => Ok(None),
            Some(0) => Ok(Some(Expiry::Unset)),
            Some(seconds) if seconds <= LONGEST => Ok(Some(Expiry::After(seconds))),
            Some(_) => Err(Fault::invalid(format!(
                "{NAME} is at most {LONGEST} seconds"
            ))),
        }
    }

    /// The deletion time of a version written now: the earlier of both, unless one of them is never.
    pub(super) fn deletion(self, other: Expiry, now: Timestamp) -> Option<Timestamp> {
        let seconds = match (self, other) {
            (Expiry::Never, _) | (_, Expiry::Never) | (Expiry::Unset, Expiry::Unset) => {
                return None;
            }
            (Expiry::After(one), Expiry::After(two)) => one.min(two),
            (Expiry::After(one), Expiry::Unset) | (Expiry::Unset, Expiry::After(one)) => one,
        };
        let duration = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        Some(now.checked_add(duration).unwrap_or(Timestamp::MAX))
    }

    /// As Go prints durations.
    pub(super) fn show(self) -> String {
        let seconds = match self {
            Expiry::Unset => 0,
            Expiry::Never => return "-1s".to_owned(),
            Expiry::After(seconds) => seconds,
        };
        match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, 0, s) => format!("{s}s"),
            (0, m, s) => format!("{m}m{s}s"),
            (h, m, s) => format!("{h}h{m}m{s}s"),
        }
    }
}

/// Limits that an engine and a secret of it both have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub(super) max_versions: u32,
    pub(super) cas_required: bool,
    pub(super) delete_after: Expiry,
}

impl Limits {
    /// The settings of the engine.
    pub(super) async fn of_engine(view: &mut View<'_>) -> Result<Limits, Fault> {
        Ok(view.get_unlisted(CONFIG_ROW).await?.unwrap_or_default())
    }

    pub(super) async fn store_of_engine(&self, view: &mut View<'_>) -> Result<(), Fault> {
        Ok(view.put_unlisted(CONFIG_ROW, self).await?)
    }

    /// Applies the fields that are present; the others keep their value.
    pub(super) fn update(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(count) = body.int("max_versions")? {
            self.max_versions = u32::try_from(count)
                .ok()
                .filter(|count| *count <= MOST_VERSIONS)
                .ok_or_else(|| {
                    Fault::invalid(format!("max_versions must be from 0 to {MOST_VERSIONS}"))
                })?;
        }
        if let Some(flag) = body.bool("cas_required")? {
            self.cas_required = flag;
        }
        if let Some(expiry) = Expiry::parse(body)? {
            self.delete_after = expiry;
        }
        Ok(())
    }
}
