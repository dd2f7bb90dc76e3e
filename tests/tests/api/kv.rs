//! Key-value stores, versioned and plain.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};

use crate::setup::{durable, quick, text, together, token_with, with_status};

fn mounted(vault: Vault) -> Vault {
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    vault
        .root(
            "POST",
            "sys/mounts/two",
            json!({"type": "kv", "options": {"version": "2"}}),
        )
        .expect(204);
    vault
}

fn put(vault: &Vault, path: &str, data: Value) -> Answer {
    vault.root("POST", &format!("two/data/{path}"), json!({ "data": data }))
}

fn get(vault: &Vault, path: &str) -> Answer {
    vault.root("GET", &format!("two/data/{path}"), Value::Null)
}

fn cas(vault: &Vault, path: &str, cas: i64, data: &Value) -> Answer {
    vault.root(
        "POST",
        &format!("two/data/{path}"),
        json!({"data": data, "options": {"cas": cas}}),
    )
}

#[test]
fn a_write_answers_with_its_version_and_a_read_with_value_and_metadata() {
    let vault = mounted(quick());
    let written = put(&vault, "a/b", json!({"k": "v"})).expect(200);
    assert_eq!(written.data()["version"], 1);
    assert_eq!(written.data()["deletion_time"], "");
    assert_eq!(written.data()["destroyed"], false);
    assert_eq!(written.data()["custom_metadata"], Value::Null);
    put(&vault, "a/b", json!({"k": "w"})).expect(200);
    let read = get(&vault, "a/b").expect(200);
    assert_eq!(read.data()["data"], json!({"k": "w"}));
    assert_eq!(read.data()["metadata"]["version"], 2);
    let old = get(&vault, "a/b?version=1").expect(200);
    assert_eq!(old.data()["data"], json!({"k": "v"}));
    for missing in ["a/b?version=3", "a", "a/b/c", "x"] {
        assert_eq!(
            get(&vault, missing).expect(404).body,
            json!({"errors": []}),
            "{missing}"
        );
    }
    let none = vault.root("POST", "two/data/a", json!({})).expect(400);
    assert_eq!(none.errors(), "no data provided");
    let keys: Vec<&str> = vec![
        "request_id",
        "lease_id",
        "renewable",
        "lease_duration",
        "data",
        "wrap_info",
        "warnings",
        "auth",
    ];
    assert!(
        keys.iter().all(|key| read.body.get(key).is_some()),
        "{}",
        read.text
    );
}

#[test]
fn numbers_come_back_digit_by_digit() {
    let vault = mounted(quick());
    let text = r#"{"big":123456789012345678901234567890,"edge":9007199254740993,"max":18446744073709551615,"pi":3.141592653589793238462643383279,"exp":1e400,"zero":-0.0,"none":-0,"past":18446744073709551616,"price":1.10,"s":"\u00e9\ud83d\ude00"}"#;
    let body = format!("{{\"data\":{text}}}");
    vault
        .send(
            &Request::new("POST", "two/data/n")
                .token(&vault.root)
                .body(body),
        )
        .expect(200);
    vault
        .send(&Request::new("POST", "one/n").token(&vault.root).body(text))
        .expect(204);
    let plain = get(&vault, "n").expect(200);
    let wrapped = Request::new("POST", "sys/wrapping/wrap").token(&vault.root);
    let wrapped = vault.send(&wrapped.header("X-Vault-Wrap-TTL", "60").body(text));
    let inside = crate::setup::text(&wrapped.expect(200).body["wrap_info"]["token"]);
    vault
        .root("PATCH", "two/data/n", json!({"data": {"added": 1}}))
        .expect(200);
    vault.root("GET", "two/subkeys/n", Value::Null).expect(200);
    for answer in [
        plain,
        get(&vault, "n").expect(200),
        vault.root("GET", "one/n", Value::Null).expect(200),
        vault
            .call("POST", "sys/wrapping/unwrap", Some(&inside), None)
            .expect(200),
        vault
            .root("POST", "sys/batch", json!({"paths": ["two/data/n"]}))
            .expect(200),
    ] {
        for exact in [
            "123456789012345678901234567890",
            "9007199254740993",
            "18446744073709551615",
            "3.141592653589793238462643383279",
            "1e400",
            "-0.0",
            "-0,",
            "18446744073709551616",
            "1.10",
        ] {
            assert!(
                answer.text.contains(&format!(":{exact}")),
                "{exact}: {}",
                answer.text
            );
        }
    }
}

