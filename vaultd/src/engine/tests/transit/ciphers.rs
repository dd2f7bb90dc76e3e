//! Encrypting and decrypting.

use super::*;

#[tokio::test]
async fn what_was_encrypted_opens_and_nothing_else_does() {
    for kind in SYMMETRIC.into_iter().chain(["rsa-2048"]) {
        let transit = Transit::with(json!({"type": kind})).await;
        for plaintext in [&b""[..], b"a", &[7; 100]] {
            let (one, two) = (
                transit.encrypt(json!({}), plaintext).await,
                transit.encrypt(json!({}), plaintext).await,
            );
            assert_ne!(one, two, "{kind}");
            assert_eq!(transit.decrypt(json!({}), &one).await.unwrap(), plaintext);
            assert!(
                transit.decrypt(json!({}), &bent(&one)).await.is_err(),
                "{kind}"
            );
        }
        for odd in [
            "",
            "vault",
            "vault:v1",
            "vault:v:AAAA",
            "vault:v0:AAAA",
            "vault:v+1:AAAA",
            "vault:v1:",
            "vault:v1:AAAA",
            "vault:v1:!!!!",
            "vault:v2:AAAA",
            "vault:v99999999999999999999:AAAA",
        ] {
            refusal(transit.decrypt(json!({}), odd).await);
        }
    }
}

#[tokio::test]
async fn associated_data_must_come_again() {
    for kind in SYMMETRIC {
        let transit = Transit::with(json!({"type": kind})).await;
        let (one, two) = (
            json!({"associated_data": base64("one")}),
            json!({"associated_data": base64("two")}),
        );
        let sealed = transit.encrypt(one.clone(), b"x").await;
        assert_eq!(transit.decrypt(one, &sealed).await.unwrap(), b"x");
        for other in [two, json!({})] {
            refusal(transit.decrypt(other, &sealed).await);
        }
    }
    let transit = Transit::with(json!({"type": "rsa-2048"})).await;
    let body = json!({"plaintext": "", "associated_data": base64("one")});
    transit.refused("encrypt/k", body).await;
}

#[tokio::test]
async fn a_derived_key_is_another_one_for_each_context() {
    for kind in SYMMETRIC {
        let transit = Transit::with(json!({"type": kind, "derived": true})).await;
        let (one, two) = (
            json!({"context": base64("one")}),
            json!({"context": base64("two")}),
        );
        let sealed = transit.encrypt(one.clone(), b"x").await;
        assert_ne!(sealed, transit.encrypt(one.clone(), b"x").await);
        assert_eq!(transit.decrypt(one, &sealed).await.unwrap(), b"x");
        for other in [two, json!({})] {
            refusal(transit.decrypt(other, &sealed).await);
        }
        let without = transit.refused("encrypt/k", json!({"plaintext": ""})).await;
        assert!(without.starts_with("missing 'context' for key derivation"));
    }
}

#[tokio::test]
async fn convergent_ciphertexts_are_equal_exactly_if_everything_is() {
    for kind in SYMMETRIC {
        let key = json!({"type": kind, "derived": true, "convergent_encryption": true});
        let transit = Transit::with(key).await;
        let one = json!({"context": base64("one")});
        let mut seen = std::collections::BTreeSet::new();
        for (context, data, plaintext) in [
            ("one", "", "x"),
            ("one", "", "y"),
            ("two", "", "x"),
            ("one", "d", "x"),
            ("one", "e", "x"),
        ] {
            let body = json!({"context": base64(context), "associated_data": base64(data)});
            let sealed = transit.encrypt(body.clone(), plaintext.as_bytes()).await;
            assert_eq!(
                sealed,
                transit.encrypt(body.clone(), plaintext.as_bytes()).await
            );
            assert_eq!(
                transit.decrypt(body, &sealed).await.unwrap(),
                plaintext.as_bytes()
            );
            // Nonces too: one that comes twice gives the cipher away.
            let bytes = STANDARD.decode(sealed.rsplit_once(':').unwrap().1).unwrap();
            assert!(seen.insert(bytes[..12].to_vec()), "{kind}");
        }
        transit.rotate(1).await;
        assert!(transit.encrypt(one, b"x").await.starts_with("vault:v2:"));
    }
}

