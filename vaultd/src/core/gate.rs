//! Sealed or not: the first question of every request.
//!
//! A request holds a clone of the `Arc` while it runs; sealing takes the slot's own, waits until it
//! is the last one, and drops it. Dropping [`Unsealed`] wipes every key.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::fault::Fault;
use super::unsealed::Unsealed;

/// How long sealing waits for requests in flight before it reports that some still run.
const DRAIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(2);

#[derive(Default)]
pub struct Gate {
    slot: ArcSwapOption<Unsealed>,
    /// True once those who only wait for something inside are to go.
    leaving: watch::Sender<bool>,
}

impl Gate {
    /// The open vault, held open until the guard is dropped.
    pub fn enter(&self) -> Result<Arc<Unsealed>, Fault> {
        self.slot.load_full().ok_or(Fault::Sealed)
    }

    pub fn is_open(&self) -> bool {
        self.slot.load().is_some()
    }

    pub fn open(&self, vault: Arc<Unsealed>) {
        self.leaving.send_replace(false);
        self.slot.store(Some(vault));
    }

    /// Asks those who wait inside for something to happen, such as subscribers, to go.
    pub fn hurry(&self) {
        self.leaving.send_replace(true);
    }

    /// Returns when those who wait are to go.
    pub async fn leaving(&self) {
        // The sender is ours: this cannot fail.
        let _ = self.leaving.subscribe().wait_for(|leaving| *leaving).await;
    }

    /// Lets nobody in any more and waits for those inside. `true` if all keys are wiped on return.
    pub async fn close(&self) -> bool {
        let Some(mut vault) = self.slot.swap(None) else {
            return true;
        };
        vault.barrier.closing();
        self.hurry();
        let mut waited = Duration::ZERO;
        loop {
            match Arc::try_unwrap(vault) {
                Ok(last) => {
                    last.close().await;
                    return true;
                }
                Err(shared) => vault = shared,
            }
            if waited >= DRAIN {
                return false;
            }
            tokio::time::sleep(POLL).await;
            waited += POLL;
        }
    }
}
