//! `sys/why/:id`: a refusal explained by the policies as they are now.
//!
//! A caller may ask about what its own token was refused, and learns nothing that
//! `resultant-acl` would not tell it. About others a policy for `sys/why/:id` is needed; then policies,
//! paths, and rules with the entity's own values are shown as far as the caller may read them, with
//! `sudo` all of them. An id that is
//! unknown and one that may not be asked about look the same.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::context::Ctx;
use super::denials::{Asked, Denial, digests};
use super::fault::Fault;
use super::identity;
use super::reply::Reply;
use super::unsealed::Unsealed;
use crate::policy::{Acl, Ask, Capability, PolicyName, Reason, document, explain};

const UNKNOWN: &str = "no refusal with this id is known to you: it is of another token, of before the \
     last unsealing, too old, or was no refusal";

pub async fn read(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let denial = vault.denials.find(ctx.param("id"));
    let told = match (&denial, sight(caller, ctx, denial.as_ref())) {
        (Some(denial), Some(sight)) => tell(vault, ctx, denial, &sight).await?,
        _ => return Err(Fault::NoRoute(UNKNOWN.to_owned())),
    };
    Ok(Reply::map(told))
}

/// How much the caller may see.
struct Sight<'a> {
    caller: &'a Caller,
    everything: bool,
    own: bool,
}

impl Sight<'_> {
    fn policy(&self, name: &PolicyName) -> bool {
        let path = format!("sys/policies/acl/{name}");
        self.everything || self.allows(&path, Capability::Read)
    }

    fn entity(&self, id: &str) -> bool {
        let path = format!("identity/entity/id/{id}");
        self.everything || self.allows(&path, Capability::Read)
    }

    fn path(&self, path: &str) -> bool {
        self.everything || self.caller.acl.capabilities(path).grants()
    }

    fn allows(&self, path: &str, capability: Capability) -> bool {
        let ask = Ask::new(path, capability);
        self.caller.acl.decide(&ask).allowed
    }
}

fn sight<'a>(caller: &'a Caller, ctx: &Ctx<'_>, denial: Option<&Denial>) -> Option<Sight<'a>> {
    let asked = denial.and_then(|denial| denial.asked.as_ref());
    let own = asked.is_some_and(|asked| asked.caller == caller.id);
    let mut sight = Sight {
        caller,
        everything: own || caller.is_root(),
        own,
    };
    let path = ctx.request.path.as_str();
    if !sight.everything {
        if !sight.allows(path, Capability::Read) {
            return None;
        }
        sight.everything = sight.allows(path, Capability::Sudo);
    }
    Some(sight)
}

async fn tell(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    denial: &Denial,
    sight: &Sight<'_>,
) -> Result<Map<String, Value>, Fault> {
    let mut told = match &denial.asked {
        None => refused_token(denial),
        Some(asked) => refused_by_policy(vault, ctx, denial, asked, sight).await?,
    };
    if !sight.path(&denial.path) {
        for name in ["path", "lost", "suggestion", "rule"] {
            told.remove(name);
        }
        told.insert("path_hidden".into(), true.into());
    }
    told.insert("request_id".into(), denial.id.clone().into());
    told.insert("time".into(), denial.time.to_string().into());
    Ok(told)
}

fn refused_token(denial: &Denial) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("path".into(), denial.path.clone().into());
    told.insert("allowed".into(), false.into());
    let reason = "the token was missing, unknown, expired, revoked, or used from an address that it is \
         not bound to";
    told.insert("reason".into(), reason.into());
    told
}

async fn refused_by_policy(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    denial: &Denial,
    asked: &Asked,
    sight: &Sight<'_>,
) -> Result<Map<String, Value>, Fault> {
    let names: Vec<PolicyName> = asked
        .policies
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let acl = match sight.own {
        true => Arc::clone(&sight.caller.acl),
        false => acl_of(vault, ctx, asked, &names, sight).await?,
    };
    let now = digests(vault, &names).await?;
    let changed: Vec<&str> = now
        .iter()
        .zip(&asked.policies)
        .filter(|(now, then)| now.1 != then.1 && sight.policy(&now.0))
        .map(|(now, _)| now.0.as_str())
        .collect();
    let unchanged = now == asked.policies;
    let ask = denial.ask(asked);
    let visible = |name: &PolicyName| sight.policy(name);
    let mut told = document(&explain(&acl, &ask), &ask, &visible);
    told.insert("changed".into(), json!(changed));
    told.insert("policies_changed".into(), (!unchanged).into());
    let seen: Vec<&str> = names
        .iter()
        .filter(|name| visible(name))
        .map(PolicyName::as_str)
        .collect();
    told.insert("policies".into(), json!(seen));
    told.insert("reason_then".into(), asked.reason.to_string().into());
    if about_parameters(asked.reason) {
        told.insert("parameter".into(), json!(asked.parameter));
        if unchanged {
            // The values were not kept, but the same rules say the same.
            told.insert("allowed".into(), false.into());
            told.insert("reason".into(), asked.reason.to_string().into());
        } else {
            let note = "the fields of the request were not kept: judged without them";
            told.insert("note".into(), note.into());
        }
    }
    Ok(told)
}

/// The rules of another's token; those that name its entity only for who may know that one.
async fn acl_of(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    asked: &Asked,
    names: &[PolicyName],
    sight: &Sight<'_>,
) -> Result<Arc<Acl>, Fault> {
    if !asked.entity.is_empty() && sight.entity(&asked.entity) {
        let entity = identity::current(&vault.barrier, &asked.entity).await?;
        if let Some(entity) = entity {
            return vault.acl_of(names, &entity, ctx.now()).await;
        }
    }
    vault.acl(names, ctx.now()).await
}

fn about_parameters(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ParameterMissing | Reason::ParameterDenied | Reason::ParameterNotAllowed
    )
}
