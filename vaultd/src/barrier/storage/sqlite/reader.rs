//! Read-only connections, about one per core, and snapshots on connections of their own.
//!
//! A point read takes some 10 µs, less than handing it to another thread would.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::super::{Item, PAGE_BYTES, Page, Rev, StoreError};
use super::Shared;
use super::connection::{self, fault};
use super::files::DataDir;

const SNAPSHOT_PAGE: usize = 1000;
const SNAPSHOT_LIMIT: i64 = SNAPSHOT_PAGE as i64 + 1;

pub(super) struct Readers(Vec<Mutex<Option<Connection>>>);

impl Readers {
    pub(super) fn open(shared: &Shared) -> Result<Readers, StoreError> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let open = |_| connection::open_read_only(&shared.file).map(|conn| Mutex::new(Some(conn)));
        (0..cores.clamp(2, 32))
            .map(open)
            .collect::<Result<_, _>>()
            .map(Readers)
    }

    /// Runs a short read on a connection that is free, or on this thread's own once it is.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let slot = self.free_slot();
        let conn = slot.as_ref().ok_or(StoreError::Closed)?;
        read(conn)
    }

    fn free_slot(&self) -> MutexGuard<'_, Option<Connection>> {
        let own = thread_number() % self.0.len();
        for step in 0..self.0.len() {
            match self.0[(own + step) % self.0.len()].try_lock() {
                Ok(slot) => return slot,
                Err(TryLockError::Poisoned(slot)) => return slot.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.0[own].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(&self) {
        for slot in &self.0 {
            slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)));
    OWN.get()
}

pub(super) fn get(conn: &Connection, key: &[u8]) -> Result<Option<Item>, StoreError> {
    let mut select = conn
        .prepare_cached("SELECT k, rev, v FROM kv WHERE k = ?1")
        .map_err(fault)?;
    select.query_row([key], item).optional().map_err(fault)
}

pub(super) fn scan(
    conn: &Connection,
    lo: &[u8],
    hi: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Page, StoreError> {
    let (start, sql) = match after {
        Some(after) if after >= lo => (
            after,
            "SELECT k, rev, v FROM kv WHERE k > ?1 AND k < ?2 ORDER BY k LIMIT ?3",
        ),
        _ => (
            lo,
            "SELECT k, rev, v FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT ?3",
        ),
    };
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = select.query((start, hi, one_more)).map_err(fault)?;
    let mut page = PageOf {
        limit,
        items: Vec::new(),
        bytes: 0,
    };
    while let Some(row) = rows.next().map_err(fault)? {
        if page.add(item(row).map_err(fault)?).is_break() {
            return Ok(Page {
                items: page.items,
                more: true,
            });
        }
    }
    Ok(Page {
        items: page.items,
        more: false,
    })
}

struct PageOf {
    limit: usize,
    items: Vec<Item>,
    bytes: usize,
}

impl PageOf {
    /// Breaks when the item does not go on this page any more.
    fn add(&mut self, item: Item) -> ControlFlow<()> {
        if self.items.len() == self.limit || self.bytes >= PAGE_BYTES {
            return ControlFlow::Break(());
        }
        self.bytes += item.val.len();
        self.items.push(item);
        ControlFlow::Continue(())
    }
}

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let rev: i64 = row.get(1)?;
    let rev = Rev::try_from(rev).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, rev))?;
    Ok(Item {
        key: blob(row, 0)?,
        val: blob(row, 2)?,
        rev,
    })
}

fn blob(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) => Ok(Bytes::copy_from_slice(bytes)),
        other => Err(rusqlite::Error::InvalidColumnType(
            column,
            String::new(),
            other.data_type(),
        )),
    }
}

/// A read transaction of its own: the writer goes on, the log only grows meanwhile.
pub(in super::super) struct Pages {
    reading: Option<Reading>,
}

struct Reading {
    conn: Connection,
    after: Vec<u8>,
    _dir: Arc<DataDir>,
}

impl Pages {
    pub(super) async fn open(shared: &Arc<Shared>) -> Result<(Rev, Pages), StoreError> {
        let dir = shared.dir()?;
        let shared = Arc::clone(shared);
        blocking(move || {
            let conn = connection::open_read_only(&shared.file)?;
            conn.execute_batch("BEGIN").map_err(fault)?;
            // The first read fixes what the transaction sees.
            let rev = connection::revision(&conn)?;
            let reading = Reading {
                conn,
                after: Vec::new(),
                _dir: dir,
            };
            Ok((
                rev,
                Pages {
                    reading: Some(reading),
                },
            ))
        })
        .await
    }

    pub(in super::super) async fn next(&mut self) -> Result<Vec<Item>, StoreError> {
        if self.reading.is_none() {
            return Ok(Vec::new());
        }
        let items = self.read(Reading::next).await?;
        if items.is_empty() {
            self.reading = None;
        }
        Ok(items)
    }

    pub(in super::super) async fn scan(
        &mut self,
        lo: &[u8],
        hi: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (lo, hi, after) = (lo.to_vec(), hi.to_vec(), after.map(<[u8]>::to_vec));
        self.read(move |reading| scan(&reading.conn, &lo, &hi, after.as_deref(), limit.max(1)))
            .await
    }

    pub(in super::super) async fn finds(&mut self, keys: Vec<Bytes>) -> Result<bool, StoreError> {
        self.read(move |reading| {
            let mut select = reading
                .conn
                .prepare_cached("SELECT 1 FROM kv WHERE k = ?1")
                .map_err(fault)?;
            for key in keys {
                if !select.exists([&key[..]]).map_err(fault)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// On a thread that may block. After an error the snapshot is closed.
    async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&mut Reading) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut reading = self.reading.take().ok_or(StoreError::Closed)?;
        let (reading, found) = blocking(move || {
            let found = read(&mut reading)?;
            Ok((reading, found))
        })
        .await?;
        self.reading = Some(reading);
        Ok(found)
    }
}

impl Reading {
    fn next(&mut self) -> Result<Vec<Item>, StoreError> {
        let mut select = self
            .conn
            .prepare_cached("SELECT k, rev, v FROM kv WHERE k > ?1 ORDER BY k LIMIT ?2")
            .map_err(fault)?;
        let mut rows = select.query((&self.after, SNAPSHOT_LIMIT)).map_err(fault)?;
        let mut page = PageOf {
            limit: SNAPSHOT_PAGE,
            items: Vec::new(),
            bytes: 0,
        };
        while let Some(row) = rows.next().map_err(fault)? {
            if page.add(item(row).map_err(fault)?).is_break() {
                break;
            }
        }
        if let Some(last) = page.items.last() {
            self.after = last.key.to_vec();
        }
        Ok(page.items)
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StoreError::Closed)?
}
