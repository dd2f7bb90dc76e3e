//! What is asked, and the answer with its reason.

use std::fmt;
use std::time::Duration;

use super::acl::Acl;
use super::merge::Matched;
use super::{Capability, Parameters, parameters};

/// One question: may the caller do this there?
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Canonical, without a leading slash; the path of a LIST or SCAN ends in `/`.
    pub path: &'a str,
    pub capability: Capability,
    /// The path also needs `sudo`.
    pub sudo_needed: bool,
    /// The fields of the request; for reads those of the query.
    pub parameters: Option<&'a dyn Parameters>,
    /// The wrapping TTL that the caller asks for.
    pub wrap_ttl: Option<Duration>,
    /// How many entries a LIST or SCAN asks for.
    pub limit: Limit,
}

impl<'a> Ask<'a> {
    /// No sudo, no fields, no wrapping, no limit.
    pub fn new(path: &'a str, capability: Capability) -> Self {
        Ask {
            path,
            capability,
            sudo_needed: false,
            parameters: None,
            wrap_ttl: None,
            limit: Limit::Absent,
        }
    }
}

/// The `limit` field of a LIST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    #[default]
    Absent,
    /// The word `max`: as much as the policy allows.
    Max,
    Number(i64),
    /// Neither a number nor `max`.
    Unreadable,
}

/// May it, and why.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    pub allowed: bool,
    pub reason: Reason,
    /// The one rule that counts; `None` for root, and if no rule covers the path.
    pub winner: Option<&'a Matched>,
    /// The capability that the winner does not grant.
    pub missing: Option<Capability>,
    /// How many entries a LIST or SCAN may return, if the policy says so.
    pub pagination_limit: Option<u32>,
}

impl Decision<'_> {
    /// Bounds of the wrapping TTL, for the answer to a request that breaks them.
    pub fn wrap_bounds(&self) -> (Option<Duration>, Option<Duration>) {
        self.winner
            .map_or((None, None), |w| (w.min_wrapping_ttl, w.max_wrapping_ttl))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Root,
    Granted,
    NoRule,
    Deny,
    MissingCapability,
    SudoNeeded,
    WrapTtl,
    ParameterMissing,
    ParameterDenied,
    ParameterNotAllowed,
    Limit,
    ApprovalNeeded,
    SecondFactorNeeded,
    ListFilterNeeded,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Root => "the caller is root",
            Reason::Granted => "the rule grants it",
            Reason::NoRule => "no rule covers the path",
            Reason::Deny => "the rule denies the path",
            Reason::MissingCapability => "the rule does not grant the capability",
            Reason::SudoNeeded => "the path needs `sudo`, and the rule does not grant it",
            Reason::WrapTtl => "the wrapping TTL is not within the bounds of the rule",
            Reason::ParameterMissing => "a required parameter is missing",
            Reason::ParameterDenied => "a parameter is denied",
            Reason::ParameterNotAllowed => "a parameter is not among those allowed",
            Reason::Limit => "the limit is missing, or more than the rule allows",
            Reason::ApprovalNeeded => {
                "the rule wants an approval (control_group), which this server cannot ask for"
            }
            Reason::SecondFactorNeeded => {
                "the rule wants a second factor (mfa_methods), which this server cannot ask for"
            }
            Reason::ListFilterNeeded => "the rule filters listings, which this server cannot do",
        })
    }
}

impl Acl {
    /// Decides one request. Takes no lock and does no I/O.
    pub fn decide(&self, ask: &Ask<'_>) -> Decision<'_> {
        if self.is_root() {
            return Decision {
                allowed: true,
                reason: Reason::Root,
                winner: None,
                missing: None,
                pagination_limit: None,
            };
        }
        let Some(rule) = self.winner(ask.path, ask.capability.lists()) else {
            return Decision {
                allowed: false,
                reason: Reason::NoRule,
                winner: None,
                missing: Some(ask.capability),
                pagination_limit: None,
            };
        };
        let (reason, limit) = match refusal(rule, ask) {
            Some(reason) => (reason, None),
            None => match pagination(rule, ask) {
                Ok(limit) => (Reason::Granted, limit),
                Err(reason) => (reason, None),
            },
        };
        Decision {
            allowed: reason == Reason::Granted,
            reason,
            winner: Some(rule),
            missing: match reason {
                Reason::Deny | Reason::MissingCapability => Some(ask.capability),
                Reason::SudoNeeded => Some(Capability::Sudo),
                _ => None,
            },
            pagination_limit: limit,
        }
    }
}

/// Why the winning rule does not allow it, but for the limit of a LIST.
fn refusal(rule: &Matched, ask: &Ask<'_>) -> Option<Reason> {
    if rule.is_deny() || ask.capability == Capability::Deny {
        return Some(Reason::Deny);
    }
    if !rule.capabilities.contains(ask.capability) {
        return Some(Reason::MissingCapability);
    }
    if ask.sudo_needed && !rule.capabilities.contains(Capability::Sudo) {
        return Some(Reason::SudoNeeded);
    }
    if rule.guards.approval {
        return Some(Reason::ApprovalNeeded);
    }
    if rule.guards.second_factor {
        return Some(Reason::SecondFactorNeeded);
    }
    if rule.guards.list_filter && ask.capability.lists() {
        return Some(Reason::ListFilterNeeded);
    }
    if !wrap_ttl_fits(rule, ask.wrap_ttl) {
        return Some(Reason::WrapTtl);
    }
    use Capability::{Create, Patch, Read, Update};
    match ask.capability {
        Create | Read | Update | Patch => {
            parameters::check(rule, ask.parameters).map(|(reason, _)| reason)
        }
        _ => None,
    }
}

/// A bound on the TTL also means that the answer must be wrapped.
fn wrap_ttl_fits(rule: &Matched, asked: Option<Duration>) -> bool {
    match (rule.min_wrapping_ttl, rule.max_wrapping_ttl) {
        (None, None) => true,
        (min, max) => asked.is_some_and(|ttl| {
            min.is_none_or(|min| ttl >= min) && max.is_none_or(|max| ttl <= max)
        }),
    }
}

fn pagination(rule: &Matched, ask: &Ask<'_>) -> Result<Option<u32>, Reason> {
    let Some(most) = rule.pagination_limit.filter(|_| ask.capability.lists()) else {
        return Ok(None);
    };
    match ask.limit {
        // A caller who does not know of pages would take the first for all.
        Limit::Absent if rule.required.iter().any(|key| key == "limit") => Err(Reason::Limit),
        Limit::Absent | Limit::Max | Limit::Number(0) => Ok(Some(most)),
        Limit::Number(asked) => match u32::try_from(asked) {
            Ok(asked) if asked <= most => Ok(Some(asked)),
            _ => Err(Reason::Limit),
        },
        Limit::Unreadable => Err(Reason::Limit),
    }
}
