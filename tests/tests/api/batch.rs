//! `sys/batch`: many reads as of one moment, each as if asked for alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use vault_tests::{Answer, Vault};

use crate::setup::{durable, quick, token, token_with};

fn mounted(vault: &Vault) {
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    vault
        .root("POST", "sys/mounts/old", json!({"type": "kv"}))
        .expect(204);
}

fn write(vault: &Vault, path: &str, value: u64) {
    vault
        .root(
            "POST",
            &format!("kv/data/{path}"),
            json!({"data": {"n": value}}),
        )
        .expect(200);
}

fn batch(vault: &Vault, token: &str, paths: Value) -> Answer {
    vault.call(
        "POST",
        "sys/batch",
        Some(token),
        Some(&json!({ "paths": paths })),
    )
}

#[test]
fn each_path_has_an_answer_of_its_own() {
    let vault = durable();
    mounted(&vault);
    write(&vault, "a", 1);
    write(&vault, "a", 2);
    write(&vault, "b", 3);
    write(&vault, "gone", 4);
    vault
        .root("DELETE", "kv/data/gone", Value::Null)
        .expect(204);
    vault.root("POST", "old/x", json!({"n": 5})).expect(204);
    let app = token_with(
        &vault,
        "app",
        "path \"kv/*\" { capabilities = [\"read\"] }\npath \"kv/data/b\" { capabilities = [\"deny\"] }\npath \"old/*\" { capabilities = [\"read\"] }\npath \"sys/mounts\" { capabilities = [\"read\"] }",
    );
    let asked = json!([
        "kv/data/a", {"path": "kv/data/a", "version": 1}, "kv/data/b", "kv/data/none", "kv/data/gone",
        "old/x", "kv/metadata/a", "sys/mounts", "nowhere/x"
    ]);
    let answer = batch(&vault, &app, asked).expect(200);
    let results = answer.data()["results"].as_array().unwrap();
    let status: Vec<u64> = results
        .iter()
        .map(|r| r["status"].as_u64().unwrap())
        .collect();
    assert_eq!(status, [200, 200, 403, 404, 404, 200, 200, 400, 403]);
    assert_eq!(results[0]["data"]["data"]["n"], 2);
    assert_eq!(results[1]["data"]["data"]["n"], 1);
    assert_eq!(results[2]["data"], Value::Null);
    assert_eq!(results[4]["data"]["metadata"]["version"], 1);
    assert_eq!(results[5]["data"]["n"], 5);
    assert_eq!(results[6]["data"]["current_version"], 2);

    // Each is in the audit log as a read of its own, the refused ones too.
    let audit = vault.audit();
    for (result, path) in results.iter().zip(["kv/data/a", "kv/data/a", "kv/data/b"]) {
        let of_it: Vec<&Value> = audit
            .iter()
            .filter(|line| line["request"]["id"] == result["request_id"])
            .collect();
        assert_eq!(of_it.len(), 2, "{result}");
        assert!(
            of_it
                .iter()
                .all(|line| line["request"]["path"] == path
                    && line["request"]["operation"] == "read")
        );
    }
    // And a refusal in it can be asked about.
    let id = results[2]["request_id"].as_str().unwrap();
    let told = vault
        .call("GET", &format!("sys/why/{id}"), Some(&app), None)
        .expect(200);
    assert_eq!(told.data()["reason"], "the rule denies the path");

    for bad in [
        json!([]),
        json!("kv/data/a"),
        json!([1]),
        json!(["kv/../a"]),
        json!(vec!["kv/data/a"; 129]),
    ] {
        batch(&vault, &app, bad.clone()).expect(400);
    }
}

