//! Changes of the file behind the barrier's back, made while the server is sealed. What is read after
//! is right or an error, and verification says which path has which problem.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;

use super::{BarrierError, Bed, MOUNT, Problem};
use crate::barrier::{Report, names, presence};

const VALUES: [(&str, &str); 4] = [("a/b", "1"), ("a/c", "2"), ("top", "3"), ("x/y/z", "4")];

async fn filled() -> Bed {
    let bed = Bed::new().await;
    for (path, value) in VALUES {
        bed.put(path, value).await;
    }
    bed
}

fn value_key(bed: &Bed, path: &str) -> Bytes {
    names::value_key(&bed.barrier.keyring(), MOUNT, path)
}

fn listing_key(bed: &Bed, path: &str) -> Bytes {
    let (directory, name) = names::split_last(path);
    names::listing_key(&bed.barrier.keyring(), MOUNT, directory, name)
}

async fn copy(bed: &Bed, key: &Bytes) -> (Bytes, Option<Bytes>) {
    (key.clone(), bed.rows().await.get(key).cloned())
}

/// Tampers with a sealed store and opens it again.
async fn tampered(bed: &mut Bed, changes: Vec<(Bytes, Option<Bytes>)>) {
    bed.tamper(changes).await;
    bed.reopen().await;
}

async fn problems(bed: &Bed) -> Vec<(String, Problem)> {
    let report = bed.barrier.verify().await.unwrap();
    assert!(!report.healthy());
    report
        .damaged
        .into_iter()
        .map(|damage| (damage.path, damage.problem))
        .collect()
}

fn named(path: &str, problem: Problem) -> Vec<(String, Problem)> {
    vec![(path.to_owned(), problem)]
}

async fn is_refused(bed: &Bed, path: &str) {
    let read = bed.get(path).await;
    assert!(
        matches!(read, Err(BarrierError::Damaged(_))),
        "{path}: {read:?}"
    );
    let memo = bed
        .barrier
        .memo::<Vec<u8>, _>(MOUNT, path, |bytes| Some(bytes.to_vec()))
        .await;
    assert!(matches!(memo, Err(BarrierError::Damaged(_))), "{path}");
}