#[tokio::test]
async fn cve_2023_4680_no_caller_chooses_a_nonce() {
    let nonce = base64([0; 12]);
    for key in [
        json!({}),
        json!({"derived": true, "convergent_encryption": true}),
    ] {
        let derived = key.get("derived").is_some();
        let transit = Transit::with(key).await;
        let context = if derived { base64("c") } else { String::new() };
        let body = json!({"plaintext": "", "nonce": nonce, "context": context});
        let text = transit.refused("encrypt/k", body).await;
        assert_eq!(text, "provided nonce not allowed for this key");
        let item = json!({"plaintext": "", "nonce": nonce, "context": context});
        let batch = transit
            .write("encrypt/k", json!({"batch_input": [item]}))
            .await
            .unwrap();
        assert_eq!(batch.status, Some(400));
        let body = json!({"nonce": nonce, "context": context});
        transit.refused("datakey/plaintext/k", body).await;
    }
}

#[tokio::test]
async fn versions_below_the_minimum_do_nothing() {
    let transit = Transit::with(json!({})).await;
    let old = transit.encrypt(json!({}), b"x").await;
    transit.rotate(2).await;
    let new = transit.encrypt(json!({}), b"x").await;
    assert!(new.starts_with("vault:v3:"));
    assert!(
        transit
            .encrypt(json!({"key_version": 2}), b"x")
            .await
            .starts_with("vault:v2:")
    );
    transit
        .config(json!({"min_decryption_version": 2, "min_encryption_version": 3}))
        .await;
    assert_eq!(
        refusal(transit.decrypt(json!({}), &old).await),
        "ciphertext or signature version is disallowed by policy (too old)"
    );
    for version in [-1, 2, 4] {
        transit
            .refused(
                "encrypt/k",
                json!({"plaintext": "", "key_version": version}),
            )
            .await;
    }
    assert_eq!(transit.decrypt(json!({}), &new).await.unwrap(), b"x");
    // Lowered again, the old version is still there.
    transit.config(json!({"min_decryption_version": 1})).await;
    assert_eq!(transit.decrypt(json!({}), &old).await.unwrap(), b"x");
    // Trimmed, it is not.
    transit.config(json!({"min_decryption_version": 3})).await;
    transit
        .done("keys/k/trim", json!({"min_available_version": 3}))
        .await;
    refusal(transit.decrypt(json!({}), &old).await);
}

#[tokio::test]
async fn rewrapping_goes_to_the_latest_version() {
    let transit = Transit::with(json!({})).await;
    let old = transit.encrypt(json!({}), b"x").await;
    transit.rotate(1).await;
    let new = transit.done("rewrap/k", json!({ "ciphertext": old })).await;
    assert_eq!(new["key_version"], 2);
    let new = text(&new["ciphertext"]);
    assert!(new.starts_with("vault:v2:"));
    assert_eq!(transit.decrypt(json!({}), &new).await.unwrap(), b"x");
    let items = json!([{"ciphertext": old, "reference": "r"}, {"ciphertext": "vault:v1:AAAA"}]);
    let batch = transit
        .write("rewrap/k", json!({ "batch_input": items }))
        .await
        .unwrap();
    assert_eq!(batch.status, None);
    let results = data(batch)["batch_results"].clone();
    assert_eq!(results[0]["reference"], "r");
    assert!(text(&results[1]["error"]).starts_with("invalid ciphertext"));
}

