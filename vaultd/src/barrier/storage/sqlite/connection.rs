//! Connections, their settings, the schema, and what SQLite's errors mean.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::super::{Rev, StoreError};
use super::files::{self, DataDir};

const FORMAT: i64 = 2;

/// `rev` comes before `v`, so that a comparison of revisions does not walk a large value's pages.
const SCHEMA: &str = "
    CREATE TABLE kv(k BLOB PRIMARY KEY NOT NULL, rev INTEGER NOT NULL, v BLOB NOT NULL) STRICT;
    CREATE TABLE locks(id BLOB PRIMARY KEY NOT NULL, token INTEGER NOT NULL) STRICT;
    CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT;
    INSERT INTO meta VALUES ('format', 2), ('revision', 0);
";

/// For the writer, and for the checkpointer, which writes the database file. What the writer changes again and
/// again is to stay in its cache (KiB).
const WRITER: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA secure_delete = ON;
    PRAGMA cache_size = -32768;
";

/// mmap is off: an I/O error would be a SIGBUS, and a stray write could reach the file.
const EVERYONE: &str = "
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8192;
";

/// Opens the database, makes the schema if it is new, and settles what a crash left behind.
pub(super) fn open_writer(dir: &DataDir) -> Result<Connection, StoreError> {
    let conn = open_read_write(&dir.database())?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(fault)?;
    if mode != "wal" {
        return Err(StoreError::Io(
            "the file system does not support a write-ahead log".to_owned(),
        ));
    }
    create_schema(&conn, dir)?;
    check_format(&conn)?;
    // A log that is read back from the page cache need not be on the disk (its sync may be what
    // failed). Once it is in the database and that is synced, later commits do not hang on it.
    if !truncate_log(&conn)? {
        return Err(StoreError::Locked);
    }
    check_size(&conn, dir)?;
    Ok(conn)
}

pub(super) fn open_read_write(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(fault)?;
    conn.busy_timeout(Duration::from_secs(5)).map_err(fault)?;
    conn.execute_batch(EVERYONE).map_err(fault)?;
    conn.execute_batch(WRITER).map_err(fault)?;
    Ok(conn)
}

pub(super) fn open_read_only(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(fault)?;
    conn.busy_timeout(Duration::from_secs(5)).map_err(fault)?;
    conn.execute_batch(EVERYONE).map_err(fault)?;
    Ok(conn)
}

fn create_schema(conn: &Connection, dir: &DataDir) -> Result<(), StoreError> {
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fault)?;
    if tables == 0 {
        if dir.was_used()? {
            return Err(files::missing());
        }
        conn.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))
            .map_err(fault)?;
    }
    Ok(())
}

fn check_format(conn: &Connection) -> Result<(), StoreError> {
    let format: Option<i64> = conn
        .query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(|_| StoreError::Corrupt("vaultd.db is not a store of this program".to_owned()))?;
    match format {
        Some(FORMAT) => Ok(()),
        Some(_) => Err(StoreError::Corrupt(
            "vaultd.db has a format that this version does not know".to_owned(),
        )),
        None => Err(StoreError::Corrupt(
            "vaultd.db does not say its format".to_owned(),
        )),
    }
}

/// SQLite reads a cut off last page as if zeros followed.
fn check_size(conn: &Connection, dir: &DataDir) -> Result<(), StoreError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let expected: i64 = conn.query_row(sql, [], |row| row.get(0)).map_err(fault)?;
    match dir.size() >= expected.cast_unsigned() {
        true => Ok(()),
        false => Err(files::missing()),
    }
}

/// As of the connection's current read.
pub(super) fn revision(conn: &Connection) -> Result<Rev, StoreError> {
    let found: Option<i64> = conn
        .prepare_cached("SELECT value FROM meta WHERE name = 'revision'")
        .and_then(|mut select| select.query_row([], |row| row.get(0)).optional())
        .map_err(fault)?;
    let corrupt = || StoreError::Corrupt("the revision counter is missing".to_owned());
    found
        .and_then(|rev| Rev::try_from(rev).ok())
        .ok_or_else(corrupt)
}

/// Before each page of the log (SQLite's file format, 4.1).
const FRAME_HEADER: u64 = 24;

/// Of the log, in bytes.
#[derive(Default)]
pub(super) struct Log {
    /// From its start to the last commit.
    pub(super) size: AtomicU64,
    /// How much of it is in the database.
    pub(super) copied: AtomicU64,
}

/// Keeps `log` up to date after each commit. A file that grew beyond `keep` is cut down to it when the log
/// starts over.
pub(super) fn follow_log(
    conn: &mut Connection,
    log: &Arc<Log>,
    keep: u64,
) -> Result<(), StoreError> {
    let frame = frame_size(conn)?;
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    conn.pragma_update(None, "journal_size_limit", keep)
        .map_err(fault)?;
    let log = Arc::clone(log);
    conn.wal_hook(Some(move |_: &mut Wal, frames: i32| {
        let frames = u64::try_from(frames).unwrap_or(0);
        log.size.store(frames * frame, Ordering::Relaxed);
        Ok(())
    }))
    .map_err(fault)
}

fn frame_size(conn: &Connection) -> Result<u64, StoreError> {
    let page: u32 = conn
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .map_err(fault)?;
    Ok(FRAME_HEADER + u64::from(page))
}

/// Copies what can be copied, and takes no lock that the writer or a reader would wait for.
pub(super) fn copy_log(conn: &Connection, log: &Log) -> Result<(), StoreError> {
    let frames: i64 = conn
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))
        .map_err(fault)?;
    let copied = u64::try_from(frames).unwrap_or(0) * frame_size(conn)?;
    log.copied.store(copied, Ordering::Relaxed);
    Ok(())
}

/// Copies the log into the database and empties it. False if somebody still reads from it.
pub(super) fn truncate_log(conn: &Connection) -> Result<bool, StoreError> {
    checkpoint(conn, "PRAGMA wal_checkpoint(TRUNCATE)")
}

/// The same, but the file stays: it is written again from its start, which costs less than new blocks.
pub(super) fn restart_log(conn: &Connection) -> Result<bool, StoreError> {
    checkpoint(conn, "PRAGMA wal_checkpoint(RESTART)")
}

fn checkpoint(conn: &Connection, how: &str) -> Result<bool, StoreError> {
    let is_busy: bool = conn.query_row(how, [], |row| row.get(0)).map_err(fault)?;
    Ok(!is_busy)
}

pub(super) fn fault(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error;
    match error {
        Error::SqliteFailure(failure, text) => {
            let text = text.unwrap_or_else(|| failure.to_string());
            match failure.code {
                ErrorCode::DiskFull => StoreError::Full,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(text),
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed => StoreError::Locked,
                _ => StoreError::Io(format!("{text} (SQLite code {})", failure.extended_code)),
            }
        }
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::QueryReturnedNoRows => {
            StoreError::Corrupt("a row has not the form it was written in".to_owned())
        }
        other => StoreError::Io(other.to_string()),
    }
}
