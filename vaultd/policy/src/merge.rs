//! All that the policies of one caller say about one path string, as one rule.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::hcl::Position;
use super::{Capability, CapabilitySet, Guards, Pattern, PolicyName, Rule};

/// One rule as its policy wrote it.
#[derive(Clone, Debug)]
pub struct Source {
    pub policy: PolicyName,
    /// What it grants, or denies.
    pub capabilities: CapabilitySet,
    /// In the policy's text.
    pub position: Position,
}

impl Source {
    fn new(policy: &PolicyName, rule: &Rule) -> Source {
        Source {
            policy: policy.clone(),
            capabilities: rule.capabilities,
            position: rule.position,
        }
    }
}

/// Rules with the same path, merged over all policies of the caller.
#[derive(Clone, Debug)]
pub struct Matched {
    pub pattern: Pattern,
    pub capabilities: CapabilitySet,
    /// Who said it.
    pub sources: Vec<Source>,
    pub min_wrapping_ttl: Option<Duration>,
    pub max_wrapping_ttl: Option<Duration>,
    pub pagination_limit: Option<u32>,
    pub(super) allowed: BTreeMap<String, Vec<Value>>,
    pub(super) denied: BTreeMap<String, Vec<Value>>,
    pub(super) required: Vec<String>,
    pub(super) guards: Guards,
}

impl Matched {
    pub(super) fn new(pattern: Pattern, policy: &PolicyName, rule: &Rule) -> Self {
        Matched {
            pattern,
            capabilities: rule.capabilities,
            sources: vec![Source::new(policy, rule)],
            min_wrapping_ttl: rule.min_wrapping_ttl,
            max_wrapping_ttl: rule.max_wrapping_ttl,
            pagination_limit: rule.pagination_limit,
            allowed: rule.allowed_parameters.clone(),
            denied: rule.denied_parameters.clone(),
            required: rule.required_parameters.clone(),
            guards: rule.guards,
        }
    }

    /// Capabilities add up (a deny takes their place), and so do restrictions.
    pub(super) fn add(&mut self, policy: &PolicyName, rule: &Rule) {
        self.sources.push(Source::new(policy, rule));
        self.capabilities = self.capabilities.union(rule.capabilities);
        smallest(&mut self.min_wrapping_ttl, rule.min_wrapping_ttl);
        smallest(&mut self.max_wrapping_ttl, rule.max_wrapping_ttl);
        smallest(&mut self.pagination_limit, rule.pagination_limit);
        append(&mut self.allowed, &rule.allowed_parameters);
        append(&mut self.denied, &rule.denied_parameters);
        for key in &rule.required_parameters {
            if !self.required.contains(key) {
                self.required.push(key.clone());
            }
        }
        self.guards = self.guards.union(rule.guards);
    }

    pub fn is_deny(&self) -> bool {
        self.capabilities.contains(Capability::Deny)
    }

    /// The policies that grant a capability here.
    pub fn granting(&self, capability: Capability) -> impl Iterator<Item = &PolicyName> {
        let granting = self
            .sources
            .iter()
            .filter(move |source| source.capabilities.contains(capability));
        granting.map(|source| &source.policy)
    }
}

fn smallest<T: Ord + Copy>(kept: &mut Option<T>, new: Option<T>) {
    *kept = [*kept, new].into_iter().flatten().min();
}

/// Values of a key add up; no values means any value, and stays so.
fn append(kept: &mut BTreeMap<String, Vec<Value>>, new: &BTreeMap<String, Vec<Value>>) {
    for (key, values) in new {
        match kept.get_mut(key) {
            None => {
                kept.insert(key.clone(), values.clone());
            }
            Some(old) if old.is_empty() || values.is_empty() => old.clear(),
            Some(old) => old.extend(values.iter().cloned()),
        }
    }
}
