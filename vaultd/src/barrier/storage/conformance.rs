//! What every engine must do, run against each of them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

pub(super) fn key(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn put(name: &str, val: &str) -> Op {
    Op::Put(key(name), key(val))
}

pub(super) fn txn(conds: Vec<Cond>, ops: Vec<Op>) -> Txn {
    Txn { conds, ops }
}

pub(super) fn nothing_more() -> Finish {
    Box::new(|_| Vec::new())
}

pub(super) async fn write(engine: &Engine, ops: Vec<Op>) -> Rev {
    match engine
        .commit(vec![txn(vec![], ops)], nothing_more())
        .await
        .unwrap()[..]
    {
        [Outcome::Done(rev)] => rev,
        ref other => panic!("{other:?}"),
    }
}

async fn holds(engine: &Engine, cond: Cond) -> bool {
    let batch = vec![txn(vec![cond], vec![])];
    matches!(
        engine.commit(batch, nothing_more()).await.unwrap()[..],
        [Outcome::Done(_)]
    )
}

async fn value(engine: &Engine, name: &str) -> Option<String> {
    let item = engine.get(name.as_bytes()).await.unwrap()?;
    Some(String::from_utf8(item.val.to_vec()).unwrap())
}

async fn all(snapshot: &mut Snapshot) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        let page = snapshot.next().await.unwrap();
        if page.is_empty() {
            return items;
        }
        items.extend(page);
    }
}

fn none_newer(lo: &str, hi: &str, since: Rev) -> Cond {
    Cond::NoneNewer {
        lo: key(lo),
        hi: key(hi),
        since,
    }
}

async fn a_batch_is_evaluated_in_order_and_has_one_revision(engine: Engine) {
    let batch = vec![
        txn(vec![Cond::Absent(key("a"))], vec![put("a", "1")]),
        txn(vec![Cond::Absent(key("a"))], vec![put("a", "2")]),
        txn(
            vec![Cond::Exists(key("a"))],
            vec![put("b", "3"), Op::Del(key("a"))],
        ),
        txn(vec![Cond::Absent(key("a"))], vec![put("c", "4")]),
    ];
    let outcomes = engine.commit(batch, nothing_more()).await.unwrap();
    let rev = engine.revision();
    assert_eq!(
        outcomes,
        [
            Outcome::Done(rev),
            Outcome::Conflict,
            Outcome::Done(rev),
            Outcome::Done(rev)
        ]
    );
    assert_eq!(value(&engine, "a").await, None);
    assert_eq!(engine.get(b"b").await.unwrap().unwrap().rev, rev);
    assert_eq!(engine.get(b"c").await.unwrap().unwrap().rev, rev);
    assert_eq!(engine.barrier().await.unwrap(), rev);
    assert!(write(&engine, vec![put("d", "5")]).await > rev);
}

async fn a_conflicting_transaction_leaves_nothing_and_harms_no_other(engine: Engine) {
    let rev = write(&engine, vec![put("row", "old")]).await;
    let batch = vec![
        txn(vec![Cond::Rev(key("row"), rev)], vec![put("row", "new")]),
        txn(
            vec![Cond::Exists(key("row")), Cond::Rev(key("row"), rev)],
            vec![put("row", "lost"), put("x", "lost")],
        ),
        txn(vec![Cond::Rev(key("absent"), rev)], vec![put("x", "lost")]),
        txn(vec![], vec![put("y", "kept")]),
    ];
    let outcomes = engine.commit(batch, nothing_more()).await.unwrap();
    let done = Outcome::Done(rev + 1);
    assert_eq!(outcomes, [done, Outcome::Conflict, Outcome::Conflict, done]);
    assert_eq!(value(&engine, "row").await.as_deref(), Some("new"));
    assert_eq!(value(&engine, "x").await, None);
    assert_eq!(value(&engine, "y").await.as_deref(), Some("kept"));
}

async fn a_batch_without_effect_takes_no_revision(engine: Engine) {
    let rev = write(&engine, vec![put("a", "1")]).await;
    assert!(holds(&engine, Cond::Exists(key("a"))).await);
    assert!(!holds(&engine, Cond::Absent(key("a"))).await);
    assert_eq!(engine.revision(), rev);
}

