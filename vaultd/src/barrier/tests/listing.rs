//! Directories: they are there while something is in them.

use std::num::NonZeroUsize;
use std::time::Instant;

use super::super::Window;
use super::{BarrierError, Bed, MOUNT};

#[tokio::test]
async fn directories_come_and_go_with_their_values() {
    let bed = Bed::new().await;
    bed.put("a/b/c", "1").await;
    bed.put("a/d", "1").await;
    assert_eq!(bed.list("").await.unwrap(), ["a/"]);
    assert_eq!(bed.list("a").await.unwrap(), ["b/", "d"]);
    assert_eq!(bed.list("a/b").await.unwrap(), ["c"]);
    assert!(bed.list("a/b/c").await.unwrap().is_empty());
    bed.delete("a/b/c").await.unwrap();
    assert_eq!(bed.list("a").await.unwrap(), ["d"]);
    assert!(bed.list("a/b").await.unwrap().is_empty());
    bed.delete("a/d").await.unwrap();
    assert!(bed.list("").await.unwrap().is_empty());
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

#[tokio::test]
async fn one_name_can_be_a_value_and_a_directory() {
    let bed = Bed::new().await;
    bed.put("a", "1").await;
    bed.put("a/b", "1").await;
    assert_eq!(bed.list("").await.unwrap(), ["a", "a/"]);
    bed.delete("a").await.unwrap();
    assert_eq!(bed.list("").await.unwrap(), ["a/"]);
    bed.put("a", "1").await;
    bed.delete("a/b").await.unwrap();
    assert_eq!(bed.list("").await.unwrap(), ["a"]);
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

#[tokio::test]
async fn unlisted_values_are_not_listed() {
    let bed = Bed::new().await;
    let mut tx = bed.barrier.begin();
    let mut view = tx.view(MOUNT);
    view.put_unlisted("id/1", &1).await.unwrap();
    assert!(view.list("").await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert_eq!(bed.get("id/1").await.unwrap().unwrap(), "1");
    assert!(bed.list("id").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_listing_includes_what_is_pending() {
    let bed = Bed::new().await;
    bed.put("a/old", "1").await;
    bed.put("a/stays", "1").await;
    let mut tx = bed.barrier.begin();
    let mut view = tx.view(MOUNT);
    view.put("a/new", &1).await.unwrap();
    view.put("b/c", &1).await.unwrap();
    view.delete("a/old").await.unwrap();
    assert_eq!(view.list("a").await.unwrap(), ["new", "stays"]);
    assert_eq!(view.list("").await.unwrap(), ["a/", "b/"]);
    assert_eq!(bed.list("a").await.unwrap(), ["old", "stays"]);
}

#[tokio::test]
async fn moving_the_only_value_of_a_directory_keeps_it() {
    let bed = Bed::new().await;
    bed.put("a/old", "1").await;
    let mut tx = bed.barrier.begin();
    let mut view = tx.view(MOUNT);
    view.delete("a/old").await.unwrap();
    view.put("a/new", &1).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.list("").await.unwrap(), ["a/"]);
    assert_eq!(bed.list("a").await.unwrap(), ["new"]);
}

#[tokio::test]
async fn siblings_deleted_at_once_leave_no_empty_directory() {
    let bed = Bed::new().await;
    bed.put("a/one", "1").await;
    bed.put("a/two", "1").await;
    let (mut one, mut two) = (bed.barrier.begin(), bed.barrier.begin());
    one.view(MOUNT).delete("a/one").await.unwrap();
    two.view(MOUNT).delete("a/two").await.unwrap();
    one.commit().await.unwrap();
    assert!(matches!(two.commit().await, Err(BarrierError::Conflict)));
    bed.delete("a/two").await.unwrap();
    assert!(bed.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_value_put_while_its_directory_vanishes_stays_reachable() {
    for delete_first in [true, false] {
        let bed = Bed::new().await;
        bed.put("a/one", "1").await;
        let (mut delete, mut put) = (bed.barrier.begin(), bed.barrier.begin());
        delete.view(MOUNT).delete("a/one").await.unwrap();
        put.view(MOUNT).put("a/two", &1).await.unwrap();
        let (first, second) = if delete_first {
            (delete, put)
        } else {
            (put, delete)
        };
        first.commit().await.unwrap();
        assert!(matches!(second.commit().await, Err(BarrierError::Conflict)));
    }
}

#[tokio::test]
async fn a_name_added_after_a_listing_is_a_conflict() {
    let bed = Bed::new().await;
    let mut tx = bed.barrier.begin();
    assert!(tx.view(MOUNT).list("a").await.unwrap().is_empty());
    tx.view(MOUNT).put("empty", &true).await.unwrap();
    bed.put("a/b", "1").await;
    assert!(matches!(tx.commit().await, Err(BarrierError::Conflict)));
}

#[tokio::test]
async fn ten_thousand_names_come_sorted() {
    let bed = Bed::new().await;
    for start in (0..10_000).step_by(30) {
        let mut tx = bed.barrier.begin();
        for number in start..(start + 30).min(10_000) {
            let path = format!("d/{number}");
            tx.view(MOUNT).put(&path, &1).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let begun = Instant::now();
    let names = bed.list("d").await.unwrap();
    println!("10,000 names listed in {:?}", begun.elapsed());
    assert_eq!(names.len(), 10_000);
    let window = Window {
        after: Some(names[5000].clone()),
        limit: NonZeroUsize::new(100),
    };
    let begun = Instant::now();
    let mut tx = bed.barrier.begin();
    let page = tx.view(MOUNT).list_within("d", &window).await.unwrap();
    println!("a page of them in {:?}", begun.elapsed());
    assert_eq!(page, names[5001..5101]);
    assert!(names.is_sorted());
    let begun = Instant::now();
    assert!(bed.barrier.verify().await.unwrap().healthy());
    println!("20,000 rows verified in {:?}", begun.elapsed());
}

/// What is kept of a directory is what a fresh start reads, whatever came between.
#[tokio::test]
async fn a_kept_listing_follows_every_commit() {
    let mut bed = Bed::new().await;
    for round in 0..40_u32 {
        for name in [round, round / 2, round * 7 % 11] {
            match round % 3 {
                0 => bed.put(&format!("d/{name}"), "1").await,
                1 => bed.put(&format!("d/{name}/below"), "1").await,
                _ => bed.delete(&format!("d/{name}")).await.unwrap(),
            }
            // Twice: once from the disk and then from what is kept.
            assert_eq!(bed.list("d").await.unwrap(), bed.list("d").await.unwrap());
        }
        let kept = bed.list("d").await.unwrap();
        if round % 10 == 9 {
            bed.reopen().await;
        }
        assert_eq!(bed.list("d").await.unwrap(), kept);
    }
}

#[tokio::test]
async fn who_committed_a_name_finds_it_listed_while_others_list_and_commit() {
    let bed = std::sync::Arc::new(Bed::new().await);
    let tasks = (0..4).map(|task| {
        let bed = std::sync::Arc::clone(&bed);
        tokio::spawn(async move {
            for number in 0..50 {
                let name = format!("{task}-{number}");
                loop {
                    let mut tx = bed.barrier.begin();
                    let put = tx.view(MOUNT).put(&format!("d/{name}"), &1).await;
                    if put.is_ok() && tx.commit().await.is_ok() {
                        break;
                    }
                }
                assert!(bed.list("d").await.unwrap().contains(&name));
                // Forgets what is kept: the next list reads while others commit.
                if number % 5 == 0 {
                    bed.barrier.verify().await.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(bed.list("d").await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_purged_mount_leaves_no_rows() {
    let bed = Bed::new().await;
    let before = bed.rows().await.len();
    for number in 0..70 {
        bed.put(&format!("a/{number}/b"), "1").await;
    }
    let mut tx = bed.barrier.begin();
    tx.view(MOUNT + 1).put("stays", &1).await.unwrap();
    tx.commit().await.unwrap();
    while bed.barrier.purge(MOUNT).await.unwrap() {}
    assert_eq!(bed.rows().await.len(), before + 2);
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

/// Absent, there, and absent again: a transaction that saw both must not commit, or its value would be
/// listed nowhere and the sums would count a row that is gone.
#[tokio::test]
async fn a_row_that_comes_and_goes_between_two_readings_is_a_conflict() {
    let bed = Bed::new().await;
    let mut tx = bed.barrier.begin();
    assert!(tx.view(MOUNT).get::<u8>("a").await.unwrap().is_none());
    bed.put("a", "1").await;
    let second = tx.view(MOUNT).put("a", &2).await;
    bed.delete("a").await.unwrap();
    let outcome = match second {
        Ok(()) => tx.commit().await,
        refused => refused,
    };
    assert!(
        matches!(outcome, Err(BarrierError::Conflict)),
        "{outcome:?}"
    );
    assert!(bed.barrier.verify().await.unwrap().healthy());
}
