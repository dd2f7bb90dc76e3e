//! Mounts of engines and of login methods.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST sys/mounts/<path>` and `POST sys/auth/<path>`.
///
/// Clients send explicit nulls for everything they do not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountInput {
    /// Such as `kv` or `approle`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Times and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<MountConfigInput>,
    /// Such as `version: "2"`. Values may be strings or numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, serde_json::Value>>,
    /// Not replicated. Accepted, without an effect on one cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<bool>,
    /// Extra wrapping of values. Accepted, all values are wrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal_wrap: Option<bool>,
    /// Accepted for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_entropy_access: Option<bool>,
    /// Accepted for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_name: Option<String>,
}

/// Times as a number of seconds or a text such as `"1h30m"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountConfigInput {
    /// Used when a caller asks for no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_lease_ttl: Option<serde_json::Value>,
    /// The longest time that a caller gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lease_ttl: Option<serde_json::Value>,
    /// Everything else, such as `listing_visibility`.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// One row of `GET sys/mounts` and `GET sys/auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountOutput {
    /// Stays when the mount moves.
    #[serde(default)]
    pub uuid: String,
    /// Such as `kv`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Such as `kv_1a2b3c4d`.
    #[serde(default)]
    pub accessor: String,
    /// Not replicated.
    #[serde(default)]
    pub local: bool,
    /// Extra wrapping of values.
    #[serde(default)]
    pub seal_wrap: bool,
    /// Always false.
    #[serde(default)]
    pub external_entropy_access: bool,
    /// Times and headers.
    #[serde(default)]
    pub config: MountConfigOutput,
    /// Such as `version: "2"`.
    #[serde(default)]
    pub options: Option<BTreeMap<String, String>>,
    /// `supported`.
    #[serde(default)]
    pub deprecation_status: String,
    /// Empty: engines are built in.
    #[serde(default)]
    pub plugin_version: String,
    /// The version of the program.
    #[serde(default)]
    pub running_plugin_version: String,
    /// Empty: engines are built in.
    #[serde(default)]
    pub running_sha256: String,
}

/// Times of a mount as the server keeps them, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountConfigOutput {
    /// Seconds; 0 means the default of the system.
    #[serde(default)]
    pub default_lease_ttl: u64,
    /// Seconds; 0 means the maximum of the system.
    #[serde(default)]
    pub max_lease_ttl: u64,
    /// Accepted for compatibility.
    #[serde(default)]
    pub force_no_cache: bool,
    /// Only for login methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// `unauth` shows the mount to people who are not logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_visibility: Option<String>,
}
