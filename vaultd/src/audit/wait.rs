//! Tasks that wait for a device. One batch wakes all of its waiters and no others.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Who waits for which ticket.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Vec<(u64, Waker)>>);

impl Waiters {
    /// The caller must look again after this: the ticket may have come through meanwhile.
    pub(super) fn register(&self, ticket: u64, waker: &Waker) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((ticket, waker.clone()));
    }

    /// Wakes whoever waits for `ticket` or an earlier one.
    pub(super) fn wake(&self, ticket: u64) {
        let ready: Vec<_> = {
            let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            list.extract_if(.., |(waits_for, _)| *waits_for <= ticket)
                .collect()
        };
        for (_, waker) in ready {
            waker.wake();
        }
    }

    pub(super) fn wake_all(&self) {
        self.wake(u64::MAX);
    }
}