#[test]
fn a_token_with_few_uses_reads_as_few_paths() {
    let vault = quick();
    mounted(&vault);
    write(&vault, "a", 1);
    token_with(&vault, "app", r#"path "kv/*" { capabilities = ["read"] }"#);
    let limited = |uses: u64| {
        token(
            &vault,
            json!({"policies": ["app"], "no_default_policy": true, "num_uses": uses}),
        )
    };
    let status = |answer: Answer| -> Vec<u64> {
        let results = answer.expect(200).data()["results"].clone();
        results
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["status"].as_u64().unwrap())
            .collect()
    };
    let paths = json!(["kv/data/a", "kv/data/a", "kv/data/a"]);
    let two = limited(2);
    assert_eq!(status(batch(&vault, &two, paths.clone())), [200, 200, 403]);
    vault.call("GET", "kv/data/a", Some(&two), None).expect(403);
    let four = limited(4);
    assert_eq!(status(batch(&vault, &four, paths)), [200, 200, 200]);
    vault
        .call("GET", "kv/data/a", Some(&four), None)
        .expect(200);
    vault
        .call("GET", "kv/data/a", Some(&four), None)
        .expect(403);
}

/// Whatever is written meanwhile, nobody is told to come again.
#[test]
fn a_batch_under_eight_writers_never_gives_up() {
    const WRITERS: usize = 8;
    let vault = quick();
    mounted(&vault);
    let path = |writer: usize, name: &str| format!("w{writer}/{name}");
    for writer in 0..WRITERS {
        write(&vault, &path(writer, "a"), 0);
        write(&vault, &path(writer, "b"), 0);
    }
    // `b` before `a`, and each path often: a read takes longer than the time between two writes.
    let asked: Vec<String> = (0..128)
        .map(|at| {
            let name = if at % 2 == 0 { "b" } else { "a" };
            format!("kv/data/{}", path(at / 2 % WRITERS, name))
        })
        .collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (vault, done) = (&vault, &done);
            scope.spawn(move || {
                for number in 1.. {
                    write(vault, &path(writer, "a"), number);
                    write(vault, &path(writer, "b"), number);
                    if done.load(Ordering::Acquire) {
                        return;
                    }
                }
            });
        }
        let mut moved = 0;
        let mut last = Vec::new();
        for _ in 0..30 {
            let answer = batch(&vault, &vault.root, json!(asked)).expect(200);
            let results = answer.data()["results"].as_array().unwrap();
            let numbers: Vec<u64> = results
                .iter()
                .map(|result| {
                    result["data"]["data"]["n"]
                        .as_u64()
                        .expect("every path answers")
                })
                .collect();
            for (at, pair) in numbers.chunks(2).enumerate() {
                assert!(of_one_moment(pair[1], pair[0]), "{at}: {numbers:?}");
                assert_eq!(pair, &numbers[at % WRITERS * 2..][..2], "twice the same");
            }
            moved += usize::from(numbers != last);
            last = numbers;
        }
        done.store(true, Ordering::Release);
        assert!(moved > 15, "the writers wrote meanwhile");
    });
}

/// The writer writes `a` before `b`, always the same number: at any moment `a` is `b` or one ahead.
fn of_one_moment(a: u64, b: u64) -> bool {
    a == b || a == b + 1
}

#[test]
fn a_batch_during_writes_sees_one_moment() {
    let vault = quick();
    mounted(&vault);
    write(&vault, "a", 0);
    write(&vault, "b", 0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=150 {
                write(&vault, "a", number);
                write(&vault, "b", number);
            }
            done.store(true, Ordering::Release);
        });
        let mut seen = 0;
        while !done.load(Ordering::Acquire) || seen == 0 {
            let answer = batch(&vault, &vault.root, json!(["kv/data/b", "kv/data/a"])).expect(200);
            let number = |at: usize| {
                answer.data()["results"][at]["data"]["data"]["n"]
                    .as_u64()
                    .unwrap()
            };
            let (b, a) = (number(0), number(1));
            assert!(of_one_moment(a, b), "a is {a}, b is {b}");
            seen += 1;
        }
    });
    assert!(
        !of_one_moment(5, 3) && !of_one_moment(3, 4),
        "the check sees two moments"
    );
}
