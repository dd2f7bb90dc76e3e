//! What is stored: `config`, `metadata/<path>` for each secret, and `version/<id>/<row>` for the
//! values of each version, where the id is drawn when the secret is made. A version has the row of its
//! own number, or takes over that of a version that it pushes out: a row that stays where it is costs
//! the disk half of one that goes and one that comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::{Random, random_base62};
use vault_proto::kv2 as wire;

use super::limits::Limits;
use crate::barrier::View;
use crate::core::beside::Beside;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Kept;

/// Versions kept when neither the secret nor the engine says otherwise.
const DEFAULT_VERSIONS: u32 = 10;
/// Deeper secrets could be written, but not removed within one transaction.
const DEPTH: usize = 50;
const ID_LENGTH: usize = 22;

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

    /// Adds a version, which pushes out what is more than the limit and takes over the first row of that. The
    /// others are returned.
    pub(super) fn push(&mut self, engine: &Limits, now: Timestamp) -> Vec<u64> {
        let deletion = self.limits.delete_after.deletion(engine.delete_after, now);
        let most = match self.limits.max_versions.max(engine.max_versions) {
            0 => DEFAULT_VERSIONS,
            most => most,
        };
        let excess = (self.versions.len() + 1).saturating_sub(most as usize);
        let pushed_out = self.first()..self.first() + excess as u64;
        let mut rows = pushed_out.map(|number| self.row(number));
        let (row, rest) = (rows.next(), rows.collect());
        self.versions.push(Version {
            created: now,
            deletion,
            destroyed: false,
            row,
        });
        self.current += 1;
        self.updated = now;
        self.versions.drain(..excess);
        rest
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
