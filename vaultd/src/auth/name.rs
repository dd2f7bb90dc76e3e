//! Names of roles, in one spelling.

use crate::core::fault::Fault;
use crate::core::name;

/// Lower case, 1 to 128 of `a-z 0-9 _ - .`, with a letter, digit or underscore at both ends. Other
/// cases are folded, other spellings refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleName(String);

impl RoleName {
    pub fn parse(text: &str) -> Result<RoleName, Fault> {
        Ok(RoleName(name::check(text, "role")?.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the role is stored.
    pub fn row(&self) -> String {
        format!("role/{}", self.0)
    }
}
