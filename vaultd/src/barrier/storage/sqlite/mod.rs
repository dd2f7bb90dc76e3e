//! The embedded engine: one SQLite file in WAL mode with `synchronous=FULL`.
//!
//! Promises: an acknowledged commit survives loss of power; a batch is there as a whole or not at
//! all; files are 0600 and one process uses them; damage that SQLite notices is an error, never a
//! panic. Not promised: noticing changed bytes or missing rows (the barrier does), network file
//! systems.

mod checkpoint;
mod connection;
mod files;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::changes::{Changes, Watch};
use super::health::Health;
use super::lock::{LockGuard, LockId, Locks};
use super::{
    Caps, Finish, Item, KEY_MAX, Outcome, Page, Rev, Snapshot, Source, Storage, StoreError, Txn,
    VALUE_MAX, batch,
};
use connection::Log;
use files::DataDir;
use reader::Readers;
use writer::{LogLimit, Writer};

pub(super) use reader::Pages;

pub struct Sqlite {
    shared: Arc<Shared>,
    writer: Writer,
    readers: Readers,
    locks: Arc<Locks>,
    /// Joined at the end, so that nothing touches the files after.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What all threads of one open store have in common.
struct Shared {
    health: Health,
    changes: Arc<Changes>,
    log: Arc<Log>,
    file: PathBuf,
    /// Held by whoever still uses the files, snapshots included.
    dir: Mutex<Option<Arc<DataDir>>>,
}

impl Shared {
    fn dir(&self) -> Result<Arc<DataDir>, StoreError> {
        let dir = self.dir.lock().unwrap_or_else(PoisonError::into_inner);
        dir.clone().ok_or(StoreError::Closed)
    }

    /// An error after which nothing more may be read or written.
    fn end_if_final(&self, error: &StoreError) {
        if matches!(error, StoreError::Io(_) | StoreError::Corrupt(_)) {
            tracing::error!(%error, "the storage engine stopped; restart after the cause is removed");
            self.health.end(error.clone());
        }
    }
}

impl Sqlite {
    /// Opens the store in `dir`, which is made if it does not exist. Blocks.
    ///
    /// # Errors
    /// `Locked` if another process has it, `Corrupt` if the file is damaged, missing or no store.
    pub fn open(dir: &Path) -> Result<Sqlite, StoreError> {
        Sqlite::open_with(dir, LogLimit::default())
    }

    fn open_with(dir: &Path, limit: LogLimit) -> Result<Sqlite, StoreError> {
        let dir = DataDir::open(dir)?;
        let conn = connection::open_writer(&dir)?;
        let rev = connection::revision(&conn)?;
        dir.mark_used()?;
        let shared = Arc::new(Shared {
            health: Health::default(),
            changes: Changes::starting_at(rev),
            log: Arc::default(),
            file: dir.database(),
            dir: Mutex::new(Some(Arc::new(dir))),
        });
        let readers = Readers::open(&shared)?;
        let (alive, writer_gone) = mpsc::channel();
        let (writer, writer_thread) = Writer::start(conn, &shared, limit, alive)?;
        let checkpoint_thread = checkpoint::start(&shared, writer_gone)?;
        Ok(Sqlite {
            shared,
            writer,
            readers,
            locks: Arc::default(),
            threads: Mutex::new(vec![writer_thread, checkpoint_thread]),
        })
    }

    /// Ends the threads; what was queued is finished first.
    fn stop(&self) {
        self.writer.stop();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Storage for Sqlite {
    async fn get(&self, key: &[u8]) -> Result<Option<Item>, StoreError> {
        self.shared.health.check()?;
        self.readers.with(|conn| reader::get(conn, key))
    }

    async fn scan(
        &self,
        lo: &[u8],
        hi: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.shared.health.check()?;
        self.readers
            .with(|conn| reader::scan(conn, lo, hi, after, limit.max(1)))
    }

    async fn commit(&self, batch: Vec<Txn>, finish: Finish) -> Result<Vec<Outcome>, StoreError> {
        self.shared.health.check()?;
        batch::check(&batch)?;
        self.writer.commit(batch, finish).await
    }

    async fn barrier(&self) -> Result<Rev, StoreError> {
        self.shared.health.check()?;
        Ok(self.shared.changes.revision())
    }

    fn revision(&self) -> Rev {
        self.shared.changes.revision()
    }

    fn watch(&self, from: Rev) -> Watch {
        Watch::new(&self.shared.changes, from)
    }

    async fn lock(&self, id: LockId, ttl: Duration) -> Result<LockGuard, StoreError> {
        self.shared.health.check()?;
        let reservation = self.locks.reserve(id.clone(), ttl).await;
        let token = self.writer.next_token(id).await?;
        Ok(reservation.with_token(token))
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.shared.health.check()?;
        let (rev, pages) = Pages::open(&self.shared).await?;
        Ok(Snapshot {
            rev,
            source: Source::Sqlite(pages),
        })
    }

    fn caps(&self) -> Caps {
        Caps {
            key_max: KEY_MAX,
            value_max: VALUE_MAX,
            durable: true,
            shared: false,
        }
    }

    /// SQLite compares its index with its table: a row that one of them lost is found here only.
    async fn is_sound(&self) -> Result<bool, StoreError> {
        self.shared.health.check()?;
        let file = self.shared.file.clone();
        reader::blocking(move || {
            let conn = connection::open_read_only(&file)?;
            let verdict = conn.query_row("PRAGMA integrity_check(1)", [], |row| {
                row.get::<_, String>(0)
            });
            Ok(verdict.is_ok_and(|verdict| verdict == "ok"))
        })
        .await
    }

    async fn close(&self) {
        // Joins threads that may be in a sync.
        if tokio::runtime::Handle::current().runtime_flavor()
            == tokio::runtime::RuntimeFlavor::MultiThread
        {
            tokio::task::block_in_place(|| self.stop());
        } else {
            self.stop();
        }
        self.shared.health.end(StoreError::Closed);
        self.readers.close();
        *self
            .shared
            .dir
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }
}
