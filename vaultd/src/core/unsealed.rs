//! Everything that exists only while unsealed. Dropping it wipes every key.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use vault_crypto::{Label, Prf, Random, random_base62};

use super::Clock;
use super::cors::Cors;
use super::denials::Denials;
use super::fault::Fault;
use super::identity::Memberships;
use super::issue::SystemTtl;
use super::mount::{MountTable, reserved};
use super::quota::Quotas;
use super::standing::Standings;
use super::token::TokenKeys;
use crate::auth::gcp::Google;
use crate::barrier::{Barrier, BarrierError, SealRecord};
use crate::policy::{DEFAULT_POLICY, Policy, PolicyName, RESPONSE_WRAPPING_POLICY};

pub struct Unsealed {
    pub barrier: Arc<Barrier>,
    pub record: SealRecord,
    pub mounts: ArcSwap<MountTable>,
    pub cors: ArcSwap<Option<Cors>>,
    pub quotas: ArcSwap<Quotas>,
    pub tokens: TokenKeys,
    /// Fingerprints of values of methods that must be found but not stored.
    pub method_prf: Prf,
    /// Private keys of paths, for values that were encrypted elsewhere.
    pub value_keys: Prf,
    /// The audit log's HMAC key.
    pub audit_prf: Prf,
    /// The system's lease times.
    pub ttl: SystemTtl,
    pub clock: Clock,
    /// When certificates end, as it was counted last.
    pub(super) certificates: ArcSwapOption<super::system::Counted>,
    /// Who was refused what, lately.
    pub denials: Denials,
    /// Names this unsealing, for what lives no longer than it.
    pub epoch: String,
    /// Compiled policies.
    pub(super) standings: Standings,
    /// Who is in which group.
    pub memberships: Memberships,
    /// Access tokens for Google's APIs.
    pub google: Google,
}

impl Unsealed {
    pub async fn open(
        barrier: Arc<Barrier>,
        record: SealRecord,
        ttl: SystemTtl,
        clock: Clock,
    ) -> Result<Unsealed, Fault> {
        let keyring = barrier.keyring();
        let mut tx = barrier.begin();
        let mounts = MountTable::load(&mut tx).await?;
        let cors = Cors::load(&mut tx).await?;
        let quotas = Quotas::load(&mut tx, &Quotas::default()).await?;
        Ok(Unsealed {
            quotas: ArcSwap::from_pointee(quotas),
            cors: ArcSwap::from_pointee(cors),
            tokens: TokenKeys::new(keyring.prf(Label::Token), keyring.purpose_key(Label::Batch)),
            method_prf: keyring.prf(Label::Approle),
            value_keys: keyring.prf(Label::Values),
            audit_prf: keyring.prf(Label::Audit),
            mounts: ArcSwap::from_pointee(mounts),
            certificates: ArcSwapOption::empty(),
            denials: Denials::default(),
            epoch: random_base62(12, &**barrier.random()),
            standings: Standings::default(),
            memberships: Memberships::default(),
            google: Google::default(),
            ttl,
            clock,
            barrier,
            record,
        })
    }

    /// Waits for the last commit and drops the keys.
    pub async fn close(self) {
        let committer = self.barrier.take_committer();
        drop(self);
        if let Some(committer) = committer {
            let _ = committer.await;
        }
    }

    pub fn random(&self) -> &dyn Random {
        &**self.barrier.random()
    }

    pub async fn reload_cors(&self) -> Result<(), Fault> {
        let mut tx = self.barrier.begin();
        self.cors.store(Arc::new(Cors::load(&mut tx).await?));
        Ok(())
    }

    pub async fn reload_mounts(&self) -> Result<(), Fault> {
        let mut tx = self.barrier.begin();
        self.mounts
            .store(Arc::new(MountTable::load(&mut tx).await?));
        Ok(())
    }

    pub async fn policy(&self, name: &PolicyName) -> Result<Option<Arc<Policy>>, Fault> {
        let path = policy_row(name);
        let parse = |bytes: &[u8]| {
            let text: String = serde_json::from_slice(bytes).ok()?;
            Policy::parse(name, &text).ok()
        };
        match self.barrier.memo(reserved::POLICIES, &path, parse).await {
            Ok(policy) => Ok(policy),
            Err(BarrierError::Unreadable(_)) => {
                Err(Fault::Internal("a stored policy does not parse"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub fn policy_row(name: &PolicyName) -> String {
    format!("acl/{}", name.as_str())
}

/// The policies of a new store.
pub fn first_policies() -> [(PolicyName, &'static str); 2] {
    [
        (PolicyName::default_policy(), DEFAULT_POLICY),
        (PolicyName::response_wrapping(), RESPONSE_WRAPPING_POLICY),
    ]
}
