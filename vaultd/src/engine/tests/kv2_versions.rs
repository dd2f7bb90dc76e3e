//! Versions end: by number, by time, and on demand.

use serde_json::{Value, json};

use super::{Fixture, data, deep, error, is_empty, is_missing};
use crate::core::fault::Fault;
use crate::core::mount::Kind;

async fn versions(kv: &Fixture, path: &str) -> usize {
    let metadata = kv.get(&format!("metadata/{path}")).await;
    metadata["versions"].as_object().unwrap().len()
}

#[tokio::test]
async fn versions_are_pruned_to_the_larger_of_key_and_mount() {
    let kv = Fixture::new(Kind::Kv2).await;
    for i in 0..12 {
        kv.put("a", json!({"i": i})).await;
    }
    let metadata = kv.get("metadata/a").await;
    assert_eq!(metadata["current_version"], 12);
    assert_eq!(metadata["oldest_version"], 3);
    assert_eq!(versions(&kv, "a").await, 10);
    // The metadata is one more.
    assert_eq!(kv.stored().await, 10 + 1);
    assert!(is_missing(&kv.version("a", 2).await));
    assert_eq!(data(kv.version("a", 3).await.unwrap())["data"]["i"], 2);

    kv.set("config", json!({"max_versions": 4})).await;
    kv.set("metadata/a", json!({"max_versions": 2})).await;
    kv.put("a", json!({})).await;
    assert_eq!(versions(&kv, "a").await, 4);
    assert_eq!(kv.stored().await, 4 + 2);
    kv.set("metadata/a", json!({"max_versions": 6})).await;
    for _ in 0..5 {
        kv.put("a", json!({})).await;
    }
    assert_eq!(versions(&kv, "a").await, 6);
    kv.put("fresh", json!({})).await;
    assert_eq!(kv.get("metadata/fresh").await["oldest_version"], 0);
}

#[tokio::test]
async fn odd_numbers_of_versions_are_refused() {
    let kv = Fixture::new(Kind::Kv2).await;
    for number in [json!(-1), json!(1001), json!("x"), json!(4_294_967_296_u64)] {
        let body = json!({ "max_versions": number });
        assert!(kv.write("config", body).await.is_err());
    }
}

#[tokio::test]
async fn shrinking_and_deleting_many_versions_ends() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.set("metadata/a", json!({"max_versions": 1000})).await;
    for i in 0..300 {
        kv.put("a", json!({"i": i})).await;
    }
    kv.set("metadata/a", json!({"max_versions": 100})).await;
    kv.put("a", json!({})).await;
    assert!(is_missing(&kv.version("a", 201).await));
    assert_eq!(data(kv.version("a", 202).await.unwrap())["data"]["i"], 201);
    kv.tidy().await;
    assert_eq!(kv.stored().await, 100 + 1);

    kv.delete("metadata/a").await.unwrap();
    assert!(!kv.is_bare().await);
    kv.put("a", json!({"new": 1})).await;
    assert!(is_missing(&kv.version("a", 2).await));
    assert_eq!(kv.get("data/a").await["data"], json!({"new": 1}));
    assert!(kv.tidy().await < 10);
    assert_eq!(kv.stored().await, 1 + 1);
    kv.delete("metadata/a").await.unwrap();
    assert!(kv.is_bare().await);
    assert_eq!(kv.tidy().await, 1);
}

#[tokio::test]
async fn deep_paths_can_be_deleted() {
    for depth in [1, 10, 25, 38, 39, 40, 45, 50] {
        let kv = Fixture::new(Kind::Kv2).await;
        for _ in 0..10 {
            kv.put(&deep(depth), json!({})).await;
        }
        kv.delete(&format!("metadata/{}", deep(depth)))
            .await
            .unwrap();
        kv.tidy().await;
        assert!(kv.is_bare().await, "{depth}");
    }
}

#[tokio::test]
async fn deeper_paths_are_refused() {
    let kv = Fixture::new(Kind::Kv2).await;
    for (route, body) in [("data", json!({"data": {}})), ("metadata", json!({}))] {
        let path = format!("{route}/{}", deep(51));
        assert!(error(kv.write(&path, body).await).contains("at most 50"));
    }
}

async fn with_five_versions() -> Fixture {
    let kv = Fixture::new(Kind::Kv2).await;
    for i in 1..=5 {
        kv.put("a", json!({"i": i})).await;
    }
    kv
}

