//! What a token may do: its own policies, and what its entity and that one's groups add.
//!
//! Compiled rules are kept and shared: those without templates by every token with the same set of
//! policies, those with templates by the tokens of one entity. Both are asked again whether they still
//! hold at each request, so a change counts from the answer to the request that made it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use super::fault::Fault;
use super::identity::{self, Entity, Membership, Variables};
use super::token::Token;
use super::unsealed::Unsealed;
use crate::policy::{Acl, NoTemplates, Policy, PolicyName};

/// Kept for requests to come. Std locks: held for a map operation.
#[derive(Default)]
pub struct Standings {
    shared: RwLock<HashMap<Vec<PolicyName>, Arc<Shared>>>,
    /// By entity.
    own: RwLock<HashMap<String, Vec<Arc<Standing>>>>,
    changes: AtomicU64,
}

/// Sets of policies, and entities, that are kept at most.
const KEPT_MAX: usize = 10_000;
/// Sets of policies of one entity's tokens that are kept at most.
const EACH_MAX: usize = 16;

/// A set of policies.
struct Shared {
    acl: Arc<Acl>,
    /// Those that say something else to each entity.
    templated: Vec<Arc<Policy>>,
}

/// What a token with an entity may do, and what that was derived from.
pub struct Standing {
    pub acl: Arc<Acl>,
    pub entity: Arc<Entity>,
    /// What the entity and its groups add.
    pub identity_policies: Vec<PolicyName>,
    /// Of the token and of the entity, sorted.
    pub policies: Vec<PolicyName>,
    /// Their names.
    pub names: Vec<String>,
    token_policies: Vec<PolicyName>,
    /// Numbers of the newest changes that it knows: of groups, of policies.
    as_of: (u64, u64),
}

fn all(names: impl IntoIterator<Item = PolicyName>) -> Vec<PolicyName> {
    let set: BTreeSet<PolicyName> = names.into_iter().collect();
    set.into_iter().collect()
}

