//! Work that takes the processor for long, such as hashing a password: away from the threads that
//! serve requests, as much at a time as there are processors. Who comes while the queue is full is
//! told to come back, so that a flood of logins costs bounded memory and never delays other requests.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, Semaphore};
use vault_crypto::Random;

use super::aside::Aside;
use super::fault::Fault;
use super::lockout::Lockouts;
use super::unsealed::Unsealed;
use crate::auth::jwt::Issuers;
use crate::outbound::Outbound;

/// What a method may use before its transaction.
pub struct Outside<'a> {
    pub vault: &'a Arc<Unsealed>,
    pub slow: &'a Slow,
    pub lockouts: &'a Lockouts,
    pub random: &'a Arc<dyn Random>,
    pub outbound: &'a Arc<Outbound>,
    pub issuers: &'a Issuers,
}

impl Outside<'_> {
    /// Where a mount keeps things whatever becomes of the request.
    pub fn aside(&self, mount: u64) -> Aside {
        Aside::new(self.vault, mount)
    }
}

const QUEUE_FOR_EACH: usize = 32;

pub struct Slow {
    running: Semaphore,
    /// Running and waiting.
    admitted: Semaphore,
    alone: Mutex<()>,
}

impl Default for Slow {
    fn default() -> Slow {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Slow::new(processors.min(8), QUEUE_FOR_EACH * processors.min(8))
    }
}

impl Slow {
    pub fn new(running: usize, admitted: usize) -> Slow {
        Slow {
            running: Semaphore::new(running),
            admitted: Semaphore::new(admitted),
            alone: Mutex::new(()),
        }
    }

    /// For work that is done for all who wait, by the first of them.
    pub async fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().await
    }

    /// Fails with `Limited` at once if the queue is full.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let full = |_| Fault::Limited { retry_after: 1 };
        let _admitted = self.admitted.try_acquire().map_err(full)?;
        let closed = |_| Fault::Internal("slow work");
        let _running = self.running.acquire().await.map_err(closed)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Fault::Internal("slow work failed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn who_finds_the_queue_full_is_told_to_come_back() {
        let slow = Arc::new(Slow::new(1, 2));
        let (go, wait) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let slow = Arc::clone(&slow);
            async move { slow.run(move || wait.recv().is_ok()).await }
        });
        let second = tokio::spawn({
            let slow = Arc::clone(&slow);
            async move { slow.run(|| true).await }
        });
        while slow.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(slow.run(|| ()).await, Err(Fault::Limited { .. })));
        assert!(go.send(()).is_ok());
        assert!(matches!(first.await, Ok(Ok(true))));
        assert!(matches!(second.await, Ok(Ok(true))));
        assert!(slow.run(|| ()).await.is_ok());
    }
}
