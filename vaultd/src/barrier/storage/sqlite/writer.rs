//! The one thread that writes. Each job is one SQLite transaction and so one sync.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use super::super::batch::{self, Rows};
use super::super::{Finish, LockId, Outcome, Rev, StoreError, Txn};
use super::Shared;
use super::connection::{self, fault};

/// How long the log gets, in bytes.
#[derive(Clone, Copy)]
pub(super) struct LogLimit {
    /// After that the writer makes the checkpointer's work complete, for under steady load a passive
    /// checkpoint never finds the moment to start the log over: as soon as little is left to copy, for
    /// commits wait meanwhile; at twice that length in any case.
    pub(super) max: u64,
    /// After readers prevented that, how much further the log grows before the next attempt.
    pub(super) step: u64,
}

impl Default for LogLimit {
    fn default() -> LogLimit {
        LogLimit {
            max: 128 << 20,
            step: 64 << 20,
        }
    }
}

/// "Little": this part of the limit.
const LITTLE: u64 = 32;
/// For that attempt only: commits wait meanwhile.
const READERS_WAIT: Duration = Duration::from_millis(20);
/// A foreign program on the file, at most that long.
const BUSY_WAIT: Duration = Duration::from_secs(5);

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Job {
    Commit {
        batch: Vec<Txn>,
        finish: Finish,
        answer: Answer<Vec<Outcome>>,
    },
    Token {
        id: LockId,
        answer: Answer<u64>,
    },
    Stop,
}

/// The writing thread's queue.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

impl Writer {
    /// `alive` is dropped when the thread ends.
    pub(super) fn start(
        mut conn: Connection,
        shared: &Arc<Shared>,
        limit: LogLimit,
        alive: mpsc::Sender<Infallible>,
    ) -> Result<(Writer, JoinHandle<()>), StoreError> {
        let (jobs, queue) = mpsc::channel();
        connection::follow_log(&mut conn, &shared.log, limit.max)?;
        let mut thread = Thread {
            conn,
            shared: Arc::clone(shared),
            limit,
            log_max: limit.max,
        };
        let ending = Ending(Arc::clone(shared));
        let handle = std::thread::Builder::new()
            .name("storage-writer".to_owned())
            .spawn(move || {
                let _ending = (ending, alive);
                thread.run(&queue);
            })
            .map_err(|error| StoreError::Io(format!("cannot start a thread: {error}")))?;
        Ok((
            Writer {
                jobs,
                shared: Arc::clone(shared),
            },
            handle,
        ))
    }

    pub(super) async fn commit(
        &self,
        batch: Vec<Txn>,
        finish: Finish,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.ask(|answer| Job::Commit {
            batch,
            finish,
            answer,
        })
        .await
    }

    pub(super) async fn next_token(&self, id: LockId) -> Result<u64, StoreError> {
        self.ask(|answer| Job::Token { id, answer }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        if self.jobs.send(job(answer)).is_ok()
            && let Ok(result) = result.await
        {
            return result;
        }
        Err(self
            .shared
            .health
            .check()
            .err()
            .unwrap_or(StoreError::Closed))
    }

    pub(super) fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
    }
}

/// However the thread ends, nobody may go on as if it still ran.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.health.end(match std::thread::panicking() {
            true => StoreError::Io("the writing thread failed".to_owned()),
            false => StoreError::Closed,
        });
    }
}

struct Thread {
    conn: Connection,
    shared: Arc<Shared>,
    limit: LogLimit,
    /// Of the next attempt.
    log_max: u64,
}

impl Thread {
    fn run(&mut self, queue: &mpsc::Receiver<Job>) {
        self.serve(queue);
        // Readers keep the log from going when it closes: empty it, so that the database is whole by
        // itself. What cannot be copied now is copied at the next start.
        if self.shared.health.check().is_ok() {
            let _ = connection::truncate_log(&self.conn);
        }
    }

