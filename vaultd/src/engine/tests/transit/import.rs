//! Keys that were made elsewhere, and keys out of use.

use super::*;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use vault_crypto::{Random, Seeded};

/// What a client does with a key of its own.
async fn wrapped(transit: &Transit, algorithm: &'static OaepAlgorithm, key: &[u8]) -> String {
    let pem = text(&transit.get("wrapping_key").await["public_key"]);
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let public = PublicEncryptingKey::from_der(&STANDARD.decode(der).unwrap()).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut ephemeral = [0; 32];
    Seeded::new(9).fill(&mut ephemeral);
    let mut first = vec![0; public.ciphertext_size()];
    public
        .encrypt(algorithm, &ephemeral, &mut first, None)
        .unwrap();
    let mut second = vec![0; key.len() + 16];
    let kek = AesKek::new(&AES_256, &ephemeral).unwrap();
    let second = kek.wrap_with_padding(key, &mut second).unwrap();
    base64([&first, &*second].concat())
}

pub(super) async fn import(transit: &Transit, name: &str, mut body: Value, key: &[u8]) -> Value {
    body["ciphertext"] = json!(wrapped(transit, &OAEP_SHA256_MGF1SHA256, key).await);
    let reply = transit.write(&format!("keys/{name}/import"), body).await;
    assert!(is_empty(&reply.unwrap()));
    transit.get(&format!("keys/{name}")).await
}

#[tokio::test]
async fn an_imported_cipher_key_is_the_one_that_was_given() {
    let transit = Transit::new().await;
    let key = [7; 32];
    let shown = import(&transit, "k", json!({"exportable": true}), &key).await;
    assert_eq!(
        (
            &shown["imported_key"],
            &shown["imported_key_allow_rotation"]
        ),
        (&json!(true), &json!(false))
    );
    let exported = transit.get("export/encryption-key/k").await;
    assert_eq!(text(&exported["keys"]["1"]), base64(key));
    let sealed = transit.encrypt(json!({}), b"plain").await;
    assert_eq!(transit.decrypt(json!({}), &sealed).await.unwrap(), b"plain");
    // The wrapping key is the same every time.
    let again = transit.get("wrapping_key").await;
    assert_eq!(again, transit.get("wrapping_key").await);
}

#[tokio::test]
async fn imported_signing_keys_sign_as_themselves() {
    let transit = Transit::new().await;
    let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let body = json!({"type": "ed25519"});
    let shown = import(&transit, "ed", body, der.as_ref()).await;
    let public = text(&shown["keys"]["1"]["public_key"]);
    assert_eq!(public, base64(pair.public_key().as_ref()));

    let curve = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let pair = EcdsaKeyPair::generate(curve).unwrap();
    let der = pair.to_pkcs8v1().unwrap();
    let body = json!({"type": "ecdsa-p256"});
    import(&transit, "ec", body, der.as_ref()).await;
    let input = json!({"input": base64("data")});
    let signed = transit.done("sign/ec", input).await;
    let signature = text(&signed["signature"]);
    let signature = STANDARD
        .decode(signature.strip_prefix("vault:v1:").unwrap())
        .unwrap();
    let verifier = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        pair.public_key().as_ref(),
    );
    verifier.verify(b"data", &signature).unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_not_imported() {
    let transit = Transit::new().await;
    let good = wrapped(&transit, &OAEP_SHA256_MGF1SHA256, &[7; 32]).await;
    let short = wrapped(&transit, &OAEP_SHA256_MGF1SHA256, &[7; 31]).await;
    let sha1 = wrapped(&transit, &OAEP_SHA1_MGF1SHA1, &[7; 32]).await;
    let bytes = STANDARD.decode(&good).unwrap();
    let cut = base64(&bytes[..bytes.len() - 8]);
    for (body, why) in [
        (json!({}), "ciphertext"),
        (json!({"ciphertext": "!"}), "base64"),
        (json!({"ciphertext": base64("short")}), "does not unwrap"),
        (json!({"ciphertext": cut}), "does not unwrap"),
        (json!({"ciphertext": sha1}), "does not unwrap"),
        (
            json!({"ciphertext": bent(&format!(":{good}")).trim_start_matches(':')}),
            "does not unwrap",
        ),
        (json!({"ciphertext": short}), "not one of type aes256-gcm96"),
        (
            json!({"ciphertext": good, "type": "ed25519"}),
            "not one of type ed25519",
        ),
        (
            json!({"ciphertext": good, "hash_function": "MD5"}),
            "hash_function",
        ),
        (
            json!({"ciphertext": good, "auto_rotate_period": "1h"}),
            "allow_rotation",
        ),
        (
            json!({"ciphertext": good, "type": "managed_key"}),
            "unknown key type",
        ),
        (json!({"public_key": "x"}), "public_key"),
    ] {
        let refused = transit.refused("keys/k/import", body).await;
        assert!(refused.contains(why), "{why}: {refused}");
    }
    assert!(is_missing(&transit.read("keys/k").await));
    let right = json!({"ciphertext": sha1, "hash_function": "SHA1"});
    transit.write("keys/k/import", right.clone()).await.unwrap();
    let twice = transit.refused("keys/k/import", right).await;
    assert!(twice.contains("existing key"), "{twice}");
}

