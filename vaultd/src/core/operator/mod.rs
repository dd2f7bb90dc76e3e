//! What operators do: initialise, unseal, seal, and the ceremonies that change the shares.
//!
//! Init and unseal work without a pipeline, since there are no keys yet; they are audited all the
//! same, without values, because there is nothing to HMAC them with.

mod generate_root;
mod init;
mod progress;
mod rekey;
mod unseal;

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use vault_proto::seal::{Health, Leader, SealStatus};

use super::fault::Fault;
use super::record::operator_event;
use super::reply::Reply;
use super::request::Request;
use super::system::Call;
use super::{Core, autoseal};
use crate::barrier::SealRecord;

pub use generate_root::run as generate_root_call;
pub use init::{Initialised, start_dev};
pub use rekey::run as rekey_call;
pub use unseal::open_by_itself;

use progress::{Attempts, Progress};

/// Ceremonies in progress. One tokio lock each, held across the storage calls of one step, so that
/// two operators' shares never overwrite each other.
#[derive(Default)]
pub struct Operators {
    unseal: Mutex<Progress>,
    attempts: std::sync::Mutex<Attempts>,
    rekey: Mutex<Option<rekey::Rekey>>,
    generate_root: Mutex<Option<generate_root::Attempt>>,
    init: Mutex<()>,
}

impl Operators {
    /// Drops every share that was given so far.
    pub async fn forget(&self) {
        self.unseal.lock().await.reset();
        *self.rekey.lock().await = None;
        *self.generate_root.lock().await = None;
    }
}

/// Routes that answer while sealed.
pub async fn serve(core: &Core, call: Call, request: &Request) -> Result<Reply, Fault> {
    match call {
        Call::InitStatus => Ok(bare(json!({"initialized": record(core).await?.is_some()}))),
        Call::SealStatus => seal_status(core).await,
        Call::Health => health(core, request).await,
        Call::Leader => leader(),
        Call::SealBackendStatus => Ok(bare(json!({
            "healthy": true,
            "backends": [{"name": "shamir", "healthy": true}],
        }))),
        Call::Init => audited(core, request, init::run(core, request)).await,
        Call::Unseal => audited(core, request, unseal::run(core, request)).await,
        _ => Err(Fault::Sealed),
    }
}

/// Recorded before and after, like everything else.
async fn audited(
    core: &Core,
    request: &Request,
    effect: impl Future<Output = Result<Reply, Fault>>,
) -> Result<Reply, Fault> {
    operator_event(core, request, None, None).await?;
    let outcome = effect.await;
    let error = outcome.as_ref().err().map(ToString::to_string);
    operator_event(
        core,
        request,
        Some(crate::core::envelope::status_of(&outcome)),
        error.as_deref(),
    )
    .await?;
    outcome
}

fn bare(value: Value) -> Reply {
    Reply::json(value).bare()
}

pub async fn record(core: &Core) -> Result<Option<SealRecord>, Fault> {
    Ok(SealRecord::load(&core.storage).await?)
}

pub async fn seal_status(core: &Core) -> Result<Reply, Fault> {
    let record = record(core).await?;
    let sealed = !core.gate.is_open();
    let progress = core.operators.unseal.lock().await;
    let status = SealStatus {
        kind: match core.transit {
            Some(_) => autoseal::KIND.to_owned(),
            None => "shamir".to_owned(),
        },
        initialized: record.is_some(),
        sealed,
        t: record
            .as_ref()
            .map_or(0, |record| u32::from(record.threshold)),
        n: record.as_ref().map_or(0, |record| u32::from(record.shares)),
        progress: if sealed { progress.count() } else { 0 },
        nonce: if sealed {
            progress.nonce().to_owned()
        } else {
            String::new()
        },
        version: core.settings.compat_version.clone(),
        build_date: BUILD_DATE.to_owned(),
        commit_date: Some(BUILD_DATE.to_owned()),
        migration: record
            .as_ref()
            .is_some_and(|record| unseal::must_migrate(core, record)),
        cluster_name: record
            .as_ref()
            .filter(|_| !sealed)
            .map(|_| core.settings.cluster_name.clone()),
        cluster_id: record.filter(|_| !sealed).map(|record| record.cluster),
        recovery_seal: core.transit.is_some(),
        storage_type: Some(core.settings.storage_type.to_owned()),
    };
    Ok(Reply::of(&status)?.bare())
}