#[tokio::test]
async fn version_numbers_are_needed_and_unknown_ones_ignored() {
    let kv = with_five_versions().await;
    for operation in ["delete", "undelete", "destroy"] {
        for body in [
            json!({}),
            json!({"versions": []}),
            json!({"versions": null}),
        ] {
            let refused = error(kv.write(&format!("{operation}/a"), body).await);
            assert_eq!(refused, "No version number provided");
        }
        kv.set(&format!("{operation}/none"), json!({"versions": [1]}))
            .await;
        kv.set(&format!("{operation}/a"), json!({"versions": [9, 0, -1]}))
            .await;
    }
    assert!(is_missing(&kv.read("metadata/none").await));
    assert_eq!(kv.stored().await, 5 + 1);
}

#[tokio::test]
async fn deleted_versions_come_back_and_destroyed_ones_do_not() {
    let kv = with_five_versions().await;
    kv.set("delete/a", json!({"versions": [1, 3, 3, 77]})).await;
    kv.set("destroy/a", json!({"versions": "2,4"})).await;
    assert_eq!(kv.stored().await, 3 + 1);
    for number in 1..=4 {
        assert_eq!(kv.version("a", number).await.unwrap().status, Some(404));
    }
    kv.set("undelete/a", json!({"versions": ["1", 2, 3, 4, 5]}))
        .await;
    for number in [1, 3] {
        assert_eq!(
            data(kv.version("a", number).await.unwrap())["data"]["i"],
            number
        );
    }
    let reply = kv.version("a", 2).await.unwrap();
    assert_eq!(reply.status, Some(404));
    let metadata = data(reply)["metadata"].clone();
    assert_eq!(metadata["destroyed"], true);
    assert_eq!(metadata["deletion_time"], "");
    kv.set("delete/a", json!({"versions": [2]})).await;
    assert_eq!(
        kv.get("metadata/a").await["versions"]["2"]["deletion_time"],
        ""
    );

    kv.set("destroy/a", json!({"versions": [2, 5]})).await;
    assert_eq!(kv.stored().await, 2 + 1);
    assert_eq!(kv.read("data/a").await.unwrap().status, Some(404));
}

#[tokio::test]
async fn undelete_leaves_destroyed_versions_alone() {
    let kv = with_five_versions().await;
    for operation in ["delete", "destroy", "undelete"] {
        kv.set(&format!("{operation}/a"), json!({"versions": [1]}))
            .await;
    }
    let version = kv.get("metadata/a").await["versions"]["1"].clone();
    assert_eq!(version["destroyed"], true);
    assert_ne!(version["deletion_time"], "");
}

#[tokio::test]
async fn at_most_forty_versions_are_destroyed_at_once() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.set("metadata/a", json!({"max_versions": 100})).await;
    for _ in 0..60 {
        kv.put("a", json!({})).await;
    }
    let all: Vec<u32> = (1..=60).collect();
    let refused = error(kv.write("destroy/a", json!({ "versions": all })).await);
    assert!(refused.contains("at most 40"));
    assert_eq!(
        kv.get("metadata/a").await["versions"]["1"]["destroyed"],
        false
    );
    // Those that are gone do not count.
    kv.set("destroy/a", json!({"versions": all[..40]})).await;
    kv.set("destroy/a", json!({ "versions": all })).await;
    let metadata = kv.get("metadata/a").await;
    let mut versions = metadata["versions"].as_object().unwrap().values();
    assert!(versions.all(|version| version["destroyed"] == true));
}

#[tokio::test]
async fn the_time_after_which_versions_go_is_shown_as_go_does() {
    let kv = Fixture::new(Kind::Kv2).await;
    for (given, shown) in [
        (json!("30m"), "30m0s"),
        (json!(5), "5s"),
        (json!("3661"), "1h1m1s"),
        (json!("0s"), "0s"),
        (json!("-1s"), "-1s"),
        (json!(-5), "-1s"),
        (json!(0), "0s"),
        (json!("1d"), "24h0m0s"),
    ] {
        kv.set("config", json!({ "delete_version_after": given }))
            .await;
        assert_eq!(kv.get("config").await["delete_version_after"], shown);
    }
    let endless = json!({"delete_version_after": 999_999_999_999_u64});
    assert!(kv.write("config", endless).await.is_err());
}