    fn serve(&mut self, queue: &mpsc::Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            match job {
                Job::Commit {
                    batch,
                    finish,
                    answer,
                } => {
                    let _ = answer.send(self.transaction(|this| this.commit(batch, finish)));
                }
                Job::Token { id, answer } => {
                    let _ = answer.send(self.transaction(|this| this.next_token(&id)));
                }
                Job::Stop => return,
            }
            self.bound_log();
        }
    }

    /// Runs `work` in a transaction of which nothing remains if it fails.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.shared.health.check()?;
        let result = self.execute("BEGIN IMMEDIATE").and_then(|()| work(self));
        if let Err(error) = &result {
            self.shared.end_if_final(error);
        }
        if !self.conn.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            self.shared.health.end(error);
        }
        result
    }

    fn commit(&mut self, batch: Vec<Txn>, finish: Finish) -> Result<Vec<Outcome>, StoreError> {
        let applied = batch::apply(&mut Open(&self.conn), &self.shared.changes, batch, finish)?;
        if let Some(rev) = applied.rev {
            self.conn
                .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'revision'")
                .and_then(|mut update| update.execute([rev.cast_signed()]))
                .map_err(fault)?;
            self.execute("COMMIT")?;
            self.shared.changes.publish(rev, applied.touched);
        }
        Ok(applied.outcomes)
    }

    fn next_token(&mut self, id: &LockId) -> Result<u64, StoreError> {
        let sql = "INSERT INTO locks(id, token) VALUES (?1, 1)
                   ON CONFLICT(id) DO UPDATE SET token = token + 1 RETURNING token";
        let token: i64 = self
            .conn
            .prepare_cached(sql)
            .and_then(|mut upsert| upsert.query_row([&id.0[..]], |row| row.get(0)))
            .map_err(fault)?;
        self.execute("COMMIT")?;
        Ok(token.cast_unsigned())
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(fault)
    }

    /// Between two batches, so that the log ends.
    fn bound_log(&mut self) {
        let log = &self.shared.log;
        let size = log.size.load(Ordering::Relaxed);
        let left = size.saturating_sub(log.copied.load(Ordering::Relaxed));
        let is_time = left <= self.limit.max / LITTLE || size >= self.limit.max * 2;
        if size < self.log_max || !is_time || self.shared.health.check().is_err() {
            return;
        }
        let restarted = self
            .conn
            .busy_timeout(READERS_WAIT)
            .map_err(fault)
            .and_then(|()| {
                let restarted = connection::restart_log(&self.conn);
                self.conn
                    .busy_timeout(BUSY_WAIT)
                    .map_err(fault)
                    .and(restarted)
            });
        match restarted {
            Ok(true) => {
                log.size.store(0, Ordering::Relaxed);
                log.copied.store(0, Ordering::Relaxed);
                self.log_max = self.limit.max;
            }
            Ok(false) | Err(StoreError::Locked | StoreError::Full) => {
                self.log_max = size + self.limit.step
            }
            Err(error) => self.shared.end_if_final(&error),
        }
    }
}

/// The connection inside its transaction.
struct Open<'a>(&'a Connection);

impl Rows for Open<'_> {
    fn rev_of(&self, key: &[u8]) -> Result<Option<Rev>, StoreError> {
        let rev: Option<i64> = self
            .0
            .prepare_cached("SELECT rev FROM kv WHERE k = ?1")
            .and_then(|mut select| select.query_row([key], |row| row.get(0)).optional())
            .map_err(fault)?;
        Ok(rev.map(i64::cast_unsigned))
    }

    fn is_empty(&self, lo: &[u8], hi: &[u8]) -> Result<bool, StoreError> {
        self.0
            .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM kv WHERE k >= ?1 AND k < ?2)")
            .and_then(|mut select| select.query_row([lo, hi], |row| row.get(0)))
            .map_err(fault)
    }

    fn token(&self, id: &LockId) -> Result<u64, StoreError> {
        let token: Option<i64> = self
            .0
            .prepare_cached("SELECT token FROM locks WHERE id = ?1")
            .and_then(|mut select| select.query_row([&id.0[..]], |row| row.get(0)).optional())
            .map_err(fault)?;
        Ok(token.map_or(0, i64::cast_unsigned))
    }

    fn put(&mut self, key: Bytes, val: Bytes, rev: Rev) -> Result<(), StoreError> {
        let sql = "INSERT INTO kv(k, rev, v) VALUES (?1, ?2, ?3)
                   ON CONFLICT(k) DO UPDATE SET rev = excluded.rev, v = excluded.v";
        self.0
            .prepare_cached(sql)
            .and_then(|mut upsert| upsert.execute((&key[..], rev.cast_signed(), &val[..])))
            .map(drop)
            .map_err(fault)
    }

    fn del(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.0
            .prepare_cached("DELETE FROM kv WHERE k = ?1")
            .and_then(|mut delete| delete.execute([key]))
            .map(drop)
            .map_err(fault)
    }
}
