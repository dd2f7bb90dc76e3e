//! What only an engine with files can do wrong.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::super::{Cond, Finish, LockId, Op, Outcome, Storage, StoreError, Txn};
use super::Sqlite;
use super::writer::LogLimit;

fn nothing_more() -> Finish {
    Box::new(|_| Vec::new())
}

async fn put(store: &Sqlite, key: &'static str, val: Vec<u8>) -> Result<Vec<Outcome>, StoreError> {
    let ops = vec![Op::Put(Bytes::from_static(key.as_bytes()), val.into())];
    store
        .commit(vec![Txn { conds: vec![], ops }], nothing_more())
        .await
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn rows_revision_and_tokens_outlive_the_process() {
    let dir = TempDir::new().unwrap();
    let id = LockId::from("shard");
    let (rev, token) = {
        let store = Sqlite::open(dir.path()).unwrap();
        put(&store, "a", vec![1]).await.unwrap();
        put(&store, "a", vec![2]).await.unwrap();
        let guard = store
            .lock(id.clone(), Duration::from_secs(9))
            .await
            .unwrap();
        (store.revision(), guard.token())
    };
    let store = Sqlite::open(dir.path()).unwrap();
    assert_eq!(store.revision(), rev);
    let item = store.get(b"a").await.unwrap().unwrap();
    assert_eq!((item.rev, &item.val[..]), (rev, &[2][..]));
    let lock = store
        .lock(id.clone(), Duration::from_secs(9))
        .await
        .unwrap();
    assert!(lock.token() > token);
    let fenced = Txn {
        conds: vec![Cond::Fence(id, token)],
        ops: vec![],
    };
    assert_eq!(
        store.commit(vec![fenced], nothing_more()).await.unwrap(),
        [Outcome::Conflict]
    );
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let first = Sqlite::open(dir.path()).unwrap();
    put(&first, "a", vec![1]).await.unwrap();
    assert_eq!(Sqlite::open(dir.path()).err(), Some(StoreError::Locked));
    let snapshot = first.snapshot().await.unwrap();
    first.close().await;
    assert_eq!(
        Sqlite::open(dir.path()).err(),
        Some(StoreError::Locked),
        "a snapshot still reads"
    );
    drop(snapshot);
    Sqlite::open(dir.path()).unwrap();
}

#[tokio::test]
async fn files_are_private_whatever_the_umask_and_their_former_mode() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("deep/data");
    let before = rustix::process::umask(rustix::fs::Mode::empty());
    let store = Sqlite::open(&dir).unwrap();
    put(&store, "a", vec![1]).await.unwrap();
    rustix::process::umask(before);
    let names = ["vaultd.db", "vaultd.db-wal", "vaultd.db-shm", "vaultd.lock"];
    assert_eq!(mode(&dir), 0o700);
    for name in names {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    drop(store);
    for path in [dir.clone(), dir.join("vaultd.db")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let _store = Sqlite::open(&dir).unwrap();
    assert_eq!((mode(&dir), mode(&dir.join("vaultd.db"))), (0o700, 0o600));
}

#[tokio::test]
async fn a_lost_or_emptied_database_is_not_taken_for_a_new_one() {
    let dir = TempDir::new().unwrap();
    drop(Sqlite::open(dir.path()).unwrap());
    let file = dir.path().join("vaultd.db");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(StoreError::Corrupt(_))
    ));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(StoreError::Corrupt(_))
    ));
    std::fs::remove_file(dir.path().join("vaultd.lock")).unwrap();
    Sqlite::open(dir.path()).unwrap();
}

/// Damage may go unnoticed here (the barrier notices), but must not panic or hang.
#[tokio::test]
async fn garbled_and_truncated_files_are_errors() {
    let dir = TempDir::new().unwrap();
    let store = Sqlite::open(dir.path()).unwrap();
    for n in 0..40_000u32 {
        if n % 1000 == 0 {
            let ops = (n..n + 1000)
                .map(|n| Op::Put(Bytes::from(n.to_be_bytes().to_vec()), vec![7; 40].into()));
            store
                .commit(
                    vec![Txn {
                        conds: vec![],
                        ops: ops.collect(),
                    }],
                    nothing_more(),
                )
                .await
                .unwrap();
        }
    }
    drop(store);
    let log = std::fs::metadata(dir.path().join("vaultd.db-wal"));
    assert_eq!(
        log.map_or(0, |log| log.len()),
        0,
        "the database alone is not whole"
    );
    let file = dir.path().join("vaultd.db");
    let good = std::fs::read(&file).unwrap();
    let whole = good.len();

    for keep in [1, 50, 100, 4095, 4096, whole / 2, whole - 4096, whole - 1] {
        std::fs::write(&file, &good[..keep]).unwrap();
        let opened = Sqlite::open(dir.path());
        assert!(
            matches!(opened, Err(StoreError::Corrupt(_))),
            "{keep} bytes: {:?}",
            opened.err()
        );
    }
    std::fs::write(
        &file,
        b"this is not a database, it only has that name".repeat(200),
    )
    .unwrap();
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(StoreError::Corrupt(_))
    ));

    let mut noticed = 0;
    for page in (0..whole / 4096).step_by(9) {
        let mut bad = good.clone();
        bad[page * 4096..][..100].fill(0xa5);
        std::fs::write(&file, &bad).unwrap();
        let result = async {
            let store = Sqlite::open(dir.path())?;
            let mut snapshot = store.snapshot().await?;
            while !snapshot.next().await?.is_empty() {}
            put(&store, "new", vec![1]).await
        };
        noticed += usize::from(matches!(result.await, Err(StoreError::Corrupt(_))));
    }
    assert!(noticed > 0);
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    let dir = TempDir::new().unwrap();
    let foreign = rusqlite::Connection::open(dir.path().join("vaultd.db")).unwrap();
    foreign
        .execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)")
        .unwrap();
    drop(foreign);
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(StoreError::Corrupt(_))
    ));
}

