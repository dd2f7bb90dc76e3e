//! Work that no request asks for: expiry, the journal's end, verification. Each tick enters the gate
//! like a request, so sealing waits for it and nothing runs while sealed.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::mount::Mount;
use super::retry::committed;
use super::system;
use super::unsealed::Unsealed;
use super::{Core, dispatch, errands, expiry, locked};

const JOURNAL_TICK: Duration = Duration::from_millis(250);
const TIDY_TICK: Duration = Duration::from_secs(30);
const VERIFY_TICK: Duration = Duration::from_millis(500);
/// Damaged paths in the log; all of them are in the answer to `sys/integrity/verify`.
const NAMED_MAX: usize = 20;

/// Starts the loops; they end with the runtime.
pub fn start(core: &Arc<Core>, verify_every: Duration) {
    tokio::spawn(expiry::run(Arc::clone(core)));
    tokio::spawn(trim_journal(Arc::clone(core)));
    tokio::spawn(tidy(Arc::clone(core)));
    tokio::spawn(errands::run(Arc::clone(core)));
    tokio::spawn(verify(Arc::clone(core), verify_every));
}

/// Journal rows go once the audit devices have what they hold on stable storage.
async fn trim_journal(core: Arc<Core>) {
    loop {
        tokio::time::sleep(JOURNAL_TICK).await;
        let Ok(vault) = core.gate.enter() else {
            continue;
        };
        let Some(ticket) = vault.barrier.journal_ticket() else {
            continue;
        };
        if core
            .audit
            .durable(crate::audit::Ticket::from_number(ticket))
            .await
            .is_ok()
        {
            vault.barrier.journal_durable(ticket);
        }
    }
}

/// What writes and deletes left for later leaves the disk.
async fn tidy(core: Arc<Core>) {
    loop {
        tokio::time::sleep(TIDY_TICK).await;
        let Ok(vault) = core.gate.enter() else {
            continue;
        };
        if let Err(fault) = system::rotate_if_due(&vault, (core.clock)()).await {
            tracing::warn!(%fault, "key rotation: will be tried again");
        }
        if let Err(fault) = tidy_locks(&core, &vault).await {
            tracing::warn!(%fault, "locks that are over: will be tried again");
        }
        let mounts = vault.mounts.load_full();
        for mount in mounts.iter() {
            if let Err(fault) = tidy_mount(&core, &vault, mount).await {
                tracing::warn!(%fault, mount = mount.path, "tidy: will be tried again");
            }
        }
    }
}

async fn tidy_locks(core: &Core, vault: &Unsealed) -> Result<(), Fault> {
    while locked::tidy(core, vault).await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn tidy_mount(core: &Core, vault: &Unsealed, mount: &Mount) -> Result<(), Fault> {
    let now = (core.clock)();
    while committed!(vault, |tx| dispatch::tidy(mount, now, vault.random(), tx)
        .await)?
    {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Soon after unsealing, and then every so often.
async fn verify(core: Arc<Core>, every: Duration) {
    let mut verified: Option<(std::sync::Weak<Unsealed>, tokio::time::Instant)> = None;
    loop {
        tokio::time::sleep(VERIFY_TICK).await;
        let Ok(vault) = core.gate.enter() else {
            continue;
        };
        let fresh = verified.as_ref().is_some_and(|(seen, at)| {
            std::sync::Weak::ptr_eq(seen, &Arc::downgrade(&vault)) && at.elapsed() < every
        });
        if fresh {
            continue;
        }
        match vault.barrier.verify().await {
            Ok(report) if report.healthy() => {
                tracing::info!(rows = report.rows, "stored data verified")
            }
            Ok(report) => {
                for damage in report.damaged.iter().take(NAMED_MAX) {
                    let path = format!("{}{}", system::mount_of(&vault, damage), damage.path);
                    tracing::error!(path, problem = ?damage.problem, "stored data is damaged");
                }
                tracing::error!(
                    damaged = report.damaged.len(),
                    rows_missing = report.rows_missing,
                    "stored data is damaged: run 'vaultctl operator verify'"
                );
            }
            Err(fault) => tracing::warn!(%fault, "verification did not finish"),
        }
        verified = Some((Arc::downgrade(&vault), tokio::time::Instant::now()));
    }
}
