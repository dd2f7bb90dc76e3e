//! Quotas: how many requests an address may make, and how many leases may live at a time.
//!
//! Of the quotas that fit a request, the most specific one counts, as in Vault: role before path
//! before mount before everything. Rate limits are asked before anything is known of the caller, so
//! that a flood costs little; without any quota a request pays for one look at an empty list. What
//! quotas count is in memory and derived from what is stored: it begins anew with each unseal.

mod budget;
mod limiter;
mod scope;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dispatch::{Resolved, Target};
use super::fault::Fault;
use super::mount::{Kind, Mount, reserved};
use super::request::Request;
use super::route::Access;
use super::unsealed::Unsealed;
use crate::auth::approle;
use crate::barrier::Tx;

pub use budget::{Budget, Reservation};
pub use limiter::{Limiter, Standing};
pub use scope::Scope;

/// A limit on requests for each address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateLimit {
    pub scope: Scope,
    /// Requests in an interval; more than 0.
    pub rate: f64,
    /// Seconds.
    pub interval: u64,
    /// Seconds for which an address that went over is refused; 0 is until it has room again.
    pub block_interval: u64,
    pub inheritable: bool,
}

/// A limit on leases that live at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaseCount {
    pub scope: Scope,
    pub max_leases: u64,
    pub inheritable: bool,
}

/// What holds for all rate limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub rate_limit_exempt_paths: Vec<String>,
    pub absolute_rate_limit_exempt_paths: Vec<String>,
    pub enable_rate_limit_audit_logging: bool,
    pub enable_rate_limit_response_headers: bool,
}

impl Default for Settings {
    /// What an operator needs when everything else is refused.
    fn default() -> Settings {
        let exempt = [
            "sys/generate-recovery-token/attempt",
            "sys/generate-recovery-token/update",
            "sys/generate-root/attempt",
            "sys/generate-root/update",
            "sys/health",
            "sys/seal-status",
            "sys/unseal",
        ];
        Settings {
            rate_limit_exempt_paths: exempt.map(str::to_owned).into(),
            absolute_rate_limit_exempt_paths: Vec::new(),
            enable_rate_limit_audit_logging: false,
            enable_rate_limit_response_headers: false,
        }
    }
}

/// Names of the two kinds, in paths and rows.
pub const RATE: &str = "rate-limit";
pub const LEASES: &str = "lease-count";
const SETTINGS_ROW: &str = "quota/config";

pub fn row(kind: &str, name: &str) -> String {
    format!("quota/{kind}/{name}")
}

pub async fn settings(tx: &mut Tx) -> Result<Settings, Fault> {
    let stored = tx.view(reserved::SYSTEM).get(SETTINGS_ROW).await?;
    Ok(stored.unwrap_or_default())
}

pub async fn store_settings(tx: &mut Tx, settings: &Settings) -> Result<(), Fault> {
    Ok(tx
        .view(reserved::SYSTEM)
        .put(SETTINGS_ROW, settings)
        .await?)
}

/// Every quota, as of one moment. Replaced as a whole; counts of quotas that stayed are kept.
#[derive(Default)]
pub struct Quotas {
    settings: Settings,
    rates: Vec<Arc<Limiter>>,
    leases: Vec<Arc<Budget>>,
}

impl Quotas {
    pub async fn load(tx: &mut Tx, before: &Quotas) -> Result<Quotas, Fault> {
        let mut loaded = Quotas {
            settings: settings(tx).await?,
            ..Quotas::default()
        };
        let mut view = tx.view(reserved::SYSTEM);
        for name in view.list(&format!("quota/{RATE}")).await? {
            if let Some(limit) = view.get::<RateLimit>(&row(RATE, &name)).await? {
                let kept = before.rates.iter().find(|old| old.is(&name, &limit));
                let kept = kept.map(Arc::clone);
                loaded
                    .rates
                    .push(kept.unwrap_or_else(|| Arc::new(Limiter::new(name, limit))));
            }
        }
        for name in view.list(&format!("quota/{LEASES}")).await? {
            if let Some(limit) = view.get::<LeaseCount>(&row(LEASES, &name)).await? {
                let kept = before.leases.iter().find(|old| old.is(&name, &limit));
                let kept = kept.map(Arc::clone);
                loaded
                    .leases
                    .push(kept.unwrap_or_else(|| Arc::new(Budget::new(name, limit))));
            }
        }
        Ok(loaded)
    }

