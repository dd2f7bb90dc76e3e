//! Secrets that follow their changes on the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::retry::{fraction, random};
use crate::{Client, Error, Loaded, Secrets};

/// The newest good state of some secrets. Clones share it; the polling ends
/// with the last of them.
#[derive(Clone)]
pub struct Watched<T>(watch::Receiver<Arc<Loaded<T>>>);

impl<T> Watched<T> {
    /// The newest good state. Cheap.
    pub fn load(&self) -> Arc<Loaded<T>> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits for a state that this clone has not seen yet.
    pub async fn changed(&mut self) -> Arc<Loaded<T>> {
        if self.0.changed().await.is_err() {
            // The polling ended, with its runtime; nothing will ever change.
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}

impl Client {
    /// Loads `T` like [`Client::load`], and again every `interval`.
    ///
    /// A new state replaces the old one only when all of it could be loaded
    /// and a version changed. While the server cannot be reached, or a secret
    /// is missing, the last good state stays and a warning is logged.
    pub async fn watch<T>(&self, interval: Duration) -> Result<Watched<T>, Error>
    where
        T: Secrets + Send + Sync + 'static,
    {
        self.watch_with(interval, HashMap::new()).await
    }

    /// Like [`Client::watch`]; `given` fills the `{names}` of the paths.
    pub async fn watch_with<T>(
        &self,
        interval: Duration,
        given: HashMap<String, String>,
    ) -> Result<Watched<T>, Error>
    where
        T: Secrets + Send + Sync + 'static,
    {
        let first = self.load_with::<T>(&given).await?;
        let (sender, receiver) = watch::channel(Arc::new(first));
        tokio::spawn(poll(self.clone(), interval, given, sender));
        Ok(Watched(receiver))
    }
}

async fn poll<T: Secrets>(
    client: Client,
    interval: Duration,
    given: HashMap<String, String>,
    sender: watch::Sender<Arc<Loaded<T>>>,
) {
    loop {
        // A tenth earlier or later, so that apps do not poll in step.
        let pause = interval - interval / 10 + fraction(interval / 5, random());
        if timeout(pause, sender.closed()).await.is_ok() {
            return;
        }
        match client.load_with::<T>(&given).await {
            Ok(fresh) => {
                sender.send_if_modified(|current| {
                    let changed = current.stamps != fresh.stamps;
                    if changed {
                        *current = Arc::new(fresh);
                    }
                    changed
                });
            }
            Err(failure) => {
                tracing::warn!(error = %failure, "the secrets could not be read again; the last ones stay");
            }
        }
    }
}
