//! The reference for writes: as many writers hand the same rows to one group-committing SQLite thread.
//!
//! The rows are those that vaultd commits, counted in its database: some for each write, and some
//! once for each batch, however many writes are in it. A version takes over the row of one that falls
//! off, so both rows of an update replace rows that are there. Deletions (old journal rows) are not
//! repeated, which favours the reference.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::load::{Dice, Round};
use super::vault::{CREATE_EVERY, SECRETS, VERSIONS, Vault};

const KEY: usize = 29;
const BATCH_MAX: usize = 128;
const SUMS: usize = 33;

/// What writes put into the database. Sizes in bytes.
#[derive(Clone)]
pub struct Shape {
    /// Values of the rows of a write that adds a version.
    update: Vec<usize>,
    /// Values of the rows of a write that makes a secret.
    create: Vec<usize>,
    /// Value of a row of presence sums. A batch replaces those that its writes touch.
    sums: usize,
    /// How many of them a write by itself replaces.
    sums_alone: usize,
    /// A write's part of the batch's one journal row.
    journal: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "one write in {CREATE_EVERY} makes a secret, the others add a version to one of {SECRETS}"
        )?;
        writeln!(
            f,
            "rows of a new version: {:?} B; of a new secret: {:?} B",
            self.update, self.create
        )?;
        write!(
            f,
            "with each batch: presence sums of {} B (alone {} rows, at most {SUMS}),",
            self.sums, self.sums_alone
        )?;
        write!(
            f,
            " one journal row of {} B for each write in it",
            self.journal
        )
    }
}

impl Shape {
    /// Writes once each way and looks at what that changed.
    pub async fn measure(vault: &Vault) -> Result<Shape> {
        let db = Connection::open_with_flags(vault.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let newest = || -> Result<i64> {
            Ok(db.query_row("SELECT max(rev) FROM kv", [], |row| row.get(0))?)
        };
        let since = |rev: i64, kinds: &str| -> Result<Vec<usize>> {
            let sql = format!(
                "SELECT length(v) FROM kv WHERE rev > ?1 AND substr(k, 1, 1) IN ({kinds}) ORDER BY 1"
            );
            let sizes = db
                .prepare(&sql)?
                .query_map([rev], |row| row.get::<_, u32>(0).map(|size| size as usize))?
                .collect::<Result<Vec<usize>, _>>()?;
            Ok(sizes)
        };
        const ROWS: &str = "x'56', x'4C', x'45'";
        // The metadata of a secret grows with its versions; the run is long enough for all of them.
        for _ in 0..VERSIONS + 2 {
            vault.write_once(false).await?;
        }
        let rev = newest()?;
        vault.write_once(false).await?;
        let update = since(rev, ROWS)?;
        anyhow::ensure!(
            update.len() == 2,
            "an update writes {update:?}: not a version and metadata"
        );
        let sums = since(rev, "x'50'")?;
        let journal = since(rev, "x'4A'")?;
        let rev = newest()?;
        vault.write_once(true).await?;
        Ok(Shape {
            update,
            create: since(rev, ROWS)?,
            sums: sums.last().copied().unwrap_or(0),
            sums_alone: sums.len(),
            journal: journal.iter().sum(),
        })
    }

    /// Distinct rows of sums that a batch replaces, if each write touches some at random.
    fn sums_in(&self, writes: usize) -> usize {
        let missed = (1.0 - 1.0 / SUMS as f64).powf((self.sums_alone * writes) as f64);
        (SUMS as f64 * (1.0 - missed)).round() as usize
    }
}

struct Write {
    rows: Vec<([u8; KEY], usize)>,
    done: oneshot::Sender<()>,
}

/// One round on a database of its own.
pub async fn run(dir: &Path, shape: &Shape, clients: usize, time: Duration) -> Result<Round> {
    let dir = tempfile::tempdir_in(dir)?;
    let mut db = open(&dir.path().join("raw.db"))?;
    fill(&mut db, shape)?;
    let (queue, writes) = mpsc::channel(1024);
    let start = Instant::now();
    let of_thread = shape.clone();
    let thread = std::thread::spawn(move || commit(&db, &of_thread, writes));
    let mut running = JoinSet::new();
    for client in 0..clients {
        running.spawn(writer(
            shape.clone(),
            Dice::new(client as u64 + 1),
            queue.clone(),
            start + time,
        ));
    }
    drop(queue);
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        latencies.append(&mut done??);
    }
    let elapsed = start.elapsed();
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the writing thread failed"))??;
    Round::new(latencies, elapsed, Duration::ZERO)
}