    /// Most servers have none, and then nothing is to be asked.
    pub fn limit_rates(&self) -> bool {
        !self.rates.is_empty()
    }

    fn exempt(&self, path: &str) -> bool {
        let settings = &self.settings;
        let lists = [
            &settings.rate_limit_exempt_paths,
            &settings.absolute_rate_limit_exempt_paths,
        ];
        lists.into_iter().flatten().any(|exempt| {
            let exempt = exempt.trim_start_matches('/');
            match exempt.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path.trim_end_matches('/') == exempt.trim_end_matches('/'),
            }
        })
    }

    pub fn audits_refusals(&self) -> bool {
        self.settings.enable_rate_limit_audit_logging
    }
}

/// Counts one request of an address, before anything else is done for it. The standing is for the
/// answer's headers, if they are wanted.
pub async fn admit(vault: &Unsealed, resolved: &Resolved, request: &Request) -> Result<(), Fault> {
    let quotas = vault.quotas.load();
    let path = request.path.as_str();
    if quotas.exempt(path) {
        return Ok(());
    }
    let target = match resolved {
        Resolved::Target(target) => Some(target),
        _ => None,
    };
    let role = match target {
        Some(target) if quotas.rates.iter().any(|rate| rate.asks_role_of(path)) => {
            role_of(vault, target, request).await?
        }
        _ => String::new(),
    };
    let fits = |limiter: &&Arc<Limiter>| limiter.limit.scope.fit(path, &role);
    let best = quotas
        .rates
        .iter()
        .max_by_key(fits)
        .filter(|best| fits(best).is_some());
    let Some(limiter) = best else {
        return Ok(());
    };
    let (allowed, standing) = limiter.take(request.remote, request.now);
    if quotas.settings.enable_rate_limit_response_headers {
        let _ = request.standing.set(standing);
    }
    match allowed {
        true => Ok(()),
        false => Err(Fault::Quota {
            text: format!("request path {path:?}: rate limit quota exceeded"),
            retry_after: Some(standing.reset),
        }),
    }
}

/// The role that a login names; empty for all other requests. Decides nothing: who names a role may
/// not have it.
async fn role_of(vault: &Unsealed, target: &Target, request: &Request) -> Result<String, Fault> {
    if target.access != Access::Open || !target.mount.kind.is_auth() {
        return Ok(String::new());
    }
    match target.mount.kind {
        Kind::Approle => {
            let mut tx = vault.barrier.begin();
            let mut view = tx.view(target.mount.number);
            approle::role_of_login(&request.body, &vault.method_prf, &mut view).await
        }
        Kind::Userpass | Kind::Ldap => Ok(target.params.get("name").to_ascii_lowercase()),
        _ => Ok(request.body.string("role")?.unwrap_or_default()),
    }
}

/// Takes a place for one more lease, in the budget that fits best if there is one. The place is
/// taken until the reservation is dropped, and after that if the lease is there.
pub async fn reserve(
    vault: &Unsealed,
    mount: &Mount,
    path: &str,
    role: &str,
) -> Result<Option<Reservation>, Fault> {
    let quotas = vault.quotas.load();
    if quotas.leases.is_empty() {
        return Ok(None);
    }
    let role = if mount.kind.is_auth() { role } else { "" };
    let fits = |budget: &&Arc<Budget>| budget.limit.scope.fit(path, role);
    let best = quotas
        .leases
        .iter()
        .max_by_key(fits)
        .filter(|best| fits(best).is_some());
    let Some(budget) = best.map(Arc::clone) else {
        return Ok(None);
    };
    drop(quotas);
    match budget.reserve(vault).await? {
        Some(reservation) => Ok(Some(reservation)),
        None => Err(Fault::Quota {
            text: format!("request path {path:?}: lease count quota exceeded"),
            retry_after: None,
        }),
    }
}

/// Memory follows storage.
pub async fn reload(vault: &Unsealed) -> Result<(), Fault> {
    let mut tx = vault.barrier.begin();
    let loaded = Quotas::load(&mut tx, &vault.quotas.load()).await?;
    vault.quotas.store(Arc::new(loaded));
    Ok(())
}
