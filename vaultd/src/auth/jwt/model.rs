//! What the jwt method stores: one config, and roles by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::issuers::Signer;
use super::published;
use crate::auth::secret::Secret;
use crate::core::login::TokenParams;
use crate::jose::Algorithm;
use crate::outbound::Url;

/// The config's row.
pub(super) const CONFIG: &str = "config";

/// An address, and who vouches for the server there: PEM, or empty for the system's CAs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct Place {
    pub url: Url,
    pub ca_pem: String,
}

/// Where the keys come from that tokens are verified with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) enum Source {
    /// An issuer that says where its keys are (OpenID Connect Discovery 1.0).
    Discovery(Place),
    Jwks(Place),
    Pairs(Vec<Place>),
    /// PEM texts.
    Keys(Vec<String>),
}

/// Who we are at the provider (RFC 6749, 2.2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    pub id: String,
    pub secret: Secret,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub(super) source: Source,
    /// Empty if any issuer will do, or the discovered one.
    pub(super) bound_issuer: String,
    /// Names of algorithms; empty for the default.
    pub(super) supported_algs: Vec<String>,
    pub(super) default_role: String,
    pub(super) client: Option<Client>,
    /// Shown, and without effect: answers come as a query.
    pub(super) response_mode: String,
    pub(super) response_types: Vec<String>,
    pub(super) provider_config: Map<String, Value>,
    pub(super) namespace_in_state: bool,
}

impl Config {
    /// The mount's one issuer.
    pub(super) fn signer(&self) -> Signer<'_> {
        Signer {
            row: published::ROW,
            source: &self.source,
        }
    }

    /// For a JWT every algorithm that there is unless the config says which.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        match self.supported_algs.is_empty() {
            true => Algorithm::ALL.to_vec(),
            false => self.named_algorithms(),
        }
    }

    /// For an id token RS256, as the standard says, unless the config says otherwise.
    pub(super) fn id_token_algorithms(&self) -> Vec<Algorithm> {
        match self.supported_algs.is_empty() {
            true => vec![Algorithm::Rs256],
            false => self.named_algorithms(),
        }
    }

    fn named_algorithms(&self) -> Vec<Algorithm> {
        let names = self.supported_algs.iter();
        names.filter_map(|name| Algorithm::parse(name)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleType {
    /// Who logs in has a token already.
    Jwt,
    /// Who logs in is sent to the provider.
    Oidc,
}

/// Where the browser is that a person logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CallbackMode {
    /// With the client, to which the provider sends it back.
    #[default]
    Client,
    /// Anywhere.
    Device,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Match {
    String,
    Glob,
}

/// Who may log in, and as whom. Leeways in seconds: 0 is the default, negative is none.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Role {
    pub role_type: RoleType,
    pub expiration_leeway: i64,
    pub not_before_leeway: i64,
    pub clock_skew_leeway: i64,
    pub bound_audiences: Vec<String>,
    pub bound_subject: String,
    pub bound_claims_type: Match,
    /// A value, or a list of which one has to match.
    pub bound_claims: Map<String, Value>,
    /// Claim to metadata key.
    pub claim_mappings: BTreeMap<String, String>,
    pub user_claim: String,
    pub user_claim_json_pointer: bool,
    pub groups_claim: String,
    pub allowed_redirect_uris: Vec<String>,
    pub oidc_scopes: Vec<String>,
    pub verbose_oidc_logging: bool,
    /// Seconds since the person proved himself to the provider; 0 is no limit.
    pub max_age: u64,
    #[serde(default)]
    pub callback_mode: CallbackMode,
    /// Seconds between two questions of a device; 0 is what the provider says.
    #[serde(default)]
    pub poll_interval: u64,
    /// A token logs in once.
    #[serde(default)]
    pub refuse_replay: bool,
    pub token: TokenParams,
}
