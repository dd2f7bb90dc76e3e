//! Creating, showing, changing and removing keys.

use super::*;

#[tokio::test]
async fn a_key_shows_what_it_allows_and_no_material() {
    let transit = Transit::new().await;
    assert!(is_missing(&transit.read("keys/k").await));
    assert!(is_missing(&transit.call(Verb::List, "keys", "").await));
    let made = transit.done("keys/k", json!({})).await;
    assert_eq!(made, transit.get("keys/k").await);
    assert_eq!(made["type"], "aes256-gcm96");
    assert_eq!(made["latest_version"], 1);
    assert_eq!(made["min_decryption_version"], 1);
    assert_eq!(made["keys"]["1"], 1_795_244_400);
    assert_eq!(transit.list("keys").await, json!(["k"]));
    let again = transit
        .write("keys/k", json!({"type": "ed25519"}))
        .await
        .unwrap();
    assert_eq!(again.warnings, ["key k already existed"]);
    assert_eq!(data(again)["type"], "aes256-gcm96");
}

#[tokio::test]
async fn public_keys_are_shown_as_clients_read_them() {
    for kind in SIGNING {
        let transit = Transit::with(json!({"type": kind})).await;
        let version = &transit.get("keys/k").await["keys"]["1"];
        let public = text(&version["public_key"]);
        if kind == "ed25519" {
            assert_eq!(STANDARD.decode(public).unwrap().len(), 32);
        } else {
            assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{kind}");
            assert!(public.ends_with("\n-----END PUBLIC KEY-----\n"), "{kind}");
        }
        assert_eq!(version["creation_time"], "2026-11-21T07:00:00.5Z");
    }
}

#[tokio::test]
async fn unfit_keys_are_refused() {
    let transit = Transit::new().await;
    for body in [
        json!({"type": "rot13"}),
        json!({"convergent_encryption": true}),
        json!({"type": "rsa-2048", "derived": true}),
        json!({"type": "hmac", "derived": true}),
        json!({"type": "ed25519", "derived": true, "convergent_encryption": true}),
        json!({"auto_rotate_period": "30m"}),
        json!({"key_size": 32}),
        json!({"type": "hmac", "key_size": 31}),
        json!({"type": "hmac", "key_size": 513}),
    ] {
        assert!(
            is_invalid(&transit.write("keys/k", body.clone()).await),
            "{body}"
        );
    }
    for name in ["-k", "k.", "é", "k k", "..", &"k".repeat(129)] {
        let result = transit.write(&format!("keys/{name}"), json!({})).await;
        assert!(is_invalid(&result), "{name}");
    }
    assert!(transit.is_bare().await);
}

#[tokio::test]
async fn a_key_is_deleted_only_if_that_was_allowed() {
    let transit = Transit::with(json!({})).await;
    assert!(is_invalid(&transit.delete("keys/k").await));
    transit.config(json!({"deletion_allowed": true})).await;
    assert!(is_empty(&transit.delete("keys/k").await.unwrap()));
    assert!(transit.is_bare().await);
    assert!(is_invalid(&transit.delete("keys/k").await));
}

#[tokio::test]
async fn minimums_and_trimming_keep_their_order() {
    let transit = Transit::with(json!({})).await;
    transit.rotate(4).await;
    for body in [
        json!({"min_decryption_version": 6}),
        json!({"min_encryption_version": 6}),
        json!({"min_decryption_version": -1}),
        json!({"min_decryption_version": 3, "min_encryption_version": 2}),
    ] {
        transit.refused("keys/k/config", body).await;
    }
    let trim = |version: i64| json!({ "min_available_version": version });
    transit.refused("keys/k/trim", trim(2)).await;
    let body = json!({"min_decryption_version": 3, "min_encryption_version": 4});
    let shown = transit.config(body).await;
    assert_eq!(shown["keys"].as_object().unwrap().len(), 3);
    for version in [-1, 4, 5, 6] {
        transit.refused("keys/k/trim", trim(version)).await;
    }
    transit.refused("keys/k/trim", json!({})).await;
    assert_eq!(
        transit.done("keys/k/trim", trim(3)).await["min_available_version"],
        3
    );
    transit.refused("keys/k/trim", trim(2)).await;
    transit
        .refused("keys/k/config", json!({"min_decryption_version": 2}))
        .await;
    transit
        .refused("keys/k/config", json!({"min_encryption_version": 0}))
        .await;
    transit.rotate(1).await;
    assert_eq!(transit.get("keys/k").await["latest_version"], 6);
}

#[tokio::test]
async fn exportable_and_backup_cannot_be_taken_back() {
    let transit = Transit::with(json!({"exportable": true, "allow_plaintext_backup": true})).await;
    let body = json!({"exportable": false, "allow_plaintext_backup": false});
    let shown = transit.config(body).await;
    assert_eq!(
        (&shown["exportable"], &shown["allow_plaintext_backup"]),
        (&json!(true), &json!(true))
    );
}

#[tokio::test]
async fn a_key_whose_time_has_come_rotates_when_it_is_used() {
    let mut transit = Transit::with(json!({"auto_rotate_period": "1h"})).await;
    transit.0.pass(3599);
    assert!(
        transit
            .encrypt(json!({}), b"x")
            .await
            .starts_with("vault:v1:")
    );
    transit.0.pass(1);
    assert!(
        transit
            .encrypt(json!({}), b"x")
            .await
            .starts_with("vault:v2:")
    );
    assert!(
        transit
            .encrypt(json!({}), b"x")
            .await
            .starts_with("vault:v2:")
    );
    assert_eq!(transit.get("keys/k").await["latest_version"], 2);
}