#[test]
fn of_many_first_writes_one_wins() {
    for vault in [mounted(quick()), mounted(durable())] {
        for round in 0..3 {
            let path = format!("race{round}");
            let answers = together(64, |number| cas(&vault, &path, 0, &json!({ "n": number })));
            assert_eq!(with_status(&answers, 200), 1, "round {round}");
            assert_eq!(with_status(&answers, 400), 63, "round {round}");
            let winner = answers
                .iter()
                .position(|answer| answer.status == 200)
                .unwrap();
            let read = get(&vault, &path).expect(200);
            assert_eq!(read.data()["data"]["n"], winner);
            assert_eq!(read.data()["metadata"]["version"], 1);
        }
    }
}

#[test]
fn writes_without_cas_all_count() {
    let vault = mounted(durable());
    let answers = together(32, |number| put(&vault, "busy", json!({ "n": number })));
    assert_eq!(
        with_status(&answers, 200),
        32,
        "{:?}",
        answers
            .iter()
            .map(|a| (a.status, &a.text))
            .find(|a| a.0 != 200)
    );
    let mut versions: Vec<u64> = answers
        .iter()
        .map(|answer| answer.data()["version"].as_u64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=32).collect::<Vec<_>>());
}

/// What two requests see of each other's commits must never look like damaged storage.
#[test]
fn a_path_that_comes_and_goes_is_there_or_not_but_never_damaged() {
    for vault in [mounted(quick()), mounted(durable())] {
        for round in 0..10 {
            let answers = together(48, |number| match number % 4 {
                0 => put(&vault, "a/flicker", json!({ "n": number })),
                1 => vault.root("DELETE", "two/metadata/a/flicker", Value::Null),
                2 => get(&vault, "a/flicker"),
                _ => vault.root("GET", "one/flicker", Value::Null),
            });
            for answer in answers {
                assert!(answer.status < 500, "round {round}: {}", answer.text);
            }
            let answers = together(48, |number| match number % 3 {
                0 => vault.root("POST", "one/flicker", json!({ "n": number })),
                1 => vault.root("DELETE", "one/flicker", Value::Null),
                _ => vault.root("GET", "one/flicker", Value::Null),
            });
            for answer in answers {
                assert!(answer.status < 500, "round {round}: {}", answer.text);
            }
        }
    }
}

#[test]
fn check_and_set() {
    let vault = mounted(quick());
    let data = json!({"a": 1});
    let text = |answer: Answer| answer.expect(400).errors();
    let mismatch = "check-and-set parameter did not match the current version";
    assert_eq!(text(cas(&vault, "c", 1, &data)), mismatch);
    cas(&vault, "c", 0, &data).expect(200);
    assert_eq!(text(cas(&vault, "c", 0, &data)), mismatch);
    assert_eq!(text(cas(&vault, "c", -1, &data)), mismatch);
    cas(&vault, "c", 1, &data).expect(200);
    vault.root("DELETE", "two/data/c", Value::Null).expect(204);
    assert_eq!(text(cas(&vault, "c", 0, &data)), mismatch);
    vault
        .root("POST", "two/metadata/c", json!({"cas_required": true}))
        .expect(204);
    assert_eq!(
        text(put(&vault, "c", data.clone())),
        "check-and-set parameter required for this call"
    );
    vault
        .root("POST", "two/config", json!({"cas_required": true}))
        .expect(204);
    assert_eq!(
        text(put(&vault, "d", data.clone())),
        "check-and-set parameter required for this call"
    );
    vault
        .root(
            "POST",
            "two/data/d",
            json!({"data": data, "options": {"cas": "zero"}}),
        )
        .expect(400);
    cas(&vault, "d", 0, &data).expect(200);
}

