//! Who was refused what, lately: enough to explain it, and no value that was sent. Bounded, in memory
//! only, and gone at seal. Refusals without a token have a place of their own, so that a stranger
//! cannot push those of callers out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::authorise::ask;
use super::caller::Caller;
use super::fault::Fault;
use super::request::Request;
use super::route::Access;
use super::unsealed::Unsealed;
use crate::policy::{Ask, Capability, Limit, PolicyName, Reason, explain};

const CALLERS_MAX: usize = 4096;
const STRANGERS_MAX: usize = 1024;
/// Paths of which more is not kept.
const PATH_MAX: usize = 1024;

/// A request that was refused.
#[derive(Clone)]
pub struct Denial {
    pub id: String,
    pub time: Timestamp,
    pub path: String,
    /// `None`: the token was refused, no policy was asked.
    pub asked: Option<Asked>,
}

/// What the policies were asked, and what they said.
#[derive(Clone)]
pub struct Asked {
    /// Fingerprint of the token.
    pub caller: Arc<str>,
    /// Empty without one.
    pub entity: String,
    pub capability: Capability,
    pub sudo_needed: bool,
    pub wrap_ttl: Option<Duration>,
    pub limit: Limit,
    pub reason: Reason,
    /// Name of the parameter that was the reason.
    pub parameter: Option<String>,
    /// The token's policies, with a digest of their texts; `None` if there was no such policy.
    pub policies: Vec<(PolicyName, Option<[u8; 32]>)>,
}

impl Denial {
    /// The same question again, without the fields: they were not kept.
    pub fn ask<'a>(&'a self, asked: &Asked) -> Ask<'a> {
        Ask {
            sudo_needed: asked.sudo_needed,
            wrap_ttl: asked.wrap_ttl,
            limit: asked.limit,
            ..Ask::new(&self.path, asked.capability)
        }
    }
}

/// The last of them.
#[derive(Default)]
pub struct Denials {
    /// Std locks, held for a queue operation.
    callers: Mutex<VecDeque<Denial>>,
    strangers: Mutex<VecDeque<Denial>>,
}

impl Denials {
    /// A token that was missing or refused.
    pub fn nobody(&self, request: &Request, fault: &Fault) {
        if matches!(fault, Fault::BadToken) {
            keep(&self.strangers, STRANGERS_MAX, denial(request, None));
        }
    }

    /// A caller whose policies refused.
    pub async fn caller(
        &self,
        vault: &Unsealed,
        caller: &Caller,
        request: &Request,
        access: Access,
        operation: Capability,
    ) -> Result<(), Fault> {
        let policies = digests(vault, caller.policies()).await?;
        let ask = ask(request, access, operation);
        let told = explain(&caller.acl, &ask);
        let asked = Asked {
            caller: Arc::clone(&caller.id),
            entity: caller.token.entity_id.clone(),
            capability: operation,
            sudo_needed: ask.sudo_needed,
            wrap_ttl: ask.wrap_ttl,
            limit: ask.limit,
            reason: told.decision.reason,
            parameter: told.parameter,
            policies,
        };
        keep(&self.callers, CALLERS_MAX, denial(request, Some(asked)));
        Ok(())
    }

    pub fn find(&self, id: &str) -> Option<Denial> {
        [&self.callers, &self.strangers].iter().find_map(|kept| {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.iter().rev().find(|denial| denial.id == id).cloned()
        })
    }
}

fn denial(request: &Request, asked: Option<Asked>) -> Denial {
    let path: String = request.path.as_str().chars().take(PATH_MAX).collect();
    Denial {
        id: request.id.clone(),
        time: request.now,
        path,
        asked,
    }
}

fn keep(kept: &Mutex<VecDeque<Denial>>, most: usize, denial: Denial) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= most {
        kept.pop_front();
    }
    kept.push_back(denial);
}

/// Tells one text of a policy from another.
pub async fn digests(
    vault: &Unsealed,
    names: &[PolicyName],
) -> Result<Vec<(PolicyName, Option<[u8; 32]>)>, Fault> {
    let mut digests = Vec::with_capacity(names.len());
    for name in names {
        let policy = vault.policy(name).await?;
        let digest = policy.map(|policy| vault_crypto::sha256(policy.text.as_bytes()));
        digests.push((name.clone(), digest));
    }
    Ok(digests)
}
