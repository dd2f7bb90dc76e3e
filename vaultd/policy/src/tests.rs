#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod corpus;
mod explained;
mod naive;
mod rules;
mod speed;

use super::*;

fn name(text: &str) -> PolicyName {
    text.parse().unwrap()
}

fn policy(text: &str) -> Policy {
    Policy::parse(&name("test"), text).unwrap()
}

fn now() -> jiff::Timestamp {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

fn acl(text: &str) -> Acl {
    Acl::compile([policy(text)].iter(), &NoTemplates, now())
}

/// The rules of several policies, named `p0`, `p1`, ….
fn acl_of(texts: &[&str]) -> Acl {
    let policies: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| Policy::parse(&name(&format!("p{i}")), text).unwrap())
        .collect();
    Acl::compile(policies.iter(), &NoTemplates, now())
}

fn may(acl: &Acl, path: &str, capability: Capability) -> bool {
    acl.decide(&Ask::new(path, capability)).allowed
}

/// `{"identity.entity.id": "…"}`
struct Vars<'a>(&'a [(&'a str, &'a str)]);

impl Templates for Vars<'_> {
    fn resolve(&self, variable: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| *name == variable);
        found.map(|(_, value)| (*value).to_owned())
    }
}
