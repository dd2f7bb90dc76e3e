//! Names of roles, in one spelling.

use crate::core::fault::Fault;

/// Lower case, 1 to 128 of `a-z 0-9 _ - .`, with a letter, digit or underscore at both ends. Other
/// cases are folded, other spellings refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleName(String);

impl RoleName {
    pub fn parse(text: &str) -> Result<RoleName, Fault> {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let bytes = text.as_bytes();
        let ends = bytes.first().is_some_and(word) && bytes.last().is_some_and(word);
        let inner = bytes.iter().all(|byte| word(byte) || b"-.".contains(byte));
        if !ends || !inner || bytes.len() > 128 {
            return Err(Fault::invalid(
                "invalid role name: use 1 to 128 letters, digits, '_', '-' or '.', with a letter, digit or '_' at both ends",
            ));
        }
        Ok(RoleName(text.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the role is stored.
    pub fn row(&self) -> String {
        format!("role/{}", self.0)
    }
}
