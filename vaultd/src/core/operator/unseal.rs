//! Shares -> unseal key -> root key -> an open vault.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use vault_crypto::{Key, Label, uuid_v4};

use super::{record, seal_status};
use crate::audit::Keys;
use crate::barrier::{Barrier, SealRecord};
use crate::core::fault::Fault;
use crate::core::record::operator_event;
use crate::core::reply::Reply;
use crate::core::request::Request;
use crate::core::retry::committed;
use crate::core::system::note_version;
use crate::core::unsealed::Unsealed;
use crate::core::{Core, after, audit_device, leak, locked};

pub async fn run(core: &Core, request: &Request) -> Result<Reply, Fault> {
    if let Ok(mut attempts) = core.operators.attempts.lock() {
        attempts.count(request.remote, request.now)?;
    }
    let record = record(core)
        .await?
        .ok_or_else(|| Fault::invalid("server is not yet initialized"))?;
    if request.body.bool("reset")?.unwrap_or(false) {
        core.operators.unseal.lock().await.reset();
        return seal_status(core).await;
    }
    // Clients of old send `Key`.
    let key = match request.body.string("key")? {
        Some(key) => Some(key),
        None => request.body.string("Key")?,
    };
    let key = key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| {
        Fault::invalid("'key' must be specified in request body as JSON, or 'reset' set to true")
    })?;
    let migrate = request.body.bool("migrate")?.unwrap_or(false);
    give_share(core, &record, &key, migrate).await?;
    seal_status(core).await
}

/// Whether the configured seal is not the one of the store: operators must agree to the change.
pub fn must_migrate(core: &Core, record: &SealRecord) -> bool {
    core.transit.is_some() != record.is_auto()
}

fn check_migration(core: &Core, record: &SealRecord, migrate: bool) -> Result<(), Fault> {
    match (migrate, must_migrate(core, record)) {
        (false, true) => Err(Fault::invalid(
            "migrate option not provided and seal migration is pending: the configured seal is not the one of the store",
        )),
        (true, false) if core.transit.is_none() => Err(Fault::invalid(
            "can't perform a seal migration, no migration seal found",
        )),
        _ => Ok(()),
    }
}

/// Stores the root key for the configured seal. The shares stay what they are.
async fn change_seal(core: &Core, record: &mut SealRecord, root: &Key<32>) -> Result<(), Fault> {
    match &core.transit {
        Some(transit) => transit.close(record, root, &*core.random).await?,
        None => record.forget_auto(),
    }
    record.store(&core.storage).await?;
    tracing::info!(auto = record.is_auto(), "the seal was changed");
    Ok(())
}

/// Takes one share; opens the vault with the last one needed.
pub async fn give_share(
    core: &Core,
    record: &SealRecord,
    key: &str,
    migrate: bool,
) -> Result<(), Fault> {
    let mut progress = core.operators.unseal.lock().await;
    if core.gate.is_open() {
        return Ok(());
    }
    check_migration(core, record, migrate)?;
    let Some(unseal) = progress.add(key, record, || uuid_v4(&*core.random))? else {
        return Ok(());
    };
    progress.reset();
    let root = record.open(unseal.expose()).map_err(|_| {
        Fault::invalid("invalid key: the shares do not fit together; one of them is from another set. Start again")
    })?;
    drop(unseal);
    let mut record = record.clone();
    if migrate {
        change_seal(core, &mut record, &root).await?;
    }
    open(core, &record, root).await
}

/// With the root key from the configured seal; audited like a share.
pub async fn open_by_itself(core: &Core, record: &SealRecord, root: Key<32>) -> Result<(), Fault> {
    let _one_at_a_time = core.operators.unseal.lock().await;
    if core.gate.is_open() {
        return Ok(());
    }
    let request = Request::of_the_server("sys/unseal", uuid_v4(&*core.random), (core.clock)())?;
    operator_event(core, &request, None, None).await?;
    let outcome = open(core, record, root).await;
    let (status, error) = match &outcome {
        Ok(()) => (200, None),
        Err(fault) => (500, Some(fault.to_string())),
    };
    operator_event(core, &request, Some(status), error.as_deref()).await?;
    outcome
}

async fn open(core: &Core, record: &SealRecord, root: Key<32>) -> Result<(), Fault> {
    let barrier = Barrier::open(
        Arc::clone(&core.storage),
        record,
        &root,
        Arc::clone(&core.random),
    )
    .await?;
    let vault =
        Arc::new(Unsealed::open(barrier, record.clone(), core.ttl, Arc::clone(&core.clock)).await?);
    let keyring = vault.barrier.keyring();
    let signing = keyring.audit_signing_key();
    let audit_key = hex::encode(signing.public().as_bytes());
    core.audit.unlock(Keys {
        hmac: keyring.prf(Label::Audit),
        signing,
        cluster: record.cluster.clone(),
    });
    drop(keyring);
    recover_audit(core, &vault).await?;
    audit_device::open_all(core, &vault).await?;
    leak::load(&vault, (core.clock)()).await?;
    locked::load(core, &vault).await?;
    after::resume(&vault).await?;
    let version = core.settings.compat_version.as_str();
    let now = (core.clock)();
    committed!(vault, |tx| note_version(tx, version, now).await)?;
    vault.barrier.serve();
    core.gate.open(vault);
    // Not secret: what `vaultctl audit verify --key` takes, from a second source.
    tracing::info!(audit_key, "unsealed");
    Ok(())
}

/// Records that were committed with an effect, but that a power loss took from the audit files.
async fn recover_audit(core: &Core, vault: &Unsealed) -> Result<(), Fault> {
    let (lines, damaged) = vault.barrier.journalled().await?;
    if damaged > 0 {
        tracing::error!(
            rows = damaged,
            "audit records kept in the database are damaged: if the audit file lost its end, they are lost"
        );
    }
    let id_of = |line: &[u8]| -> Option<String> {
        let entry: Value = serde_json::from_slice(line).ok()?;
        Some(entry.get("request")?.get("id")?.as_str()?.to_owned())
    };
    let ids: Vec<String> = lines.iter().filter_map(|line| id_of(line)).collect();
    let missing: HashSet<String> = core.audit.missing(&ids).into_iter().collect();
    let mut last = None;
    for line in lines {
        if id_of(&line).is_some_and(|id| missing.contains(&id)) {
            last = Some(core.audit.append(&line));
        }
    }
    if let Some(ticket) = last {
        tracing::warn!(
            records = missing.len(),
            "audit records recovered after a power loss"
        );
        core.audit.durable(ticket).await.map_err(|_| Fault::Audit)?;
    }
    vault.barrier.clear_journal().await?;
    Ok(())
}