async fn after(kv: &Fixture, path: &str, time: Value) {
    kv.set(path, json!({ "delete_version_after": time })).await;
}

#[tokio::test]
async fn versions_delete_themselves() {
    let mut kv = Fixture::new(Kind::Kv2).await;
    after(&kv, "config", json!("1h")).await;
    let ends = async |kv: &Fixture| kv.put("a", json!({"x": 1})).await["deletion_time"].clone();
    assert_eq!(ends(&kv).await, "2026-11-21T08:00:00.5Z");
    after(&kv, "metadata/a", json!("10s")).await;
    assert_eq!(ends(&kv).await, "2026-11-21T07:00:10.5Z");
    assert_eq!(kv.read("data/a").await.unwrap().status, None);
    kv.pass(10);
    assert_eq!(kv.read("data/a").await.unwrap().status, Some(404));
    assert!(is_empty(
        &kv.write("undelete/a", json!({"versions": [2]}))
            .await
            .unwrap()
    ));
    let metadata = kv.get("data/a").await["metadata"].clone();
    assert_eq!(metadata["deletion_time"], "2026-11-21T07:00:20.5Z");

    // The shorter of both counts, and -1 turns it off.
    after(&kv, "metadata/a", json!("2h")).await;
    assert_eq!(ends(&kv).await, "2026-11-21T08:00:10.5Z");
    after(&kv, "metadata/a", json!(-1)).await;
    assert_eq!(ends(&kv).await, "");
    assert_eq!(kv.get("metadata/a").await["delete_version_after"], "-1s");
}

/// A version takes over the row of one that it pushes out.
#[tokio::test]
async fn every_version_reads_as_written_whatever_row_it_is_in() {
    let kv = Fixture::new(Kind::Kv2).await;
    let mut written = 0;
    let mut gone: Vec<u64> = Vec::new();
    for (limit, writes, destroyed) in [(3, 5, 1), (5, 4, 2), (2, 3, 0), (4, 9, 3), (1, 2, 0)] {
        kv.set("metadata/a", json!({"max_versions": limit})).await;
        kv.set("config", json!({"max_versions": limit})).await;
        for _ in 0..writes {
            written += 1;
            kv.put("a", json!({"i": written})).await;
        }
        let newest: Vec<u64> = (0..limit).map(|back| written - back).collect();
        gone.extend(newest.iter().take(destroyed));
        if destroyed > 0 {
            kv.set("destroy/a", json!({"versions": gone})).await;
        }
        let left = newest.iter().filter(|number| !gone.contains(number));
        for number in left.clone() {
            let read = data(kv.version("a", *number).await.unwrap());
            assert_eq!(read["data"]["i"], *number, "limit {limit}");
            assert_eq!(read["metadata"]["version"], *number);
        }
        assert!(is_missing(&kv.version("a", written - limit).await));
        kv.tidy().await;
        // Metadata and config are the others.
        assert_eq!(kv.stored().await, left.count() + 2);
    }
    assert!(is_empty(&kv.delete("metadata/a").await.unwrap()));
    assert_eq!(kv.stored().await, 1);
}

#[tokio::test]
async fn values_of_the_version_that_had_the_row_before_are_not_taken_for_the_newer() {
    let mut kv = Fixture::new(Kind::Kv2).await;
    for i in 1..=10 {
        kv.put("a", json!({"i": i})).await;
    }
    for i in 11..=31 {
        let before = kv.bed.rows().await;
        kv.put("a", json!({"i": i})).await;
        let after = kv.bed.rows().await;
        let replaced = |key: &&bytes::Bytes| key[0] == b'V' && before[*key] != after[*key];
        let mut kept = 0;
        for key in before.keys().filter(replaced) {
            let older = before[key].clone();
            kv.bed.tamper(vec![(key.clone(), Some(older))]).await;
            kv.bed.reopen().await;
            // The other row is the metadata.
            if kv.get("metadata/a").await["current_version"] == i {
                kept += 1;
                assert!(matches!(kv.read("data/a").await, Err(Fault::Damaged(_))));
                assert!(matches!(kv.version("a", i).await, Err(Fault::Damaged(_))));
            }
            kv.bed
                .tamper(vec![(key.clone(), Some(after[key].clone()))])
                .await;
            kv.bed.reopen().await;
        }
        assert_eq!(kept, 1, "{i}");
        assert_eq!(data(kv.read("data/a").await.unwrap())["data"]["i"], i);
    }
}
