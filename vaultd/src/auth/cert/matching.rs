//! What a role wants a certificate to say.

use serde::{Deserialize, Serialize};

use super::certificate::Facts;
use crate::core::glob;

/// Lists of patterns, of which one has to match; an empty list wants nothing.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    /// The common name, or any DNS name or mail address.
    pub names: Vec<String>,
    pub common_names: Vec<String>,
    pub dns_sans: Vec<String>,
    pub email_sans: Vec<String>,
    pub uri_sans: Vec<String>,
    pub units: Vec<String>,
    /// `OID:PATTERN`, or `hex:OID:PATTERN` over the DER in hex. All of them have to match.
    pub extensions: Vec<String>,
}

impl Conditions {
    pub(super) fn met_by(&self, facts: &Facts) -> bool {
        let common = || facts.common_name.iter();
        any(&self.names, common().chain(&facts.dns).chain(&facts.emails))
            && any(&self.common_names, common())
            && any(&self.dns_sans, facts.dns.iter())
            && any(&self.email_sans, facts.emails.iter())
            && any(&self.uri_sans, facts.uris.iter())
            && any(&self.units, facts.units.iter())
            && self.extensions.iter().all(|wanted| has(facts, wanted))
    }
}

fn any<'n>(patterns: &[String], names: impl Iterator<Item = &'n String>) -> bool {
    let matches = |name: &String| patterns.iter().any(|pattern| glob::matches(pattern, name));
    patterns.is_empty() || names.into_iter().any(matches)
}

fn has(facts: &Facts, wanted: &str) -> bool {
    let (hex, wanted) = match wanted.strip_prefix("hex:") {
        Some(wanted) => (true, wanted),
        None => (false, wanted),
    };
    let Some((oid, pattern)) = wanted.split_once(':') else {
        return false;
    };
    let value = match hex {
        true => {
            let found = facts.extensions.iter().find(|(found, _)| found == oid);
            found.map(|(_, der)| hex::encode(der))
        }
        false => facts.text_of(oid),
    };
    value.is_some_and(|value| glob::matches(pattern, &value))
}
