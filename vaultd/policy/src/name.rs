//! The name of a policy, canonical from the edge on: two names are the same policy
//! exactly if they are the same bytes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Lower-case ASCII without blanks, `/` and `,`; 1 to 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    pub const ROOT: &'static str = "root";
    pub const DEFAULT: &'static str = "default";
    pub const RESPONSE_WRAPPING: &'static str = "response-wrapping";
    const MAX_BYTES: usize = 128;

    pub fn root() -> Self {
        PolicyName(Self::ROOT.into())
    }

    /// The policy that every token gets unless it is made without.
    pub fn default_policy() -> Self {
        PolicyName(Self::DEFAULT.into())
    }

    /// The policy of tokens that hold a wrapped answer, and of no other token.
    pub fn response_wrapping() -> Self {
        PolicyName(Self::RESPONSE_WRAPPING.into())
    }

    pub fn is_root(&self) -> bool {
        &*self.0 == Self::ROOT
    }

    pub fn is_response_wrapping(&self) -> bool {
        &*self.0 == Self::RESPONSE_WRAPPING
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no policy name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPolicyName {
    #[error("a policy name must not be empty")]
    Empty,
    #[error("a policy name has at most 128 characters")]
    TooLong,
    #[error(
        "a policy name is made of ASCII letters, digits and punctuation, without blanks, `/` and `,`"
    )]
    Character,
}

impl FromStr for PolicyName {
    type Err = BadPolicyName;

    /// Upper case is lowered, as Vault does; everything else must be canonical already.
    fn from_str(text: &str) -> Result<Self, BadPolicyName> {
        if text.is_empty() {
            return Err(BadPolicyName::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(BadPolicyName::TooLong);
        }
        let plain = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b',';
        if !text.bytes().all(plain) || text == "." || text == ".." {
            return Err(BadPolicyName::Character);
        }
        Ok(PolicyName(text.to_ascii_lowercase().into()))
    }
}

impl TryFrom<String> for PolicyName {
    type Error = BadPolicyName;

    fn try_from(text: String) -> Result<Self, BadPolicyName> {
        text.parse()
    }
}

impl From<PolicyName> for String {
    fn from(name: PolicyName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PolicyName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