#[tokio::test]
async fn one_bad_item_does_not_spoil_the_batch() {
    let transit = Transit::with(json!({})).await;
    let items = json!([
        {"plaintext": base64("a"), "reference": "first"},
        {"plaintext": "not base64!"},
        {},
        {"plaintext": "", "key_version": 7},
    ]);
    let batch = transit
        .write("encrypt/k", json!({ "batch_input": items }))
        .await
        .unwrap();
    assert_eq!(batch.status, Some(400));
    let results = data(batch)["batch_results"].clone();
    assert_eq!(results.as_array().unwrap().len(), 4);
    assert_eq!(results[0]["reference"], "first");
    let sealed = text(&results[0]["ciphertext"]);
    assert_eq!(transit.decrypt(json!({}), &sealed).await.unwrap(), b"a");
    for at in 1..4 {
        assert!(results[at]["error"].is_string() && results[at]["ciphertext"].is_null());
        assert!(!results[at]["error"].to_string().contains("not base64!"));
    }
    let body = json!({"batch_input": items, "partial_failure_response_code": 207});
    assert_eq!(
        transit.write("encrypt/k", body).await.unwrap().status,
        Some(207)
    );
    let items = json!([{"ciphertext": sealed}, {"ciphertext": ""}]);
    let batch = transit
        .write("decrypt/k", json!({ "batch_input": items }))
        .await
        .unwrap();
    assert_eq!(batch.status, Some(400));
    assert_eq!(data(batch)["batch_results"][0]["plaintext"], base64("a"));
    transit
        .refused("encrypt/k", json!({"batch_input": []}))
        .await;
    transit
        .refused("encrypt/k", json!({"batch_input": {"plaintext": ""}}))
        .await;
    let mixed = json!([{"plaintext": "", "context": base64("c")}, {"plaintext": ""}]);
    transit
        .refused("encrypt/k", json!({ "batch_input": mixed }))
        .await;
}

#[tokio::test]
async fn data_keys_come_encrypted_and_in_plain_only_if_asked_for() {
    let transit = Transit::with(json!({})).await;
    for (bits, length) in [(128, 16), (256, 32), (512, 64)] {
        let made = transit
            .done("datakey/plaintext/k", json!({ "bits": bits }))
            .await;
        let plain = STANDARD.decode(text(&made["plaintext"])).unwrap();
        assert_eq!(plain.len(), length);
        let sealed = text(&made["ciphertext"]);
        assert_eq!(transit.decrypt(json!({}), &sealed).await.unwrap(), plain);
    }
    let wrapped = transit.done("datakey/wrapped/k", json!({})).await;
    assert!(wrapped.get("plaintext").is_none());
    transit.refused("datakey/other/k", json!({})).await;
    transit
        .refused("datakey/wrapped/k", json!({"bits": 257}))
        .await;
}

#[tokio::test]
async fn a_key_does_only_what_its_type_does() {
    let transit = Transit::with(json!({"type": "ed25519"})).await;
    transit.refused("encrypt/k", json!({"plaintext": ""})).await;
    transit
        .refused("decrypt/k", json!({"ciphertext": "vault:v1:AAAA"}))
        .await;
    transit.done("keys/a", json!({})).await;
    transit.refused("sign/a", json!({"input": ""})).await;
    transit
        .refused(
            "verify/a",
            json!({"input": "", "signature": "vault:v1:AAAA"}),
        )
        .await;
    for path in [
        "encrypt/none",
        "decrypt/none",
        "sign/none",
        "hmac/none",
        "rewrap/none",
    ] {
        let body = json!({"plaintext": "", "ciphertext": "vault:v1:AAAA", "input": ""});
        let body = match path.split_once('/').unwrap().0 {
            "encrypt" => json!({"plaintext": ""}),
            "sign" | "hmac" => json!({"input": ""}),
            _ => json!({"ciphertext": body["ciphertext"]}),
        };
        assert!(
            transit.refused(path, body).await.ends_with("key not found"),
            "{path}"
        );
    }
}
