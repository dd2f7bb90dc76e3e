//! What the server counts of its own work, and what it is doing now. Paths are only in the list of
//! running requests: counters have no label that a client can choose.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::envelope::status_of;
use super::fault::Fault;
use super::reply::Reply;
use super::request::{Request, Verb};

/// A request under way.
#[derive(Clone)]
pub struct Running {
    pub id: String,
    pub started: Timestamp,
    pub remote: IpAddr,
    pub path: String,
    pub verb: Verb,
}

/// A place for each request at the same time. Places are used again.
#[derive(Default)]
struct Slots {
    taken: Vec<Option<Running>>,
    free: Vec<usize>,
}

/// Counts since the start of the process.
#[derive(Default)]
pub struct Meter {
    running: Mutex<Slots>,
    pub requests: AtomicU64,
    /// Time spent on them.
    pub micros: AtomicU64,
    pub logins: AtomicU64,
    /// Answers by the first digit of their status, from 2xx.
    pub answers: [AtomicU64; 4],
    /// Requests refused since no audit device recorded them.
    pub audit_failures: AtomicU64,
}

/// Ends with the request, even if the client hangs up before.
pub struct Metered<'m> {
    meter: &'m Meter,
    at: usize,
    started: Timestamp,
}

impl Meter {
    fn running(&self) -> MutexGuard<'_, Slots> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, request: &Request) -> Metered<'_> {
        let running = Some(Running {
            id: request.id.clone(),
            started: request.now,
            remote: request.remote,
            path: request.path.as_str().to_owned(),
            verb: request.verb,
        });
        let mut slots = self.running();
        let at = match slots.free.pop() {
            Some(at) => {
                slots.taken[at] = running;
                at
            }
            None => {
                slots.taken.push(running);
                slots.taken.len() - 1
            }
        };
        Metered {
            meter: self,
            at,
            started: request.now,
        }
    }

    /// Oldest first.
    pub fn in_flight(&self) -> Vec<Running> {
        let mut all: Vec<_> = self.running().taken.iter().flatten().cloned().collect();
        all.sort_by_key(|running| running.started);
        all
    }

    pub fn in_flight_count(&self) -> usize {
        let slots = self.running();
        slots.taken.len() - slots.free.len()
    }
}

impl Metered<'_> {
    pub fn end(self, outcome: &Result<Reply, Fault>, now: Timestamp) {
        let add = |counter: &AtomicU64, by: u64| {
            counter.fetch_add(by, Ordering::Relaxed);
        };
        let spent = now.as_microsecond() - self.started.as_microsecond();
        add(&self.meter.requests, 1);
        add(&self.meter.micros, u64::try_from(spent).unwrap_or(0));
        let class = usize::from(status_of(outcome) / 100).saturating_sub(2);
        if let Some(counter) = self.meter.answers.get(class) {
            add(counter, 1);
        }
        match outcome {
            Ok(reply) if reply.auth.is_some() => add(&self.meter.logins, 1),
            Err(Fault::Audit) => add(&self.meter.audit_failures, 1),
            _ => {}
        }
    }
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        let mut slots = self.meter.running();
        let ended = slots.taken[self.at].take();
        slots.free.push(self.at);
        drop(slots);
        drop(ended);
    }
}
