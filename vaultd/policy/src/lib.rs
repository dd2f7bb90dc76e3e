//! Text to rules to a decision with its reason.
//!
//! Promises: only the most specific rule that matches a path counts; `deny` beats
//! everything else that the same path says; a LIST does not dodge a deny by its
//! trailing slash; a rule whose template does not resolve to one plain segment is
//! left out; an allowance that needs an approval this server cannot ask for is
//! never granted.
//! Not a promise: a broad deny does not stop a more specific rule (Vault's rule).

mod acl;
mod builtin;
mod capability;
mod decide;
mod document;
mod explain;
pub mod hcl;
mod merge;
mod name;
mod parameters;
mod parse;
mod pattern;
mod template;
mod tree;

#[cfg(test)]
mod tests;

pub use acl::Acl;
pub use builtin::{DEFAULT_POLICY, RESPONSE_WRAPPING_POLICY};
pub use capability::{Capability, CapabilitySet, UnknownCapability};
pub use decide::{Ask, Decision, Limit, Reason};
pub use document::document;
pub use explain::{Explanation, Loser, explain};
pub use merge::{Matched, Source};
pub use name::{BadPolicyName, PolicyName};
pub use parameters::Parameters;
pub use parse::go_duration;
pub use pattern::{Inferior, Pattern};
pub use template::{NoTemplates, Templates};

pub use crate::hcl::format;

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use crate::hcl::{HclError, Position};

/// A policy as it was written, and what it says.
#[derive(Clone, Debug)]
pub struct Policy {
    pub name: PolicyName,
    pub text: String,
    pub rules: Vec<Rule>,
}

impl Policy {
    /// Reads the HCL or JSON text of a policy.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and column; never the value.
    pub fn parse(name: &PolicyName, text: &str) -> Result<Policy, PolicyError> {
        Ok(Policy {
            name: name.clone(),
            text: text.to_owned(),
            rules: parse::rules(text)?,
        })
    }

    /// Whether some path depends on who asks.
    pub fn is_templated(&self) -> bool {
        self.rules.iter().any(Rule::is_templated)
    }
}

/// One `path` block.
#[derive(Clone, Debug)]
pub struct Rule {
    pub path: Pattern,
    pub capabilities: CapabilitySet,
    pub min_wrapping_ttl: Option<Duration>,
    pub max_wrapping_ttl: Option<Duration>,
    /// By lower-cased key; no values means any value.
    pub allowed_parameters: BTreeMap<String, Vec<serde_json::Value>>,
    /// By lower-cased key; no values means any value.
    pub denied_parameters: BTreeMap<String, Vec<serde_json::Value>>,
    /// Lower-cased keys.
    pub required_parameters: Vec<String>,
    /// Most entries that one LIST may ask for.
    pub pagination_limit: Option<u32>,
    /// From then on the rule says nothing.
    pub expiration: Option<jiff::Timestamp>,
    pub guards: Guards,
    /// Of the path, in the text.
    pub position: Position,
}

impl Rule {
    pub fn is_templated(&self) -> bool {
        self.path.is_templated()
    }
}

/// What a rule asks for that this server cannot do. Such a rule grants nothing,
/// because to leave the guard out would open what its author wanted guarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// `control_group`
    pub approval: bool,
    /// `mfa_methods`
    pub second_factor: bool,
    /// `list_scan_response_keys_filter_path`; concerns LIST and SCAN only.
    pub list_filter: bool,
}

impl Guards {
    fn union(self, other: Guards) -> Guards {
        Guards {
            approval: self.approval || other.approval,
            second_factor: self.second_factor || other.second_factor,
            list_filter: self.list_filter || other.list_filter,
        }
    }
}

/// Why a text is not a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct PolicyError {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl From<HclError> for PolicyError {
    fn from(error: HclError) -> Self {
        PolicyError {
            line: error.line,
            column: error.column,
            message: error.message,
        }
    }
}