#[test]
fn deleted_versions_answer_404_with_their_metadata_and_come_back() {
    let vault = mounted(quick());
    put(&vault, "d", json!({"a": 1})).expect(200);
    put(&vault, "d", json!({"a": 2})).expect(200);
    vault.root("DELETE", "two/data/d", Value::Null).expect(204);
    let gone = get(&vault, "d").expect(404);
    assert_eq!(gone.data()["data"], Value::Null);
    assert_eq!(gone.data()["metadata"]["version"], 2);
    assert_ne!(gone.data()["metadata"]["deletion_time"], "");
    assert_eq!(gone.data()["metadata"]["destroyed"], false);
    get(&vault, "d?version=1").expect(200);
    vault
        .root("POST", "two/undelete/d", json!({"versions": [2, 99]}))
        .expect(204);
    assert_eq!(get(&vault, "d").expect(200).data()["data"], json!({"a": 2}));
    vault
        .root("POST", "two/delete/d", json!({"versions": "1,2"}))
        .expect(204);
    get(&vault, "d?version=1").expect(404);
    for action in ["delete", "undelete", "destroy"] {
        vault
            .root("POST", &format!("two/{action}/d"), json!({}))
            .expect(400);
        vault
            .root(
                "POST",
                &format!("two/{action}/absent"),
                json!({"versions": [1]}),
            )
            .expect(204);
    }
    vault
        .root("DELETE", "two/data/absent", Value::Null)
        .expect(204);
}

#[test]
fn destroyed_versions_do_not_come_back() {
    let vault = mounted(quick());
    put(&vault, "d", json!({"a": 1})).expect(200);
    vault
        .root("POST", "two/destroy/d", json!({"versions": [1]}))
        .expect(204);
    vault
        .root("POST", "two/undelete/d", json!({"versions": [1]}))
        .expect(204);
    let gone = get(&vault, "d").expect(404);
    assert_eq!(gone.data()["metadata"]["destroyed"], true);
    assert_eq!(gone.data()["data"], Value::Null);
    assert_eq!(
        put(&vault, "d", json!({"a": 2})).expect(200).data()["version"],
        2
    );
}