fn open(file: &Path) -> Result<Connection> {
    let db = Connection::open(file)?;
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE kv(k BLOB PRIMARY KEY NOT NULL, rev INTEGER NOT NULL, v BLOB NOT NULL) STRICT;",
    )?;
    Ok(db)
}

/// The rows that updates replace.
fn fill(db: &mut Connection, shape: &Shape) -> Result<()> {
    let fill = db.transaction()?;
    for number in 0..SECRETS * (1 + VERSIONS) {
        let size = shape.update[usize::from(number < SECRETS)];
        let row = (&key(b'V', number)[..], 0, vec![0xa5; size]);
        fill.execute("INSERT INTO kv(k, rev, v) VALUES (?1, ?2, ?3)", row)?;
    }
    Ok(fill.commit()?)
}

async fn writer(
    shape: Shape,
    mut dice: Dice,
    queue: mpsc::Sender<Write>,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(1 << 12);
    let mut now = Instant::now();
    while now < until {
        let rows = if dice.roll(CREATE_EVERY) == 0 {
            let new = |size: &usize| (key(b'V', dice.roll(usize::MAX)), *size);
            shape.create.iter().map(new).collect()
        } else {
            let version = SECRETS + dice.roll(SECRETS * VERSIONS);
            let metadata = dice.roll(SECRETS);
            let replaced = [key(b'V', version), key(b'V', metadata)];
            replaced
                .into_iter()
                .zip(shape.update.iter().copied())
                .collect()
        };
        let (done, committed) = oneshot::channel();
        queue.send(Write { rows, done }).await?;
        committed.await?;
        let then = std::mem::replace(&mut now, Instant::now());
        latencies.push(now - then);
    }
    Ok(latencies)
}

/// Takes all that has queued up and commits it at once, until every writer is gone.
fn commit(db: &Connection, shape: &Shape, mut queue: mpsc::Receiver<Write>) -> Result<()> {
    let noise = vec![0xa5; (shape.journal + 1) * BATCH_MAX];
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut rev = 0_i64;
    while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        rev += 1;
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let mut put = db.prepare_cached(
                "INSERT INTO kv(k, rev, v) VALUES (?1, ?2, ?3)
                 ON CONFLICT(k) DO UPDATE SET rev = excluded.rev, v = excluded.v",
            )?;
            for (key, size) in batch.iter().flat_map(|write| &write.rows) {
                put.execute((&key[..], rev, &noise[..*size]))?;
            }
            for sum in 0..shape.sums_in(batch.len()) {
                put.execute((&key(b'P', sum)[..], rev, &noise[..shape.sums]))?;
            }
            put.execute((
                &key(b'J', rev as usize)[..],
                rev,
                &noise[..shape.journal * batch.len()],
            ))?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        for write in batch.drain(..) {
            let _ = write.done.send(());
        }
    }
    Ok(())
}

/// Spread like the keyed names of vaultd, so that rows land all over the tree; a journal grows at its end.
fn key(kind: u8, number: usize) -> [u8; KEY] {
    let mut key = [0; KEY];
    key[0] = kind;
    if kind == b'J' {
        key[1..9].copy_from_slice(&number.to_be_bytes());
        return key;
    }
    let mut spread = Dice::new(number as u64 + 1);
    for byte in &mut key[9..] {
        *byte = spread.roll(256) as u8;
    }
    key
}
