//! Secrets that follow their changes on the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::retry::{fraction, random};
use crate::{Change, Client, Error, Loaded, Secrets};

/// For one question about changes.
const WAIT: Duration = Duration::from_secs(30);
/// Before the server is asked again after a failure.
const SHORTEST: Duration = Duration::from_millis(500);

/// The newest good state of some secrets. Clones share it; the following ends
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
            // The following ended, with its runtime; nothing will ever change.
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}

impl Client {
    /// Loads `T` like [`Client::load`], and again when the server tells of a
    /// change, and every `interval`: a server without events is only polled.
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
        // Before the first reading, so that no change is between the two.
        let cursor = self.changes_cursor().await.ok();
        let first = self.load_with::<T>(&given).await?;
        let (sender, receiver) = watch::channel(Arc::new(first));
        tokio::spawn(follow(self.clone(), interval, given, cursor, sender));
        Ok(Watched(receiver))
    }
}

async fn follow<T: Secrets>(
    client: Client,
    interval: Duration,
    given: HashMap<String, String>,
    mut cursor: Option<String>,
    sender: watch::Sender<Arc<Loaded<T>>>,
) {
    loop {
        // A tenth earlier or later, so that apps do not poll in step.
        let pause = interval - interval / 10 + fraction(interval / 5, random());
        let places = Arc::clone(&sender.borrow());
        let changed = async {
            match cursor.as_mut() {
                Some(cursor) => until_changed(&client, &places, cursor).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sender.closed() => return,
            outcome = timeout(pause, changed) => {
                // Lost the thread: a new cursor, and then all is read again.
                if matches!(outcome, Ok(Err(_))) {
                    if timeout(SHORTEST, sender.closed()).await.is_ok() {
                        return;
                    }
                    cursor = None;
                }
                if cursor.is_none() {
                    cursor = client.changes_cursor().await.ok();
                }
            }
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

/// Returns once one of the loaded secrets changed. May be dropped: the cursor moves only with an
/// answer, and then all is read.
async fn until_changed<T>(
    client: &Client,
    loaded: &Loaded<T>,
    cursor: &mut String,
) -> Result<(), Error> {
    loop {
        let changes = client.changes(cursor, WAIT).await?;
        *cursor = changes.cursor;
        let ours = |change: &Change| loaded.is_touched_by(change);
        if changes.events.iter().any(ours) {
            return Ok(());
        }
    }
}
