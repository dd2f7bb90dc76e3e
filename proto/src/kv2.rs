//! The versioned key-value engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values of one version. Any JSON; mostly strings.
pub type Values = serde_json::Map<String, serde_json::Value>;

/// What is known of one version; the answer to a write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionMetadata {
    /// RFC 3339 with up to nine digits.
    pub created_time: String,
    /// Strings only.
    #[serde(default)]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// RFC 3339, or empty for "not deleted".
    #[serde(default)]
    pub deletion_time: String,
    /// The values are gone for good.
    #[serde(default)]
    pub destroyed: bool,
    /// Counts from 1.
    pub version: u64,
}

/// `GET <mount>/data/<path>`. A deleted version has `data: null`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadData {
    /// The values, or `None` when deleted or destroyed.
    pub data: Option<Values>,
    /// What is known of the version.
    pub metadata: VersionMetadata,
}

/// `PUT <mount>/data/<path>`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WriteRequest {
    /// The values.
    pub data: Values,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<WriteOptions>,
}

/// Conditions of a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOptions {
    /// The version that must be current; 0 means "must not exist".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// `GET <mount>/metadata/<path>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Every write must name the version it replaces.
    #[serde(default)]
    pub cas_required: bool,
    /// RFC 3339.
    pub created_time: String,
    /// 0 when nothing was written yet.
    pub current_version: u64,
    /// Strings only.
    #[serde(default)]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// Such as `0s`.
    #[serde(default)]
    pub delete_version_after: String,
    /// 0 means the mount's value.
    #[serde(default)]
    pub max_versions: u64,
    /// The oldest version that is still kept.
    #[serde(default)]
    pub oldest_version: u64,
    /// RFC 3339.
    pub updated_time: String,
    /// By number. JSON keys are text, so they sort as text.
    #[serde(default)]
    pub versions: BTreeMap<String, VersionState>,
}

/// One row of [`Metadata::versions`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionState {
    /// RFC 3339.
    pub created_time: String,
    /// RFC 3339, or empty for "not deleted".
    #[serde(default)]
    pub deletion_time: String,
    /// The values are gone for good.
    #[serde(default)]
    pub destroyed: bool,
}

/// `PUT <mount>/delete|undelete|destroy/<path>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Which versions.
    pub versions: Vec<u64>,
}

/// The answer to every LIST.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Folders end in `/`.
    pub keys: Vec<String>,
}