/// After the first final error nothing is answered any more, though the file itself is well.
#[tokio::test]
async fn an_io_error_ends_the_store() {
    let dir = TempDir::new().unwrap();
    let store = Sqlite::open(dir.path()).unwrap();
    put(&store, "a", vec![1]).await.unwrap();
    let error = StoreError::Io("sync failed".to_owned());
    store.shared.end_if_final(&error);
    assert_eq!(put(&store, "b", vec![1]).await.err(), Some(error.clone()));
    assert_eq!(store.get(b"a").await.err(), Some(error.clone()));
    assert_eq!(store.barrier().await.err(), Some(error));
    drop(store);
    let store = Sqlite::open(dir.path()).unwrap();
    assert!(store.get(b"a").await.unwrap().is_some() && store.get(b"b").await.unwrap().is_none());
}

#[tokio::test]
async fn a_panic_in_finish_ends_the_store_and_leaves_no_row() {
    let dir = TempDir::new().unwrap();
    let store = Sqlite::open(dir.path()).unwrap();
    let ops = vec![Op::Put(Bytes::from_static(b"a"), Bytes::new())];
    let result = store
        .commit(
            vec![Txn { conds: vec![], ops }],
            Box::new(|_| panic!("planted")),
        )
        .await;
    assert!(matches!(
        result,
        Err(StoreError::Closed | StoreError::Io(_))
    ));
    assert!(put(&store, "b", vec![]).await.is_err());
    drop(store);
    assert!(
        Sqlite::open(dir.path())
            .unwrap()
            .get(b"a")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_dropped_commit_still_happens_and_is_finished_before_close() {
    let dir = TempDir::new().unwrap();
    let store = Sqlite::open(dir.path()).unwrap();
    {
        let mut commit = Box::pin(put(&store, "a", vec![1]));
        let waker = std::task::Waker::noop();
        let _ = commit
            .as_mut()
            .poll(&mut std::task::Context::from_waker(waker));
    }
    drop(store);
    assert!(
        Sqlite::open(dir.path())
            .unwrap()
            .get(b"a")
            .await
            .unwrap()
            .is_some()
    );
}

const KIB: u64 = 1 << 10;

/// Writes many rows, faster than checkpoints come by themselves; the longest that the log has been.
async fn fill(store: &Sqlite, dir: &Path, rows: u16) -> u64 {
    let mut longest = 0;
    for number in 0..rows {
        let key = Bytes::copy_from_slice(&number.to_be_bytes());
        let ops = vec![Op::Put(key, vec![7; 8 << 10].into())];
        let txn = Txn { conds: vec![], ops };
        store.commit(vec![txn], nothing_more()).await.unwrap();
        longest = longest.max(log_size(dir));
    }
    longest
}

fn with_short_log(dir: &Path, step: u64) -> Sqlite {
    let max = 256 * KIB;
    Sqlite::open_with(dir, LogLimit { max, step }).unwrap()
}

fn log_size(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("vaultd.db-wal")).unwrap().len()
}

#[tokio::test]
async fn the_log_ends_under_steady_load_and_nothing_is_lost() {
    let dir = TempDir::new().unwrap();
    let store = with_short_log(dir.path(), 64 * KIB);
    let longest = fill(&store, dir.path(), 300).await;
    // Of some 4 MiB; the checkpointer may have been in the way for once.
    assert!(longest < 1024 * KIB, "{longest}");
    drop(store);
    let store = Sqlite::open(dir.path()).unwrap();
    for number in 0..300_u16 {
        let item = store.get(&number.to_be_bytes()).await.unwrap().unwrap();
        assert_eq!(&item.val[..], vec![7; 8 << 10]);
    }
}

#[tokio::test]
async fn a_reader_lets_the_log_grow_and_stops_nobody() {
    let dir = TempDir::new().unwrap();
    let store = with_short_log(dir.path(), 512 * KIB);
    fill(&store, dir.path(), 1).await;
    let snapshot = store.snapshot().await.unwrap();
    let longest = fill(&store, dir.path(), 200).await;
    assert!(longest > 1024 * KIB, "{longest}");
    drop(snapshot);
    // The next attempt is one step further.
    fill(&store, dir.path(), 100).await;
    assert!(
        log_size(dir.path()) < 1024 * KIB,
        "{}",
        log_size(dir.path())
    );
}
