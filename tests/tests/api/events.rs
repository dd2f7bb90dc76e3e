//! `sys/events/subscribe/kv`: nothing skipped, nothing told to those who may not read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};

use crate::setup::{quick, text, token, token_with};

fn prepared() -> Vault {
    let vault = quick();
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    vault
        .root("POST", "sys/mounts/old", json!({"type": "kv"}))
        .expect(204);
    vault
}

fn write(vault: &Vault, path: &str) {
    vault
        .root(
            "POST",
            &format!("kv/data/{path}"),
            json!({"data": {"v": "hunter2"}}),
        )
        .expect(200);
}

fn poll(vault: &Vault, token: &str, cursor: &str, wait: u64) -> Answer {
    let path = format!("sys/events/subscribe/kv?cursor={cursor}&wait={wait}");
    vault.call("GET", &path, Some(token), None)
}

fn cursor(vault: &Vault, token: &str) -> String {
    text(&poll(vault, token, "", 0).expect(200).data()["cursor"])
}

/// All that is told behind a cursor until now, and the next cursor.
fn drain(vault: &Vault, token: &str, cursor: &str) -> (Vec<Value>, String) {
    let (mut all, mut at) = (Vec::new(), cursor.to_owned());
    loop {
        let answer = poll(vault, token, &at, 0).expect(200);
        assert!(!answer.text.contains("hunter2"), "no values in events");
        let events = answer.data()["events"].as_array().unwrap();
        let next = text(&answer.data()["cursor"]);
        all.extend(events.iter().cloned());
        if events.is_empty() && next == at {
            return (all, at);
        }
        at = next;
    }
}

fn told(events: &[Value]) -> Vec<String> {
    let short = |event: &Value| {
        let part = |name: &str| event[name].as_str().unwrap().to_owned();
        format!(
            "{} {}{} {}",
            part("operation"),
            part("mount"),
            part("path"),
            event["version"]
        )
    };
    events.iter().map(short).collect()
}

/// What is missing, told twice or out of order.
fn flaws(events: &[Value], written: &BTreeMap<String, u64>) -> Vec<String> {
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let mut flaws = Vec::new();
    for event in events {
        let path = event["path"].as_str().unwrap().to_owned();
        let expected = next.get(&path).copied().unwrap_or(0) + 1;
        if event["version"] != expected {
            flaws.push(format!(
                "{path}: {} instead of {expected}",
                event["version"]
            ));
        }
        next.insert(path, event["version"].as_u64().unwrap());
    }
    for (path, versions) in written {
        if next.get(path) != Some(versions) {
            flaws.push(format!(
                "{path} ends at {:?} instead of {versions}",
                next.get(path)
            ));
        }
    }
    flaws
}

#[test]
fn the_cursor_skips_nothing_under_eight_writers() {
    const WRITERS: usize = 8;
    const EACH: u64 = 30;
    let vault = prepared();
    let start = cursor(&vault, &vault.root);
    let events = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let vault = &vault;
                scope.spawn(move || {
                    for number in 0..EACH {
                        // Three of its own in turn, one that all write.
                        match number % 4 {
                            3 => write(vault, "shared"),
                            own => write(vault, &format!("w{writer}/{own}")),
                        }
                    }
                })
            })
            .collect();
        let (mut events, mut at) = (Vec::new(), start.clone());
        while events.len() < WRITERS * EACH as usize {
            let answer = poll(&vault, &vault.root, &at, 20).expect(200);
            at = text(&answer.data()["cursor"]);
            let some = answer.data()["events"].as_array().unwrap();
            assert!(
                !some.is_empty(),
                "the wait was over after {} events",
                events.len()
            );
            events.extend(some.iter().cloned());
        }
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        events
    });
    let mut written = BTreeMap::from([("shared".to_owned(), 0)]);
    for number in 0..EACH {
        match number % 4 {
            3 => *written.get_mut("shared").unwrap() += WRITERS as u64,
            own => (0..WRITERS)
                .for_each(|writer| *written.entry(format!("w{writer}/{own}")).or_insert(0) += 1),
        }
    }
    assert_eq!(flaws(&events, &written), Vec::<String>::new());
    // Whoever reads again from the same cursor gets the same.
    assert_eq!(drain(&vault, &vault.root, &start).0, events);

    // The check finds a planted gap, a double and a swap.
    let mut planted = events.clone();
    planted.remove(planted.len() / 2);
    assert!(!flaws(&planted, &written).is_empty());
    let mut planted = events.clone();
    planted.push(planted[0].clone());
    assert!(!flaws(&planted, &written).is_empty());
    let shared: Vec<usize> = (0..events.len())
        .filter(|at| events[*at]["path"] == "shared")
        .collect();
    let mut planted = events;
    planted.swap(shared[0], shared[1]);
    assert!(!flaws(&planted, &written).is_empty());
}