pub fn texts(names: &[PolicyName]) -> Vec<String> {
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

impl Unsealed {
    /// The compiled rules of a set of policies, without those that depend on who asks.
    pub async fn acl(&self, names: &[PolicyName], now: Timestamp) -> Result<Arc<Acl>, Fault> {
        if names.iter().any(PolicyName::is_root) {
            return Ok(Arc::new(Acl::root()));
        }
        Ok(Arc::clone(&self.shared(names, now).await?.acl))
    }

    async fn shared(&self, names: &[PolicyName], now: Timestamp) -> Result<Arc<Shared>, Fault> {
        let standings = &self.standings;
        let known = read(&standings.shared).get(names).cloned();
        if let Some(known) = known
            && known.acl.valid_until().is_none_or(|end| now < end)
        {
            return Ok(known);
        }
        let before = standings.changes.load(Ordering::Acquire);
        let mut policies = Vec::with_capacity(names.len());
        for name in names {
            policies.extend(self.policy(name).await?);
        }
        let acl = Acl::compile(policies.iter().map(Arc::as_ref), &NoTemplates, now);
        policies.retain(|policy| policy.is_templated());
        let shared = Arc::new(Shared {
            acl: Arc::new(acl),
            templated: policies,
        });
        let mut kept = standings
            .shared
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // A policy that changed while it was compiled must not come back.
        if standings.changes.load(Ordering::Acquire) == before {
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(names.to_vec(), Arc::clone(&shared));
        }
        Ok(shared)
    }

    /// The entity of a token, if it has one.
    ///
    /// # Errors
    /// `BadToken` if the entity is gone.
    pub async fn entity_of(&self, token: &Token) -> Result<Option<Arc<Entity>>, Fault> {
        match token.entity_id.as_str() {
            "" => Ok(None),
            id => match identity::current(&self.barrier, id).await? {
                Some(entity) => Ok(Some(entity)),
                None => Err(Fault::BadToken),
            },
        }
    }

    /// What an entity and its groups add to its tokens.
    pub async fn identity_policies(&self, entity: &Entity) -> Result<Vec<PolicyName>, Fault> {
        let groups = self.memberships.groups(&self.barrier).await?;
        Ok(groups.of_entity(entity).policies(entity))
    }

    /// What a token with an entity may do now.
    ///
    /// # Errors
    /// `BadToken` if the entity is gone or disabled.
    pub async fn standing(
        &self,
        token: &Token,
        now: Timestamp,
    ) -> Result<Option<Arc<Standing>>, Fault> {
        let Some(entity) = self.entity_of(token).await? else {
            return Ok(None);
        };
        if entity.disabled {
            return Err(Fault::BadToken);
        }
        let as_of = (self.memberships.version(), self.standings.changes());
        let holds = |known: &&Arc<Standing>| {
            Arc::ptr_eq(&known.entity, &entity)
                && known.as_of == as_of
                && known.token_policies == token.policies
                && known.acl.valid_until().is_none_or(|end| now < end)
        };
        let known = read(&self.standings.own)
            .get(&entity.id)
            .and_then(|known| known.iter().find(holds).cloned());
        match known {
            Some(known) => Ok(Some(known)),
            None => {
                let made = self.compile(token, entity, as_of, now).await?;
                self.standings.keep(&made);
                Ok(Some(made))
            }
        }
    }

    async fn compile(
        &self,
        token: &Token,
        entity: Arc<Entity>,
        as_of: (u64, u64),
        now: Timestamp,
    ) -> Result<Arc<Standing>, Fault> {
        let known = self.memberships.groups(&self.barrier).await?;
        let membership = known.of_entity(&entity);
        let added = membership.policies(&entity);
        let names = all(token.policies.iter().chain(&added).cloned());
        let acl = match token.is_root() {
            true => Arc::new(Acl::root()),
            false => personal(&*self.shared(&names, now).await?, &entity, &membership, now),
        };
        Ok(Arc::new(Standing {
            acl,
            identity_policies: added,
            names: texts(&names),
            token_policies: token.policies.clone(),
            policies: names,
            as_of,
            entity,
        }))
    }

    /// The rules of a set of policies, those too that say something else to each entity.
    pub async fn acl_of(
        &self,
        names: &[PolicyName],
        entity: &Entity,
        now: Timestamp,
    ) -> Result<Arc<Acl>, Fault> {
        if names.iter().any(PolicyName::is_root) {
            return Ok(Arc::new(Acl::root()));
        }
        let known = self.memberships.groups(&self.barrier).await?;
        let shared = self.shared(names, now).await?;
        Ok(personal(&shared, entity, &known.of_entity(entity), now))
    }

    pub fn policies_changed(&self) {
        let mut kept = self
            .standings
            .shared
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.standings.changes.fetch_add(1, Ordering::AcqRel);
        kept.clear();
    }
}

fn personal(shared: &Shared, entity: &Entity, membership: &Membership, now: Timestamp) -> Arc<Acl> {
    let variables = Variables {
        entity,
        groups: membership.all().collect(),
    };
    let templated = shared.templated.iter().map(Arc::as_ref);
    Acl::personal(&shared.acl, templated, &variables, now)
}

impl Standings {
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// In place of what no longer holds.
    fn keep(&self, made: &Arc<Standing>) {
        let mut standings = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if standings.len() >= KEPT_MAX
            && !standings.contains_key(&made.entity.id)
            // The map's order is arbitrary, which makes this random eviction.
            && let Some(victim) = standings.keys().next().cloned()
        {
            standings.remove(&victim);
        }
        let of_entity = standings.entry(made.entity.id.clone()).or_default();
        of_entity.retain(|known| {
            Arc::ptr_eq(&known.entity, &made.entity)
                && known.as_of == made.as_of
                && known.token_policies != made.token_policies
        });
        of_entity.truncate(EACH_MAX - 1);
        of_entity.push(Arc::clone(made));
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
