//! Transit: keys, ciphers, signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Fixture, data, error, is_empty, is_invalid, is_missing};
use crate::core::fault::Fault;
use crate::core::mount::Kind;
use crate::core::request::Verb;

const SYMMETRIC: [&str; 4] = [
    "aes128-gcm96",
    "aes256-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
];
const SIGNING: [&str; 5] = [
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
];

struct Transit(Fixture);

impl std::ops::Deref for Transit {
    type Target = Fixture;

    fn deref(&self) -> &Fixture {
        &self.0
    }
}

impl Transit {
    async fn new() -> Transit {
        Transit(Fixture::new(Kind::Transit).await)
    }

    /// A mount with a key `k`.
    async fn with(key: Value) -> Transit {
        let transit = Transit::new().await;
        transit.done("keys/k", key).await;
        transit
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        data(self.write(path, body).await.unwrap())
    }

    async fn refused(&self, path: &str, body: Value) -> String {
        let result = self.write(path, body).await;
        assert!(is_invalid(&result), "{path}");
        error(result)
    }

    async fn rotate(&self, times: usize) {
        for _ in 0..times {
            self.done("keys/k/rotate", json!({})).await;
        }
    }

    async fn config(&self, body: Value) -> Value {
        self.done("keys/k/config", body).await
    }

    /// Encrypts under `k`; the ciphertext.
    async fn encrypt(&self, mut body: Value, plaintext: &[u8]) -> String {
        body["plaintext"] = json!(STANDARD.encode(plaintext));
        text(&self.done("encrypt/k", body).await["ciphertext"])
    }

    async fn decrypt(&self, mut body: Value, ciphertext: &str) -> Result<Vec<u8>, Fault> {
        body["ciphertext"] = json!(ciphertext);
        let answer = data(self.write("decrypt/k", body).await?);
        Ok(STANDARD.decode(text(&answer["plaintext"])).unwrap())
    }