async fn none_newer_sees_puts_and_deletes_in_its_range_only(engine: Engine) {
    let rev = write(&engine, vec![put("b1", ""), put("b2", ""), put("c", "")]).await;
    assert!(holds(&engine, none_newer("b", "c", rev)).await);
    write(&engine, vec![put("c", "outside")]).await;
    assert!(holds(&engine, none_newer("b", "c", rev)).await);
    let rev = write(&engine, vec![Op::Del(key("b1"))]).await;
    assert!(!holds(&engine, none_newer("b", "c", rev - 1)).await);
    assert!(holds(&engine, none_newer("b", "c", rev)).await);
    write(&engine, vec![put("b2", "again")]).await;
    assert!(!holds(&engine, none_newer("b", "c", rev)).await);
    assert!(
        holds(&engine, none_newer("z", "a", 1)).await,
        "an empty range"
    );
}

async fn none_newer_since_the_beginning_means_empty(engine: Engine) {
    assert!(holds(&engine, none_newer("a", "b", 0)).await);
    write(&engine, vec![put("a", "")]).await;
    assert!(!holds(&engine, none_newer("a", "b", 0)).await);
    let batch = vec![
        txn(vec![], vec![Op::Del(key("a"))]),
        txn(vec![none_newer("a", "b", 0)], vec![put("a1", "")]),
        txn(vec![none_newer("a", "b", 0)], vec![]),
    ];
    let outcomes = engine.commit(batch, nothing_more()).await.unwrap();
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Done(_), Outcome::Done(_), Outcome::Conflict]
        ),
        "{outcomes:?}"
    );
}

async fn none_newer_sees_earlier_transactions_of_its_batch(engine: Engine) {
    let rev = write(&engine, vec![put("a", "")]).await;
    let batch = vec![
        txn(vec![none_newer("a", "b", rev)], vec![put("a1", "")]),
        txn(vec![none_newer("a", "b", rev)], vec![put("a2", "")]),
        txn(vec![none_newer("b", "c", rev)], vec![]),
    ];
    let outcomes = engine.commit(batch, nothing_more()).await.unwrap();
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Done(_), Outcome::Conflict, Outcome::Done(_)]
        ),
        "{outcomes:?}"
    );
}

async fn finish_sees_the_outcomes_and_its_rows_are_in_the_same_commit(engine: Engine) {
    let batch = vec![
        txn(vec![], vec![put("a", "")]),
        txn(vec![Cond::Exists(key("zz"))], vec![]),
    ];
    let finish: Finish = Box::new(|held| {
        assert_eq!(held, [true, false]);
        vec![put("sum", "1")]
    });
    engine.commit(batch, finish).await.unwrap();
    let sum = engine.get(b"sum").await.unwrap().unwrap();
    assert_eq!(
        Some(sum.rev),
        engine.get(b"a").await.unwrap().map(|item| item.rev)
    );
}

async fn a_watch_reports_every_revision_once_in_order(engine: Engine) {
    let from = write(&engine, vec![put("before", "")]).await;
    write(&engine, vec![put("a", ""), put("b", "")]).await;
    let mut watch = engine.watch(from);
    let engine = Arc::new(engine);
    let writer = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move {
            for n in 0..50 {
                write(&engine, vec![put(&format!("n{n:02}"), "")]).await;
            }
        }
    });
    let expected = |n: u64| match n {
        0 => vec![key("a"), key("b")],
        n => vec![key(&format!("n{:02}", n - 1))],
    };
    for n in 0..=50 {
        let Change::Keys { rev, keys } = watch.next().await else {
            panic!("resync")
        };
        assert_eq!((rev, keys.to_vec()), (from + 1 + n, expected(n)));
    }
    writer.await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(20), watch.next())
            .await
            .is_err()
    );
}

async fn a_watch_that_lags_must_resync(engine: Engine) {
    let mut watch = engine.watch(engine.revision());
    for batch in 0..5 {
        let ops = (0..20_000)
            .map(|n| put(&format!("{batch}/{n}"), ""))
            .collect();
        write(&engine, ops).await;
    }
    assert_eq!(
        watch.next().await,
        Change::Resync {
            rev: engine.revision()
        }
    );
    let rev = write(&engine, vec![put("x", "")]).await;
    assert_eq!(
        watch.next().await,
        Change::Keys {
            rev,
            keys: Arc::from([key("x")])
        }
    );
    assert!(
        !holds(&engine, none_newer("y", "z", 1)).await,
        "no longer known"
    );
}

