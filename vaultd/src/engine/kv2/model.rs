//! What is stored: `config`, `metadata/<path>` for each secret, and `version/<id>/<row>` for the
//! values of each version, where the id is drawn when the secret is made. A version has the row of its
//! own number, or takes over that of a version that it pushes out: a row that stays where it is costs
//! the disk half of one that goes and one that comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_crypto::{Random, random_base62};
use vault_proto::kv2 as wire;

use crate::barrier::View;
use crate::core::beside::Beside;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Kept;

/// Versions kept when neither the secret nor the engine says otherwise.
const DEFAULT_VERSIONS: u32 = 10;
/// The metadata of all versions is one row, which every write replaces.
const MOST_VERSIONS: u32 = 1000;
/// The longest `delete_version_after`: a hundred years.
const LONGEST: u64 = 100 * 366 * 86_400;
/// Deeper secrets could be written, but not removed within one transaction.
const DEPTH: usize = 50;
const ID_LENGTH: usize = 22;
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

/// What is known of one version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Version {
    #[serde(
        rename = "c",
        with = "jiff::fmt::serde::timestamp::nanosecond::required"
    )]
    pub(super) created: Timestamp,
    #[serde(
        rename = "d",
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::nanosecond::optional"
    )]
    pub(super) deletion: Option<Timestamp>,
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) destroyed: bool,
    /// Row of its values, where that is not the one of its number.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    row: Option<u64>,
}

impl Version {
    /// Deleted, by hand or by time, or destroyed.
    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.destroyed || self.deletion.is_some_and(|at| at <= now)
    }

    pub(super) fn show(&self) -> wire::VersionState {
        wire::VersionState {
            created_time: self.created.to_string(),
            deletion_time: self.deletion.map(|at| at.to_string()).unwrap_or_default(),
            destroyed: self.destroyed,
        }
    }
}

/// Everything about one secret but its values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Metadata {
    /// Folder of its values. Never used again, so that a secret made again starts empty.
    pub(super) id: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Number of the last version; 0 before the first.
    pub(super) current: u64,
    /// The versions that are kept, the last of which is `current`.
    pub(super) versions: Vec<Version>,
    pub(super) limits: Limits,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) custom: BTreeMap<String, String>,
    /// When the next version deletes itself, which subscribers are to hear of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Timestamp>,
    #[serde(skip)]
    pub(super) newest: Beside<Newest>,
}

/// What follows from the metadata, and is asked for all the time.
#[derive(Debug)]
pub(super) struct Newest {
    /// The metadata of the newest version, as JSON.
    pub(super) shown: String,
    /// How an answer with them and the version's values is recorded.
    pub(super) recorded: Arc<Kept>,
}

impl Newest {
    pub(super) fn new(shown: String) -> Newest {
        Newest {
            shown,
            recorded: Arc::default(),
        }
    }
}

/// The row of a secret's metadata.
pub(super) fn metadata_row(path: &str) -> String {
    ["metadata/", path].concat()
}

/// A row of a version's values, by the id of its secret.
pub(super) fn version_row(id: &str, row: u64) -> String {
    ["version/", id, "/", &row.to_string()].concat()
}

/// What became of rows when a version was added.
pub(super) struct Pushed {
    /// Of the versions that were pushed out, but for the one that the new version has now.
    pub(super) rows: Vec<u64>,
    /// The new version has the row of one that was pushed out.
    pub(super) took_over: bool,
}

impl Metadata {
    /// Of a secret that is not there yet.
    fn new(path: &str, random: &dyn Random, now: Timestamp) -> Result<Metadata, Fault> {
        if path.split('/').count() > DEPTH {
            return Err(Fault::invalid(format!(
                "the path of a secret has at most {DEPTH} parts"
            )));
        }
        Ok(Metadata {
            id: random_base62(ID_LENGTH, random),
            created: now,
            updated: now,
            current: 0,
            versions: Vec::new(),
            limits: Limits::default(),
            custom: BTreeMap::new(),
            due: None,
            newest: Beside::default(),
        })
    }

