//! What the gcp method stores: one config, and roles by name; and who logs in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::auth::secret::Secret;
use crate::core::login::TokenParams;
use crate::outbound::Url;

/// The config's row.
pub(super) const CONFIG: &str = "config";

/// A service account of ours, and its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credentials {
    pub client_email: String,
    pub client_id: String,
    pub project_id: String,
    pub private_key_id: String,
    /// PEM of an RSA key.
    pub private_key: Secret,
    /// Where access tokens are asked for.
    pub token_uri: Url,
}

/// Other addresses than Google's own.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Endpoints {
    /// Public keys.
    pub api: Option<Url>,
    pub iam: Option<Url>,
    /// The resource manager.
    pub crm: Option<Url>,
    pub compute: Option<Url>,
}

/// What an entity is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum AliasSource {
    /// All who log in to one role are one.
    #[default]
    #[serde(rename = "role_id")]
    Role,
    #[serde(rename = "unique_id")]
    Account,
    #[serde(rename = "instance_id")]
    Instance,
}

#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Config {
    pub credentials: Option<Credentials>,
    pub iam_alias: AliasSource,
    pub gce_alias: AliasSource,
    /// `None` is all.
    pub iam_metadata: Option<Vec<String>>,
    pub gce_metadata: Option<Vec<String>>,
    pub endpoints: Endpoints,
}

/// What only one type of role has.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bounds {
    /// For service accounts.
    Iam {
        /// Seconds.
        max_jwt_exp: u64,
        allow_gce_inference: bool,
    },
    /// For machines.
    Gce {
        zones: Vec<String>,
        regions: Vec<String>,
        instance_groups: Vec<String>,
        labels: BTreeMap<String, String>,
    },
}

/// Who may log in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Role {
    /// Never changes.
    pub id: String,
    pub bounds: Bounds,
    /// Emails and unique ids; of an `iam` role also `*` alone, which is any.
    pub service_accounts: Vec<String>,
    pub projects: Vec<String>,
    pub add_group_aliases: bool,
    pub token: TokenParams,
}

impl Role {
    pub(super) fn is_any_account(&self) -> bool {
        self.service_accounts == ["*"]
    }
}

/// A service account, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Account {
    pub email: Option<String>,
    pub unique_id: Option<String>,
    pub project: Option<String>,
}

/// A machine, as Google's signature says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Instance {
    #[serde(rename = "instance_id")]
    pub id: String,
    #[serde(rename = "instance_name")]
    pub name: String,
    pub project_id: String,
    pub project_number: i64,
    pub zone: String,
    #[serde(rename = "instance_creation_timestamp")]
    pub created: i64,
}

/// Who logged in. Kept with the token, for renewals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    pub account: Account,
    pub instance: Option<Instance>,
}
