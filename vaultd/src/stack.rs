//! What requests leave on the stacks of the threads that served them is wiped at sealing.
//!
//! Ciphers, parsers and the compiler keep copies there that no type can reach. Each worker overwrites
//! its own stack when it next goes idle. Not covered: registers, and threads that are not workers;
//! those see ciphertext and audit records only.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes that a request can have used, of the 2 MiB that a worker has.
const DEPTH: usize = 512 << 10;
const POLL: Duration = Duration::from_millis(1);
const POLLS: usize = 1000;

static IN_USE: AtomicBool = AtomicBool::new(false);
static ROUND: AtomicU64 = AtomicU64::new(0);
static WIPED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// For `on_thread_park`: a worker is about to go idle.
pub fn idle() {
    IN_USE.store(true, Ordering::Relaxed);
    let round = ROUND.load(Ordering::Acquire);
    if SEEN.replace(round) != round {
        wipe();
        WIPED.fetch_add(1, Ordering::Release);
    }
}

#[inline(never)]
fn wipe() {
    // Used afterwards as far as the compiler knows, so it is really written.
    black_box(&mut [0_u64; DEPTH / 8]);
}

/// Returns when every worker has wiped its stack; false if one stayed busy. Does nothing in a runtime
/// whose workers do not call [`idle`].
pub async fn wipe_workers() -> bool {
    if !IN_USE.load(Ordering::Relaxed) {
        return true;
    }
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    WIPED.store(0, Ordering::Release);
    ROUND.fetch_add(1, Ordering::AcqRel);
    for _ in 0..POLLS {
        // Wakes those that sleep, so that they go idle again.
        for _ in 0..workers {
            tokio::spawn(async {});
        }
        tokio::time::sleep(POLL).await;
        if WIPED.load(Ordering::Acquire) >= workers {
            return true;
        }
    }
    false
}
