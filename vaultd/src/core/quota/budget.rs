//! A budget of leases that live at a time.
//!
//! What is counted is only how many there can be at most: a lease that ends is noticed when the
//! budget seems used up, by counting what is stored. So nothing has to be written down with each
//! login, what was counted can neither drift nor outlive a restart, and the budget is never passed:
//! places of requests under way count too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use super::LeaseCount;
use crate::core::fault::Fault;
use crate::core::lease;
use crate::core::unsealed::Unsealed;

/// Counting again takes at most a tenth of the time.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_FOR_EACH: u32 = 10;

/// Nobody has counted yet.
const UNKNOWN: u64 = u64::MAX;

pub struct Budget {
    pub name: String,
    pub limit: LeaseCount,
    /// There are no more than this many.
    used: AtomicU64,
    /// Places that were taken and whose leases may not be stored yet.
    reserved: AtomicU64,
    /// Held while counting: when it may be done again.
    again: Mutex<Option<Instant>>,
}

/// A place in the budget. Dropped without a lease, it is free again.
pub struct Reservation {
    budget: Arc<Budget>,
    has_lease: bool,
}

impl Reservation {
    /// The lease is stored.
    pub fn keep(mut self) {
        self.has_lease = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // In this order: whoever counts in between counts too many, never too few.
        if !self.has_lease {
            self.budget.used.fetch_sub(1, Ordering::AcqRel);
        }
        self.budget.reserved.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Budget {
    pub fn new(name: String, limit: LeaseCount) -> Budget {
        Budget {
            name,
            limit,
            used: AtomicU64::new(UNKNOWN),
            reserved: AtomicU64::new(0),
            again: Mutex::default(),
        }
    }

    pub fn is(&self, name: &str, limit: &LeaseCount) -> bool {
        self.name == name && self.limit == *limit
    }

    fn take(self: &Arc<Budget>) -> Option<Reservation> {
        // First this: whoever counts must see the place or the lease.
        self.reserved.fetch_add(1, Ordering::AcqRel);
        let max = self.limit.max_leases;
        let more = |used: u64| (used < max).then(|| used + 1);
        let taken = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        match taken {
            Ok(_) => Some(Reservation {
                budget: Arc::clone(self),
                has_lease: false,
            }),
            Err(_) => {
                self.reserved.fetch_sub(1, Ordering::AcqRel);
                None
            }
        }
    }

    /// `None` if the budget is used up.
    pub async fn reserve(
        self: &Arc<Budget>,
        vault: &Unsealed,
    ) -> Result<Option<Reservation>, Fault> {
        if let Some(place) = self.take() {
            return Ok(Some(place));
        }
        let mut again = self.again.lock().await;
        // Somebody else may have counted meanwhile.
        if let Some(place) = self.take() {
            return Ok(Some(place));
        }
        let begun = Instant::now();
        if again.is_some_and(|again| begun < again) {
            return Ok(None);
        }
        // While it seems used up nobody takes a place, so what is stored can only become less, but
        // for the places that are taken now.
        let reserved = self.reserved.load(Ordering::Acquire);
        let stored = lease::live(vault, &self.limit.scope).await?;
        self.used
            .store(stored.saturating_add(reserved), Ordering::Release);
        *again = Some(Instant::now() + PAUSE_MIN.max(begun.elapsed() * PAUSE_FOR_EACH));
        Ok(self.take())
    }
}