/// Clients parse it as a date; a fixed one keeps builds reproducible.
const BUILD_DATE: &str = "2026-11-21T00:00:00Z";

async fn health(core: &Core, request: &Request) -> Result<Reply, Fault> {
    let record = record(core).await?;
    let sealed = !core.gate.is_open();
    let health = Health {
        initialized: record.is_some(),
        sealed,
        standby: false,
        performance_standby: false,
        replication_performance_mode: "disabled".to_owned(),
        replication_dr_mode: "disabled".to_owned(),
        server_time_utc: request.now.as_second(),
        version: core.settings.compat_version.clone(),
        enterprise: false,
        cluster_name: record
            .as_ref()
            .filter(|_| !sealed)
            .map(|_| core.settings.cluster_name.clone()),
        cluster_id: record
            .as_ref()
            .filter(|_| !sealed)
            .map(|record| record.cluster.clone()),
        ..Health::default()
    };
    let code = |name: &str, default: u16| -> Result<u16, Fault> {
        match request.body.int(name)? {
            Some(code) => u16::try_from(code)
                .ok()
                .filter(|code| (200..600).contains(code))
                .ok_or_else(|| Fault::invalid(format!("{name:?} must be an HTTP status code"))),
            None => Ok(default),
        }
    };
    let status = match (record.is_some(), sealed) {
        (false, _) => code("uninitcode", 501)?,
        (true, true) => code("sealedcode", 503)?,
        (true, false) => code("activecode", 200)?,
    };
    Ok(Reply::of(&health)?.bare().status(status))
}

/// There is one node, sealed or not.
fn leader() -> Result<Reply, Fault> {
    let leader = Leader {
        ha_enabled: false,
        is_self: false,
        active_time: "0001-01-01T00:00:00Z".to_owned(),
        ..Leader::default()
    };
    Ok(Reply::of(&leader)?.bare())
}

/// Keys as Vault gives them out: hex and base64.
fn keys_block(name: &str, shares: &[vault_crypto::SecretVec]) -> Map<String, Value> {
    use base64::Engine as _;
    let hex: Vec<String> = shares
        .iter()
        .map(|share| hex::encode(share.as_slice()))
        .collect();
    let base64: Vec<String> = shares
        .iter()
        .map(|share| base64::engine::general_purpose::STANDARD.encode(share.as_slice()))
        .collect();
    let mut map = Map::new();
    map.insert(name.to_owned(), hex.into());
    map.insert(format!("{name}_base64"), base64.into());
    map
}

/// Shares and threshold as asked for (`secret_…` or `recovery_…`), within what Shamir and Vault allow.
fn parse_threshold(request: &Request, kind: &str) -> Result<vault_crypto::Threshold, Fault> {
    let shares = request.body.int(&format!("{kind}_shares"))?.unwrap_or(0);
    let need = request.body.int(&format!("{kind}_threshold"))?.unwrap_or(0);
    if shares == 1 && need == 1 {
        return vault_crypto::Threshold::parse(1, 1).map_err(|_| Fault::Internal("threshold"));
    }
    if shares < 1 || need < 1 {
        return Err(Fault::invalid("shares and threshold must be at least 1"));
    }
    if need == 1 {
        return Err(Fault::invalid(
            "threshold must be greater than one for multiple shares",
        ));
    }
    if need > shares {
        return Err(Fault::invalid("threshold cannot be larger than shares"));
    }
    vault_crypto::Threshold::parse(need.unsigned_abs(), shares.unsigned_abs())
        .map_err(|_| Fault::invalid("shares and threshold must be at most 255"))
}
