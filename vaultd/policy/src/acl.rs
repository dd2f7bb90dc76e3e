//! The policies of one caller, compiled for look-ups.
//!
//! Exact rules win over all others. Of the rest the most specific one wins, and
//! specificity is decided once, when the rules are sorted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use jiff::Timestamp;

use super::merge::Matched;
use super::tree::Tree;
use super::{CapabilitySet, Policy, Templates};

/// What one caller may do.
#[derive(Debug, Default)]
pub struct Acl {
    root: bool,
    /// From the least to the most specific; the index is a rule's id.
    rules: Vec<Matched>,
    exact: HashMap<Arc<str>, u32>,
    wild: Tree,
    valid_until: Option<Timestamp>,
    /// Rules that callers share. What this says of the same path is merged into `rules` already.
    base: Option<Arc<Acl>>,
}

impl Acl {
    /// Everything is allowed. There is no other way to be root: a policy that
    /// happens to have that name is a policy like any other.
    pub fn root() -> Acl {
        Acl {
            root: true,
            ..Acl::default()
        }
    }

    pub fn is_root(&self) -> bool {
        self.root
    }

    /// Compiles the rules that hold at `now`, with templates filled in by `vars`.
    pub fn compile<'a>(
        policies: impl Iterator<Item = &'a Policy>,
        vars: &dyn Templates,
        now: Timestamp,
    ) -> Acl {
        let mut merged: HashMap<Arc<str>, Matched> = HashMap::new();
        let mut valid_until = None;
        for policy in policies {
            for rule in &policy.rules {
                if rule.expiration.is_some_and(|end| end <= now) {
                    continue;
                }
                let Some(pattern) = rule.path.resolve(vars) else {
                    continue;
                };
                valid_until = [valid_until, rule.expiration].into_iter().flatten().min();
                match merged.entry(pattern.as_str().into()) {
                    Entry::Occupied(mut known) => known.get_mut().add(&policy.name, rule),
                    Entry::Vacant(free) => {
                        free.insert(Matched::new(pattern, &policy.name, rule));
                    }
                }
            }
        }
        let mut acl = Acl::index(merged.into_values().collect());
        acl.valid_until = valid_until;
        acl
    }

    /// For one caller: what `base` says, and the templated rules of `policies`, filled in by `vars`.
    /// Costs no more than those rules, in time and in memory, however much `base` holds.
    pub fn personal<'a>(
        base: &Arc<Acl>,
        policies: impl Iterator<Item = &'a Policy>,
        vars: &dyn Templates,
        now: Timestamp,
    ) -> Arc<Acl> {
        let mut merged: HashMap<Arc<str>, Matched> = HashMap::new();
        let mut valid_until = base.valid_until;
        for policy in policies {
            for rule in policy.rules.iter().filter(|rule| rule.is_templated()) {
                if rule.expiration.is_some_and(|end| end <= now) {
                    continue;
                }
                let Some(pattern) = rule.path.resolve(vars) else {
                    continue;
                };
                valid_until = [valid_until, rule.expiration].into_iter().flatten().min();
                match merged.entry(pattern.as_str().into()) {
                    Entry::Occupied(mut known) => known.get_mut().add(&policy.name, rule),
                    Entry::Vacant(free) => {
                        let matched = match base.said_of(pattern.as_str()) {
                            Some(said) => {
                                let mut said = said.clone();
                                said.add(&policy.name, rule);
                                said
                            }
                            None => Matched::new(pattern, &policy.name, rule),
                        };
                        free.insert(matched);
                    }
                }
            }
        }
        if merged.is_empty() {
            return Arc::clone(base);
        }
        let mut acl = Acl::index(merged.into_values().collect());
        acl.valid_until = valid_until;
        acl.base = Some(Arc::clone(base));
        Arc::new(acl)
    }

    /// The rule with exactly this text.
    fn said_of(&self, text: &str) -> Option<&Matched> {
        let mut rules = self.rules.iter();
        rules.find(|rule| rule.pattern.as_str() == text)
    }

    fn index(mut rules: Vec<Matched>) -> Acl {
        rules.sort_by_cached_key(|rule| rule.pattern.rank());
        let mut exact = HashMap::new();
        let mut wild = Tree::default();
        for (rule, id) in rules.iter().zip(0..) {
            if rule.pattern.is_exact() {
                exact.insert(rule.pattern.as_str().into(), id);
            } else {
                wild.add(&rule.pattern, id);
            }
        }
        wild.finish();
        Acl {
            rules,
            exact,
            wild,
            ..Acl::default()
        }
    }

    /// When the first of these rules expires: compile again then.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// The rules, from the least to the most specific.
    pub fn rules(&self) -> Vec<&Matched> {
        let mut rules: Vec<&Matched> = self.each().collect();
        if self.base.is_some() {
            rules.sort_by_cached_key(|rule| rule.pattern.rank());
        }
        rules
    }

    /// Own rules, and those of the base that they do not replace.
    fn each(&self) -> impl Iterator<Item = &Matched> {
        let base = self.base.iter().flat_map(|base| &base.rules);
        let replaced = |rule: &&Matched| self.said_of(rule.pattern.as_str()).is_some();
        self.rules
            .iter()
            .chain(base.filter(move |rule| !replaced(rule)))
    }

    /// What `sys/capabilities` answers: the path is looked up as LIST does. Just
    /// [`CapabilitySet::DENY`] if nothing is granted; empty for root, see
    /// [`Acl::is_root`].
    pub fn capabilities(&self, path: &str) -> CapabilitySet {
        if self.root {
            return CapabilitySet::EMPTY;
        }
        match self.winner(path, true) {
            Some(rule) if rule.capabilities.grants() => rule.capabilities,
            _ => CapabilitySet::DENY,
        }
    }

    /// Whether some rule grants something at a mount's prefix (ends in `/`) or below.
    pub fn any_under(&self, prefix: &str) -> bool {
        self.root
            || self.capabilities(prefix).grants()
            || self
                .each()
                .any(|rule| rule.capabilities.grants() && rule.pattern.reaches(prefix))
    }

    /// The one rule that counts for a path. A LIST is also looked up without its
    /// trailing slash: exact rules first, the rest last. Wildcard rules see the
    /// full path first, since the shorter one would dodge a deny of `dir/*`; and
    /// a deny of the shorter one counts if it is more specific, since the longer
    /// one would dodge a deny of `+/dir`.
    pub(super) fn winner(&self, path: &str, lists: bool) -> Option<&Matched> {
        let path = path.trim_start_matches('/');
        let directory = path.strip_suffix('/').filter(|_| lists);
        if let Some(rule) = self
            .exact(path)
            .or_else(|| directory.and_then(|path| self.exact(path)))
        {
            return Some(rule);
        }
        let full = self.best(path);
        let short = directory.and_then(|path| self.best(path));
        match (full, short) {
            (Some(full), Some(short)) if short.is_deny() => Some(more_specific(full, short)),
            (full, short) => full.or(short),
        }
    }

    fn exact(&self, path: &str) -> Option<&Matched> {
        let own = self.exact.get(path).and_then(|id| self.rule(*id));
        own.or_else(|| self.base.as_ref()?.exact(path))
    }

    /// The most specific wildcard rule.
    fn best(&self, path: &str) -> Option<&Matched> {
        let own = self.wild.best(path).and_then(|id| self.rule(id));
        match (own, self.base.as_ref().and_then(|base| base.best(path))) {
            (Some(own), Some(shared)) => Some(more_specific(shared, own)),
            (own, shared) => own.or(shared),
        }
    }

    fn rule(&self, id: u32) -> Option<&Matched> {
        self.rules.get(id as usize)
    }
}

/// The second, if they are alike: then it holds what the first says, too.
fn more_specific<'a>(first: &'a Matched, second: &'a Matched) -> &'a Matched {
    match first.pattern.rank() > second.pattern.rank() {
        true => first,
        false => second,
    }
}
