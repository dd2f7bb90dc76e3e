//! What a method hands to core when it has proved who is there, and the token settings that every
//! role of every method shares.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::Body;
use super::fault::Fault;
use super::request::Request;
use crate::policy::PolicyName;

/// Service tokens are stored; batch tokens carry themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    #[default]
    Default,
    Service,
    Batch,
    DefaultService,
    DefaultBatch,
}

impl TokenKind {
    pub fn parse(text: &str) -> Result<TokenKind, Fault> {
        match text {
            "" | "default" => Ok(TokenKind::Default),
            "service" => Ok(TokenKind::Service),
            "batch" => Ok(TokenKind::Batch),
            "default-service" => Ok(TokenKind::DefaultService),
            "default-batch" => Ok(TokenKind::DefaultBatch),
            _ => Err(Fault::invalid(
                "invalid 'token_type' value: expected service, batch or default",
            )),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            TokenKind::Default => "default",
            TokenKind::Service => "service",
            TokenKind::Batch => "batch",
            TokenKind::DefaultService => "default-service",
            TokenKind::DefaultBatch => "default-batch",
        }
    }
}

/// The `token_*` fields of a role. Durations in seconds; 0 means "not set".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenParams {
    pub policies: Vec<PolicyName>,
    pub ttl: u64,
    pub max_ttl: u64,
    pub explicit_max_ttl: u64,
    pub period: u64,
    pub num_uses: u64,
    pub no_default_policy: bool,
    pub bound_cidrs: Vec<IpNet>,
    pub kind: TokenKind,
}

impl TokenParams {
    /// Names of the body fields, for route tables.
    pub const FIELDS: [&'static str; 9] = [
        "token_policies",
        "token_ttl",
        "token_max_ttl",
        "token_explicit_max_ttl",
        "token_period",
        "token_num_uses",
        "token_no_default_policy",
        "token_bound_cidrs",
        "token_type",
    ];

    /// Applies the fields that are present; the others keep their value.
    pub fn update(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(names) = body.list("token_policies")? {
            self.policies = parse_policies(&names)?;
            if self.policies.iter().any(PolicyName::is_root) {
                return Err(Fault::invalid("auth methods cannot create root tokens"));
            }
        }
        if let Some(seconds) = body.seconds("token_ttl")? {
            self.ttl = seconds;
        }
        if let Some(seconds) = body.seconds("token_max_ttl")? {
            self.max_ttl = seconds;
        }
        if let Some(seconds) = body.seconds("token_explicit_max_ttl")? {
            self.explicit_max_ttl = seconds;
        }
        if let Some(seconds) = body.seconds("token_period")? {
            self.period = seconds;
        }
        if let Some(uses) = body.int("token_num_uses")? {
            self.num_uses = u64::try_from(uses)
                .map_err(|_| Fault::invalid("'token_num_uses' cannot be negative"))?;
        }
        if let Some(flag) = body.bool("token_no_default_policy")? {
            self.no_default_policy = flag;
        }
        if let Some(cidrs) = body.list("token_bound_cidrs")? {
            self.bound_cidrs = parse_cidrs(&cidrs, "token_bound_cidrs")?;
        }
        if let Some(kind) = body.string("token_type")? {
            self.kind = TokenKind::parse(&kind)?;
        }
        if self.max_ttl != 0 && self.ttl > self.max_ttl {
            return Err(Fault::invalid(
                "'token_ttl' cannot be greater than 'token_max_ttl'",
            ));
        }
        if matches!(self.kind, TokenKind::Batch) && (self.period != 0 || self.num_uses != 0) {
            return Err(Fault::invalid(
                "'token_type' cannot be 'batch' with 'token_period' or 'token_num_uses'",
            ));
        }
        Ok(())
    }

    /// The policies of a token, sorted.
    pub fn granted(&self) -> Vec<PolicyName> {
        let mut policies = self.policies.clone();
        if !self.no_default_policy && !policies.contains(&PolicyName::default_policy()) {
            policies.push(PolicyName::default_policy());
        }
        policies.sort();
        policies
    }

