//! External account bindings, and what the audit log tells of accounts.

use serde_json::{Value, json};

use crate::client::{Client, Key, challenge, encode, problem};
use crate::site::Site;

#[test]
fn bindings_that_were_not_made_for_the_account() {
    let site = Site::new();
    site.root(
        "POST",
        "pki/config/acme",
        json!({"eab_policy": "always-required"}),
    )
    .expect(200);
    let client = Client::new(&site, "");
    problem(
        &client.post("new-account", &json!({})),
        401,
        "externalAccountRequired",
    );
    let made = site
        .root("POST", "pki/acme/new-eab", Value::Null)
        .expect(200);
    let text = |name: &str| made.data()[name].as_str().unwrap().to_owned();
    let url = client.url("new-account");
    let secret = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text("key"))
            .unwrap()
    };
    let bind = |alg: &str, kid: &str, url: &str, key: &Value, secret: &[u8]| {
        let protected = encode(json!({"alg": alg, "kid": kid, "url": url}).to_string());
        let payload = encode(key.to_string());
        let own = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&own, format!("{protected}.{payload}").as_bytes());
        json!({"externalAccountBinding": {
            "protected": protected, "payload": payload, "signature": encode(tag),
        }})
    };
    let (id, jwk, other) = (text("id"), client.key.jwk(), Key::p256().jwk());
    for (given, kind) in [
        (bind("none", &id, &url, &jwk, &secret), "malformed"),
        (bind("HS256", &id, "https://x", &jwk, &secret), "malformed"),
        (bind("HS256", &id, &url, &other, &secret), "malformed"),
        (bind("HS256", "x", &url, &jwk, &secret), "unauthorized"),
        (bind("HS256", &id, &url, &jwk, b"guess"), "unauthorized"),
    ] {
        let answer = client.post("new-account", &given);
        let status = if kind == "malformed" { 400 } else { 401 };
        problem(&answer, status, kind);
    }
    client
        .post("new-account", &bind("HS256", &id, &url, &jwk, &secret))
        .expect(201);
    // Used, and of another directory.
    let second = Client::new(&site, "");
    let again = bind("HS256", &id, &url, &second.key.jwk(), &secret);
    problem(&second.post("new-account", &again), 401, "unauthorized");
}

#[test]
fn nothing_of_a_client_is_in_the_audit_log_in_clear() {
    let site = Site::new();
    let client = Client::registered(&site, "");
    let order = client.order(&["audited.test"]);
    let proof = &order.authorizations()[0];
    let found = client.get(proof);
    let token = challenge(&found, "dns-01")["token"]
        .as_str()
        .unwrap()
        .to_owned();
    client.publish(proof);
    client.prove(proof, "dns-01");
    let log = std::fs::read_to_string(site.vault.data().join("audit.log")).unwrap();
    assert!(!log.contains(&token) && !log.contains("audited.test"));
    let id = proof.rsplit('/').next().unwrap();
    let errand = format!("pki/acme/challenge/{id}/dns-01");
    let entries = site.vault.audit();
    let of = |entry: &&Value| entry["request"]["path"] == json!(errand);
    // The client's request and answer, and the check before and after.
    assert_eq!(entries.iter().filter(of).count(), 4);
}
