//! Identity tokens: what they say, who can check them, and until when.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vault_tests::{Answer, Vault};

use crate::setup::{policy, quick, text};

fn prepared() -> Vault {
    let vault = quick();
    let may = r#"path "identity/oidc/token/*" { capabilities = ["read"] }
        path "identity/oidc/introspect" { capabilities = ["update"] }"#;
    policy(&vault, "tokens", may);
    vault
        .root("POST", "sys/auth/approle", json!({"type": "approle"}))
        .expect(204);
    vault
}

/// Token and entity of a login.
fn person(vault: &Vault, who: &str) -> (String, String) {
    let role = json!({
        "role_id": who, "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.0/8",
        "token_policies": "tokens",
    });
    vault
        .root("POST", &format!("auth/approle/role/{who}"), role)
        .expect(204);
    let body = json!({ "role_id": who });
    let login = vault.call("POST", "auth/approle/login", None, Some(&body));
    let auth = &login.expect(200).body["auth"];
    (text(&auth["client_token"]), text(&auth["entity_id"]))
}

fn set(vault: &Vault, path: &str, body: Value) -> Answer {
    vault.root("POST", &format!("identity/oidc/{path}"), body)
}

fn sign(vault: &Vault, token: &str, role: &str) -> Answer {
    let path = format!("identity/oidc/token/{role}");
    vault.call("GET", &path, Some(token), None)
}

fn keys(vault: &Vault) -> Vec<Value> {
    let path = "identity/oidc/.well-known/keys";
    let answer = vault.call("GET", path, None, None).expect(200);
    answer.body["keys"].as_array().unwrap().clone()
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// As a stranger would, with nothing but the published keys.
fn verifies(vault: &Vault, token: &str) -> bool {
    let header = part(token, 0);
    let keys = keys(vault);
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    assert_eq!(key["alg"], header["alg"]);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(&key[name])).unwrap();
    let point = || [&[4][..], &bytes("x"), &bytes("y")].concat();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (input, signature) = (input.as_bytes(), URL_SAFE_NO_PAD.decode(signature).unwrap());
    match header["alg"].as_str().unwrap() {
        "EdDSA" => UnparsedPublicKey::new(&ED25519, bytes("x"))
            .verify(input, &signature)
            .is_ok(),
        "ES256" => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point())
            .verify(input, &signature)
            .is_ok(),
        "ES384" => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point())
            .verify(input, &signature)
            .is_ok(),
        "RS256" => {
            let (n, e) = (bytes("n"), bytes("e"));
            let key = RsaPublicKeyComponents { n, e };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, input, &signature)
                .is_ok()
        }
        other => panic!("{other}"),
    }
}

fn active(vault: &Vault, body: Value) -> bool {
    set(vault, "introspect", body).expect(200).body["active"] == json!(true)
}

#[test]
fn a_token_says_who_the_caller_is_and_anybody_can_check_it() {
    let vault = prepared();
    let (caller, id) = person(&vault, "ann");
    let entity = json!({"metadata": {"team": "a\",\"sub\":\"root"}});
    vault
        .root("POST", &format!("identity/entity/id/{id}"), entity)
        .expect(204);
    set(
        &vault,
        "config",
        json!({"issuer": "https://vault.example:8200"}),
    )
    .expect(200);
    for algorithm in ["EdDSA", "ES256", "ES384", "RS256"] {
        let key =
            json!({"algorithm": algorithm, "allowed_client_ids": "*", "verification_ttl": "1h"});
        set(&vault, &format!("key/{algorithm}"), key).expect(204);
        let role = json!({
            "key": algorithm, "ttl": "10m", "client_id": "app",
            "template": r#"{"team": {{identity.entity.metadata.team}}}"#,
        });
        set(&vault, &format!("role/{algorithm}"), role).expect(204);
        let answer = sign(&vault, &caller, algorithm).expect(200);
        let token = text(&answer.data()["token"]);
        assert_eq!(part(&token, 0)["alg"], algorithm);
        let claims = part(&token, 1);
        assert_eq!(claims["sub"], json!(id));
        assert_eq!(claims["aud"], "app");
        assert_eq!(claims["team"], "a\",\"sub\":\"root");
        assert_eq!(claims["iss"], "https://vault.example:8200/v1/identity/oidc");
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(life, 600);
        assert!(verifies(&vault, &token));
        assert!(active(&vault, json!({"token": token, "client_id": "app"})));
        assert!(!active(
            &vault,
            json!({"token": token, "client_id": "other"})
        ));
        let forged = token.replacen("ey", "eyA", 1);
        assert!(!active(&vault, json!({ "token": forged })));
    }
    for odd in ["", "a", "a.b.c", "...", "e30.e30."] {
        let answer = set(&vault, "introspect", json!({ "token": odd }));
        assert!(
            answer.status == 400 || answer.body["active"] == json!(false),
            "{odd:?}"
        );
    }
    let discovery = "identity/oidc/.well-known/openid-configuration";
    let discovery = vault.call("GET", discovery, None, None).expect(200);
    assert_eq!(
        discovery.body["issuer"],
        "https://vault.example:8200/v1/identity/oidc"
    );
}

