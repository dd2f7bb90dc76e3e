//! Transit: who may create a key by using it, and that keys outlive the process.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use vault_tests::Vault;

use crate::setup::{durable, quick, text, together, token_with, with_status};

/// "message" in base64.
const MESSAGE: &str = "bWVzc2FnZQ==";

fn mounted(vault: Vault) -> Vault {
    vault
        .root("POST", "sys/mounts/transit", json!({"type": "transit"}))
        .expect(204);
    vault
}

fn decrypt(vault: &Vault, ciphertext: &Value) -> Value {
    let body = json!({ "ciphertext": ciphertext });
    let answer = vault.root("POST", "transit/decrypt/k", body).expect(200);
    answer.data()["plaintext"].clone()
}

#[test]
fn encrypting_creates_the_key_for_those_who_may_create() {
    let vault = mounted(quick());
    let rules =
        |capability| format!(r#"path "transit/encrypt/*" {{ capabilities = ["{capability}"] }}"#);
    let creator = token_with(&vault, "creator", &rules("create"));
    let user = token_with(&vault, "user", &rules("update"));
    let encrypt = |token: &str, body: Value| {
        vault.call("POST", "transit/encrypt/k", Some(token), Some(&body))
    };
    let body = json!({ "plaintext": MESSAGE });
    encrypt(&user, body.clone()).expect(403);
    encrypt(&creator, json!({"plaintext": MESSAGE, "type": "rsa-2048"})).expect(400);
    vault.root("GET", "transit/keys/k", Value::Null).expect(404);
    let made = encrypt(&creator, body.clone()).expect(200);
    assert_eq!(decrypt(&vault, &made.data()["ciphertext"]), MESSAGE);
    encrypt(&creator, body.clone()).expect(403);
    encrypt(&user, body.clone()).expect(200);
    vault
        .root(
            "POST",
            "transit/config/keys",
            json!({"disable_upsert": true}),
        )
        .expect(200);
    let refused = vault
        .root("POST", "transit/encrypt/other", body)
        .expect(400);
    assert_eq!(refused.errors(), "encryption key not found");
    vault
        .root("GET", "transit/keys/other", Value::Null)
        .expect(404);
}

#[test]
fn one_key_comes_of_many_that_create_it_at_once() {
    let vault = mounted(quick());
    let body = json!({ "plaintext": MESSAGE });
    let answers = together(20, |_| {
        vault.root("POST", "transit/encrypt/k", body.clone())
    });
    // Who came second was told that the key was there, or used it.
    assert!(with_status(&answers, 200) > 0);
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        assert_eq!(decrypt(&vault, &answer.data()["ciphertext"]), MESSAGE);
    }
    let key = vault.root("GET", "transit/keys/k", Value::Null).expect(200);
    assert_eq!(key.data()["latest_version"], 1);
    let turns = together(10, |_| {
        vault.root("POST", "transit/keys/k/rotate", json!({}))
    });
    assert_eq!(with_status(&turns, 200), 10);
    let key = vault.root("GET", "transit/keys/k", Value::Null).expect(200);
    assert_eq!(key.data()["latest_version"], 11);
}

#[test]
fn keys_are_there_after_a_restart_and_not_in_the_audit() {
    let mut vault = mounted(durable());
    let body = json!({"exportable": true, "type": "aes256-gcm96"});
    vault.root("POST", "transit/keys/k", body).expect(200);
    let made = vault
        .root("POST", "transit/encrypt/k", json!({ "plaintext": MESSAGE }))
        .expect(200);
    let exported = vault
        .root("GET", "transit/export/encryption-key/k", Value::Null)
        .expect(200);
    let material = text(&exported.data()["keys"]["1"]);
    vault.kill9();
    vault.restart_unsealed();
    assert_eq!(decrypt(&vault, &made.data()["ciphertext"]), MESSAGE);
    let audit: String = vault.audit().iter().map(Value::to_string).collect();
    assert!(audit.contains("transit/export/encryption-key/k"));
    assert!(!audit.contains(&material) && !audit.contains(MESSAGE));
    vault.terminate();
    for entry in std::fs::read_dir(vault.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(material.len())
                .any(|window| window == material.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[test]
fn every_type_is_made_and_used_over_the_wire() {
    let vault = mounted(quick());
    for kind in [
        "rsa-3072",
        "rsa-4096",
        "ecdsa-p384",
        "hmac",
        "xchacha20-poly1305",
    ] {
        let key = format!("transit/keys/{kind}");
        let made = vault
            .root("POST", &key, json!({ "type": kind }))
            .expect(200);
        if made.data()["supports_signing"] == json!(true) {
            let body = json!({ "input": MESSAGE });
            let signed = vault
                .root("PUT", &format!("transit/sign/{kind}/sha2-256"), body)
                .expect(200);
            let body = json!({"input": MESSAGE, "signature": signed.data()["signature"]});
            let checked = vault
                .root("PUT", &format!("transit/verify/{kind}/sha2-256"), body)
                .expect(200);
            assert_eq!(checked.data()["valid"], true, "{kind}");
        }
    }
}

#[test]
fn a_backup_of_a_key_that_forbids_it_has_the_status_that_clients_expect() {
    let vault = mounted(quick());
    vault
        .root("POST", "transit/keys/k", json!({"exportable": true}))
        .expect(200);
    let refused = vault
        .root("GET", "transit/backup/k", Value::Null)
        .expect(500);
    assert_eq!(
        refused.errors(),
        "plaintext backup is disallowed on the policy"
    );
}

#[test]
fn a_long_batch_holds_up_nobody() {
    let vault = mounted(quick());
    let kind = json!({"type": "rsa-4096"});
    vault.root("POST", "transit/keys/k", kind).expect(200);
    let items = vec![json!({ "input": MESSAGE }); 600];
    // So many connections that some share their thread with the batch.
    let others = 2 * std::thread::available_parallelism().unwrap().get();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let body = json!({ "batch_input": items });
            vault.root("POST", "transit/sign/k", body).expect(200);
            ended.store(true, Ordering::Release);
        });
        let running = || {
            vault
                .root("GET", "sys/in-flight-req", Value::Null)
                .expect(200)
        };
        while !running().text.contains("transit/sign") {
            assert!(
                !ended.load(Ordering::Acquire),
                "it was too short to look at"
            );
        }
        for _ in 0..5 {
            together(others, |_| {
                vault.root("GET", "sys/mounts", Value::Null).expect(200)
            });
        }
        assert!(!ended.load(Ordering::Acquire), "they waited for the batch");
    });
}
