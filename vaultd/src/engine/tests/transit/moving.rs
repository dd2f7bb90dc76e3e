//! Keys on their way from one server to another, and keys of which only the public part came.

use super::*;

/// Tells `from` the wrapping key of `to`, and moves the key `k` there.
async fn moved(from: &Transit, to: &Transit, kind: &str) {
    let wrapping = to.get("wrapping_key").await["public_key"].clone();
    if from.read("keys/there").await.is_err() {
        let body = json!({"type": "rsa-4096", "public_key": wrapping});
        from.set("keys/there/import", body).await;
    }
    let exported = from.get("byok-export/there/k").await;
    assert_eq!(exported["type"], kind);
    let latest = from.get("byok-export/there/k/latest").await;
    assert_eq!(latest["keys"].as_object().unwrap().len(), 1);
    let wrapped = exported["keys"]["1"].clone();
    assert_ne!(wrapped, latest["keys"]["1"], "a new inner key each time");
    let body = json!({"type": kind, "ciphertext": wrapped});
    to.set("keys/k/import", body).await;
}

#[tokio::test]
async fn every_kind_of_key_moves_to_another_server_and_is_the_same_there() {
    let to = Transit::new().await;
    for kind in SYMMETRIC
        .iter()
        .chain(&SIGNING)
        .chain(&["hmac", "aes256-cmac"])
    {
        let from = Transit::with(json!({"type": kind, "exportable": true})).await;
        moved(&from, &to, kind).await;
        let input = json!({"input": base64("data")});
        if SYMMETRIC.contains(kind) {
            let sealed = from.encrypt(json!({}), b"plain").await;
            assert_eq!(to.decrypt(json!({}), &sealed).await.unwrap(), b"plain");
        } else {
            let (act, name) = match *kind {
                "hmac" => ("hmac/k", "hmac"),
                "aes256-cmac" => ("cmac/k", "cmac"),
                _ => ("sign/k", "signature"),
            };
            let made = from.done(act, input.clone()).await[name].clone();
            let body = json!({"input": base64("data"), name: made});
            assert!(to.valid("verify/k", body).await, "{kind}");
        }
        to.config(json!({"deletion_allowed": true})).await;
        to.delete("keys/k").await.unwrap();
    }
}

#[tokio::test]
async fn only_exportable_keys_move_and_only_under_a_key_of_rsa() {
    let transit = Transit::with(json!({})).await;
    transit.done("keys/rsa", json!({"type": "rsa-2048"})).await;
    let refused = |path: &'static str| {
        let transit = &transit;
        async move { error(transit.read(path).await) }
    };
    assert!(
        refused("byok-export/rsa/k")
            .await
            .contains("not exportable")
    );
    transit.config(json!({"exportable": true})).await;
    assert!(refused("byok-export/k/k").await.contains("of RSA"));
    assert!(refused("byok-export/none/k").await.contains("destination"));
    assert!(refused("byok-export/rsa/none").await.contains("source"));
    assert!(refused("byok-export/rsa/k/7").await.contains("version"));
    transit.get("byok-export/rsa/k/v1").await;
}

#[tokio::test]
async fn a_public_key_alone_verifies_and_its_private_part_may_follow() {
    for kind in SIGNING {
        let from = Transit::with(json!({"type": kind, "exportable": true})).await;
        let public = match kind {
            // Exported in base64 of its bytes; what other programs write is PEM.
            "ed25519" => {
                let raw = text(&from.get("export/public-key/k").await["keys"]["1"]);
                let head = [
                    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0,
                ];
                let der = [&head[..], &STANDARD.decode(raw).unwrap()].concat();
                format!(
                    "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                    base64(der)
                )
            }
            _ => text(&from.get("export/public-key/k").await["keys"]["1"]),
        };
        let to = Transit::new().await;
        let body = json!({"type": kind, "public_key": public, "exportable": true});
        to.set("keys/k/import", body).await;
        let input = json!({"input": base64("data")});
        let signature = from.done("sign/k", input.clone()).await["signature"].clone();
        let check = json!({"input": base64("data"), "signature": signature});
        assert!(to.valid("verify/k", check.clone()).await, "{kind}");
        let why = to.refused("sign/k", input.clone()).await;
        assert!(why.contains("does not contain a private part"), "{why}");
        let private = to.get("export/signing-key/k").await;
        assert_eq!(private["keys"], json!({}), "there is none to export");
        // Another pair does not belong to it; the right one does, without a new version.
        let wrapping = to.get("wrapping_key").await["public_key"].clone();
        let body = json!({"type": "rsa-4096", "public_key": wrapping});
        from.set("keys/there/import", body).await;
        from.rotate(1).await;
        let exported = from.get("byok-export/there/k").await["keys"].clone();
        let wrong = json!({"ciphertext": exported["2"], "version": 1});
        let why = to.refused("keys/k/import_version", wrong).await;
        assert!(why.contains("does not match"), "{why}");
        let right = json!({"ciphertext": exported["1"]});
        to.set("keys/k/import_version", right.clone()).await;
        assert_eq!(to.get("keys/k").await["latest_version"], 1);
        let signature = to.done("sign/k", input).await["signature"].clone();
        let check = json!({"input": base64("data"), "signature": signature});
        assert!(from.valid("verify/k", check).await, "{kind}");
        let again = json!({"ciphertext": exported["1"], "version": 1});
        let why = to.refused("keys/k/import_version", again).await;
        assert!(why.contains("cannot be updated"), "{why}");
        to.set(
            "keys/k/import_version",
            json!({"ciphertext": exported["2"]}),
        )
        .await;
        assert_eq!(to.get("keys/k").await["latest_version"], 2);
    }
}

#[tokio::test]
async fn a_public_key_that_does_not_fit_is_refused() {
    let transit = Transit::with(json!({"type": "ecdsa-p256"})).await;
    let pem = text(&transit.get("export/public-key/k").await["keys"]["1"]);
    for (body, why) in [
        (
            json!({"type": "ecdsa-p384", "public_key": pem}),
            "not one of type ecdsa-p384",
        ),
        (
            json!({"type": "rsa-2048", "public_key": pem}),
            "not one of type rsa-2048",
        ),
        (
            json!({"type": "ed25519", "public_key": pem}),
            "not one of type ed25519",
        ),
        (json!({"public_key": pem}), "does not support public_key"),
        (
            json!({"type": "ecdsa-p256", "public_key": "x"}),
            "not in PEM",
        ),
        (
            json!({"type": "ecdsa-p256", "public_key": pem, "ciphertext": "x"}),
            "only one of the following",
        ),
        (json!({"type": "ecdsa-p256"}), "missing ciphertext"),
    ] {
        let refused = transit.refused("keys/new/import", body).await;
        assert!(refused.contains(why), "{why}: {refused}");
    }
    // A backup of it comes back as it was.
    let body = json!({"type": "ecdsa-p256", "public_key": pem, "exportable": true, "allow_plaintext_backup": true});
    transit.set("keys/new/import", body).await;
    let backup = transit.get("backup/new").await["backup"].clone();
    transit
        .set("restore/other", json!({ "backup": backup }))
        .await;
    let shown = transit.get("keys/other").await;
    assert_eq!(text(&shown["keys"]["1"]["public_key"]), pem);
}
