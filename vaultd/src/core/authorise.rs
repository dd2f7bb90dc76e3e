//! Caller + path + capability -> `Permit`, which an engine needs and nobody else can make.

use super::body::Body;
use super::caller::Caller;
use super::fault::Fault;
use super::request::{Request, Verb};
use super::route::Access;
use crate::policy::{Ask, Capability, Limit, Parameters};

/// The request may have its effect.
pub struct Permit(());

/// Which capability a request needs, and whether `sudo` with it.
pub fn authorise(
    caller: Option<&Caller>,
    request: &Request,
    access: Access,
    operation: Capability,
) -> Result<Permit, Fault> {
    let caller = match (access, caller) {
        (Access::Anyone | Access::Open | Access::Sealed, _) => return Ok(Permit(())),
        (_, None) => return Err(Fault::BadToken),
        (Access::AnyToken, Some(_)) => return Ok(Permit(())),
        (Access::Token | Access::Sudo, Some(caller)) => caller,
    };
    if caller.is_root() {
        return Ok(Permit(()));
    }
    match caller.acl.decide(&ask(request, access, operation)).allowed {
        true => Ok(Permit(())),
        false => Err(Fault::Denied),
    }
}

/// What a request asks of the policies.
pub fn ask(request: &Request, access: Access, operation: Capability) -> Ask<'_> {
    Ask {
        sudo_needed: access == Access::Sudo,
        wrap_ttl: request.wrap_ttl,
        limit: limit(request),
        parameters: Some(&request.body),
        ..Ask::new(request.path.as_str(), operation)
    }
}

fn limit(request: &Request) -> Limit {
    match (request.verb, request.body.int("limit")) {
        (Verb::List, Ok(Some(limit))) => Limit::Number(limit),
        (Verb::List, Err(_)) => Limit::Unreadable,
        _ => Limit::Absent,
    }
}

impl Parameters for Body {
    fn each(&self, visit: &mut dyn FnMut(&str, &serde_json::Value)) {
        for (name, raw) in self.iter() {
            // What serde cannot hold, such as 1e400, is still there and must meet the rules.
            let value = serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into());
            visit(name, &value);
        }
    }
}
