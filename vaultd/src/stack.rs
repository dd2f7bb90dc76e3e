//! What requests leave on the stacks of the threads that served them is wiped at sealing.
//!
//! Ciphers, parsers and the compiler keep copies there that no type can reach. Each worker overwrites
//! its own stack when it next goes idle. Not covered: registers, and threads that are not workers;
//! those see ciphertext and audit records only.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// Bytes that a request can have used, of the 2 MiB that a worker has.
const DEPTH: usize = 512 << 10;
const POLL: Duration = Duration::from_millis(1);
const POLLS: usize = 1000;

/// By number.
static RUNTIMES: Mutex<BTreeMap<u64, Handle>> = Mutex::new(BTreeMap::new());
static ROUND: AtomicU64 = AtomicU64::new(0);
static WIPED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

fn runtimes() -> MutexGuard<'static, BTreeMap<u64, Handle>> {
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A runtime whose workers wipe their stacks.
pub struct Watched {
    runtime: Runtime,
    number: u64,
}

pub fn watched(builder: &mut Builder) -> std::io::Result<Watched> {
    let runtime = builder.on_thread_park(idle).build()?;
    let mut all = runtimes();
    let number = all.last_key_value().map_or(0, |(last, _)| last + 1);
    all.insert(number, runtime.handle().clone());
    Ok(Watched { runtime, number })
}

impl Deref for Watched {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.runtime
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        runtimes().remove(&self.number);
    }
}

/// A worker is about to go idle.
fn idle() {
    let round = ROUND.load(Ordering::Acquire);
    if SEEN.replace(round) != round {
        wipe();
        WIPED.fetch_add(1, Ordering::Release);
    }
}

/// The stack of this thread, below here.
#[inline(never)]
pub fn wipe() {
    // Used afterwards as far as the compiler knows, so it is really written.
    black_box(&mut [0_u64; DEPTH / 8]);
}

/// Returns when every worker of every watched runtime has wiped its stack; false if one stayed busy.
pub async fn wipe_workers() -> bool {
    let all: Vec<Handle> = runtimes().values().cloned().collect();
    let workers: usize = all
        .iter()
        .map(|runtime| runtime.metrics().num_workers())
        .sum();
    WIPED.store(0, Ordering::Release);
    ROUND.fetch_add(1, Ordering::AcqRel);
    for _ in 0..POLLS {
        if WIPED.load(Ordering::Acquire) >= workers {
            return true;
        }
        // Wakes those that sleep, so that they go idle again.
        for runtime in &all {
            for _ in 0..runtime.metrics().num_workers() {
                runtime.spawn(async {});
            }
        }
        tokio::time::sleep(POLL).await;
    }
    false
}