    pub(super) async fn load_or_new(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Metadata, Fault> {
        match Metadata::load(view, ctx.param("path")).await? {
            Some(metadata) => Ok(metadata),
            None => Metadata::new(ctx.param("path"), ctx.random, ctx.now()),
        }
    }

    pub(super) async fn load(view: &mut View<'_>, path: &str) -> Result<Option<Metadata>, Fault> {
        let found = Metadata::find(view, path).await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    /// As [`load`](Self::load), for looking only.
    pub(super) async fn find(
        view: &mut View<'_>,
        path: &str,
    ) -> Result<Option<Arc<Metadata>>, Fault> {
        Ok(view.get_shared(&metadata_row(path)).await?)
    }

    /// `what` is told to subscribers.
    pub(super) async fn store(
        mut self,
        view: &mut View<'_>,
        path: &str,
        what: &'static str,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let coming = self.versions.iter().filter(|version| !version.destroyed);
        let coming = coming.filter_map(|version| version.deletion);
        self.set_due(view, path, coming.filter(|at| *at > now).min())
            .await?;
        view.announce(path, what, self.current);
        Ok(view.put_shared(&metadata_row(path), self).await?)
    }

    async fn set_due(
        &mut self,
        view: &mut View<'_>,
        path: &str,
        due: Option<Timestamp>,
    ) -> Result<(), Fault> {
        if self.due != due {
            let id = self.due_id();
            if let Some(old) = std::mem::replace(&mut self.due, due) {
                view.delete_due(old, &id).await?;
            }
            if let Some(new) = due {
                view.put_due(new, &id, path).await?;
            }
        }
        Ok(())
    }

    /// Removes the secret, but not its values.
    pub(super) async fn delete(mut self, view: &mut View<'_>, path: &str) -> Result<(), Fault> {
        self.set_due(view, path, None).await?;
        view.announce(path, "metadata-delete", 0);
        Ok(view.delete(&metadata_row(path)).await?)
    }

    fn due_id(&self) -> [u8; 16] {
        self.id
            .as_bytes()
            .first_chunk()
            .copied()
            .unwrap_or_default()
    }

    /// Number of the oldest version that is kept; one above `current` if there is none.
    pub(super) fn first(&self) -> u64 {
        self.current + 1 - self.versions.len() as u64
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first())?)
            .ok()
            .filter(|index| *index < self.versions.len())
    }

    pub(super) fn version(&self, number: u64) -> Option<&Version> {
        self.versions.get(self.index(number)?)
    }

    pub(super) fn version_mut(&mut self, number: u64) -> Option<&mut Version> {
        let index = self.index(number)?;
        self.versions.get_mut(index)
    }

    /// The row of a version that is kept.
    pub(super) fn row(&self, number: u64) -> u64 {
        let own = self.version(number).and_then(|version| version.row);
        own.unwrap_or(number)
    }

    /// Rows of all versions that are kept, oldest first.
    pub(super) fn rows(&self) -> Vec<u64> {
        let numbers = self.first()..self.current + 1;
        numbers.map(|number| self.row(number)).collect()
    }

    /// Adds a version, which pushes out what is more than the limit.
    pub(super) fn push(&mut self, engine: &Limits, now: Timestamp) -> Pushed {
        let deletion = self.limits.delete_after.deletion(engine.delete_after, now);
        let mut rows = self.rows();
        self.versions.push(Version {
            created: now,
            deletion,
            destroyed: false,
            row: None,
        });
        self.current += 1;
        self.updated = now;
        let most = match self.limits.max_versions.max(engine.max_versions) {
            0 => DEFAULT_VERSIONS,
            most => most,
        };
        let excess = self.versions.len().saturating_sub(most as usize);
        self.versions.drain(..excess);
        rows.truncate(excess);
        let row = (!rows.is_empty()).then(|| rows.remove(0));
        if let Some(newest) = self.versions.last_mut() {
            newest.row = row;
        }
        Pushed {
            rows,
            took_over: row.is_some(),
        }
    }

    pub(super) fn show(&self) -> wire::Metadata {
        let numbered = (self.first()..).zip(&self.versions);
        wire::Metadata {
            cas_required: self.limits.cas_required,
            created_time: self.created.to_string(),
            current_version: self.current,
            custom_metadata: self.show_custom(),
            delete_version_after: self.limits.delete_after.show(),
            max_versions: self.limits.max_versions.into(),
            // 0 until a version was pruned.
            oldest_version: if self.first() > 1 { self.first() } else { 0 },
            updated_time: self.updated.to_string(),
            versions: numbered
                .map(|(number, version)| (number.to_string(), version.show()))
                .collect(),
        }
    }

    /// The metadata that goes with one version's values.
    pub(super) fn show_version(&self, number: u64, version: &Version) -> wire::VersionMetadata {
        let wire::VersionState {
            created_time,
            deletion_time,
            destroyed,
        } = version.show();
        wire::VersionMetadata {
            created_time,
            custom_metadata: self.show_custom(),
            deletion_time,
            destroyed,
            version: number,
        }
    }

    fn show_custom(&self) -> Option<BTreeMap<String, String>> {
        (!self.custom.is_empty()).then(|| self.custom.clone())
    }
}
