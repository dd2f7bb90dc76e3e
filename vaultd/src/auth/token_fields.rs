//! The token settings of a role, under their names of today and of before Vault 1.2.

use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::login::{TokenParams, parse_cidrs, parse_policies};
use crate::policy::PolicyName;

/// Applies the fields that are present; of two names for one setting, today's wins.
pub fn update(token: &mut TokenParams, body: &Body) -> Result<(), Fault> {
    if let Some(names) = body.list("policies")? {
        token.policies = parse_policies(&names)?;
    }
    if let Some(seconds) = body.seconds("ttl")? {
        token.ttl = seconds;
    }
    if let Some(seconds) = body.seconds("max_ttl")? {
        token.max_ttl = seconds;
    }
    if let Some(seconds) = body.seconds("period")? {
        token.period = seconds;
    }
    if let Some(uses) = body.int("num_uses")? {
        token.num_uses =
            u64::try_from(uses).map_err(|_| Fault::invalid("'num_uses' cannot be negative"))?;
    }
    if let Some(cidrs) = body.list("bound_cidrs")? {
        token.bound_cidrs = parse_cidrs(&cidrs, "bound_cidrs")?;
    }
    token.update(body)?;
    match token.policies.iter().any(PolicyName::is_root) {
        true => Err(Fault::invalid("auth methods cannot create root tokens")),
        false => Ok(()),
    }
}
