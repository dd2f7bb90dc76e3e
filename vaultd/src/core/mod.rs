//! Every request, once. `pipeline` is the path; the other files are its steps, in their order, and
//! what they share.

pub mod accessors;
pub mod after;
pub mod aside;
pub mod audit_device;
pub mod authenticate;
pub mod authorise;
pub mod autoseal;
pub mod background;
pub mod batch;
pub mod beside;
pub mod body;
pub mod bundle;
pub mod by_itself;
pub mod caller;
pub mod context;
pub mod cors;
pub mod denials;
pub mod dispatch;
pub mod envelope;
pub mod errand;
mod errands;
pub mod events;
pub mod expiry;
pub mod fault;
pub mod fingerprint;
pub mod gate;
pub mod glob;
pub mod help;
pub mod identity;
pub mod issue;
pub mod leak;
pub mod lease;
mod locked;
pub mod lockout;
pub mod login;
pub mod meter;
pub mod mount;
pub mod name;
pub mod operator;
pub mod pipeline;
pub mod proof;
pub mod quota;
mod receipt;
pub mod record;
pub mod reply;
pub mod request;
pub mod retry;
pub mod revoke;
pub mod route;
pub mod search;
pub mod slow;
pub mod standing;
pub mod system;
pub mod token;
pub mod token_method;
pub mod unsealed;
pub mod why;
pub mod wrapping;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use vault_crypto::{Ahead, Random};

use crate::audit::Broker;
use crate::auth::jwt::Issuers;
use crate::barrier::{Engine, Storage as _};
use crate::engine::ending::Ending;
use crate::outbound::Outbound;
use dispatch::Resolved;
use fault::Fault;
use gate::Gate;
use issue::SystemTtl;
use reply::{After, Reply};
use request::Request;
use route::Access;

/// The only source of time above the operating system.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the config decides about the core.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Reported to clients: the Vault level that is implemented.
    pub compat_version: String,
    pub storage_type: &'static str,
    pub cluster_name: String,
    pub ttl: SystemTtl,
    pub allow_generate_root: bool,
    /// Where audit devices that are enabled over the API may write.
    pub audit_folder: Option<PathBuf>,
    /// Programs that write DNS records, by name.
    pub hooks: BTreeMap<String, PathBuf>,
}

/// The server without its listeners.
pub struct Core {
    pub gate: Gate,
    pub storage: Arc<Engine>,
    pub audit: Arc<Broker>,
    pub clock: Clock,
    pub random: Arc<dyn Random>,
    /// For the ids of requests.
    pub ids: Ahead,
    pub settings: Settings,
    pub ttl: SystemTtl,
    /// Work that waits its turn, and names with wrong passwords: both outlive sealing.
    pub slow: slow::Slow,
    pub lockouts: lockout::Lockouts,
    /// Those of them that are stored.
    locked: locked::Stored,
    pub outbound: Arc<Outbound>,
    /// Public keys of who signs tokens for logins.
    pub issuers: Issuers,
    pub meter: meter::Meter,
    /// How the certificates of the listeners stand, by address.
    pub served: std::sync::Mutex<BTreeMap<String, Ending>>,
    /// Who hands in leaked tokens.
    pub leaks: quota::Limiter,
    /// Unseals without shares.
    pub transit: Option<autoseal::Transit>,
    /// When the process began to serve.
    pub started: Timestamp,
    operators: operator::Operators,
    /// Tells connections that the vault was sealed.
    sealed: watch::Sender<()>,
}

impl Core {
    pub fn new(
        storage: Arc<Engine>,
        audit: Arc<Broker>,
        clock: Clock,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Core {
        let ttl = settings.ttl;
        Core {
            gate: Gate::default(),
            storage,
            audit,
            started: clock(),
            clock,
            ids: Ahead::of(Arc::clone(&random)),
            random,
            settings,
            ttl,
            slow: slow::Slow::default(),
            lockouts: lockout::Lockouts::default(),
            locked: locked::Stored::default(),
            outbound: Arc::default(),
            issuers: Issuers::default(),
            meter: meter::Meter::default(),
            served: std::sync::Mutex::default(),
            leaks: leak::limiter(),
            transit: None,
            operators: operator::Operators::default(),
            sealed: watch::Sender::new(()),
        }
    }

    /// Changes whenever the vault is sealed.
    pub fn sealed(&self) -> watch::Receiver<()> {
        self.sealed.subscribe()
    }

    /// Answers one request, sealed or not.
    pub async fn handle(&self, request: &Request) -> Result<Reply, Fault> {
        let metered = self.meter.begin(request);
        let outcome = self.answer(request).await;
        metered.end(&outcome, (self.clock)());
        outcome
    }

    async fn answer(&self, request: &Request) -> Result<Reply, Fault> {
        if let Some(call) = system::sealed_call(request) {
            return Box::pin(operator::serve(self, call, request)).await;
        }
        if request.help {
            return Box::pin(help::serve(self, request)).await;
        }
        let outcome = pipeline::serve(self, request).await;
        match outcome {
            // The request that asks for it is over: it no longer holds the gate open.
            Ok(mut reply) if reply.after == Some(After::Seal) => {
                reply.after = None;
                Box::pin(self.seal()).await;
                Ok(reply)
            }
            Err(Fault::Storage(cause)) => {
                Box::pin(self.storage_failed(&cause)).await;
                Err(Fault::Storage(cause))
            }
            outcome => outcome,
        }
    }

    /// Lets nobody in, waits for requests in flight, wipes every key and every trace of requests.
    pub async fn seal(&self) {
        let wiped = self.gate.close().await;
        self.audit.lock().await;
        self.operators.forget().await;
        self.sealed.send_replace(());
        if !crate::stack::wipe_workers().await {
            tracing::warn!("sealed, but a thread stayed busy: its stack was not wiped");
        }
        match wiped {
            true => tracing::info!("sealed: all keys are wiped"),
            false => tracing::error!("sealed, but a request still runs and holds the keys"),
        }
    }

    /// The last checkpoint; nothing can be read or written after.
    pub async fn close_storage(&self) {
        self.storage.close().await;
    }

    /// A commit that may or may not be on disk is never answered with success; sealing makes sure
    /// that nothing is built upon it.
    async fn storage_failed(&self, cause: &str) {
        let broken = self.gate.enter().is_ok_and(|vault| vault.barrier.failed());
        if broken {
            tracing::error!(cause, "storage failed: sealing");
            self.seal().await;
        }
    }

    /// True if a path is served without a token, for tests and limits at the edge.
    pub fn is_open(&self, request: &Request) -> bool {
        if system::sealed_call(request).is_some() {
            return true;
        }
        let Ok(vault) = self.gate.enter() else {
            return false;
        };
        matches!(dispatch::resolve(&vault.mounts.load(), request),
            Resolved::Target(target) if matches!(target.access, Access::Open | Access::Anyone))
    }
}
