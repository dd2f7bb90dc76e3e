//! Login of machines by role id and secret id.

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// `POST auth/<mount>/login`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoginRequest {
    /// Names the role.
    pub role_id: String,
    /// Proves it. Absent for roles that need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<Sensitive<String>>,
}

/// `POST auth/<mount>/role/<name>/secret-id`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SecretId {
    /// The secret id itself.
    pub secret_id: Sensitive<String>,
    /// Names it without being able to use it.
    pub secret_id_accessor: String,
    /// Uses left; 0 means unlimited.
    #[serde(default)]
    pub secret_id_num_uses: u64,
    /// Seconds; 0 means that it does not expire.
    #[serde(default)]
    pub secret_id_ttl: u64,
}

/// `GET auth/<mount>/role/<name>/role-id`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleId {
    /// Names the role at login.
    pub role_id: String,
}
