//! Locks after wrong passwords as they are stored, so that a restart opens none. Bounded: whoever may
//! guess names must not be able to fill the disk, so beyond that number locks are in memory only.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::sha256;

use super::Core;
use super::fault::Fault;
use super::lockout::{Change, Key};
use super::mount::reserved;
use super::retry::committed;
use super::unsealed::Unsealed;
use crate::barrier::{Tx, Window};

const FOLDER: &str = "locked";
const LOCKS_MAX: usize = 10_000;
/// In one transaction.
const CHUNK: usize = 16;

#[derive(Serialize, Deserialize)]
struct Lock {
    mount: u64,
    name: String,
    until: Timestamp,
}

/// How many are stored.
#[derive(Default)]
pub struct Stored(AtomicUsize);

/// The name of a row: those that end first are listed first.
fn name((mount, name): &Key, until: Timestamp) -> String {
    let tag = sha256(name.as_bytes());
    let tag = hex::encode(&tag[..16]);
    format!("{:012}.{mount}.{tag}", until.as_second().max(0))
}

fn row(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

/// Takes up the locks of before a restart.
pub async fn load(core: &Core, vault: &Unsealed) -> Result<(), Fault> {
    let mut tx = vault.barrier.begin();
    let mut view = tx.view(reserved::SYSTEM);
    let names = view.list(FOLDER).await?;
    core.locked.0.store(names.len(), Ordering::Release);
    for name in names {
        if let Some(lock) = view.get::<Lock>(&row(&name)).await? {
            core.lockouts.restore((lock.mount, lock.name), lock.until);
        }
    }
    Ok(())
}

/// Stores what was locked or unlocked. An answer that says so waits for it.
pub async fn save(core: &Core, vault: &Unsealed) -> Result<(), Fault> {
    for changes in core.lockouts.take_changes().chunks(CHUNK) {
        let room = LOCKS_MAX.saturating_sub(core.locked.0.load(Ordering::Acquire));
        let (added, removed) = committed!(vault, |tx| store(tx, changes, room).await)?;
        core.locked.0.fetch_add(added, Ordering::AcqRel);
        core.locked.0.fetch_sub(removed, Ordering::AcqRel);
    }
    Ok(())
}

/// How many rows came and went.
async fn store(tx: &mut Tx, changes: &[Change], room: usize) -> Result<(usize, usize), Fault> {
    let mut view = tx.view(reserved::SYSTEM);
    let (mut added, mut removed) = (0, 0);
    for change in changes {
        let (Change::Locked(key, until) | Change::Unlocked(key, until)) = change;
        let row = row(&name(key, *until));
        let exists = view.exists(&row).await?;
        match change {
            Change::Locked(..) if !exists && added < room => {
                let lock = Lock {
                    mount: key.0,
                    name: key.1.clone(),
                    until: *until,
                };
                view.put(&row, &lock).await?;
                added += 1;
            }
            Change::Unlocked(..) if exists => {
                view.delete(&row).await?;
                removed += 1;
            }
            _ => {}
        }
    }
    Ok((added, removed))
}

/// Removes some locks that are over; true if there may be more.
pub async fn tidy(core: &Core, vault: &Unsealed) -> Result<bool, Fault> {
    let now = (core.clock)().as_second();
    let window = Window {
        after: None,
        limit: std::num::NonZeroUsize::new(CHUNK),
    };
    let removed = committed!(vault, |tx| {
        let mut view = tx.view(reserved::SYSTEM);
        let mut removed = 0;
        for name in view.list_within(FOLDER, &window).await? {
            let end = name.split('.').next().and_then(|end| end.parse().ok());
            if end.is_none_or(|end: i64| end < now) {
                view.delete(&row(&name)).await?;
                removed += 1;
            }
        }
        Ok(removed)
    })?;
    core.locked.0.fetch_sub(removed, Ordering::AcqRel);
    Ok(removed == CHUNK)
}
