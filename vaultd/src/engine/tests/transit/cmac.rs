//! Message authentication codes with AES.

use super::*;

/// RFC 4493, section 4; AES-256 from NIST SP 800-38B, appendix D.3.
#[tokio::test]
async fn the_published_vectors_hold() {
    let input = "6bc1bee22e409f96e93d7e117393172a";
    for (kind, key, message, tag) in [
        (
            "aes128-cmac",
            "2b7e151628aed2a6abf7158809cf4f3c",
            "",
            "bb1d6929e95937287fa37d129b756746",
        ),
        (
            "aes128-cmac",
            "2b7e151628aed2a6abf7158809cf4f3c",
            input,
            "070a16b46b4d4144f79bdd9dd04a287c",
        ),
        (
            "aes256-cmac",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            input,
            "28a7023f452e8f82bd4bf28d8c37c35c",
        ),
    ] {
        let transit = Transit::new().await;
        let key = hex::decode(key).unwrap();
        super::import::import(&transit, "k", json!({"type": kind}), &key).await;
        let message = base64(hex::decode(message).unwrap());
        let tag = hex::decode(tag).unwrap();
        let body = json!({ "input": message });
        let made = text(&transit.done("cmac/k", body.clone()).await["cmac"]);
        assert_eq!(made, format!("vault:v1:{}", base64(&tag)));
        let cut = text(&transit.done("cmac/k/8", body).await["cmac"]);
        assert_eq!(cut, format!("vault:v1:{}", base64(&tag[..8])));
        let check =
            |cmac: &str, length: u8| json!({"input": message, "cmac": cmac, "mac_length": length});
        assert!(transit.valid("verify/k", check(&made, 0)).await);
        assert!(transit.valid("verify/k", check(&cut, 8)).await);
        assert!(!transit.valid("verify/k", check(&bent(&made), 0)).await);
        // A shorter code is as good as a whole one only for who asks for a shorter one.
        assert!(!transit.valid("verify/k", check(&cut, 0)).await);
        assert!(!transit.valid("verify/k", check("vault:v1:", 8)).await);
    }
}

#[tokio::test]
async fn a_key_of_cmac_does_nothing_else_and_others_do_no_cmac() {
    let transit = Transit::with(json!({"type": "aes256-cmac"})).await;
    let input = json!({"input": base64("x")});
    for path in ["sign/k", "hmac/k"] {
        let why = transit.refused(path, input.clone()).await;
        assert!(why.contains("does not support"), "{path}: {why}");
    }
    transit
        .refused("encrypt/k", json!({"plaintext": base64("x")}))
        .await;
    transit.done("keys/aes", json!({})).await;
    let why = transit.refused("cmac/aes", input.clone()).await;
    assert!(why.contains("does not support CMAC"), "{why}");
    for length in [-1, 17] {
        let body = json!({"input": base64("x"), "mac_length": length});
        transit.refused("cmac/k", body).await;
    }
    transit.refused("cmac/k/many", input.clone()).await;
    let made = transit.done("cmac/k", input).await["cmac"].clone();
    let both = json!({"input": base64("x"), "cmac": made, "hmac": made});
    transit.refused("verify/k", both).await;
    let batch = json!({"batch_input": [{"input": base64("x"), "cmac": made}, {"input": base64("y"), "cmac": made}]});
    let results = transit.done("verify/k", batch).await["batch_results"].clone();
    assert_eq!(results[0]["valid"], true);
    assert_eq!(results[1]["valid"], false);
    // A rotated key still knows its older versions.
    transit.rotate(1).await;
    let check = json!({"input": base64("x"), "cmac": made});
    assert!(transit.valid("verify/k", check).await);
}
