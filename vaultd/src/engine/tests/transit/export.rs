//! Keys that leave, and come back.

use super::*;

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