#[test]
fn each_kind_of_change_is_told_and_refused_ones_are_not() {
    let vault = prepared();
    let start = cursor(&vault, &vault.root);
    write(&vault, "a/b");
    vault.root("DELETE", "kv/data/a/b", Value::Null).expect(204);
    vault
        .root("POST", "kv/undelete/a/b", json!({"versions": [1]}))
        .expect(204);
    vault
        .root("POST", "kv/destroy/a/b", json!({"versions": [1]}))
        .expect(204);
    vault
        .root("POST", "kv/metadata/a/b", json!({"max_versions": 3}))
        .expect(204);
    vault
        .root("DELETE", "kv/metadata/a/b", Value::Null)
        .expect(204);
    vault.root("POST", "old/c", json!({"v": 1})).expect(204);
    vault.root("DELETE", "old/c", Value::Null).expect(204);
    let stale = json!({"data": {}, "options": {"cas": 7}});
    vault.root("POST", "kv/data/a/b", stale).expect(400);
    let (events, _) = drain(&vault, &vault.root, &start);
    assert_eq!(
        told(&events),
        [
            "write kv/a/b 1",
            "delete kv/a/b 1",
            "undelete kv/a/b 1",
            "destroy kv/a/b 1",
            "metadata-write kv/a/b 1",
            "metadata-delete kv/a/b 0",
            "write old/c 0",
            "delete old/c 0",
        ]
    );
    let only = format!("sys/events/subscribe/kv?cursor={start}&wait=0&prefix=old/");
    let answer = vault
        .call("GET", &only, Some(&vault.root), None)
        .expect(200);
    assert_eq!(answer.data()["events"].as_array().unwrap().len(), 2);
}

/// Waits for one event more behind a cursor.
fn next(vault: &Vault, token: &str, cursor: &str) -> (Vec<String>, String) {
    let answer = poll(vault, token, cursor, 30).expect(200);
    let events = answer.data()["events"].as_array().unwrap();
    (told(events), text(&answer.data()["cursor"]))
}

#[test]
fn a_version_that_deletes_itself_is_told_once_and_a_rewritten_one_later() {
    let vault = prepared();
    let limit = json!({"delete_version_after": "2s"});
    for path in ["a", "b", "gone"] {
        let metadata = format!("kv/metadata/{path}");
        vault.root("POST", &metadata, limit.clone()).expect(204);
        write(&vault, path);
    }
    vault
        .root("DELETE", "kv/metadata/gone", Value::Null)
        .expect(204);
    vault
        .root("POST", "kv/destroy/b", json!({"versions": [1]}))
        .expect(204);
    let start = cursor(&vault, &vault.root);
    let (first, at) = next(&vault, &vault.root, &start);
    assert_eq!(first, ["delete kv/a 1"]);
    // Whoever reads then finds it deleted.
    vault.root("GET", "kv/data/a", Value::Null).expect(404);
    for number in [2, 3] {
        write(&vault, "a");
        let (events, _) = next(&vault, &vault.root, &at);
        assert_eq!(events.last().unwrap(), &format!("write kv/a {number}"));
    }
    // Each of the two has its own time.
    thread::sleep(Duration::from_secs(4));
    let (events, _) = drain(&vault, &vault.root, &at);
    let deletions = told(&events);
    let deletions: Vec<_> = deletions.iter().filter(|e| e.starts_with("del")).collect();
    assert!(
        !deletions.is_empty() && deletions.iter().all(|event| **event == "delete kv/a 3"),
        "{deletions:?}"
    );
    vault.root("GET", "kv/data/a", Value::Null).expect(404);
}

#[test]
fn a_mount_that_goes_or_moves_is_told_to_those_with_rules_below_it() {
    let vault = prepared();
    write(&vault, "app/x");
    let rules = |path: &str| format!("path \"{path}\" {{ capabilities = [\"read\"] }}");
    let app = token_with(&vault, "app", &rules("kv/data/app/*"));
    let other = token_with(&vault, "other", &rules("secret/*"));
    let start = cursor(&vault, &app);
    let moved = json!({"from": "kv", "to": "new"});
    vault.root("POST", "sys/remount", moved).expect(200);
    let (first, at) = next(&vault, &app, &start);
    assert_eq!(first, ["unmount kv/ 0"]);
    vault
        .root("POST", "sys/remount", json!({"from": "new", "to": "kv"}))
        .expect(200);
    let (second, at) = next(&vault, &app, &at);
    assert_eq!(second, ["mount kv/ 0"]);
    vault
        .call("GET", "kv/data/app/x", Some(&app), None)
        .expect(200);
    vault
        .root("DELETE", "sys/mounts/kv", Value::Null)
        .expect(204);
    assert_eq!(next(&vault, &app, &at).0, ["unmount kv/ 0"]);
    assert_eq!(told(&drain(&vault, &other, &start).0), Vec::<String>::new());
    assert_eq!(drain(&vault, &vault.root, &start).0.len(), 5);
    // Somebody who asks for a part of the mount hears of the whole.
    let below = format!("sys/events/subscribe/kv?cursor={start}&wait=0&prefix=kv/app/");
    let below = vault.call("GET", &below, Some(&app), None).expect(200);
    assert_eq!(below.data()["events"].as_array().unwrap().len(), 3);
}

