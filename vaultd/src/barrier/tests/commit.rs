//! Transactions: what they see, when they conflict, what they may hold.

use std::sync::Arc;

use bytes::Bytes;

use super::{BarrierError, Bed, Journal, MOUNT};
use crate::barrier::cache::{Cache, Cached};
use crate::barrier::{Barrier, VALUE_MAX};

#[tokio::test]
async fn a_transaction_reads_its_own_writes_and_nobody_else_does() {
    let bed = Bed::new().await;
    bed.put("old", "1").await;
    let mut tx = bed.barrier.begin();
    let mut view = tx.view(MOUNT);
    view.put("new", &1).await.unwrap();
    view.put("old", &2).await.unwrap();
    assert_eq!(view.get::<u8>("new").await.unwrap(), Some(1));
    assert_eq!(view.get::<u8>("old").await.unwrap(), Some(2));
    view.delete("old").await.unwrap();
    assert_eq!(view.get::<u8>("old").await.unwrap(), None);
    view.delete("old").await.unwrap();
    assert_eq!(bed.get("new").await.unwrap(), None);
    assert_eq!(bed.get("old").await.unwrap().unwrap(), "1");
    tx.commit().await.unwrap();
    assert_eq!(bed.get("new").await.unwrap().unwrap(), "1");
    assert_eq!(bed.get("old").await.unwrap(), None);
}

#[tokio::test]
async fn put_then_delete_in_one_transaction_leaves_nothing() {
    let bed = Bed::new().await;
    let before = bed.rows().await.len();
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).put("a/b", &1).await.unwrap();
    tx.view(MOUNT).delete("a/b").await.unwrap();
    assert!(!tx.has_writes());
    tx.commit().await.unwrap();
    assert_eq!(bed.rows().await.len(), before);
}