    async fn valid(&self, path: &str, body: Value) -> bool {
        self.done(path, body).await["valid"].as_bool().unwrap()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn refusal<T>(result: Result<T, Fault>) -> String {
    match result {
        Err(Fault::Invalid(text)) => text,
        _ => panic!("was not refused"),
    }
}

/// Changes one bit in the middle of what follows the prefix.
fn bent(versioned: &str) -> String {
    let (prefix, body) = versioned.rsplit_once(':').unwrap();
    let mut bytes = STANDARD.decode(body).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    format!("{prefix}:{}", base64(bytes))
}

// Keys

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

// Ciphers

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

// Signatures

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

// Out and in

#[tokio::test]
async fn only_an_exportable_key_comes_out() {
    let transit = Transit::new().await;
    for (kind, part, begins) in [
        ("aes256-gcm96", "encryption-key", ""),
        ("xchacha20-poly1305", "hmac-key", ""),
        ("ed25519", "signing-key", ""),
        (
            "ecdsa-p256",
            "signing-key",
            "-----BEGIN EC PRIVATE KEY-----\n",
        ),
        ("ecdsa-p521", "public-key", "-----BEGIN PUBLIC KEY-----\n"),
        (
            "rsa-2048",
            "encryption-key",
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
        ),
        ("hmac", "hmac-key", ""),
    ] {
        let key = format!("keys/{kind}");
        transit.done(&key, json!({"type": kind})).await;
        let path = format!("export/{part}/{kind}");
        assert_eq!(
            transit.read(&path).await.is_ok(),
            part == "public-key",
            "{kind}"
        );
        transit
            .done(&format!("{key}/config"), json!({"exportable": true}))
            .await;
        transit.done(&format!("{key}/rotate"), json!({})).await;
        let all = transit.get(&path).await;
        assert_eq!(all["keys"].as_object().unwrap().len(), 2);
        assert!(text(&all["keys"]["2"]).starts_with(begins), "{kind}");
        for latest in ["latest", "2", "v2"] {
            let one = transit.get(&format!("{path}/{latest}")).await;
            assert_eq!(one["keys"], json!({"2": all["keys"]["2"]}));
        }
        for odd in ["0", "3", "x"] {
            assert!(is_invalid(&transit.read(&format!("{path}/{odd}")).await));
        }
    }
    assert!(is_invalid(&transit.read("export/signing-key/hmac").await));
    assert!(is_invalid(&transit.read("export/other-key/hmac").await));
    assert!(is_missing(&transit.read("export/hmac-key/none").await));
}

#[tokio::test]
async fn a_backup_brings_the_key_back_with_all_its_versions() {
    for kind in ["aes256-gcm96", "rsa-2048"] {
        let transit = Transit::with(json!({"type": kind})).await;
        assert_eq!(
            error(transit.read("backup/k").await),
            "exporting is disallowed on the policy"
        );
        transit.config(json!({"exportable": true})).await;
        let refused = transit.read("backup/k").await;
        assert!(matches!(refused, Err(Fault::Refused(_))));
        transit
            .config(json!({"allow_plaintext_backup": true, "deletion_allowed": true}))
            .await;
        let sealed = transit.encrypt(json!({}), b"x").await;
        transit.rotate(1).await;
        let backup = transit.get("backup/k").await["backup"].clone();
        let exists = transit.write("restore", json!({ "backup": backup })).await;
        assert!(error(exists).contains("already exists"));
        transit
            .set("restore", json!({"backup": backup, "force": true}))
            .await;
        transit.delete("keys/k").await.unwrap();
        transit.set("restore", json!({ "backup": backup })).await;
        assert_eq!(transit.decrypt(json!({}), &sealed).await.unwrap(), b"x");
        let shown = transit.get("keys/k").await;
        assert_eq!(shown["latest_version"], 2);
        assert_eq!(shown["restore_info"]["version"], 2);
        transit
            .set("restore/other", json!({ "backup": backup }))
            .await;
        assert_eq!(transit.list("keys").await, json!(["k", "other"]));
    }
}

#[tokio::test]
async fn a_backup_that_breaks_a_rule_is_refused() {
    let key = json!({"exportable": true, "allow_plaintext_backup": true});
    let transit = Transit::with(key).await;
    let backup = text(&transit.get("backup/k").await["backup"]);
    let good: Value = serde_json::from_slice(&STANDARD.decode(backup).unwrap()).unwrap();
    let odd = |change: fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        base64(changed.to_string())
    };
    for (at, backup) in [
        odd(|b| b["format"] = json!("other")),
        odd(|b| b["key"]["versions"] = json!([])),
        odd(|b| b["key"]["first"] = json!(0)),
        odd(|b| b["key"]["first"] = json!(u64::MAX)),
        odd(|b| b["key"]["min_decryption_version"] = json!(0)),
        odd(|b| b["key"]["min_decryption_version"] = json!(2)),
        odd(|b| b["key"]["min_encryption_version"] = json!(2)),
        odd(|b| b["key"]["convergent"] = json!(true)),
        odd(|b| b["key"]["kind"] = json!("rsa-2048")),
        odd(|b| b["key"]["kind"] = json!("aes128-gcm96")),
        odd(|b| b["key"]["versions"][0]["hmac"] = json!("")),
        odd(|b| b["key"]["versions"][0]["material"] = json!("AAAA")),
        base64("{}"),
        "?".to_owned(),
        String::new(),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"backup": backup, "force": true});
        assert!(is_invalid(&transit.write("restore/k", body).await), "{at}");
    }
    let body = json!({"backup": odd(|b| b["name"] = json!("../x"))});
    assert!(is_invalid(&transit.write("restore", body).await));
}

// Without a key

#[tokio::test]
async fn random_bytes_and_hashes() {
    let transit = Transit::new().await;
    for (path, body, length) in [
        ("random", json!({}), 32),
        ("random", json!({"bytes": 5}), 5),
        ("random/6", json!({}), 6),
        ("random/platform", json!({"bytes": 4}), 4),
        ("random/platform/7", json!({}), 7),
        ("random/131072", json!({}), 131_072),
    ] {
        let made = transit.done(path, body).await;
        assert_eq!(
            STANDARD.decode(text(&made["random_bytes"])).unwrap().len(),
            length,
            "{path}"
        );
    }
    let hex = transit.done("random/3", json!({"format": "hex"})).await;
    assert_eq!(text(&hex["random_bytes"]).len(), 6);
    for path in [
        "random/0",
        "random/-1",
        "random/131073",
        "random/x",
        "random/seal/3",
    ] {
        transit.refused(path, json!({})).await;
    }
    let sum = transit.done("hash", json!({"input": base64("abc")})).await["sum"].clone();
    assert_eq!(
        sum,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let body = json!({"input": base64("abc"), "format": "base64"});
    let sum = transit.done("hash/sha1", body).await["sum"].clone();
    assert_eq!(sum, "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    transit.refused("hash", json!({})).await;
    transit
        .refused("hash", json!({"input": "", "algorithm": "md5"}))
        .await;
    transit
        .refused("hash", json!({"input": "", "format": "oct"}))
        .await;
}

#[tokio::test]
async fn settings_are_kept() {
    let transit = Transit::new().await;
    assert_eq!(transit.get("config/keys").await["disable_upsert"], false);
    transit
        .done("config/keys", json!({"disable_upsert": true}))
        .await;
    assert_eq!(transit.get("config/keys").await["disable_upsert"], true);
}