#[test]
fn metadata_shows_limits_bounds_and_removes() {
    let vault = mounted(quick());
    vault
        .root(
            "POST",
            "two/metadata/m",
            json!({"max_versions": 2, "custom_metadata": {"team": "a"}}),
        )
        .expect(204);
    for number in 1..=12 {
        put(&vault, "m", json!({ "n": number })).expect(200);
    }
    let shown = vault.root("GET", "two/metadata/m", Value::Null).expect(200);
    assert_eq!(shown.data()["custom_metadata"], json!({"team": "a"}));
    assert_eq!(shown.data()["current_version"], 12);
    let kept: Vec<&String> = shown.data()["versions"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    get(&vault, "m?version=10").expect(404);
    vault
        .root(
            "PATCH",
            "two/metadata/m",
            json!({"custom_metadata": {"team": null, "owner": "b"}}),
        )
        .expect(204);
    let shown = vault.root("GET", "two/metadata/m", Value::Null).expect(200);
    assert_eq!(shown.data()["custom_metadata"], json!({"owner": "b"}));
    let number = json!({"custom_metadata": {"owner": 7}});
    vault.root("POST", "two/metadata/m", number).expect(204);
    let shown = vault.root("GET", "two/metadata/m", Value::Null).expect(200);
    assert_eq!(shown.data()["custom_metadata"], json!({"owner": "7"}));
    for odd in [
        json!({"k": {"a": 1}}),
        json!({"k": ["a"]}),
        json!({"k": "x".repeat(513)}),
        json!({"k".repeat(129): "x"}),
        json!({"k": "a\nb"}),
    ] {
        vault
            .root("POST", "two/metadata/m", json!({ "custom_metadata": odd }))
            .expect(400);
    }
    vault
        .root("DELETE", "two/metadata/m", Value::Null)
        .expect(204);
    get(&vault, "m").expect(404);
    vault.root("GET", "two/metadata/m", Value::Null).expect(404);
    assert_eq!(
        put(&vault, "m", json!({"n": 1})).expect(200).data()["version"],
        1
    );
}

#[test]
fn versions_delete_themselves() {
    let vault = mounted(quick());
    vault
        .root(
            "POST",
            "two/metadata/s",
            json!({"delete_version_after": "1s"}),
        )
        .expect(204);
    put(&vault, "s", json!({"a": 1})).expect(200);
    get(&vault, "s").expect(200);
    sleep(Duration::from_millis(1100));
    assert_eq!(get(&vault, "s").expect(404).data()["data"], Value::Null);
}

#[test]
fn patches_merge() {
    let vault = mounted(quick());
    let patch = |path: &str, data: Value| {
        vault.root(
            "PATCH",
            &format!("two/data/{path}"),
            json!({ "data": data }),
        )
    };
    let absent = patch("p", json!({"a": 1})).expect(404);
    assert!(absent.body["data"].is_null(), "{}", absent.text);
    put(
        &vault,
        "p",
        json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2]}),
    )
    .expect(200);
    let answer = patch(
        "p",
        json!({"a": null, "b": {"c": 9}, "e": [3], "f": 12345678901234567890_u64}),
    )
    .expect(200);
    assert_eq!(answer.data()["version"], 2);
    let merged = get(&vault, "p").expect(200);
    assert_eq!(
        merged.data()["data"],
        json!({"b": {"c": 9, "d": 3}, "e": [3], "f": 12345678901234567890_u64})
    );
    let wrong = json!({"data": {"a": 1}, "options": {"cas": 1}});
    vault.root("PATCH", "two/data/p", wrong).expect(400);
    vault.root("DELETE", "two/data/p", Value::Null).expect(204);
    assert_eq!(
        patch("p", json!({"a": 1})).expect(404).data()["metadata"]["version"],
        2
    );
    let reader = token_with(
        &vault,
        "reader",
        r#"path "two/data/p" { capabilities = ["create", "read", "update"] }"#,
    );
    vault
        .call(
            "PATCH",
            "two/data/p",
            Some(&reader),
            Some(&json!({"data": {}})),
        )
        .expect(403);
}

#[test]
fn subkeys_show_the_structure_only() {
    let vault = mounted(quick());
    put(
        &vault,
        "s",
        json!({"a": {"b": "hidden", "c": [1]}, "d": {}}),
    )
    .expect(200);
    let keys = vault.root("GET", "two/subkeys/s", Value::Null).expect(200);
    assert_eq!(keys.data()["subkeys"]["a"], json!({"b": null, "c": null}));
    assert!(!keys.text.contains("hidden"));
    let flat = vault
        .root("GET", "two/subkeys/s?depth=1", Value::Null)
        .expect(200);
    assert_eq!(flat.data()["subkeys"]["a"], Value::Null);
}

#[test]
fn lists_show_secrets_and_folders() {
    let vault = mounted(quick());
    for path in ["foo", "foo/bar", "x/y/z", "a b+c%25"] {
        put(&vault, &path.replace(' ', "%20"), json!({"a": 1})).expect(200);
    }
    let list = |path: &str| vault.root("LIST", path, Value::Null);
    assert_eq!(
        list("two/metadata").expect(200).data()["keys"],
        json!(["a b+c%", "foo", "foo/", "x/"])
    );
    assert_eq!(
        list("two/metadata/x").expect(200).data()["keys"],
        json!(["y/"])
    );
    assert_eq!(
        list("two/metadata?after=foo&limit=1").expect(200).data()["keys"],
        json!(["foo/"])
    );
    assert_eq!(
        list("two/metadata/none").expect(404).body,
        json!({"errors": []})
    );
    vault
        .root("DELETE", "two/metadata/x/y/z", Value::Null)
        .expect(204);
    list("two/metadata/x").expect(404);
}

