//! Signatures and HMACs.

use super::*;

#[tokio::test]
async fn signatures_hold_for_their_input_and_key_only() {
    let transit = Transit::new().await;
    for kind in SIGNING {
        let key = format!("k-{kind}");
        transit
            .done(&format!("keys/{key}"), json!({"type": kind}))
            .await;
        transit.done(&format!("keys/{key}/rotate"), json!({})).await;
        for hash in ["sha2-256", "sha2-384", "sha2-512"] {
            for options in [
                json!({}),
                json!({"signature_algorithm": "pkcs1v15"}),
                json!({"marshaling_algorithm": "jws"}),
                json!({"salt_length": "hash"}),
                json!({"salt_length": "7"}),
            ] {
                let mut body = options.clone();
                body["input"] = json!(base64("message"));
                let signed = transit
                    .done(&format!("sign/{key}/{hash}"), body.clone())
                    .await;
                assert_eq!(signed["key_version"], 2);
                let signature = text(&signed["signature"]);
                let verify = format!("verify/{key}/{hash}");
                body["signature"] = json!(signature);
                assert!(
                    transit.valid(&verify, body.clone()).await,
                    "{kind} {hash} {options}"
                );
                body["input"] = json!(base64("massage"));
                assert!(
                    !transit.valid(&verify, body.clone()).await,
                    "{kind} {hash} {options}"
                );
                body["input"] = json!(base64("message"));
                body["signature"] = json!(signature.replace("vault:v2", "vault:v1"));
                assert!(
                    !transit.valid(&verify, body.clone()).await,
                    "{kind} {hash} {options}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_digest_signs_as_the_message_it_is_of() {
    let digest = |algorithm: &'static aws_lc_rs::digest::Algorithm| {
        base64(aws_lc_rs::digest::digest(algorithm, b"message"))
    };
    let digests = [
        ("sha1", digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY)),
        ("sha2-224", digest(&aws_lc_rs::digest::SHA224)),
        ("sha2-256", digest(&aws_lc_rs::digest::SHA256)),
        ("sha2-512", digest(&aws_lc_rs::digest::SHA512)),
        ("sha3-384", digest(&aws_lc_rs::digest::SHA3_384)),
    ];
    let transit = Transit::new().await;
    for kind in ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"] {
        transit
            .done(&format!("keys/{kind}"), json!({"type": kind}))
            .await;
        for (hash, digest) in &digests {
            let rsa = kind == "rsa-2048";
            let body = json!({"input": digest, "prehashed": true, "hash_algorithm": hash});
            if rsa && !["sha2-256", "sha2-512"].contains(hash) {
                transit.refused(&format!("sign/{kind}"), body).await;
                continue;
            }
            let signed = transit.done(&format!("sign/{kind}"), body).await;
            let body = json!({
                "input": base64("message"),
                "hash_algorithm": hash,
                "signature": signed["signature"],
            });
            assert!(
                transit.valid(&format!("verify/{kind}"), body).await,
                "{kind} {hash}"
            );
        }
    }
    let short = json!({"input": base64([1; 31]), "prehashed": true});
    transit.refused("sign/rsa-2048", short).await;
    transit
        .refused("sign/ecdsa-p256", json!({"input": "", "prehashed": true}))
        .await;
}

#[tokio::test]
async fn derived_ed25519_keys_have_a_public_key_for_each_context() {
    let transit = Transit::with(json!({"type": "ed25519", "derived": true})).await;
    let body = json!({"input": base64("m"), "context": base64("one")});
    let signed = transit.done("sign/k", body.clone()).await;
    let one = json!({"context": base64("one")}).to_string();
    let shown = data(transit.call(Verb::Read, "keys/k", &one).await.unwrap());
    assert_eq!(shown["keys"]["1"]["public_key"], signed["public_key"]);
    assert_eq!(transit.get("keys/k").await["keys"]["1"]["public_key"], "");
    let mut body = body;
    body["signature"] = signed["signature"].clone();
    assert!(transit.valid("verify/k", body.clone()).await);
    body["context"] = json!(base64("two"));
    assert!(!transit.valid("verify/k", body).await);
    transit.refused("sign/k", json!({"input": ""})).await;
}

#[tokio::test]
async fn hmacs_hold_for_their_input_and_version_only() {
    let transit = Transit::new().await;
    for kind in ["aes256-gcm96", "hmac", "ed25519"] {
        let (make, check) = (format!("hmac/k-{kind}"), format!("verify/k-{kind}"));
        transit
            .done(&format!("keys/k-{kind}"), json!({"type": kind}))
            .await;
        for algorithm in ["sha2-256", "sha3-512"] {
            let body = json!({"input": base64("m"), "algorithm": algorithm});
            let tag = text(&transit.done(&make, body).await["hmac"]);
            assert!(tag.starts_with("vault:v1:"));
            let path = format!("{check}/{algorithm}");
            let body = |input: &str, tag: &str| json!({"input": base64(input), "hmac": tag});
            assert!(transit.valid(&path, body("m", &tag)).await);
            assert!(!transit.valid(&path, body("n", &tag)).await);
            assert!(!transit.valid(&path, body("m", &bent(&tag))).await);
            assert!(!transit.valid(&path, body("m", "vault:v1:AAAA")).await);
        }
        transit
            .refused(&make, json!({"input": "", "algorithm": "md5"}))
            .await;
        transit.refused(&make, json!({})).await;
    }
}

#[tokio::test]
async fn batches_of_signatures_answer_for_each_item() {
    let transit = Transit::with(json!({"type": "ecdsa-p256"})).await;
    let items = json!([{"input": base64("a"), "reference": "r"}, {"input": "?"}]);
    let signed = transit
        .done("sign/k", json!({ "batch_input": items }))
        .await;
    let results = &signed["batch_results"];
    assert_eq!(results[0]["reference"], "r");
    assert!(results[1]["error"].is_string());
    let signature = &results[0]["signature"];
    let items = json!([
        {"input": base64("a"), "signature": signature},
        {"input": base64("b"), "signature": signature},
        {"input": base64("a"), "signature": "vault:v9:AAAA"},
    ]);
    let checked = transit
        .done("verify/k", json!({ "batch_input": items }))
        .await;
    assert_eq!(checked["batch_results"][0]["valid"], true);
    assert_eq!(checked["batch_results"][1]["valid"], false);
    assert!(checked["batch_results"][2]["error"].is_string());
    assert_eq!(checked["batch_results"][2]["valid"], false);
    for items in [
        json!([{"input": ""}]),
        json!([{"input": "", "signature": "s"}, {"input": ""}]),
        json!([{"input": "", "signature": "s"}, {"input": "", "hmac": "h"}]),
    ] {
        transit
            .refused("verify/k", json!({ "batch_input": items }))
            .await;
    }
    transit
        .refused(
            "verify/k",
            json!({"input": "", "signature": "s", "hmac": "h"}),
        )
        .await;
}