#[tokio::test]
async fn a_dropped_transaction_has_no_effect() {
    let bed = Bed::new().await;
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).put("a", &1).await.unwrap();
    drop(tx);
    assert_eq!(bed.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn mounts_do_not_see_each_other() {
    let bed = Bed::new().await;
    bed.put("a", "1").await;
    let mut tx = bed.barrier.begin();
    let mut other = tx.view(MOUNT + 1);
    assert!(other.get_bytes("a").await.unwrap().is_none());
    assert!(other.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_that_was_read_and_then_changed_is_a_conflict() {
    let bed = Bed::new().await;
    bed.put("read", "1").await;
    for absent in ["read", "absent"] {
        let mut tx = bed.barrier.begin();
        tx.view(MOUNT).get_bytes(absent).await.unwrap();
        tx.view(MOUNT).put("other", &1).await.unwrap();
        bed.put(absent, "2").await;
        assert!(matches!(tx.commit().await, Err(BarrierError::Conflict)));
    }
    assert_eq!(bed.get("other").await.unwrap(), None);
}

#[tokio::test]
async fn two_blind_writes_of_one_row_conflict() {
    let bed = Bed::new().await;
    bed.put("a", "0").await;
    let (mut one, mut two) = (bed.barrier.begin(), bed.barrier.begin());
    one.view(MOUNT).put("a", &1).await.unwrap();
    two.view(MOUNT).delete("a").await.unwrap();
    one.commit().await.unwrap();
    assert!(matches!(two.commit().await, Err(BarrierError::Conflict)));
    assert_eq!(bed.get("a").await.unwrap().unwrap(), "1");
}

#[tokio::test]
async fn transactions_that_only_read_do_not_mix_two_moments() {
    let bed = Bed::new().await;
    bed.put("a", "1").await;
    bed.put("b", "1").await;
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).get_bytes("a").await.unwrap();
    bed.put("a", "2").await;
    tx.view(MOUNT).get_bytes("b").await.unwrap();
    assert!(matches!(tx.commit().await, Err(BarrierError::Conflict)));
}

#[tokio::test]
async fn limits_refuse_one_change_and_the_store_goes_on() {
    let bed = Bed::new().await;
    let longest = vec!["d".repeat(200); 20].join("/");
    let value = "v".repeat(VALUE_MAX);
    bed.put("largest", &value).await;
    assert_eq!(bed.get("largest").await.unwrap().unwrap(), value);

    let too_long = vec!["d".repeat(200); 21].join("/");
    let mut tx = bed.barrier.begin();
    let mut view = tx.view(MOUNT);
    for refused in [
        view.put_bytes("a", "v".repeat(VALUE_MAX + 1)).await,
        view.put_bytes(&"n".repeat(256), "v").await,
        view.put_bytes(&too_long, "v").await,
    ] {
        assert!(matches!(refused, Err(BarrierError::Limit(_))));
    }
    // Name and value together are more than a row holds.
    let refused = match view.put_bytes(&longest, &value).await {
        Ok(()) => tx.commit().await,
        refused => refused,
    };
    assert!(matches!(refused, Err(BarrierError::Limit(_))));

    let mut tx = bed.barrier.begin();
    for number in 0..65 {
        tx.view(MOUNT)
            .put_unlisted(&number.to_string(), &1)
            .await
            .unwrap();
    }
    assert!(matches!(tx.commit().await, Err(BarrierError::Limit(_))));
    assert!(!bed.barrier.failed());
    bed.put("after", "1").await;
}

#[tokio::test]
async fn a_row_changed_between_reading_and_writing_it_is_a_conflict() {
    let bed = Bed::new().await;
    bed.put("a", "1").await;
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).get_bytes("a").await.unwrap();
    bed.put("a", "2").await;
    let put = tx.view(MOUNT).put("a", &3).await;
    assert!(matches!(put, Err(BarrierError::Conflict)));
    assert_eq!(bed.get("a").await.unwrap().unwrap(), "2");
}

async fn increment(barrier: &Arc<Barrier>) {
    loop {
        let mut tx = barrier.begin();
        let mut view = tx.view(MOUNT);
        let count: u32 = match view.get("count").await {
            Err(BarrierError::Conflict) => continue,
            found => found.unwrap().unwrap_or(0),
        };
        tokio::task::yield_now().await;
        let outcome = match view.put("count", &(count + 1)).await {
            Ok(()) => tx.commit().await,
            refused => refused,
        };
        match outcome {
            Err(BarrierError::Conflict) => {}
            done => return done.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_of_64_at_once_is_lost() {
    let bed = Bed::new().await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let barrier = Arc::clone(&bed.barrier);
            tokio::spawn(async move { increment(&barrier).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bed.get("count").await.unwrap().unwrap(), "64");
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

#[tokio::test]
async fn commits_at_once_share_a_batch() {
    let bed = Bed::new().await;
    let before = bed.barrier.revision();
    let commits = (0..64).map(|number| {
        let mut tx = bed.barrier.begin();
        async move {
            let path = number.to_string();
            tx.view(MOUNT).put_unlisted(&path, &1).await.unwrap();
            tx.commit().await.unwrap();
        }
    });
    futures_util::future::join_all(commits).await;
    let batches = bed.barrier.revision() - before;
    assert!(batches < 16, "{batches} batches for 64 commits");
}

#[tokio::test]
async fn a_memo_lives_until_its_row_changes() {
    let bed = Bed::new().await;
    let parse = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let memo = || bed.barrier.memo::<String, _>(MOUNT, "a", parse);
    assert!(memo().await.unwrap().is_none());
    bed.put("a", "1").await;
    let first = memo().await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &memo().await.unwrap().unwrap()));
    bed.put("b", "1").await;
    assert!(Arc::ptr_eq(&first, &memo().await.unwrap().unwrap()));
    bed.put("a", "2").await;
    assert_eq!(*memo().await.unwrap().unwrap(), "2");
    bed.delete("a").await.unwrap();
    assert!(memo().await.unwrap().is_none());
}

#[tokio::test]
async fn a_value_that_cannot_be_parsed_is_an_error() {
    let bed = Bed::new().await;
    bed.put("a", "not a number").await;
    let memo = bed.barrier.memo::<u8, _>(MOUNT, "a", |_| None).await;
    assert!(matches!(memo, Err(BarrierError::Unreadable(_))));
    let read = bed.barrier.begin().view(MOUNT).get::<u8>("a").await;
    assert!(matches!(read, Err(BarrierError::Unreadable(_))));
}

#[test]
fn the_cache_refuses_what_was_read_before_a_change() {
    let cache = Cache::new(1 << 20);
    let (key, neighbour) = (Bytes::from_static(b"a1"), Bytes::from_static(b"b1"));
    let row = |rev| Cached::new(Bytes::from_static(b"value"), rev);
    cache.fill(key.clone(), row(3), 5);
    assert_eq!(cache.get(&key).unwrap().rev, 3);

    cache.changed(&key, None, 6);
    cache.fill(key.clone(), row(3), 5);
    assert!(cache.get(&key).is_none());
    // The shard does not remember which of its rows changed.
    cache.fill(neighbour.clone(), row(3), 5);
    assert!(cache.get(&neighbour).is_none());
    cache.fill(neighbour.clone(), row(3), 6);
    assert!(cache.get(&neighbour).is_some());
}

#[test]
fn the_cache_stays_below_its_bound() {
    let cache = Cache::new(16 * 2300);
    for number in 0..10_000_u32 {
        let key = Bytes::copy_from_slice(&number.to_be_bytes());
        cache.fill(key, Cached::new(vec![0; 100].into(), 1), 1);
    }
    let kept = (0..10_000_u32).filter(|number| cache.get(&number.to_be_bytes()).is_some());
    assert!((50..=160).contains(&kept.count()));
}

#[tokio::test]
async fn due_rows_come_in_order_of_time() {
    let bed = Bed::new().await;
    let mut tx = bed.barrier.begin();
    for at in [300_u64, 100, 200] {
        let payload = at.to_string();
        let id = [u8::try_from(at / 100).unwrap(); 16];
        tx.put_due(at, &id, payload.as_bytes()).await.unwrap();
    }
    tx.commit().await.unwrap();

    let times = |due: Vec<crate::barrier::Due>| -> Vec<u64> {
        assert!(
            due.iter()
                .all(|row| **row.payload == *row.at_ms.to_string().as_bytes())
        );
        due.iter().map(|row| row.at_ms).collect()
    };
    assert_eq!(
        times(bed.barrier.due(301, 10).await.unwrap()),
        [100, 200, 300]
    );
    assert_eq!(times(bed.barrier.due(300, 10).await.unwrap()), [100, 200]);
    assert_eq!(times(bed.barrier.due(301, 1).await.unwrap()), [100]);

    let mut tx = bed.barrier.begin();
    tx.delete_due(100, &[1; 16]).await.unwrap();
    tx.delete_due(999, &[9; 16]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(times(bed.barrier.due(301, 10).await.unwrap()), [200, 300]);
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

async fn journalled(bed: &Bed, path: &str, line: &str, ticket: u64) {
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).put(path, &1).await.unwrap();
    tx.journal(Journal {
        line: line.as_bytes().to_vec(),
        ticket,
    });
    tx.commit().await.unwrap();
}

async fn journal(bed: &Bed) -> Vec<String> {
    let (lines, damaged) = bed.barrier.journalled().await.unwrap();
    assert_eq!(damaged, 0);
    lines
        .into_iter()
        .map(|line| String::from_utf8(line).unwrap())
        .collect()
}

#[tokio::test]
async fn journal_rows_stay_until_their_records_are_durable() {
    let mut bed = Bed::new().await;
    journalled(&bed, "a", "one", 1).await;
    journalled(&bed, "b", "two", 2).await;
    assert_eq!(bed.barrier.journal_ticket(), Some(2));
    assert_eq!(journal(&bed).await, ["one", "two"]);
    bed.barrier.journal_durable(1);
    bed.put("c", "1").await;
    assert_eq!(journal(&bed).await, ["two"]);

    bed.reopen().await;
    assert_eq!(journal(&bed).await, ["two"]);
    journalled(&bed, "d", "three", 1).await;
    assert_eq!(journal(&bed).await, ["two", "three"]);
    assert!(bed.barrier.verify().await.unwrap().healthy());

    bed.reopen().await;
    bed.barrier.clear_journal().await.unwrap();
    assert!(journal(&bed).await.is_empty());
}

#[tokio::test]
async fn a_conflict_leaves_no_journal_row() {
    let bed = Bed::new().await;
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).put("a", &1).await.unwrap();
    tx.journal(Journal {
        line: b"never happened".to_vec(),
        ticket: 1,
    });
    bed.put("a", "2").await;
    assert!(matches!(tx.commit().await, Err(BarrierError::Conflict)));
    assert!(journal(&bed).await.is_empty());
}

/// More than an engine gives in one page.
#[tokio::test]
async fn long_audit_records_are_kept_whole_and_in_order() {
    let mut bed = Bed::new().await;
    let line = |number: u64| number.to_string().repeat(300_000 * number as usize);
    let commits = (1..9).map(|number| {
        let mut tx = bed.barrier.begin();
        async move {
            let path = number.to_string();
            tx.view(MOUNT).put_unlisted(&path, &1).await.unwrap();
            tx.journal(Journal {
                line: line(number).into_bytes(),
                ticket: number,
            });
            tx.commit().await.unwrap();
        }
    });
    futures_util::future::join_all(commits).await;
    bed.reopen().await;
    journalled(&bed, "a", "last", 9).await;
    let mut expected: Vec<String> = (1..9).map(line).collect();
    expected.push("last".to_owned());
    assert!(journal(&bed).await == expected);
    bed.barrier.clear_journal().await.unwrap();
    assert!(journal(&bed).await.is_empty());
}

#[tokio::test]
async fn the_parts_of_a_long_audit_record_are_dropped_together() {
    let bed = Bed::new().await;
    journalled(&bed, "a", &"x".repeat(3 << 20), 1).await;
    bed.barrier.journal_durable(1);
    journalled(&bed, "b", "short", 2).await;
    assert_eq!(journal(&bed).await, ["short"]);
}

#[tokio::test]
async fn after_a_failed_commit_nothing_is_written() {
    use crate::barrier::Engine;
    use crate::barrier::storage::Fault;
    let bed = Bed::new().await;
    bed.put("a", "1").await;
    let Engine::Memory(memory) = &*bed.storage else {
        panic!("not in memory");
    };
    memory.fail_commit(1, Fault::Full);
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).put("a", &2).await.unwrap();
    assert!(matches!(tx.commit().await, Err(BarrierError::Storage(_))));
    assert!(bed.barrier.failed());
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).put("a", &3).await.unwrap();
    assert!(tx.commit().await.is_err());
    let again = bed.open(&bed.root).await.unwrap();
    assert!(again.verify().await.unwrap().healthy());
}

/// The sums in memory are ahead of the disk then.
#[tokio::test]
async fn what_waits_behind_a_failed_commit_is_not_written_either() {
    use crate::barrier::Engine;
    use crate::barrier::storage::Fault;
    for _ in 0..20 {
        let bed = Bed::new().await;
        let Engine::Memory(memory) = &*bed.storage else {
            panic!("not in memory");
        };
        memory.fail_commit(2, Fault::Full);
        let writes = (0..300).map(|number| {
            let mut tx = bed.barrier.begin();
            async move {
                let path = number.to_string();
                tx.view(MOUNT).put_unlisted(&path, &1).await.unwrap();
                tx.commit().await.is_ok()
            }
        });
        let written = futures_util::future::join_all(writes).await;
        assert!(bed.barrier.failed());
        assert!(written.contains(&false));
        let again = bed.open(&bed.root).await.unwrap();
        let report = again.verify().await.unwrap();
        assert!(report.healthy(), "{report:?}");
        assert_eq!(
            report.rows,
            written.iter().filter(|done| **done).count() as u64
        );
    }
}
