//! The frame around every answer of the API that is not a bare object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// The eight fields that every answer has, with `null` for absent ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Unique for each request; also in the audit record.
    #[serde(default)]
    pub request_id: String,
    /// Empty when there is no lease.
    #[serde(default)]
    pub lease_id: String,
    /// Whether the lease can be renewed.
    #[serde(default)]
    pub renewable: bool,
    /// Seconds.
    #[serde(default)]
    pub lease_duration: u64,
    /// The payload.
    #[serde(default = "none")]
    pub data: Option<T>,
    /// Present when the payload was wrapped instead of answered.
    #[serde(default)]
    pub wrap_info: Option<WrapInfo>,
    /// Hints for people.
    #[serde(default)]
    pub warnings: Option<Vec<String>>,
    /// Present after a login or the creation of a token.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// The type of engine that answered, such as `kv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_type: Option<String>,
}

// A derived default would ask `T: Default`.
fn none<T>() -> Option<T> {
    None
}

impl<T> Default for Envelope<T> {
    fn default() -> Self {
        Self {
            request_id: String::new(),
            lease_id: String::new(),
            renewable: false,
            lease_duration: 0,
            data: None,
            wrap_info: None,
            warnings: None,
            auth: None,
            mount_type: None,
        }
    }
}

/// A token that was just made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Auth {
    /// The token itself.
    pub client_token: Sensitive<String>,
    /// Names the token without being able to use it.
    #[serde(default)]
    pub accessor: String,
    /// All policies: those of the token and of its identity.
    #[serde(default, deserialize_with = "crate::null_is_default")]
    pub policies: Vec<String>,
    /// The policies of the token alone.
    #[serde(default, deserialize_with = "crate::null_is_default")]
    pub token_policies: Vec<String>,
    /// The policies that come from the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_policies: Option<Vec<String>>,
    /// What the login says about the caller.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Seconds; 0 means that the token does not expire.
    #[serde(default)]
    pub lease_duration: u64,
    /// Whether `auth/token/renew-self` extends it.
    #[serde(default)]
    pub renewable: bool,
    /// Empty without an identity.
    #[serde(default)]
    pub entity_id: String,
    /// `service` or `batch`.
    #[serde(default)]
    pub token_type: String,
    /// Whether the token outlives its parent.
    #[serde(default)]
    pub orphan: bool,
    /// Always `null`: there is no second factor in this place.
    #[serde(default)]
    pub mfa_requirement: Option<()>,
    /// Uses left; 0 means unlimited.
    #[serde(default)]
    pub num_uses: u64,
}

/// Where a wrapped answer is waiting.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WrapInfo {
    /// Opens the wrapped answer once.
    pub token: Sensitive<String>,
    /// Names the wrapping token.
    #[serde(default)]
    pub accessor: String,
    /// Seconds.
    pub ttl: u64,
    /// RFC 3339.
    pub creation_time: String,
    /// The path whose answer was wrapped.
    #[serde(default)]
    pub creation_path: String,
    /// Set when the wrapped answer is a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped_accessor: Option<String>,
}

/// The body of every answer from status 400 upwards.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Errors {
    /// May be empty: a plain 404 says nothing more.
    #[serde(default, deserialize_with = "crate::null_is_default")]
    pub errors: Vec<String>,
}