    /// The fields as a role read shows them.
    pub fn show(&self, into: &mut Map<String, Value>) {
        into.insert("token_policies".into(), json!(self.policies));
        into.insert("token_ttl".into(), json!(self.ttl));
        into.insert("token_max_ttl".into(), json!(self.max_ttl));
        into.insert(
            "token_explicit_max_ttl".into(),
            json!(self.explicit_max_ttl),
        );
        into.insert("token_period".into(), json!(self.period));
        into.insert("token_num_uses".into(), json!(self.num_uses));
        into.insert(
            "token_no_default_policy".into(),
            json!(self.no_default_policy),
        );
        into.insert(
            "token_bound_cidrs".into(),
            json!(show_cidrs(&self.bound_cidrs)),
        );
        into.insert("token_type".into(), json!(self.kind.as_str()));
    }
}

/// Parses names; `root` is refused here, since no role may grant it.
pub fn parse_policies(names: &[String]) -> Result<Vec<PolicyName>, Fault> {
    let mut parsed = Vec::with_capacity(names.len());
    for name in names {
        let name: PolicyName = name.parse().map_err(|_| {
            Fault::invalid("policy names are lower-case ASCII without spaces, slashes, commas or control characters")
        })?;
        if !parsed.contains(&name) {
            parsed.push(name);
        }
    }
    parsed.sort();
    Ok(parsed)
}

/// Parses addresses and networks; a bare address is a network of one.
pub fn parse_cidrs(texts: &[String], field: &str) -> Result<Vec<IpNet>, Fault> {
    texts
        .iter()
        .map(|text| {
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| {
                    Fault::invalid(format!(
                        "{field:?} holds something that is not an address or network in CIDR form"
                    ))
                })
        })
        .collect()
}

/// As clients expect it: a network of one is shown as the bare address.
pub fn show_cidrs(nets: &[IpNet]) -> Vec<String> {
    nets.iter()
        .map(|net| {
            if net.prefix_len() == net.max_prefix_len() {
                net.addr().to_string()
            } else {
                net.to_string()
            }
        })
        .collect()
}

/// True if there is no bound, or one of the networks holds the address.
pub fn within(nets: &[IpNet], remote: IpAddr) -> bool {
    nets.is_empty() || nets.iter().any(|net| net.contains(&remote.to_canonical()))
}

/// Who logged in, as the method knows it. With the mount's accessor it names one entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alias {
    /// Canonical, from the authenticator and never from the request's text (approle: the role id).
    /// Empty: the login has no entity.
    pub name: String,
    /// What policy templates may use. The same for every login of this alias, since it replaces
    /// what the last login said: nothing of a single credential (a secret id, a session).
    pub metadata: BTreeMap<String, String>,
    /// Groups that the method vouches for (claims, organisational units): external groups whose
    /// alias has one of these names hold the entity until its next login.
    pub groups: Vec<String>,
}

impl Alias {
    /// No metadata and no groups.
    pub fn named(name: impl Into<String>) -> Alias {
        Alias {
            name: name.into(),
            ..Alias::default()
        }
    }
}

/// A proven identity, and the token that it gets.
#[derive(Debug, Clone, Default)]
pub struct Login {
    pub params: TokenParams,
    /// Whose entity it is. Core finds or makes the entity; the method does nothing for it.
    pub alias: Alias,
    pub display_name: String,
    /// Shown with the token.
    pub metadata: BTreeMap<String, String>,
    /// The role, for renewals and quotas.
    pub role: String,
    /// Fingerprint of the evidence, if a renewal has to show it again.
    pub proof: String,
    /// The login's path in its one spelling, if the request's may have another.
    pub path: Option<String>,
}

/// A token that is to be renewed, as far as the method that issued it is concerned.
pub struct Renewal<'a> {
    pub role: &'a str,
    /// Of the [`Login`].
    pub proof: &'a str,
    pub policies: &'a [PolicyName],
    pub request: &'a Request,
}

impl Renewal<'_> {
    /// Whether a login with these settings would give the policies that the token has.
    pub fn grants(&self, params: &TokenParams) -> bool {
        let now = params.granted();
        now.len() == self.policies.len() && now.iter().all(|name| self.policies.contains(name))
    }
}
