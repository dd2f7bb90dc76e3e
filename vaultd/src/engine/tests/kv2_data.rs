//! Values and their versions.

use serde_json::{Value, json};

use super::{Fixture, data, error, is_empty, is_invalid, is_missing, text};
use crate::core::fault::Fault;
use crate::core::mount::Kind;
use crate::core::request::Verb;
use crate::engine::kv2::unknown_path;

#[tokio::test]
async fn a_write_answers_and_reads_back() {
    let mut kv = Fixture::new(Kind::Kv2).await;
    let written = kv.put("a/b", json!({"k": "v"})).await;
    let expected = json!({
        "version": 1, "created_time": "2026-11-21T07:00:00.5Z", "deletion_time": "",
        "destroyed": false, "custom_metadata": null,
    });
    assert_eq!(written, expected);
    kv.pass(1);
    kv.put("a/b", json!({"k": "w"})).await;
    let expected = json!({
        "data": {"k": "w"},
        "metadata": {
            "version": 2, "created_time": "2026-11-21T07:00:01.5Z", "deletion_time": "",
            "destroyed": false, "custom_metadata": null,
        },
    });
    assert_eq!(kv.get("data/a/b").await, expected);
}

#[tokio::test]
async fn versions_are_read_by_number() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.put("a/b", json!({"k": "v"})).await;
    kv.put("a/b", json!({"k": "w"})).await;
    for (number, value) in [(1, "v"), (2, "w"), (0, "w")] {
        let read = data(kv.version("a/b", number).await.unwrap());
        assert_eq!(read["data"]["k"], value);
    }
    for number in [3, 99, u64::MAX >> 1] {
        assert!(is_missing(&kv.version("a/b", number).await));
    }
    for path in ["data/none", "data/a"] {
        assert!(is_missing(&kv.read(path).await));
    }
    let odd = kv.call(Verb::Read, "data/a/b", r#"{"version":"x"}"#).await;
    assert!(is_invalid(&odd));
}