/// All but the named ones read as they were written.
async fn others_are_whole(bed: &Bed, but: &[&str]) {
    for (path, value) in VALUES.iter().filter(|(path, _)| !but.contains(path)) {
        assert_eq!(
            bed.get(path).await.unwrap().as_deref(),
            Some(*value),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_untouched_store_is_healthy() {
    let mut bed = filled().await;
    bed.reopen().await;
    assert!(bed.barrier.verify().await.unwrap().healthy());
    others_are_whole(&bed, &[]).await;
}

#[tokio::test]
async fn no_byte_of_a_value_can_be_altered() {
    let mut bed = filled().await;
    let key = value_key(&bed, "a/b");
    let record = bed.rows().await[&key].clone();
    for at in 0..record.len() {
        let mut altered = record.to_vec();
        altered[at] ^= 1;
        tampered(&mut bed, vec![(key.clone(), Some(altered.into()))]).await;
        is_refused(&bed, "a/b").await;
    }
    assert_eq!(problems(&bed).await, named("a/b", Problem::Altered));
    others_are_whole(&bed, &["a/b"]).await;
}

#[tokio::test]
async fn a_truncated_value_is_altered() {
    let mut bed = filled().await;
    let key = value_key(&bed, "a/b");
    for length in [0, 5, 60] {
        let short = bed.rows().await[&key].slice(..length.min(bed.rows().await[&key].len()));
        tampered(&mut bed, vec![(key.clone(), Some(short))]).await;
        is_refused(&bed, "a/b").await;
        assert_eq!(problems(&bed).await, named("a/b", Problem::Altered));
    }
}

#[tokio::test]
async fn an_altered_listing_entry_is_refused() {
    let mut bed = filled().await;
    let key = listing_key(&bed, "a/b");
    let mut altered = bed.rows().await[&key].to_vec();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    tampered(&mut bed, vec![(key, Some(altered.into()))]).await;
    assert!(matches!(bed.list("a").await, Err(BarrierError::Damaged(_))));
    let found = problems(&bed).await;
    assert!(
        found
            .iter()
            .any(|(_, problem)| *problem == Problem::Altered),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_value_does_not_open_at_another_path() {
    let mut bed = filled().await;
    let (one, two) = (value_key(&bed, "a/b"), value_key(&bed, "a/c"));
    let rows = bed.rows().await;
    tampered(&mut bed, vec![(two.clone(), rows.get(&one).cloned())]).await;
    is_refused(&bed, "a/c").await;
    assert_eq!(problems(&bed).await, named("a/c", Problem::Altered));
    others_are_whole(&bed, &["a/c"]).await;

    let swap = vec![
        (one.clone(), rows.get(&two).cloned()),
        (two.clone(), rows.get(&one).cloned()),
    ];
    tampered(&mut bed, swap).await;
    is_refused(&bed, "a/b").await;
    is_refused(&bed, "a/c").await;
}

#[tokio::test]
async fn a_value_does_not_open_in_another_mount() {
    let mut bed = filled().await;
    let own = value_key(&bed, "a/b");
    let foreign = names::value_key(&bed.barrier.keyring(), MOUNT + 1, "a/b");
    let record = bed.rows().await[&own].clone();
    tampered(&mut bed, vec![(foreign, Some(record))]).await;
    let mut tx = bed.barrier.begin();
    let read = tx.view(MOUNT + 1).get_bytes("a/b").await;
    assert!(matches!(read, Err(BarrierError::Damaged(_))));
    let report = bed.barrier.verify().await.unwrap();
    assert!(!report.healthy() && report.rows_missing);
}

#[tokio::test]
async fn a_deleted_value_is_missing_and_not_absent() {
    let mut bed = filled().await;
    let key = value_key(&bed, "a/b");
    tampered(&mut bed, vec![(key, None)]).await;
    is_refused(&bed, "a/b").await;
    assert_eq!(problems(&bed).await, named("a/b", Problem::Missing));
    others_are_whole(&bed, &["a/b"]).await;
    assert_eq!(bed.get("never").await.unwrap(), None);
}

#[tokio::test]
async fn a_deleted_listing_entry_is_named_by_its_value() {
    let mut bed = filled().await;
    let key = listing_key(&bed, "a/b");
    tampered(&mut bed, vec![(key, None)]).await;
    assert_eq!(problems(&bed).await, named("a/b", Problem::Unlisted));
    assert!(matches!(bed.list("a").await, Err(BarrierError::Damaged(_))));
    assert_eq!(bed.list("").await.unwrap(), ["a/", "top", "x/"]);
    others_are_whole(&bed, &[]).await;
}

#[tokio::test]
async fn a_deleted_directory_entry_is_named() {
    let mut bed = filled().await;
    let key = listing_key(&bed, "x/y");
    tampered(&mut bed, vec![(key, None)]).await;
    assert_eq!(problems(&bed).await, named("x/y/", Problem::Unlisted));
    assert!(matches!(bed.list("x").await, Err(BarrierError::Damaged(_))));
}

#[tokio::test]
async fn a_value_deleted_with_its_entry_is_not_absent() {
    let mut bed = filled().await;
    let gone = vec![
        (value_key(&bed, "a/b"), None),
        (listing_key(&bed, "a/b"), None),
    ];
    tampered(&mut bed, gone).await;
    is_refused(&bed, "a/b").await;
    let report = bed.barrier.verify().await.unwrap();
    assert!(report.rows_missing);
    assert_eq!(
        report.rows + 2,
        u64::try_from(report.expected_rows).unwrap()
    );
    others_are_whole(&bed, &["a/b"]).await;
}

#[tokio::test]
async fn an_unlisted_value_that_was_deleted_is_not_absent() {
    let mut bed = filled().await;
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT).put_unlisted("id/1", &1).await.unwrap();
    tx.commit().await.unwrap();
    let key = value_key(&bed, "id/1");
    tampered(&mut bed, vec![(key, None)]).await;
    is_refused(&bed, "id/1").await;
    assert!(bed.barrier.verify().await.unwrap().rows_missing);
}

#[tokio::test]
async fn an_older_copy_is_named_and_from_then_on_refused() {
    let mut bed = filled().await;
    let older = copy(&bed, &value_key(&bed, "a/b")).await;
    bed.put("a/b", "newer").await;
    tampered(&mut bed, vec![older]).await;
    // The limit of what is promised, and proof that the copy is in place: nothing was verified yet.
    assert_eq!(bed.get("a/b").await.unwrap().unwrap(), "1");
    assert_eq!(problems(&bed).await, named("a/b", Problem::Outdated));
    is_refused(&bed, "a/b").await;
    others_are_whole(&bed, &["a/b"]).await;
    // A new value in its place would hide it.
    let mut tx = bed.barrier.begin();
    let replaced = tx.view(MOUNT).put("a/b", &5).await;
    assert!(matches!(replaced, Err(BarrierError::Damaged(_))));
    assert!(matches!(
        bed.delete("a/b").await,
        Err(BarrierError::Damaged(_))
    ));
}

#[tokio::test]
async fn several_older_copies_are_each_named() {
    let mut bed = filled().await;
    let mut older = Vec::new();
    for (path, _) in VALUES {
        older.push(copy(&bed, &value_key(&bed, path)).await);
        bed.put(path, "newer").await;
    }
    tampered(&mut bed, older).await;
    let expected = VALUES.map(|(path, _)| (path.to_owned(), Problem::Outdated));
    assert_eq!(problems(&bed).await, expected);
    for (path, _) in VALUES {
        is_refused(&bed, path).await;
    }
}

/// Paths whose value rows share a bucket with the first.
fn in_one_bucket(bed: &Bed, count: usize) -> Vec<String> {
    let bucket = |path: &String| presence::bucket(&value_key(bed, path));
    let first = bucket(&"p0".to_owned());
    let paths = (0..).map(|number| format!("p{number}"));
    paths
        .filter(|path| bucket(path) == first)
        .take(count)
        .collect()
}

#[tokio::test]
async fn two_older_copies_in_one_bucket_are_suspect() {
    let mut bed = Bed::new().await;
    let paths = in_one_bucket(&bed, 3);
    let mut older = Vec::new();
    for path in &paths {
        bed.put(path, "1").await;
        older.push(copy(&bed, &value_key(&bed, path)).await);
        bed.put(path, "2").await;
    }
    older.pop();
    tampered(&mut bed, older).await;
    let suspect = |path: &String| (path.clone(), Problem::Suspect);
    let expected: BTreeSet<_> = paths.iter().map(suspect).collect();
    assert_eq!(BTreeSet::from_iter(problems(&bed).await), expected);
    for path in &paths {
        is_refused(&bed, path).await;
    }
}

#[tokio::test]
async fn a_deleted_row_that_is_back_is_foreign() {
    let mut bed = filled().await;
    bed.put("gone", "1").await;
    let back = vec![
        copy(&bed, &value_key(&bed, "gone")).await,
        copy(&bed, &listing_key(&bed, "gone")).await,
    ];
    bed.delete("gone").await.unwrap();
    tampered(&mut bed, vec![back[0].clone()]).await;
    assert_eq!(problems(&bed).await, named("gone", Problem::Foreign));
    is_refused(&bed, "gone").await;
    tampered(&mut bed, back).await;
    assert_eq!(problems(&bed).await, named("gone", Problem::Foreign));
    is_refused(&bed, "gone").await;
    others_are_whole(&bed, &[]).await;
}

#[tokio::test]
async fn due_times_can_be_neither_changed_nor_removed_unseen() {
    let bed = &mut filled().await;
    let mut tx = bed.barrier.begin();
    tx.put_due(100, &[1; 16], b"{}").await.unwrap();
    tx.commit().await.unwrap();
    let key = names::due_key(100, &[1; 16]);
    let (_, record) = copy(bed, &key).await;
    let later = names::due_key(900, &[1; 16]);
    tampered(
        bed,
        vec![(key.clone(), None), (later.clone(), record.clone())],
    )
    .await;
    assert!(bed.barrier.due(1000, 10).await.is_err());
    assert!(!bed.barrier.verify().await.unwrap().healthy());
    tampered(bed, vec![(later, None)]).await;
    assert!(bed.barrier.verify().await.unwrap().rows_missing);
    tampered(bed, vec![(key, record)]).await;
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

#[tokio::test]
async fn the_sums_themselves_cannot_be_changed_unseen() {
    let mut bed = filled().await;
    let sums = |rows: std::collections::BTreeMap<Bytes, Bytes>| {
        rows.into_iter()
            .filter(|(key, _)| key.first() == Some(&b'P'))
            .collect::<Vec<_>>()
    };
    let older = sums(bed.rows().await);
    bed.put("a/b", "newer").await;
    let newest = sums(bed.rows().await);
    let outdated = older.into_iter().map(|(key, val)| (key, Some(val)));
    tampered(&mut bed, outdated.collect()).await;
    assert!(!bed.barrier.verify().await.unwrap().healthy());
    for (key, _) in &newest {
        let whole = newest
            .iter()
            .map(|(key, val)| (key.clone(), Some(val.clone())));
        bed.tamper(whole.collect()).await;
        bed.tamper(vec![(key.clone(), None)]).await;
        let opened = bed.open(&bed.root).await.err();
        assert!(matches!(opened, Some(BarrierError::Damaged(_))));
    }
}

/// What is lost is lost on an operator's word; the rest reads, lists and verifies as if it had been all.
async fn is_accepted(bed: &Bed) {
    let report = bed.barrier.verify().await.unwrap();
    assert!(!report.healthy());
    assert!(bed.barrier.accept("another").await.unwrap().is_none());
    let lost = bed.barrier.accept(&report.id()).await.unwrap().unwrap();
    assert_eq!(lost.damaged, report.damaged);
    let whole = bed.barrier.verify().await.unwrap();
    assert!(whole.healthy(), "{whole:?}");
    assert!(bed.barrier.accept(&report.id()).await.unwrap().is_none());
}

#[tokio::test]
async fn after_an_accepted_loss_absent_is_absent_and_lists_are_whole() {
    let mut bed = filled().await;
    let gone = vec![
        (value_key(&bed, "a/b"), None),
        (listing_key(&bed, "a/b"), None),
        (value_key(&bed, "top"), None),
        (listing_key(&bed, "x/y"), None),
    ];
    tampered(&mut bed, gone).await;
    is_refused(&bed, "a/b").await;
    is_accepted(&bed).await;
    assert_eq!(bed.get("a/b").await.unwrap(), None);
    assert_eq!(bed.get("top").await.unwrap(), None);
    assert_eq!(bed.list("").await.unwrap(), ["a/", "x/"]);
    assert_eq!(bed.list("a").await.unwrap(), ["c"]);
    assert_eq!(bed.list("x").await.unwrap(), ["y/"]);
    others_are_whole(&bed, &["a/b", "top"]).await;
    bed.put("a/b", "new").await;
    bed.reopen().await;
    assert_eq!(bed.get("a/b").await.unwrap().unwrap(), "new");
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

#[tokio::test]
async fn altered_and_foreign_rows_go_with_the_acceptance_and_older_copies_stay() {
    let mut bed = filled().await;
    let older = copy(&bed, &value_key(&bed, "a/c")).await;
    bed.put("a/c", "newer").await;
    bed.put("gone", "1").await;
    let foreign = copy(&bed, &value_key(&bed, "gone")).await;
    bed.delete("gone").await.unwrap();
    let junk = |key: Bytes| (key, Some(Bytes::from_static(&[7; 90])));
    let changes = vec![
        junk(value_key(&bed, "a/b")),
        junk(listing_key(&bed, "x/y/z")),
        older,
        foreign,
    ];
    tampered(&mut bed, changes).await;
    is_accepted(&bed).await;
    assert_eq!(bed.get("a/b").await.unwrap(), None);
    assert_eq!(bed.get("gone").await.unwrap(), None);
    assert_eq!(bed.get("a/c").await.unwrap().unwrap(), "2");
    assert_eq!(bed.list("a").await.unwrap(), ["c"]);
    assert_eq!(bed.list("x/y").await.unwrap(), ["z"]);
    others_are_whole(&bed, &["a/b"]).await;
}

/// A change of rows, by numbers that are taken modulo what there is.
#[derive(Debug, Clone)]
enum Tamper {
    Flip(usize, usize),
    Delete(usize),
    Move(usize, usize),
    /// Rows as they were in the middle of the history.
    Restore(Vec<usize>),
}

fn tamper() -> impl Strategy<Value = Tamper> {
    prop_oneof![
        (any::<usize>(), any::<usize>()).prop_map(|(row, at)| Tamper::Flip(row, at)),
        any::<usize>().prop_map(Tamper::Delete),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Tamper::Move(from, to)),
        proptest::collection::vec(any::<usize>(), 1..4).prop_map(Tamper::Restore),
    ]
}

type Rows = Vec<(Bytes, Bytes)>;

/// Rows of values, listings and due times, and of the sums.
async fn counted_rows(bed: &Bed) -> Rows {
    let rows = bed.rows().await.into_iter();
    rows.filter(|(key, _)| key.first() != Some(&b'S')).collect()
}

fn changes(tamper: Tamper, rows: &Rows, older: &Rows) -> Vec<(Bytes, Option<Bytes>)> {
    let row = |number: usize| rows[number % rows.len()].clone();
    match tamper {
        Tamper::Flip(number, at) => {
            let (key, val) = row(number);
            let mut val = val.to_vec();
            let at = at % val.len();
            val[at] ^= 0x40;
            vec![(key, Some(val.into()))]
        }
        Tamper::Delete(number) => vec![(row(number).0, None)],
        Tamper::Move(from, to) => vec![(row(to).0, Some(row(from).1))],
        Tamper::Restore(numbers) => numbers
            .into_iter()
            .map(|number| older[number % older.len()].clone())
            .map(|(key, val)| (key, Some(val)))
            .collect(),
    }
}

/// The second half of the history changes, adds and removes.
async fn history() -> (Bed, Rows) {
    let bed = filled().await;
    bed.put("deleted", "1").await;
    bed.put("a/deleted", "1").await;
    let older = counted_rows(&bed).await;
    for (path, value) in VALUES {
        bed.put(path, "between").await;
        bed.put(path, value).await;
    }
    bed.put("added", "1").await;
    bed.delete("deleted").await.unwrap();
    bed.delete("a/deleted").await.unwrap();
    (bed, older)
}

async fn nothing_wrong_is_read(bed: &Bed, report: &Report) {
    let read = |path| async move { bed.get(path).await };
    for (path, value) in VALUES {
        if let Ok(found) = read(path).await {
            assert_eq!(found.as_deref(), Some(value), "{path}: {report:?}");
        }
    }
    for path in ["deleted", "a/deleted"] {
        if let Ok(found) = read(path).await {
            assert_eq!(found, None, "{path}: {report:?}");
        }
    }
    let whole: [(&str, &[&str]); 4] = [
        ("", &["a/", "added", "top", "x/"]),
        ("a", &["b", "c"]),
        ("x", &["y/"]),
        ("x/y", &["z"]),
    ];
    for (directory, names) in whole {
        if let Ok(found) = bed.list(directory).await {
            assert_eq!(found, names, "{directory}: {report:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_tampering_is_read_after_verification(how in tamper()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut bed, older) = history().await;
            let rows = counted_rows(&bed).await;
            bed.tamper(changes(how, &rows, &older)).await;
            let changed = counted_rows(&bed).await != rows;
            match bed.open(&bed.root).await {
                Err(error) => assert!(changed && matches!(error, BarrierError::Damaged(_))),
                Ok(barrier) => {
                    bed.barrier = barrier;
                    let report = bed.barrier.verify().await.unwrap();
                    assert_eq!(report.healthy(), !changed, "{report:?}");
                    nothing_wrong_is_read(&bed, &report).await;
                }
            }
        });
    }
}