#[test]
fn only_those_who_may_read_hear_of_it_and_only_as_long_as_they_may() {
    let vault = prepared();
    let app = token_with(
        &vault,
        "app",
        "path \"kv/data/app/*\" { capabilities = [\"read\"] }\npath \"kv/metadata/meta\" { capabilities = [\"read\"] }",
    );
    let start = cursor(&vault, &app);
    for path in ["app/x", "other/x", "meta", "app/y"] {
        write(&vault, path);
    }
    let (events, at) = drain(&vault, &app, &start);
    assert_eq!(
        told(&events),
        ["write kv/app/x 1", "write kv/meta 1", "write kv/app/y 1"]
    );
    write(&vault, "app/x");
    vault
        .root(
            "POST",
            "sys/policies/acl/app",
            json!({"policy": r#"path "x" { capabilities = ["read"] }"#}),
        )
        .expect(204);
    assert_eq!(told(&drain(&vault, &app, &at).0), Vec::<String>::new());
    // The cursor of one is good for another, and shows it what that one may see.
    assert_eq!(drain(&vault, &vault.root, &start).0.len(), 5);
}

#[test]
fn a_waiter_ends_with_its_token_and_at_seal() {
    let vault = prepared();
    let revoked = token(&vault, json!({"policies": ["default"]}));
    let short = token(&vault, json!({"policies": ["default"], "ttl": "2s"}));
    let at = cursor(&vault, &vault.root);
    thread::scope(|scope| {
        let wait = |token: String| {
            let (vault, at) = (&vault, at.clone());
            scope.spawn(move || poll(vault, &token, &at, 50))
        };
        let started = Instant::now();
        let (one, two, root) = (wait(revoked.clone()), wait(short), wait(vault.root.clone()));
        vault
            .root("POST", "auth/token/revoke", json!({"token": revoked}))
            .expect(204);
        one.join().unwrap().expect(403);
        two.join().unwrap().expect(403);
        vault.root("PUT", "sys/seal", Value::Null).expect(204);
        root.join().unwrap().expect(503);
        assert!(
            started.elapsed() < Duration::from_secs(45),
            "somebody waited to the end"
        );
    });
    vault.unseal();
    // What was told before sealing is forgotten: that is said, not passed over.
    let gone = poll(&vault, &vault.root, &at, 0).expect(410);
    assert!(gone.errors().contains("too old"), "{}", gone.text);
    for nonsense in ["x", "-1", "abc-1", "0-99999999999999999999"] {
        poll(&vault, &vault.root, nonsense, 0).expect(410);
    }
}

#[test]
fn a_stream_tells_events_with_ids_and_says_why_it_ends() {
    let vault = prepared();
    let app = token_with(
        &vault,
        "app",
        r#"path "kv/data/app/*" { capabilities = ["read"] }"#,
    );
    let refused =
        Request::new("GET", "sys/events/subscribe/kv").header("accept", "text/event-stream");
    vault.send(&refused).expect(403);

    let mut stream = TcpStream::connect(&vault.endpoint.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .unwrap();
    let head = format!(
        "GET /v1/sys/events/subscribe/kv HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nX-Vault-Token: {app}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut until = |wanted: &str| {
        let found = lines.by_ref().find(|line| line.contains(wanted));
        found.unwrap_or_else(|| panic!("the stream ended before {wanted}"))
    };
    until("text/event-stream");
    until("event: cursor");
    write(&vault, "other/x");
    write(&vault, "app/x");
    until("event: change");
    let data = until("data: ");
    let event: Value = serde_json::from_str(data.trim_start_matches("data: ")).unwrap();
    assert_eq!(told(&[event]), ["write kv/app/x 1"]);
    vault
        .root("POST", "auth/token/revoke", json!({ "token": app }))
        .expect(204);
    until("event: end");
    assert!(until("data: ").contains("permission denied"));
}
