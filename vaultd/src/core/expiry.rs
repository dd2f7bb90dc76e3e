//! The end of what is due. Due times are an index in storage: neither unsealing nor memory knows how
//! many there are.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::Core;
use super::dispatch;
use super::fault::Fault;
use super::lease::promise::{self, DuePromise};
use super::retry::committed;
use super::revoke::revoke_all;
use super::token::DueToken;
use super::unsealed::Unsealed;
use crate::barrier::{Due, Reminder};

const TICK: Duration = Duration::from_millis(500);
/// Between two batches when there is more: requests come first.
const BREATH: Duration = Duration::from_millis(1);
const BATCH: usize = 64;

/// Runs with the server. Each batch enters the gate like a request, so that sealing waits for no more
/// than one.
pub async fn run(core: Arc<Core>) {
    loop {
        let more = match core.gate.enter() {
            Err(_) => false,
            Ok(vault) => end_some(&core, &vault).await.unwrap_or_else(|fault| {
                tracing::warn!(%fault, "expiry: will be tried again");
                false
            }),
        };
        tokio::time::sleep(if more { BREATH } else { TICK }).await;
    }
}

/// A mount that is gone, or that asked for another time since, need not be reminded.
async fn remind(core: &Core, vault: &Unsealed, due: &Due, reminder: Reminder) -> Result<(), Fault> {
    let (now, mounts) = ((core.clock)(), vault.mounts.load_full());
    committed!(vault, |tx| {
        tx.delete_due(due.at_ms, &due.id).await?;
        match mounts.by_number(reminder.mount) {
            Some(mount) => dispatch::remind(mount, &reminder.about, now, tx).await,
            None => Ok(()),
        }
    })
}

/// Ends what is due, a bounded number at a time; true if there may be more.
async fn end_some(core: &Core, vault: &Unsealed) -> Result<bool, Fault> {
    let now = u64::try_from((core.clock)().as_millisecond()).unwrap_or(0);
    let due = vault.barrier.due(now, BATCH).await?;
    let token = |payload: &[u8]| serde_json::from_slice::<DueToken>(payload).ok();
    let ids: Vec<String> = due
        .iter()
        .filter_map(|due| token(&due.payload).map(|due| due.token))
        .collect();
    revoke_all(vault, &ids).await?;
    for due in &due {
        // One that cannot be taken back must not keep the others, nor what comes below.
        if let Ok(promise) = serde_json::from_slice::<DuePromise>(&due.payload)
            && let Err(fault) = promise::end_all(vault, [promise.lease].into_iter()).await
        {
            tracing::warn!(%fault, "a lease that is over: will be tried again");
        }
    }
    let reminders = due.iter().filter_map(|due| {
        let reminder = serde_json::from_slice::<Reminder>(&due.payload).ok()?;
        Some(remind(core, vault, due, reminder))
    });
    try_join_all(reminders).await?;
    // A due time whose token is gone already would stay forever.
    let left = vault.barrier.due(now, BATCH).await?;
    let stale: Vec<_> = left
        .iter()
        .filter(|left| {
            due.iter()
                .any(|due| (due.at_ms, due.id) == (left.at_ms, left.id))
        })
        .filter(|left| token(&left.payload).is_some())
        .collect();
    for stale in stale.chunks(16) {
        committed!(vault, |tx| {
            for due in stale {
                tx.delete_due(due.at_ms, &due.id).await?;
            }
            Ok(())
        })?;
    }
    Ok(due.len() == BATCH)
}