#[tokio::test]
async fn an_imported_key_gets_versions_only_as_it_was_allowed() {
    let transit = Transit::new().await;
    import(&transit, "k", json!({}), &[1; 32]).await;
    let refused = transit.refused("keys/k/rotate", json!({})).await;
    assert!(refused.contains("does not allow rotation"), "{refused}");
    let auto = json!({"auto_rotate_period": "1h"});
    transit.refused("keys/k/config", auto).await;
    let next = json!({"ciphertext": wrapped(&transit, &OAEP_SHA256_MGF1SHA256, &[2; 32]).await});
    transit
        .write("keys/k/import_version", next.clone())
        .await
        .unwrap();
    assert_eq!(transit.get("keys/k").await["latest_version"], 2);
    transit.done("keys/own", json!({})).await;
    transit
        .refused("keys/own/import_version", next.clone())
        .await;
    transit.refused("keys/none/import_version", next).await;
    import(&transit, "turns", json!({"allow_rotation": true}), &[3; 32]).await;
    transit.done("keys/turns/rotate", json!({})).await;
}

#[tokio::test]
async fn a_soft_deleted_key_does_nothing_until_it_is_restored() {
    let transit = Transit::with(json!({"exportable": true, "allow_plaintext_backup": true})).await;
    let sealed = transit.encrypt(json!({}), b"x").await;
    transit.delete("keys/k/soft-delete").await.unwrap();
    assert_eq!(transit.get("keys/k").await["soft_deleted"], json!(true));
    for (path, body) in [
        ("encrypt/k", json!({"plaintext": base64("x")})),
        ("decrypt/k", json!({"ciphertext": sealed})),
        ("rewrap/k", json!({"ciphertext": sealed})),
        ("hmac/k", json!({"input": base64("x")})),
        ("keys/k/rotate", json!({})),
        ("datakey/plaintext/k", json!({})),
    ] {
        let refused = transit.refused(path, body).await;
        assert!(refused.contains("soft-deleted"), "{path}: {refused}");
    }
    assert!(is_invalid(&transit.read("export/encryption-key/k").await));
    assert!(is_invalid(&transit.read("backup/k").await));
    transit
        .write("keys/k/soft-delete-restore", json!({}))
        .await
        .unwrap();
    assert_eq!(transit.decrypt(json!({}), &sealed).await.unwrap(), b"x");
}

#[tokio::test]
async fn keys_rotate_in_the_background_when_their_time_has_come() {
    let mut transit = Transit::with(json!({"auto_rotate_period": "1h"})).await;
    for name in ["other", "later"] {
        let body = json!({"auto_rotate_period": if name == "later" { "2h" } else { "1h" }});
        transit.done(&format!("keys/{name}"), body).await;
    }
    transit.done("keys/never", json!({})).await;
    transit.0.pass(3599);
    assert_eq!(rotated(&transit).await, 0);
    transit.0.pass(1);
    assert_eq!(rotated(&transit).await, 2);
    assert_eq!(rotated(&transit).await, 0);
    for (name, version) in [("k", 2), ("other", 2), ("later", 1), ("never", 1)] {
        let shown = transit.get(&format!("keys/{name}")).await;
        assert_eq!(shown["latest_version"], json!(version), "{name}");
    }
    transit.config(json!({"auto_rotate_period": 0})).await;
    transit.0.pass(3600);
    assert_eq!(rotated(&transit).await, 2);
    assert_eq!(transit.get("keys/k").await["latest_version"], json!(2));
}

/// How many keys the background rotates now.
async fn rotated(transit: &Transit) -> usize {
    let (now, random) = (
        transit.0.now,
        Seeded::new(transit.0.now.as_second().unsigned_abs()),
    );
    transit
        .0
        .until_done(async |view| crate::engine::transit::tidy(now, &random, view).await)
        .await
        - 1
}
