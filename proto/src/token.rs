//! Tokens: what they say about themselves and how they are asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// `GET auth/token/lookup-self` and `POST auth/token/lookup`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Lookup {
    /// Names the token without being able to use it.
    pub accessor: String,
    /// Seconds since 1970-01-01 UTC.
    pub creation_time: i64,
    /// Seconds.
    pub creation_ttl: u64,
    /// Where it comes from.
    pub display_name: String,
    /// Empty without an identity.
    #[serde(default)]
    pub entity_id: String,
    /// RFC 3339, or `null` for a token that does not expire.
    pub expire_time: Option<String>,
    /// Seconds; the longest life.
    #[serde(default)]
    pub explicit_max_ttl: u64,
    /// The token itself.
    pub id: Sensitive<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_time: Option<String>,
    /// Set at creation.
    #[serde(default)]
    pub meta: Option<BTreeMap<String, String>>,
    /// Uses left; 0 means unlimited.
    #[serde(default)]
    pub num_uses: u64,
    /// Whether it outlives its parent.
    #[serde(default)]
    pub orphan: bool,
    /// The path that made it.
    pub path: String,
    /// Names of policies.
    #[serde(default, deserialize_with = "crate::null_is_default")]
    pub policies: Vec<String>,
    /// Seconds; a periodic token lives as long as it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Whether `renew-self` extends it.
    #[serde(default)]
    pub renewable: bool,
    /// Seconds left; 0 for a token that does not expire.
    pub ttl: u64,
    /// `service` or `batch`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// `POST auth/token/create`. Times as seconds or a text such as `"1h"`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CreateRequest {
    /// A chosen token; only for root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Sensitive<String>>,
    /// Names of policies; those of the parent when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<String>>,
    /// Shown at lookup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<BTreeMap<String, String>>,
    /// First life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<serde_json::Value>,
    /// Longest life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explicit_max_ttl: Option<serde_json::Value>,
    /// Makes a periodic token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<serde_json::Value>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// 0 means unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_uses: Option<u64>,
    /// False makes a token that cannot be extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewable: Option<bool>,
    /// Outlives the caller's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_parent: Option<bool>,
    /// Leaves out the policy `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_default_policy: Option<bool>,
    /// `service` or `batch`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}
