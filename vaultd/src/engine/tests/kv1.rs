use serde_json::json;

use super::{Fixture, data, error, is_empty, is_missing, text};
use crate::core::mount::Kind;
use crate::core::request::Verb;

const MONTH: u64 = 2_764_800;

#[tokio::test]
async fn values_come_back_byte_for_byte() {
    let kv = Fixture::new(Kind::Kv1).await;
    let body = r#"{"n":9007199254740993,"nul":null,"o":{"b": 1.0}}"#;
    assert!(!kv.exists("a").await);
    let reply = kv.call(Verb::Write, "a", body).await.unwrap();
    assert!(is_empty(&reply));
    assert!(kv.exists("a").await);
    assert_eq!(text(kv.read("a").await.unwrap()), body);
}

#[tokio::test]
async fn a_write_needs_values_and_replaces_all_of_them() {
    let kv = Fixture::new(Kind::Kv1).await;
    assert_eq!(error(kv.write("a", json!({})).await), "missing data fields");
    kv.set("a", json!({"x": 1})).await;
    kv.set("a", json!({"y": 1})).await;
    assert_eq!(kv.get("a").await, json!({"y": 1}));
}

#[tokio::test]
async fn the_lease_is_advice_from_ttl_or_lease() {
    let mut kv = Fixture::new(Kind::Kv1).await;
    for (body, seconds) in [
        (json!({"x": 1}), MONTH),
        (json!({"ttl": "1h"}), 3600),
        (json!({"lease": 30}), 30),
        (json!({"lease": 30, "ttl": "5"}), 5),
        (json!({"ttl": "soon"}), MONTH),
        (json!({"ttl": null, "x": 1}), MONTH),
    ] {
        kv.set("t", body.clone()).await;
        let lease = kv.read("t").await.unwrap().lease;
        assert_eq!(lease.duration, seconds, "{body}");
        assert!(!lease.renewable && lease.id.is_empty());
    }
    kv.mount.config.default_lease_ttl = 77;
    assert_eq!(kv.read("t").await.unwrap().lease.duration, 77);
}

#[tokio::test]
async fn lists_and_deletions() {
    let kv = Fixture::new(Kind::Kv1).await;
    assert!(is_missing(&kv.read("a").await));
    for path in ["a", "a/b", "t"] {
        kv.set(path, json!({"x": 1})).await;
    }
    assert_eq!(kv.list("").await, json!(["a", "a/", "t"]));
    assert_eq!(kv.list("a").await, json!(["b"]));
    for _ in 0..2 {
        assert!(is_empty(&kv.delete("a").await.unwrap()));
        assert!(is_missing(&kv.read("a").await));
    }
    assert_eq!(kv.list("").await, json!(["a/", "t"]));
    assert!(is_missing(&kv.call(Verb::List, "t", "").await));
    let page = kv.call(Verb::List, "", r#"{"after":"a/","limit":1}"#).await;
    assert_eq!(data(page.unwrap())["keys"], json!(["t"]));
}
