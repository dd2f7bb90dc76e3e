//! Locks within one process, with fencing tokens.
//!
//! A lock alone proves nothing: its holder may have been suspended past its time. What protects the
//! data is the token, compared inside the same commit (`Cond::Fence`).

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockId(pub Bytes);

impl From<&'static str> for LockId {
    fn from(name: &'static str) -> LockId {
        LockId(Bytes::from_static(name.as_bytes()))
    }
}

#[derive(Default)]
pub(super) struct Locks {
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Default)]
struct Held {
    by_id: HashMap<LockId, Hold>,
    next_serial: u64,
}

struct Hold {
    serial: u64,
    until: Instant,
}

impl Locks {
    /// Waits for the lock's turn. It has no token yet.
    pub(super) async fn reserve(self: &Arc<Self>, id: LockId, ttl: Duration) -> Reservation {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            match self.try_reserve(&id, ttl) {
                Ok(serial) => {
                    return Reservation {
                        locks: Arc::clone(self),
                        id,
                        serial,
                    };
                }
                Err(until) => tokio::select! {
                    () = freed => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }

    fn try_reserve(&self, id: &LockId, ttl: Duration) -> Result<u64, Instant> {
        let mut held = self.held();
        let now = Instant::now();
        match held.by_id.get(id) {
            Some(hold) if hold.until > now => Err(hold.until),
            _ => {
                held.next_serial += 1;
                let serial = held.next_serial;
                held.by_id.insert(
                    id.clone(),
                    Hold {
                        serial,
                        until: now + ttl,
                    },
                );
                Ok(serial)
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A held lock; dropping it frees it.
pub(super) struct Reservation {
    locks: Arc<Locks>,
    id: LockId,
    serial: u64,
}

impl Reservation {
    pub(super) fn with_token(self, token: u64) -> LockGuard {
        LockGuard { held: self, token }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.locks.held();
        if held
            .by_id
            .get(&self.id)
            .is_some_and(|hold| hold.serial == self.serial)
        {
            held.by_id.remove(&self.id);
        }
        drop(held);
        self.locks.freed.notify_waiters();
    }
}

/// Dropping it frees the lock.
pub struct LockGuard {
    held: Reservation,
    token: u64,
}

impl LockGuard {
    /// Grows with every holder; goes into `Cond::Fence`.
    pub fn token(&self) -> u64 {
        self.token
    }

    pub fn id(&self) -> &LockId {
        &self.held.id
    }

    /// Keeps the lock for `ttl` from now; false if somebody else has it already.
    pub fn renew(&self, ttl: Duration) -> bool {
        let mut held = self.held.locks.held();
        match held.by_id.get_mut(&self.held.id) {
            Some(hold) if hold.serial == self.held.serial => {
                hold.until = Instant::now() + ttl;
                true
            }
            _ => false,
        }
    }
}