#[tokio::test]
async fn values_keep_their_digits_and_bytes() {
    let kv = Fixture::new(Kind::Kv2).await;
    let values =
        r#"{"z":9007199254740993,"a":123456789012345678901234567890,"f":1.10,"s":"\u0041<>&"}"#;
    let body = format!(r#"{{"data":{values}}}"#);
    kv.call(Verb::Write, "data/n", &body).await.unwrap();
    let read = text(kv.read("data/n").await.unwrap());
    assert!(read.contains(&format!(r#""data":{values}"#)), "{read}");

    let patch = r#"{"data":{"x":{"y":18446744073709551617,"n":null},"f":null}}"#;
    kv.call(Verb::Patch, "data/n", patch).await.unwrap();
    let merged = r#""data":{"a":123456789012345678901234567890,"s":"\u0041<>&","x":{"y":18446744073709551617},"z":9007199254740993}"#;
    let read = text(kv.read("data/n").await.unwrap());
    assert!(read.contains(merged), "{read}");
}

#[tokio::test]
async fn bad_writes_are_refused_without_echo() {
    let kv = Fixture::new(Kind::Kv2).await;
    for body in [
        json!({}),
        json!({"data": null}),
        json!({"options": {"cas": 0}}),
    ] {
        assert_eq!(error(kv.write("data/a", body).await), "no data provided");
    }
    for values in [json!("hunter2"), json!(["hunter2"]), json!(5)] {
        let refused = error(kv.write("data/a", json!({ "data": values })).await);
        assert!(refused.contains("expected an object"), "{refused}");
        assert!(!refused.contains("hunter2"));
    }
    for cas in [json!("x"), json!(1.5), json!([1]), json!(true)] {
        let refused = error(kv.write("data/a", with_cas(cas)).await);
        assert!(refused.starts_with("error parsing check-and-set parameter"));
    }
    assert!(kv.is_bare().await);
    let bare = kv.write("data", json!({"data": {}})).await;
    assert!(matches!(bare, Err(Fault::NoRoute(_))));
    let large = json!({"data": {"a": "x".repeat(1 << 20)}});
    assert!(kv.write("data/big", large).await.is_err());
}

#[tokio::test]
async fn no_values_are_values_too() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.put("empty", json!({})).await;
    assert_eq!(kv.get("data/empty").await["data"], json!({}));
}

fn with_cas(cas: Value) -> Value {
    json!({"data": {"a": 1}, "options": {"cas": cas}})
}

#[tokio::test]
async fn check_and_set_needs_the_current_version() {
    let kv = Fixture::new(Kind::Kv2).await;
    let off = "check-and-set parameter did not match the current version";
    let write = async |cas: Value| kv.write("data/a", with_cas(cas)).await;
    for cas in [json!(1), json!(-1)] {
        assert_eq!(error(write(cas).await), off);
    }
    write(json!(0)).await.unwrap();
    assert_eq!(error(write(json!(0)).await), off);
    write(json!("1")).await.unwrap();
    kv.delete("data/a").await.unwrap();
    assert_eq!(error(write(json!(0)).await), off);
    write(json!(2)).await.unwrap();
    write(Value::Null).await.unwrap();
    assert_eq!(error(kv.patch("data/a", with_cas(json!(3))).await), off);
    kv.patch("data/a", with_cas(json!(4))).await.unwrap();
}

#[tokio::test]
async fn a_secret_with_only_metadata_is_at_version_zero() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.set("metadata/m", json!({})).await;
    kv.write("data/m", with_cas(json!(0))).await.unwrap();
}

#[tokio::test]
async fn check_and_set_may_be_required_by_key_or_mount() {
    let kv = Fixture::new(Kind::Kv2).await;
    let needed = "check-and-set parameter required for this call";
    let plain = || json!({"data": {}});
    kv.set("metadata/a", json!({"cas_required": true})).await;
    assert_eq!(error(kv.write("data/a", plain()).await), needed);
    kv.write("data/a", with_cas(json!(0))).await.unwrap();
    assert_eq!(error(kv.patch("data/a", plain()).await), needed);

    kv.put("b", json!({})).await;
    kv.set("config", json!({"cas_required": true})).await;
    assert_eq!(error(kv.write("data/b", plain()).await), needed);
    let loosened = kv.write("metadata/b", json!({"cas_required": false})).await;
    assert!(loosened.unwrap().warnings[0].contains("mandated by backend config"));
    let no_cas = json!({"data": {}, "options": {}});
    assert_eq!(error(kv.write("data/b", no_cas).await), needed);
}

#[tokio::test]
async fn deleted_versions_answer_404_with_their_metadata() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.put("a", json!({"k": 1})).await;
    kv.put("a", json!({"k": 2})).await;
    assert!(is_empty(&kv.delete("data/a").await.unwrap()));
    let reply = kv.read("data/a").await.unwrap();
    assert_eq!(reply.status, Some(404));
    let read = data(reply);
    assert_eq!(read["data"], Value::Null);
    assert_eq!(read["metadata"]["version"], 2);
    assert_eq!(read["metadata"]["deletion_time"], "2026-11-21T07:00:00.5Z");
    assert_eq!(data(kv.version("a", 1).await.unwrap())["data"]["k"], 1);

    let reply = kv.read("subkeys/a").await.unwrap();
    assert_eq!(reply.status, Some(404));
    assert!(data(reply)["subkeys"].is_null());
    let reply = kv.patch("data/a", json!({"data": {"x": 1}})).await.unwrap();
    assert_eq!(reply.status, Some(404));
    assert_eq!(data(reply)["metadata"]["version"], 2);
}

#[tokio::test]
async fn deleting_again_does_not_move_the_time() {
    let mut kv = Fixture::new(Kind::Kv2).await;
    kv.put("a", json!({})).await;
    kv.delete("data/a").await.unwrap();
    kv.pass(5);
    kv.delete("data/a").await.unwrap();
    let metadata = kv.get("metadata/a").await;
    assert_eq!(
        metadata["versions"]["1"]["deletion_time"],
        "2026-11-21T07:00:00.5Z"
    );
    assert_eq!(kv.put("a", json!({})).await["version"], 2);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_patched_and_may_be_deleted() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.set("metadata/m", json!({})).await;
    for path in ["data/none", "data/m"] {
        assert!(is_missing(&kv.patch(path, json!({"data": {}})).await));
        assert!(is_missing(&kv.read(path).await));
        assert!(is_empty(&kv.delete(path).await.unwrap()));
    }
}

#[tokio::test]
async fn subkeys_show_names_without_values() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.put("a", json!({"x": {"y": {"z": "s3"}}, "l": [1], "e": {}}))
        .await;
    let all = json!({"x": {"y": {"z": null}}, "l": null, "e": null});
    assert_eq!(kv.get("subkeys/a").await["subkeys"], all);
    let body = r#"{"depth":"1","version":"1"}"#;
    let read = data(kv.call(Verb::Read, "subkeys/a", body).await.unwrap());
    assert_eq!(read["subkeys"], json!({"x": null, "l": null, "e": null}));
    assert_eq!(read["metadata"]["version"], 1);
    assert!(is_missing(&kv.read("subkeys/none").await));
    assert!(
        kv.call(Verb::Read, "subkeys/a", r#"{"depth":-1}"#)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn only_new_secrets_are_created() {
    let kv = Fixture::new(Kind::Kv2).await;
    kv.put("a", json!({})).await;
    for path in ["data/a", "metadata/a", "destroy/none"] {
        assert!(kv.exists(path).await, "{path}");
    }
    for path in ["data/none", "metadata/a/b"] {
        assert!(!kv.exists(path).await, "{path}");
    }
}

#[tokio::test]
async fn a_path_of_version_1_is_told_where_to_go() {
    let kv = Fixture::new(Kind::Kv2).await;
    assert!(matches!(kv.read("foo").await, Err(Fault::NoRoute(_))));
    let reply = unknown_path();
    assert_eq!(reply.status, Some(404));
    let end =
        "API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation.";
    assert!(reply.warnings[0].ends_with(end));
}
