//! Bare objects (no envelope) about the seal: init, unseal, health, leader.

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// `GET sys/seal-status`, and the answer to every unseal step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealStatus {
    /// `shamir`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether `sys/init` has ever run.
    pub initialized: bool,
    /// Whether the keys are absent from memory.
    pub sealed: bool,
    /// Shares needed.
    pub t: u32,
    /// Shares made.
    pub n: u32,
    /// Shares given so far.
    pub progress: u32,
    /// Names this attempt; empty when none runs.
    #[serde(default)]
    pub nonce: String,
    /// The compatibility version, `X.Y.Z`.
    #[serde(default)]
    pub version: String,
    /// RFC 3339.
    #[serde(default)]
    pub build_date: String,
    /// The source revision of the server, when it was built from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_date: Option<String>,
    /// Whether a change of seal is under way.
    #[serde(default)]
    pub migration: bool,
    /// Only while unsealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Only while unsealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Always false for Shamir.
    #[serde(default)]
    pub recovery_seal: bool,
    /// The storage engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_type: Option<String>,
}

/// `PUT sys/init`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitRequest {
    /// How many shares to make.
    pub secret_shares: u32,
    /// How many of them unseal.
    pub secret_threshold: u32,
    /// OpenPGP keys to encrypt the shares with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgp_keys: Option<Vec<String>>,
    /// OpenPGP key to encrypt the root token with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_token_pgp_key: Option<String>,
}

/// The only time that shares and root token are ever shown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct InitResponse {
    /// Shares in hex.
    pub keys: Vec<Sensitive<String>>,
    /// The same shares in base64.
    pub keys_base64: Vec<Sensitive<String>>,
    /// The first token.
    pub root_token: Sensitive<String>,
}

/// `GET sys/init`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitStatus {
    /// Whether `sys/init` has ever run.
    pub initialized: bool,
}

/// `PUT sys/unseal`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UnsealRequest {
    /// One share, hex or base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Sensitive<String>>,
    /// Forget the shares given so far.
    #[serde(default)]
    pub reset: bool,
    /// Change the seal.
    #[serde(default)]
    pub migrate: bool,
}

/// `GET sys/health`. Sent with 200, 429, 501 and 503 alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether `sys/init` has ever run.
    pub initialized: bool,
    /// Whether the keys are absent from memory.
    pub sealed: bool,
    /// Whether another node answers instead.
    pub standby: bool,
    /// Always false.
    #[serde(default)]
    pub performance_standby: bool,
    /// `disabled`.
    #[serde(default)]
    pub replication_performance_mode: String,
    /// `disabled`.
    #[serde(default)]
    pub replication_dr_mode: String,
    /// Seconds since 1970-01-01 UTC.
    pub server_time_utc: i64,
    /// The compatibility version, `X.Y.Z`.
    pub version: String,
    /// Always false.
    #[serde(default)]
    pub enterprise: bool,
    /// Only while unsealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Only while unsealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Milliseconds.
    #[serde(default)]
    pub echo_duration_ms: i64,
    /// Milliseconds.
    #[serde(default)]
    pub clock_skew_ms: i64,
    /// Milliseconds.
    #[serde(default)]
    pub replication_primary_canary_age_ms: i64,
}

/// `GET sys/leader`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Whether there is more than one node.
    pub ha_enabled: bool,
    /// Whether this node answers.
    pub is_self: bool,
    /// RFC 3339, or the zero time.
    pub active_time: String,
    /// Where the answering node is.
    pub leader_address: String,
    /// Where it talks to other nodes.
    pub leader_cluster_address: String,
    /// Always false.
    #[serde(default)]
    pub performance_standby: bool,
    /// Always 0.
    #[serde(default)]
    pub performance_standby_last_remote_wal: u64,
}
