//! Tokens that should not log in: the owner finds the reason in the audit log, and who sent the token
//! learns nothing of what a good one would hold. Roles that would let in strangers.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vault_tests::issuer::{Issuer, Signer};
use vault_tests::{Options, Vault};

use crate::jwt::{claims, login, mounted, mounted_on, now, refused, role, with};
use crate::setup::{together, with_status};

const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signed with the HMAC of what everybody knows: the public key.
fn confused(signer: &Signer, secret: &[u8], claims: &Value) -> String {
    let head = json!({"alg": "HS256", "typ": "JWT", "kid": signer.kid});
    let message = format!(
        "{}.{}",
        encode(head.to_string()),
        encode(claims.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", encode(tag))
}

#[test]
fn jwt_key_confusion_the_public_key_is_no_secret() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    let all = claims(&issuer);
    login(&vault, &signer.token(&all)).expect(200);
    let jwk = signer.jwk();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [&[4][..], &part("x"), &part("y")].concat();
    for secret in [point, jwk.to_string().into_bytes(), b"".to_vec()] {
        refused(&login(&vault, &confused(&signer, &secret, &all)), "alg");
    }
    // Without a signature, in every spelling of none.
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let head = encode(json!({"alg": alg, "kid": signer.kid}).to_string());
        let body = encode(all.to_string());
        for token in [format!("{head}.{body}."), format!("{head}.{body}.{body}")] {
            login(&vault, &token).expect(400);
        }
    }
}

#[test]
fn the_owner_finds_the_reason_in_the_audit_log_and_no_value_of_the_token() {
    // No value that a random id or a hash could hold by chance.
    const OURS: &str = "ours-4711";
    const THEIRS: &str = "theirs-666";
    let (issuer, signer) = Issuer::start();
    let vault = mounted_on(Vault::ready_with(Options::plain()), &issuer);
    role(&vault, json!({"bound_claims": {"repository_id": OURS}}));
    let forged = Signer::new(&signer.kid).token(&claims(&issuer));
    let other = signer.token(&with(&issuer, json!({"repository_id": THEIRS})));
    let expired = with(&issuer, json!({"repository_id": OURS, "exp": now() - 999}));
    let expired = signer.token(&expired);
    for (token, why) in [
        (
            forged,
            "no known key successfully validated the token signature",
        ),
        (other, "claim \"repository_id\" does not match"),
        (expired, "invalid expiration time (exp) claim"),
    ] {
        let answer = login(&vault, &token);
        refused(&answer, why);
        for value in [OURS, THEIRS] {
            assert!(!answer.text.contains(value), "{}", answer.text);
        }
        let entries = vault.audit();
        let last = entries.iter().rfind(|entry| entry["type"] == "response");
        let last = last.unwrap();
        assert_eq!(last["request"]["path"], "auth/jwt/login");
        let error = last["error"].as_str().unwrap();
        assert!(error.contains(why), "{error}");
        for secret in [OURS, THEIRS, token.as_str()] {
            assert!(!last.to_string().contains(secret), "{last}");
        }
    }
}

#[test]
fn a_replayed_token_is_refused_where_the_role_says_so() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    // A job may log in more than once with the token that it has.
    let token = signer.token(&claims(&issuer));
    login(&vault, &token).expect(200);
    login(&vault, &token).expect(200);

    role(&vault, json!({"refuse_replay": true}));
    login(&vault, &token).expect(200);
    refused(&login(&vault, &token), "it has logged in before");
    // The same text with another signature that holds is the same token.
    let (message, _) = token.rsplit_once('.').unwrap();
    let parts: Vec<&str> = message.split('.').collect();
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let again = signer.token_with(&json(parts[0]), &json(parts[1]));
    assert!(again.starts_with(message) && again != token);
    refused(&login(&vault, &again), "it has logged in before");

    let fresh = signer.token(&with(&issuer, json!({"jti": "2"})));
    let answers = together(12, |_| login(&vault, &fresh));
    assert_eq!(
        (with_status(&answers, 200), with_status(&answers, 400)),
        (1, 11)
    );
    // A token that is refused for another reason is not used up.
    let early = with(&issuer, json!({"jti": "3", "sub": "eve"}));
    let early = signer.token(&early);
    role(
        &vault,
        json!({"refuse_replay": true, "bound_subject": "ada"}),
    );
    refused(&login(&vault, &early), "sub claim");
    role(&vault, json!({"refuse_replay": true}));
    login(&vault, &early).expect(200);
}

/// A mount that is bound to GitHub's issuer, with keys of ours.
fn github(vault: &Vault, issuer: &Issuer) -> vault_tests::Answer {
    let config = json!({
        "jwks_url": format!("{}/keys", issuer.url()), "jwks_ca_pem": issuer.web.ca_pem,
        "bound_issuer": GITHUB,
    });
    vault.root("POST", "auth/jwt/config", config)
}

#[test]
fn a_role_that_lets_in_strangers_of_a_shared_issuer_is_refused_with_the_reason() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    let token = signer.token(&with(&issuer, json!({"iss": GITHUB, "repository_id": "7"})));
    // The role `app`, which asks for an audience only, was there before.
    let warned = github(&vault, &issuer).expect(200);
    let why = "a stranger's job could log in; add repository_owner_id or repository_id";
    assert!(
        warned.text.contains("role \\\"app\\\": ") && warned.text.contains(why),
        "{}",
        warned.text
    );
    let answer = login(&vault, &token).expect(400);
    assert!(answer.errors().contains(why), "{}", answer.text);

    let write = |claims: Value, kind: &str| {
        let body = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vaultd",
            "bound_claims": claims, "bound_claims_type": kind,
        });
        vault.root("POST", "auth/jwt/role/app", body)
    };
    for (claims, kind) in [
        (json!({"environment": "production"}), "string"),
        (json!({"sub": "repo:*"}), "glob"),
    ] {
        let answer = write(claims, kind).expect(400);
        assert!(answer.errors().contains(why), "{}", answer.text);
    }
    let named = write(json!({"sub": "repo:org/*"}), "glob").expect(200);
    let why = "binds the owner by name only";
    assert!(named.text.contains(why), "{}", named.text);
    write(json!({"repository_id": "7"}), "string").expect(204);
    login(&vault, &token).expect(200);
    assert_eq!(github(&vault, &issuer).status, 204);
}
