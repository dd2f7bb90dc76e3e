//! What the kubernetes method stores: one config, and roles by name.

use serde::{Deserialize, Serialize};

use crate::auth::secret::Secret;
use crate::core::login::TokenParams;
use crate::outbound::Url;

/// The config's row.
pub(super) const CONFIG: &str = "config";

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Config {
    /// The cluster's API server.
    pub host: Url,
    /// PEM, or empty for the pod's own or the system's.
    pub ca_cert: String,
    pub reviewer: Option<Secret>,
    /// PEM of the keys that sign service account tokens; empty if nobody knows them.
    pub pem_keys: Vec<String>,
    pub issuer: String,
    pub disable_iss_validation: bool,
    pub disable_local_ca_jwt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AliasSource {
    #[serde(rename = "serviceaccount_uid")]
    Uid,
    #[serde(rename = "serviceaccount_name")]
    Name,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Role {
    /// With `*` for any text.
    pub names: Vec<String>,
    pub namespaces: Vec<String>,
    /// Empty for the cluster's own.
    pub audience: String,
    pub alias_name_source: AliasSource,
    pub token: TokenParams,
}
