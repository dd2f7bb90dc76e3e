//! Syncing on a thread of its own, so that writing goes on meanwhile.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device::Shared;

/// A device that is not strict is synced at most this often.
const SPACING: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    file: Option<Arc<File>>,
    /// Written up to this ticket.
    written: u64,
    synced: u64,
    closed: bool,
    asleep: bool,
}

/// Syncs one device.
pub(super) struct Syncer {
    state: Mutex<State>,
    wake: Condvar,
    /// A sync failed. The kernel may have dropped the pages, and a later sync would not
    /// tell: only reopening helps.
    broken: AtomicBool,
}

impl Syncer {
    pub(super) fn spawn(shared: Arc<Shared>, index: usize) -> std::io::Result<Arc<Syncer>> {
        let syncer = Arc::new(Syncer {
            state: Mutex::default(),
            wake: Condvar::new(),
            broken: AtomicBool::new(false),
        });
        let own = Arc::clone(&syncer);
        std::thread::Builder::new()
            .name("audit-sync".to_owned())
            .spawn(move || own.run(&shared, index))?;
        Ok(syncer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file to sync from now on.
    pub(super) fn replace(&self, file: Option<Arc<File>>) {
        self.state().file = file;
        self.broken.store(false, Ordering::Release);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// There is something to sync, up to this ticket.
    pub(super) fn written(&self, ticket: u64) {
        let mut state = self.state();
        state.written = ticket;
        if std::mem::take(&mut state.asleep) {
            self.wake.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_one();
    }

    fn run(&self, shared: &Shared, index: usize) {
        let device = &shared.devices[index];
        while let Some((file, ticket)) = self.next() {
            let result = file.map_or(Ok(()), |file| file.sync_data());
            self.state().synced = ticket;
            match result {
                Ok(()) if self.is_broken() => {}
                Ok(()) => shared.synced(device, ticket),
                Err(error) => {
                    self.broken.store(true, Ordering::Release);
                    shared.failed(
                        device,
                        &format!("{error}; reopen it (SIGHUP) when repaired"),
                    );
                }
            }
            if !device.strict() {
                std::thread::sleep(SPACING);
            }
        }
    }

    /// Sleeps until there is something to sync; `None` at the end.
    fn next(&self) -> Option<(Option<Arc<File>>, u64)> {
        let mut state = self.state();
        while state.written <= state.synced {
            if state.closed {
                return None;
            }
            state.asleep = true;
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Some((state.file.clone(), state.written))
    }
}