/// The token says which algorithm, and is not believed: neither `none`, nor another key's.
#[test]
fn forged_headers_are_refused() {
    let vault = prepared();
    let (caller, _) = person(&vault, "ann");
    set(
        &vault,
        "key/k",
        json!({"algorithm": "ES256", "allowed_client_ids": "*"}),
    )
    .expect(204);
    set(&vault, "role/r", json!({"key": "k", "template": ""})).expect(204);
    let token = text(&sign(&vault, &caller, "r").expect(200).data()["token"]);
    let (header, rest) = token.split_once('.').unwrap();
    let claims = rest.split('.').next().unwrap();
    let kid = part(&token, 0)["kid"].clone();
    assert!(active(&vault, json!({ "token": token })));
    for alg in ["none", "HS256", "RS256", "ES384", "es256"] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": kid}).to_string());
        for forged in [format!("{header}.{rest}"), format!("{header}.{claims}.")] {
            assert!(!active(&vault, json!({ "token": forged })), "{alg}");
        }
    }
    let mut changed = part(&token, 1);
    changed["sub"] = json!("root");
    let changed = URL_SAFE_NO_PAD.encode(changed.to_string());
    let signature = rest.split('.').nth(1).unwrap();
    let forged = format!("{header}.{changed}.{signature}");
    assert!(!active(&vault, json!({ "token": forged })));
}

#[test]
fn a_rotated_key_is_believed_as_long_as_it_says() {
    let vault = prepared();
    let (caller, _) = person(&vault, "ann");
    let key = json!({"algorithm": "EdDSA", "allowed_client_ids": "*", "verification_ttl": "1h"});
    set(&vault, "key/k", key).expect(204);
    set(&vault, "role/r", json!({"key": "k", "ttl": "1h"})).expect(204);
    let next: Vec<_> = keys(&vault).iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(next.len(), 2, "the next key is published before it signs");
    let first = text(&sign(&vault, &caller, "r").expect(200).data()["token"]);
    set(&vault, "key/k/rotate", json!({})).expect(204);
    let second = text(&sign(&vault, &caller, "r").expect(200).data()["token"]);
    assert!(next.contains(&part(&second, 0)["kid"]));
    assert_ne!(part(&first, 0)["kid"], part(&second, 0)["kid"]);
    assert!(verifies(&vault, &first) && verifies(&vault, &second));
    assert!(active(&vault, json!({ "token": first })));
    // Replaced with no time left, it is gone at once.
    set(&vault, "key/k/rotate", json!({"verification_ttl": 0})).expect(204);
    assert!(!verifies(&vault, &second));
    assert!(!active(&vault, json!({ "token": second })));
    assert!(verifies(&vault, &first), "that one was promised more");
}

#[test]
fn who_may_sign_and_what_is_refused() {
    let vault = prepared();
    let (caller, id) = person(&vault, "ann");
    set(&vault, "key/k", json!({"algorithm": "EdDSA"})).expect(204);
    set(&vault, "role/r", json!({"key": "k"})).expect(204);
    let client = set_client(&vault, "r");
    let refused = sign(&vault, &caller, "r").expect(400);
    assert!(refused.errors().contains("allowed client ID"));
    set(&vault, "key/k", json!({"allowed_client_ids": [client]})).expect(204);
    let token = text(&sign(&vault, &caller, "r").expect(200).data()["token"]);
    let nobody = vault.root("GET", "identity/oidc/token/r", Value::Null);
    assert!(nobody.expect(400).errors().contains("no entity"));
    sign(&vault, &caller, "none").expect(400);
    let entity = format!("identity/entity/id/{id}");
    vault
        .root("POST", &entity, json!({"disabled": true}))
        .expect(204);
    assert!(!active(&vault, json!({ "token": token })));

    assert_eq!(
        vault
            .root("DELETE", "identity/oidc/key/k", Value::Null)
            .status,
        400
    );
    assert_eq!(
        vault
            .root("DELETE", "identity/oidc/key/default", Value::Null)
            .status,
        400
    );
    for (path, body) in [
        ("key/x", json!({"algorithm": "HS256"})),
        ("key/x", json!({"rotation_period": "10s"})),
        (
            "key/x",
            json!({"rotation_period": "1h", "verification_ttl": "11h"}),
        ),
        ("key/a%2Fb", json!({"algorithm": "EdDSA"})),
        ("role/x", json!({})),
        ("role/x", json!({"key": "../k"})),
        ("role/x", json!({"key": "k", "ttl": "48h"})),
        (
            "role/x",
            json!({"key": "k", "template": "{\"sub\": \"root\"}"}),
        ),
        (
            "role/x",
            json!({"key": "k", "template": "{\"a\": {{identity.entity.policies}}}"}),
        ),
        ("config", json!({"issuer": "vault.example"})),
        ("config", json!({"issuer": "https://u:p@vault.example"})),
        ("config", json!({"issuer": "https://vault.example?x"})),
    ] {
        let status = set(&vault, path, body.clone()).status;
        assert!(matches!(status, 400 | 404 | 405), "{path} {body}: {status}");
    }
    vault
        .root("DELETE", "identity/oidc/role/r", Value::Null)
        .expect(204);
    vault
        .root("DELETE", "identity/oidc/key/k", Value::Null)
        .expect(204);
    assert!(keys(&vault).is_empty());
}

fn set_client(vault: &Vault, role: &str) -> String {
    let path = format!("identity/oidc/role/{role}");
    let shown = vault.root("GET", &path, Value::Null).expect(200);
    text(&shown.data()["client_id"])
}