async fn a_scan_gives_pages_in_key_order(engine: Engine) {
    let ops = (0..10)
        .map(|n| put(&format!("k{n}"), &n.to_string()))
        .collect();
    write(&engine, ops).await;
    let mut after: Option<Bytes> = None;
    let mut seen = Vec::new();
    loop {
        let page = engine
            .scan(b"k1", b"k9", after.as_deref(), 3)
            .await
            .unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.iter().map(|item| item.key.clone()));
        after = page.items.last().map(|item| item.key.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(
        seen,
        (1..9).map(|n| key(&format!("k{n}"))).collect::<Vec<_>>()
    );
    assert!(
        !engine.scan(b"k1", b"k4", None, 3).await.unwrap().more,
        "exactly full is the end"
    );
    assert!(
        engine
            .scan(b"k9", b"k1", None, 3)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(
        engine
            .scan(b"k1", b"k4", Some(b"k7"), 3)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(
        engine
            .scan(b"k1", b"k4", Some(b"a"), 9)
            .await
            .unwrap()
            .items
            .len(),
        3
    );
}

async fn a_page_is_cut_by_bytes(engine: Engine) {
    let big = Bytes::from(vec![7; 1 << 20]);
    for n in 0..6 {
        write(&engine, vec![Op::Put(key(&format!("k{n}")), big.clone())]).await;
    }
    let page = engine.scan(b"k", b"l", None, 100).await.unwrap();
    assert_eq!((page.items.len(), page.more), (4, true));
    assert_eq!(all(&mut engine.snapshot().await.unwrap()).await.len(), 6);
}

async fn a_snapshot_shows_one_revision_while_writes_go_on(engine: Engine) {
    let name = |n: usize| format!("row{n:05}");
    let first = (0..2500).map(|n| put(&name(n), "1")).collect();
    let rev = write(&engine, first).await;
    let mut snapshot = engine.snapshot().await.unwrap();
    assert_eq!(snapshot.rev(), rev);
    write(
        &engine,
        vec![
            Op::Del(key(&name(2400))),
            put(&name(2499), "2"),
            put("row99999", "2"),
        ],
    )
    .await;
    let mut items = snapshot.next().await.unwrap();
    assert!(items.len() < 2500, "more than one page");
    write(&engine, vec![put(&name(2450), "3")]).await;
    items.extend(all(&mut snapshot).await);
    assert_eq!(items.len(), 2500);
    assert!(items.iter().all(|item| item.rev == rev && item.val == "1"));
    assert!(items.is_sorted_by(|a, b| a.key < b.key));
    assert!(snapshot.next().await.unwrap().is_empty());
}

async fn a_fence_holds_for_the_newest_token_only(engine: Engine) {
    let id = LockId::from("expiry");
    assert!(
        !holds(&engine, Cond::Fence(id.clone(), 0)).await,
        "never given out"
    );
    let first = engine
        .lock(id.clone(), Duration::from_millis(30))
        .await
        .unwrap();
    assert!(holds(&engine, Cond::Fence(id.clone(), first.token())).await);
    assert!(first.renew(Duration::from_millis(30)));
    let second = engine
        .lock(id.clone(), Duration::from_secs(60))
        .await
        .unwrap();
    assert!(second.token() > first.token());
    assert!(!first.renew(Duration::from_secs(60)), "its time was over");
    assert!(!holds(&engine, Cond::Fence(id.clone(), first.token())).await);
    assert!(holds(&engine, Cond::Fence(id.clone(), second.token())).await);
    drop(first);
    let waiting = tokio::time::timeout(
        Duration::from_millis(30),
        engine.lock(id.clone(), Duration::from_secs(1)),
    );
    assert!(
        waiting.await.is_err(),
        "a late release by the first must not free it"
    );
    let other = engine
        .lock(LockId::from("other"), Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(other.token(), 1);
    let token = second.token();
    drop(second);
    assert!(
        engine
            .lock(id, Duration::from_secs(1))
            .await
            .unwrap()
            .token()
            > token
    );
}

async fn what_is_too_large_is_refused_before_any_effect(engine: Engine) {
    let refused = [
        Op::Put(Bytes::from(vec![b'k'; KEY_MAX + 1]), Bytes::new()),
        Op::Put(Bytes::new(), Bytes::new()),
        Op::Del(Bytes::new()),
        Op::Put(key("k"), Bytes::from(vec![0; VALUE_MAX + 1])),
    ];
    for op in refused {
        let batch = vec![
            txn(vec![], vec![put("fine", "")]),
            txn(vec![], vec![op.clone()]),
        ];
        assert!(matches!(
            engine.commit(batch, nothing_more()).await,
            Err(StoreError::Limit(_))
        ));
        let batch = vec![txn(vec![], vec![put("fine", "")])];
        let result = engine.commit(batch, Box::new(move |_| vec![op])).await;
        assert!(matches!(result, Err(StoreError::Limit(_))));
    }
    assert_eq!(value(&engine, "fine").await, None);
    let largest = Op::Put(
        Bytes::from(vec![0xff; KEY_MAX]),
        Bytes::from(vec![1; VALUE_MAX]),
    );
    write(&engine, vec![largest]).await;
    assert_eq!(
        engine
            .get(&[0xff; KEY_MAX])
            .await
            .unwrap()
            .unwrap()
            .val
            .len(),
        VALUE_MAX
    );
}

async fn after_close_everything_answers_closed(engine: Engine) {
    write(&engine, vec![put("a", "")]).await;
    engine.close().await;
    engine.close().await;
    let closed = Some(StoreError::Closed);
    assert_eq!(engine.get(b"a").await.err(), closed);
    assert_eq!(engine.scan(b"a", b"b", None, 1).await.err(), closed);
    assert_eq!(engine.commit(vec![], nothing_more()).await.err(), closed);
    assert_eq!(engine.barrier().await.err(), closed);
    assert_eq!(engine.snapshot().await.err(), closed);
    assert_eq!(
        engine
            .lock(LockId::from("x"), Duration::from_secs(1))
            .await
            .err(),
        closed
    );
}

async fn concurrent_commits_lose_no_update(engine: Engine) {
    let engine = Arc::new(engine);
    write(&engine, vec![put("n", "0")]).await;
    let retries = Arc::new(Mutex::new(0));
    let increment = |engine: Arc<Engine>, retries: Arc<Mutex<u32>>| async move {
        for _ in 0..25 {
            loop {
                let item = engine.get(b"n").await.unwrap().unwrap();
                let n: u32 = std::str::from_utf8(&item.val).unwrap().parse().unwrap();
                let batch = vec![txn(
                    vec![Cond::Rev(item.key, item.rev)],
                    vec![put("n", &(n + 1).to_string())],
                )];
                match engine.commit(batch, nothing_more()).await.unwrap()[0] {
                    Outcome::Done(_) => break,
                    Outcome::Conflict => *retries.lock().unwrap() += 1,
                }
            }
        }
    };
    let tasks: Vec<_> = (0..4)
        .map(|_| tokio::spawn(increment(Arc::clone(&engine), Arc::clone(&retries))))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(value(&engine, "n").await.as_deref(), Some("100"));
}

macro_rules! for_each_engine {
    ($($name:ident)*) => {
        mod in_memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(super::Engine::Memory(super::Memory::new())).await;
                }
            )*
        }
        mod in_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let dir = super::TempDir::new().unwrap();
                    super::$name(super::Engine::Sqlite(super::Sqlite::open(dir.path()).unwrap())).await;
                }
            )*
        }
    };
}

for_each_engine! {
    a_batch_is_evaluated_in_order_and_has_one_revision
    a_conflicting_transaction_leaves_nothing_and_harms_no_other
    a_batch_without_effect_takes_no_revision
    none_newer_sees_puts_and_deletes_in_its_range_only
    none_newer_since_the_beginning_means_empty
    none_newer_sees_earlier_transactions_of_its_batch
    finish_sees_the_outcomes_and_its_rows_are_in_the_same_commit
    a_watch_reports_every_revision_once_in_order
    a_watch_that_lags_must_resync
    a_scan_gives_pages_in_key_order
    a_page_is_cut_by_bytes
    a_snapshot_shows_one_revision_while_writes_go_on
    a_fence_holds_for_the_newest_token_only
    what_is_too_large_is_refused_before_any_effect
    after_close_everything_answers_closed
    concurrent_commits_lose_no_update
}
