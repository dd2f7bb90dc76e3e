//! What is known of a secret besides its values, and the mount's settings.

use serde_json::{Value, json};

use super::{Fixture, data, is_empty, is_invalid, is_missing};
use crate::core::mount::Kind;
use crate::core::request::Verb;

#[tokio::test]
async fn settings_read_as_written() {
    let kv = Fixture::new(Kind::Kv2).await;
    let unset = json!({"max_versions": 0, "cas_required": false, "delete_version_after": "0s"});
    assert_eq!(kv.get("config").await, unset);
    kv.set(
        "config",
        json!({"max_versions": "17", "cas_required": "true"}),
    )
    .await;
    kv.set(
        "config",
        json!({"delete_version_after": "30m0s", "cas_required": null}),
    )
    .await;
    let set = json!({"max_versions": 17, "cas_required": true, "delete_version_after": "30m0s"});
    assert_eq!(kv.get("config").await, set);
}

#[tokio::test]
async fn metadata_of_a_secret_without_versions() {
    let kv = Fixture::new(Kind::Kv2).await;
    assert!(is_missing(&kv.read("metadata/a").await));
    let custom = json!({"foo": "1", "bar": "2"});
    kv.set(
        "metadata/a",
        json!({"custom_metadata": custom, "max_versions": 5}),
    )
    .await;
    let expected = json!({
        "cas_required": false,
        "created_time": "2026-11-21T07:00:00.5Z",
        "current_version": 0,
        "custom_metadata": custom,
        "delete_version_after": "0s",
        "max_versions": 5,
        "oldest_version": 0,
        "updated_time": "2026-11-21T07:00:00.5Z",
        "versions": {},
    });
    assert_eq!(kv.get("metadata/a").await, expected);
}

#[tokio::test]
async fn metadata_follows_the_versions() {
    let mut kv = Fixture::new(Kind::Kv2).await;
    let custom = json!({"foo": "1"});
    kv.set("metadata/a", json!({ "custom_metadata": custom }))
        .await;
    kv.pass(1);
    assert_eq!(kv.put("a", json!({})).await["custom_metadata"], custom);
    assert_eq!(
        kv.get("data/a").await["metadata"]["custom_metadata"],
        custom
    );
    let metadata = kv.get("metadata/a").await;
    let created = "2026-11-21T07:00:01.5Z";
    let version = json!({"created_time": created, "deletion_time": "", "destroyed": false});
    assert_eq!(metadata["versions"], json!({ "1": version }));
    assert_eq!(metadata["updated_time"], created);
}

#[tokio::test]
async fn custom_metadata_is_patched_or_replaced() {
    let kv = Fixture::new(Kind::Kv2).await;
    assert!(is_missing(
        &kv.patch("metadata/a", json!({"max_versions": 1})).await
    ));
    let body = json!({"custom_metadata": {"foo": "1", "bar": "2"}, "max_versions": 5});
    kv.set("metadata/a", body).await;
    let change = json!({"custom_metadata": {"foo": null, "new": "3"}});
    assert!(is_empty(&kv.patch("metadata/a", change).await.unwrap()));
    let metadata = kv.get("metadata/a").await;
    assert_eq!(metadata["custom_metadata"], json!({"bar": "2", "new": "3"}));
    assert_eq!(metadata["max_versions"], 5);
    kv.set("metadata/a", json!({"custom_metadata": {"only": "x"}}))
        .await;
    assert_eq!(
        kv.get("metadata/a").await["custom_metadata"],
        json!({"only": "x"})
    );
}

#[tokio::test]
async fn odd_custom_metadata_is_refused() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.set("metadata/a", json!({})).await;
    for odd in [
        json!({"a": true}),
        json!({"a": ["x"]}),
        json!({"a": {}}),
        json!({"": "x"}),
        json!({"a": ""}),
        json!({"k".repeat(129): "x"}),
        json!({"a": "v".repeat(513)}),
        json!({"a\u{7}": "x"}),
        json!({"a": "\n"}),
        json!("x"),
        json!([1]),
    ] {
        let body = json!({ "custom_metadata": odd });
        assert!(
            is_invalid(&kv.write("metadata/a", body.clone()).await),
            "{odd}"
        );
        assert!(is_invalid(&kv.patch("metadata/a", body).await), "{odd}");
    }
}

#[tokio::test]
async fn custom_metadata_has_bounds() {
    let kv = Fixture::new(Kind::Kv2).await;
    let entries = |count: usize| -> Value {
        let entries = (0..count).map(|i| (format!("k{i}"), json!("v")));
        json!({ "custom_metadata": Value::Object(entries.collect()) })
    };
    kv.set("metadata/a", entries(64)).await;
    assert!(kv.write("metadata/a", entries(65)).await.is_err());
    let more = json!({"custom_metadata": {"more": "x"}});
    assert!(kv.patch("metadata/a", more).await.is_err());
    let swapped = json!({"custom_metadata": {"more": "x", "k0": null}});
    kv.patch("metadata/a", swapped).await.unwrap();
    let longest = json!({"custom_metadata": {"k".repeat(128): "v".repeat(512)}});
    kv.set("metadata/edge", longest).await;
}

async fn with_four_secrets() -> Fixture {
    let kv = Fixture::new(Kind::Kv2).await;
    for path in ["foo", "foo/x", "bar/y/z", "b c@%"] {
        kv.put(path, json!({})).await;
    }
    kv
}

#[tokio::test]
async fn lists_are_sorted_and_paged() {
    let kv = with_four_secrets().await;
    assert_eq!(
        kv.list("metadata").await,
        json!(["b c@%", "bar/", "foo", "foo/"])
    );
    assert_eq!(kv.list("metadata/bar").await, json!(["y/"]));
    let page = r#"{"after":"b c@%","limit":"2"}"#;
    let page = kv.call(Verb::List, "metadata", page).await.unwrap();
    assert_eq!(data(page)["keys"], json!(["bar/", "foo"]));
    assert!(is_missing(&kv.call(Verb::List, "metadata/none", "").await));
}

#[tokio::test]
async fn an_empty_mount_lists_nothing() {
    let kv = Fixture::new(Kind::Kv2).await;
    assert!(is_missing(&kv.call(Verb::List, "metadata", "").await));
}

#[tokio::test]
async fn detailed_lists_tell_of_secrets_but_not_of_folders() {
    let kv = with_four_secrets().await;
    let root = data(kv.call(Verb::List, "detailed-metadata", "").await.unwrap());
    assert_eq!(root["key_info"].as_object().unwrap().len(), 2);
    assert_eq!(root["key_info"]["foo"]["current_version"], 1);
    let below = kv.call(Verb::List, "detailed-metadata/foo", "").await;
    assert_eq!(data(below.unwrap())["key_info"]["x"]["current_version"], 1);
}

#[tokio::test]
async fn a_secret_is_listed_until_its_metadata_goes() {
    let kv = with_four_secrets().await;
    kv.delete("data/foo").await.unwrap();
    assert_eq!(
        kv.list("metadata").await,
        json!(["b c@%", "bar/", "foo", "foo/"])
    );
    for path in ["metadata/foo", "metadata/none"] {
        assert!(is_empty(&kv.delete(path).await.unwrap()));
    }
    assert_eq!(kv.list("metadata").await, json!(["b c@%", "bar/", "foo/"]));
}