#[test]
fn a_wrong_path_of_a_versioned_store_says_what_is_right() {
    let vault = mounted(quick());
    let lost = vault.root("GET", "two/a", Value::Null).expect(404);
    assert!(
        lost.body["warnings"][0]
            .as_str()
            .unwrap()
            .contains("Invalid path for a versioned K/V secrets engine"),
        "{}",
        lost.text
    );
}

#[test]
fn plain_secrets_carry_a_lease_duration() {
    let vault = mounted(quick());
    vault.root("POST", "one/a", json!({"k": "v"})).expect(204);
    let read = vault.root("GET", "one/a", Value::Null).expect(200);
    assert_eq!(read.data(), &json!({"k": "v"}));
    assert_eq!(read.body["lease_duration"], 2_764_800);
    assert_eq!(
        (
            text(&read.body["lease_id"]).as_str(),
            &read.body["renewable"]
        ),
        ("", &json!(false))
    );
    vault
        .root("POST", "one/b", json!({"k": "v", "ttl": "1h"}))
        .expect(204);
    assert_eq!(
        vault.root("GET", "one/b", Value::Null).expect(200).body["lease_duration"],
        3600
    );
    vault
        .root(
            "POST",
            "sys/mounts/one/tune",
            json!({"default_lease_ttl": "30m"}),
        )
        .expect(204);
    assert_eq!(
        vault.root("GET", "one/a", Value::Null).expect(200).body["lease_duration"],
        1800
    );
    assert_eq!(
        vault.root("LIST", "one", Value::Null).expect(200).data()["keys"],
        json!(["a", "b"])
    );
    vault.root("DELETE", "one/a", Value::Null).expect(204);
    vault.root("DELETE", "one/a", Value::Null).expect(204);
    vault.root("GET", "one/a", Value::Null).expect(404);
    vault.root("POST", "one/c", json!({})).expect(400);
}

#[test]
fn what_is_written_first_needs_create_and_then_update() {
    let vault = mounted(quick());
    let creator = token_with(
        &vault,
        "creator",
        r#"path "two/data/*" { capabilities = ["create"] } path "one/*" { capabilities = ["create"] }"#,
    );
    let write = |path: &str| {
        vault.call(
            "POST",
            path,
            Some(&creator),
            Some(&json!({"data": {"a": 1}})),
        )
    };
    write("two/data/n").expect(200);
    write("two/data/n").expect(403);
    write("one/n").expect(204);
    write("one/n").expect(403);
    let updater = token_with(
        &vault,
        "updater",
        r#"path "two/*" { capabilities = ["update"] }"#,
    );
    let write = |path: &str| {
        vault.call(
            "POST",
            path,
            Some(&updater),
            Some(&json!({"data": {"a": 1}, "versions": [1]})),
        )
    };
    write("two/data/new").expect(403);
    write("two/data/n").expect(200);
    write("two/delete/absent").expect(204);
}

#[test]
fn a_removed_mount_leaves_nothing_for_the_next_one() {
    let vault = mounted(durable());
    put(&vault, "a", json!({"old": 1})).expect(200);
    vault
        .root("DELETE", "sys/mounts/two", Value::Null)
        .expect(204);
    get(&vault, "a").expect(404);
    vault
        .root("POST", "sys/mounts/two", json!({"type": "kv-v2"}))
        .expect(204);
    assert_eq!(get(&vault, "a").expect(404).body, json!({"errors": []}));
    vault.root("LIST", "two/metadata", Value::Null).expect(404);
}
