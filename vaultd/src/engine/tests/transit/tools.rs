//! What needs no key, and the settings.

use super::*;

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
