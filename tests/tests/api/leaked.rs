//! `sys/leaked`: a found token is revoked, whoever hands it in, and nobody learns whether it was one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_crypto::checksum_ok;
use vault_tests::{Answer, Vault, Vaultctl};

use crate::setup::{durable, quick, text, token, token_with};

fn report(vault: &Vault, token: &str) -> Answer {
    vault.call("POST", "sys/leaked", None, Some(&json!({ "token": token })))
}

fn works(vault: &Vault, token: &str) -> bool {
    let answer = vault.call("GET", "auth/token/lookup-self", Some(token), None);
    answer.status == 200
}

fn child(vault: &Vault, parent: &str) -> String {
    let body = json!({"policies": ["default"]});
    let made = vault.call("POST", "auth/token/create", Some(parent), Some(&body));
    text(&made.expect(200).body["auth"]["client_token"])
}

#[test]
fn a_found_token_is_revoked_with_its_children_and_the_answer_tells_nothing() {
    let vault = durable();
    let parent = token_with(
        &vault,
        "maker",
        "path \"auth/token/create\" { capabilities = [\"update\", \"sudo\"] }\npath \"auth/token/lookup-self\" { capabilities = [\"read\"] }",
    );
    let child = child(&vault, &parent);
    let other = token(&vault, json!({"policies": ["default"]}));
    let cursor = vault.root("GET", "sys/events/subscribe/token", Value::Null);
    let cursor = text(&cursor.expect(200).data()["cursor"]);
    assert!(works(&vault, &parent) && works(&vault, &child));

    let unknown = report(&vault, "hvs.0000000000000000000000000000000000000000000000");
    let known = report(&vault, &format!(" {parent}\n"));
    assert_eq!((unknown.status, unknown.text), (204, String::new()));
    assert_eq!((known.status, known.text), (204, String::new()));
    assert!(!works(&vault, &parent) && !works(&vault, &child));
    assert!(works(&vault, &other) && works(&vault, &vault.root));
    report(&vault, &parent).expect(204);

    let told = vault.root(
        "GET",
        &format!("sys/events/subscribe/token?cursor={cursor}&wait=5"),
        Value::Null,
    );
    let told = told.expect(200);
    let events = told.data()["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["operation"], "leaked");
    let listed = vault.root("LIST", "sys/leaked", Value::Null).expect(200);
    let accessor = text(&events[0]["accessor"]);
    assert_eq!(listed.data()["keys"], json!([accessor]));
    assert_eq!(
        listed.data()["key_info"][&accessor]["path"],
        "auth/token/create"
    );
    // Not among the changes of secrets.
    let kv = vault.root("GET", "sys/events/subscribe/kv", Value::Null);
    assert_eq!(kv.expect(200).data()["events"], json!([]));

    let audit = vault.audit();
    let of_it = |line: &&Value| {
        line["type"] == "request"
            && line["request"]["path"] == "sys/leaked"
            && line["request"]["operation"] == "update"
    };
    assert_eq!(audit.iter().filter(of_it).count(), 3);
    let text = serde_json::to_string(&audit).unwrap();
    assert!(!text.contains(&parent));
}

/// An oracle by the clock: what is revoked takes longer than what is not known.
#[test]
fn an_answer_is_as_late_for_a_token_as_for_anything_else() {
    let vault = durable();
    let quickest = |tokens: Vec<String>| {
        let took = tokens.iter().map(|token| {
            let start = Instant::now();
            report(&vault, token).expect(204);
            start.elapsed()
        });
        took.min().unwrap()
    };
    let known = || token(&vault, json!({"policies": ["default"]}));
    let known = quickest((0..5).map(|_| known()).collect());
    let unknown = quickest((0..5).map(|number| format!("hvs.{number}")).collect());
    let beat = Duration::from_millis(100);
    assert!(known >= beat && unknown >= beat, "{known:?} {unknown:?}");
    let between = known.abs_diff(unknown);
    assert!(between < beat / 2, "{known:?} {unknown:?}");
}

#[test]
fn a_found_batch_token_is_worth_nothing_even_after_a_restart() {
    let mut vault = durable();
    let batch = |ttl: &str| {
        let body = json!({"type": "batch", "ttl": ttl, "policies": ["default"]});
        token(&vault, body)
    };
    let (found, other) = (batch("1h"), batch("1h"));
    assert!(checksum_ok(&found) && works(&vault, &found));
    report(&vault, &found).expect(204);
    assert!(!works(&vault, &found) && works(&vault, &other));
    vault.restart_unsealed();
    assert!(!works(&vault, &found) && works(&vault, &other));
    // One wrong character, and it is no token.
    let last = if other.ends_with('a') { "b" } else { "a" };
    assert!(!works(
        &vault,
        &format!("{}{last}", &other[..other.len() - 1])
    ));
}

#[test]
fn reports_are_limited_and_need_a_token_in_them() {
    let vault = quick();
    vault
        .call("POST", "sys/leaked", None, Some(&json!({})))
        .expect(400);
    let status: Vec<u16> = (0..70).map(|_| report(&vault, "hvs.x").status).collect();
    assert!(
        status[..50].iter().all(|status| *status == 204),
        "{status:?}"
    );
    assert_eq!(status.last(), Some(&429));
    vault.root("GET", "sys/mounts", Value::Null).expect(200);
}

#[test]
fn vaultctl_hands_a_token_in_and_tells_a_mistyped_one_offline() {
    let vault = quick();
    let dir = tempfile::tempdir().unwrap();
    let leaked = |input: &str, address: &str| {
        let said = Vaultctl::new(dir.path(), address).run(&["leaked"], input);
        (said.code, said.out + &said.err)
    };
    let found = token(&vault, json!({"policies": ["default"]}));
    let nowhere = "http://127.0.0.1:1";
    let last = if found.ends_with('a') { "b" } else { "a" };
    let (code, said) = leaked(&format!("{}{last}\n", &found[..49]), nowhere);
    assert!(code == 1 && said.contains("checksum"), "{said}");
    assert!(works(&vault, &found) && !said.contains(&found[..49]));
    let (code, said) = leaked(&format!("{found}\n"), &vault.addr);
    assert_eq!(code, 0, "{said}");
    assert!(!works(&vault, &found) && !said.contains(&found));
}
