//! Logins with tokens that an issuer has signed: which pass, which do not, and what is said then.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vault_tests::issuer::{Issuer, Signer};
use vault_tests::{Answer, Vault};

use crate::setup::{durable, policy, quick, text};

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A mount that knows the issuer by discovery, and a role `app` for the audience `vaultd`.
pub(crate) fn mounted(issuer: &Issuer) -> Vault {
    mounted_on(quick(), issuer)
}

pub(crate) fn mounted_on(vault: Vault, issuer: &Issuer) -> Vault {
    vault
        .root("POST", "sys/auth/jwt", json!({"type": "jwt"}))
        .expect(204);
    policy(&vault, "app", r#"path "kv/*" { capabilities = ["read"] }"#);
    let config =
        json!({"oidc_discovery_url": issuer.url(), "oidc_discovery_ca_pem": issuer.web.ca_pem});
    vault.root("POST", "auth/jwt/config", config).expect(204);
    role(&vault, json!({}));
    vault
}

/// Writes the role with these fields beside the usual ones.
pub(crate) fn role(vault: &Vault, more: Value) {
    let mut body = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vaultd", "token_policies": "app",
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    vault
        .root("DELETE", "auth/jwt/role/app", json!(null))
        .expect(204);
    let written = vault.root("POST", "auth/jwt/role/app", body);
    assert!(matches!(written.status, 200 | 204), "{}", written.text);
}

pub(crate) fn login(vault: &Vault, token: &str) -> Answer {
    let body = json!({"role": "app", "jwt": token});
    vault.call("POST", "auth/jwt/login", None, Some(&body))
}

pub(crate) fn claims(issuer: &Issuer) -> Value {
    json!({
        "iss": issuer.url(), "sub": "ada", "aud": "vaultd",
        "iat": now(), "nbf": now(), "exp": now() + 600,
    })
}

pub(crate) fn with(issuer: &Issuer, more: Value) -> Value {
    let mut all = claims(issuer);
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    all
}

/// Refused with 400, for this reason, and without a word of the token.
#[track_caller]
pub(crate) fn refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    let error = answer.errors();
    assert!(error.contains(why), "{error} does not say {why}");
    for secret in ["ada", "eve", "elsewhere", "eyJ"] {
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn a_signed_token_becomes_a_login_with_what_the_role_passes_on() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    role(
        &vault,
        json!({
            "user_claim": "/person/mail", "user_claim_json_pointer": true, "token_ttl": "5m",
            "claim_mappings": {"sub": "subject", "/person/id": "number", "absent": "nothing"},
            "bound_claims": {"/person/id": 7, "ref": ["main", "release"]},
        }),
    );
    let more = json!({"person": {"mail": "ada@example.org", "id": 7}, "ref": ["other", "main"]});
    let answer = login(&vault, &signer.token(&with(&issuer, more))).expect(200);
    let auth = &answer.body["auth"];
    assert_eq!(auth["policies"], json!(["app", "default"]));
    assert_eq!(auth["lease_duration"], 300);
    assert_eq!(
        auth["metadata"],
        json!({"role": "app", "subject": "ada", "number": "7"})
    );
    let own = vault
        .call(
            "GET",
            "auth/token/lookup-self",
            auth["client_token"].as_str(),
            None,
        )
        .expect(200);
    assert_eq!(own.data()["display_name"], "jwt-ada@example.org");
    vault
        .root("DELETE", "auth/jwt/role/app", json!(null))
        .expect(204);
    let renewed = vault.call(
        "POST",
        "auth/token/renew-self",
        auth["client_token"].as_str(),
        Some(&json!({})),
    );
    renewed.expect(400);
}

#[test]
fn each_claim_that_does_not_match_is_named_and_its_value_is_not() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    role(
        &vault,
        json!({
            "bound_subject": "ada", "groups_claim": "groups",
            "bound_claims": {"repository": "org/app", "/job/ref": ["main"]},
            "claim_mappings": {"mapped": "mapped"},
        }),
    );
    let good = json!({"repository": "org/app", "job": {"ref": "main"}, "groups": ["a", "b"]});
    login(&vault, &signer.token(&with(&issuer, good.clone()))).expect(200);
    for (change, why) in [
        (json!({"iss": "https://elsewhere.example"}), "(iss) claim"),
        (json!({"iss": null}), "(iss) claim"),
        (json!({"iss": [issuer.url()]}), "(iss) claim"),
        (
            json!({"aud": "elsewhere"}),
            "(aud) claim: audience claim does not match any bound audience",
        ),
        (
            json!({"sub": "eve"}),
            "sub claim does not match bound subject",
        ),
        (
            json!({"sub": null}),
            "sub claim does not match bound subject",
        ),
        (
            json!({"repository": "org/elsewhere"}),
            "claim \"repository\" does not match",
        ),
        (
            json!({"repository": null}),
            "claim \"repository\" is missing",
        ),
        (
            json!({"repository": {"org/app": true}}),
            "claim \"repository\" does not match",
        ),
        (
            json!({"job": {"ref": "elsewhere"}}),
            "claim \"/job/ref\" does not match",
        ),
        (json!({"job": "main"}), "claim \"/job/ref\" is missing"),
        (json!({"groups": null}), "\"groups\" claim not found"),
        (
            json!({"groups": {"a": 1}}),
            "\"groups\" claim could not be converted",
        ),
        (
            json!({"mapped": ["elsewhere"]}),
            "error converting claim \"mapped\"",
        ),
    ] {
        let mut all = with(&issuer, good.clone());
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
        refused(&login(&vault, &signer.token(&all)), why);
    }
    role(&vault, json!({"user_claim": "mail"}));
    refused(
        &login(&vault, &signer.token(&claims(&issuer))),
        "claim \"mail\" not found in token",
    );
    let number = with(&issuer, json!({"mail": 7}));
    refused(
        &login(&vault, &signer.token(&number)),
        "claim \"mail\" could not be converted",
    );
}

/// CVE-2024-5798, CVE-2025-3879: one string and lists of them.
#[test]
fn cve_2024_5798_an_audience_is_compared_whole_and_never_left_out() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    for aud in [
        json!("vaultd"),
        json!(["vaultd"]),
        json!(["other", "vaultd"]),
    ] {
        login(&vault, &signer.token(&with(&issuer, json!({"aud": aud})))).expect(200);
    }
    for aud in [
        json!("b"),
        json!("vault"),
        json!("vaultd2"),
        json!("VAULTD"),
        json!("vaultd,b"),
        json!(["b"]),
        json!([]),
        json!(""),
        json!(7),
        json!([["vaultd"]]),
        json!({"vaultd": 1}),
        json!(["vaultd", 7]),
        Value::Null,
    ] {
        let answer = login(&vault, &signer.token(&with(&issuer, json!({ "aud": aud }))));
        refused(&answer, "(aud) claim");
    }
    role(
        &vault,
        json!({"bound_audiences": [], "bound_subject": "ada"}),
    );
    for aud in [json!("vaultd"), json!(["b"]), json!("")] {
        let answer = login(&vault, &signer.token(&with(&issuer, json!({ "aud": aud }))));
        refused(&answer, "no audiences bound to the role");
    }
    login(&vault, &signer.token(&with(&issuer, json!({"aud": null})))).expect(200);
}

#[test]
fn globs_match_only_where_the_role_says_glob() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    let with_sub = |sub: Value| signer.token(&with(&issuer, json!({ "sub": sub })));
    role(
        &vault,
        json!({"bound_claims": {"sub": "repo:org/*:ref:refs/heads/main"}}),
    );
    refused(
        &login(&vault, &with_sub(json!("repo:org/a:ref:refs/heads/main"))),
        "claim \"sub\"",
    );
    role(
        &vault,
        json!({"bound_claims": {"sub": "repo:org/*:ref:refs/heads/main"}, "bound_claims_type": "glob"}),
    );
    login(&vault, &with_sub(json!("repo:org/a:ref:refs/heads/main"))).expect(200);
    for other in [
        "repo:org/a:ref:refs/heads/main2",
        "repo:org2/a:ref:refs/heads/main",
        "xrepo:org/a:ref:refs/heads/main",
    ] {
        refused(&login(&vault, &with_sub(json!(other))), "claim \"sub\"");
    }
}

#[test]
fn cve_2026_25537_times_have_their_leeways_and_no_more() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    let at = |times: Value| login(&vault, &signer.token(&with(&issuer, times)));
    // Far enough from the edge for a slow machine.
    let slow = 30;
    at(json!({"exp": now() - 20})).expect(200);
    refused(&at(json!({"exp": now() - 61})), "expiration time (exp)");
    at(json!({"nbf": now() + 20, "iat": null})).expect(200);
    refused(&at(json!({"nbf": now() + 60 + slow})), "not before (nbf)");
    refused(
        &at(json!({"nbf": null, "iat": now() + 60 + slow})),
        "not before (nbf)",
    );
    refused(&at(json!({"iat": now() + 60 + slow})), "issued at (iat)");
    at(json!({"exp": null})).expect(200);
    refused(
        &at(json!({"exp": null, "iat": now() - 300, "nbf": null})),
        "expiration time (exp)",
    );
    at(json!({"iat": null, "nbf": null, "exp": now() + 100})).expect(200);
    refused(
        &at(json!({"iat": null, "nbf": null, "exp": now() + 3600})),
        "not before (nbf)",
    );
    refused(
        &at(json!({"iat": null, "nbf": null, "exp": null})),
        "no issued at (iat)",
    );
    for odd in [json!("1"), json!(true), json!([1]), json!(-1), json!(0)] {
        refused(&at(json!({ "exp": odd })), "exp claim");
    }
    role(
        &vault,
        json!({"clock_skew_leeway": -1, "expiration_leeway": -1}),
    );
    refused(&at(json!({"exp": now() - 2})), "expiration time (exp)");
    refused(
        &at(json!({"exp": null, "iat": now() - 2, "nbf": null})),
        "expiration time (exp)",
    );
    role(&vault, json!({"clock_skew_leeway": "10m"}));
    at(json!({"exp": now() - 300})).expect(200);
}

#[test]
fn jwt_algorithm_confusion_and_foreign_keys_are_refused() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    let all = claims(&issuer);
    let good = signer.token(&all);
    login(&vault, &good).expect(200);
    let asked = issuer.web.asked().len();
    let parts: Vec<&str> = good.split('.').collect();
    let other = Signer::new(&signer.kid);
    refused(
        &login(&vault, &other.token(&all)),
        "no known key successfully validated the token signature",
    );
    for head in [
        json!({"alg": "none", "kid": signer.kid}),
        json!({"alg": "HS256", "kid": signer.kid}),
        json!({"alg": "es256", "kid": signer.kid}),
    ] {
        refused(&login(&vault, &signer.token_with(&head, &all)), "alg");
    }
    for head in [
        json!({"alg": "ES256", "kid": signer.kid, "jku": format!("{}/evil", issuer.url())}),
        json!({"alg": "ES256", "kid": signer.kid, "jwk": other.jwk()}),
    ] {
        refused(
            &login(&vault, &other.token_with(&head, &all)),
            "no known key",
        );
    }
    for odd in [
        "",
        "x",
        "a.b.c",
        &format!("{}.{}.", parts[0], parts[1]),
        &good[1..],
        &"a".repeat(70_000),
    ] {
        assert_eq!(login(&vault, odd).status, 400);
    }
    assert_eq!(
        issuer.web.count("/evil"),
        0,
        "a token's own address was asked"
    );
    assert_eq!(
        issuer.web.asked().len(),
        asked,
        "no key was unknown: nobody had to be asked"
    );
    // The config may allow less.
    let config = json!({
        "oidc_discovery_url": issuer.url(), "oidc_discovery_ca_pem": issuer.web.ca_pem,
        "jwt_supported_algs": ["RS256", "PS256"],
    });
    vault.root("POST", "auth/jwt/config", config).expect(204);
    refused(&login(&vault, &good), "alg");
}

#[test]
fn keys_rotate_and_an_issuer_that_is_down_stops_no_login() {
    let (issuer, first) = Issuer::start();
    let vault = mounted(&issuer);
    login(&vault, &first.token(&claims(&issuer))).expect(200);
    let second = issuer.rotate("second");
    login(&vault, &second.token(&claims(&issuer))).expect(200);
    refused(
        &login(&vault, &first.token(&claims(&issuer))),
        "no known key",
    );
    issuer.web.set_down(true);
    login(&vault, &second.token(&claims(&issuer))).expect(200);
    refused(
        &login(&vault, &Signer::new("third").token(&claims(&issuer))),
        "no known key",
    );
}

#[test]
fn a_restart_while_the_issuer_is_down_stops_no_login_and_brings_no_key_back() {
    let (issuer, first) = Issuer::start();
    let mut vault = mounted_on(durable(), &issuer);
    login(&vault, &first.token(&claims(&issuer))).expect(200);
    issuer.web.set_down(true);
    vault.restart_unsealed();
    login(&vault, &first.token(&claims(&issuer))).expect(200);
    issuer.web.set_down(false);
    let second = issuer.rotate("second");
    login(&vault, &second.token(&claims(&issuer))).expect(200);
    issuer.web.set_down(true);
    vault.restart_unsealed();
    refused(
        &login(&vault, &first.token(&claims(&issuer))),
        "no known key",
    );
    login(&vault, &second.token(&claims(&issuer))).expect(200);
}

/// Whoever invents key ids does not make us ask the issuer each time.
#[test]
fn invented_kids_are_asked_about_seldom() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    login(&vault, &signer.token(&claims(&issuer))).expect(200);
    let before = issuer.web.count("/keys");
    let start = std::time::Instant::now();
    for number in 0..30 {
        let unknown = Signer::new(&format!("invented {number}"));
        refused(
            &login(&vault, &unknown.token(&claims(&issuer))),
            "no known key",
        );
    }
    let allowed = 1 + start.elapsed().as_secs() as usize / 10 + 1;
    assert!(issuer.web.count("/keys") - before <= allowed);
}

#[test]
fn a_config_has_one_source_of_keys_that_answers() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    let ca = &issuer.web.ca_pem;
    let write = |body: Value| vault.root("POST", "auth/jwt/config", body);
    let keys = format!("{}/keys", issuer.url());
    for (body, why) in [
        (json!({}), "exactly one of"),
        (
            json!({"jwks_url": keys, "oidc_discovery_url": issuer.url()}),
            "exactly one of",
        ),
        (json!({"jwks_url": "keys"}), "jwks_url: not a URL"),
        (
            json!({"jwks_url": "https://user:secret@idp.example/"}),
            "jwks_url: not a URL",
        ),
        (
            json!({"jwks_url": keys, "jwks_ca_pem": "no pem"}),
            "CA certificates",
        ),
        (
            json!({"jwt_validation_pubkeys": "no pem"}),
            "error parsing public key",
        ),
        (
            json!({"jwks_url": keys, "jwt_supported_algs": "HS256"}),
            "unsupported signing algorithm",
        ),
        (
            json!({"oidc_discovery_url": issuer.url()}),
            "error checking oidc discovery URL: TLS",
        ),
        (
            json!({"oidc_discovery_url": keys, "oidc_discovery_ca_pem": ca}),
            "error checking oidc discovery URL",
        ),
        (
            json!({"oidc_discovery_url": format!("{}/", issuer.url()), "oidc_discovery_ca_pem": ca}),
            "its issuer is not oidc_discovery_url",
        ),
        (
            json!({"oidc_discovery_url": issuer.url(), "oidc_client_id": "x"}),
            "both 'oidc_client_id'",
        ),
        (
            json!({"jwks_url": keys, "oidc_client_id": "x", "oidc_client_secret": "y"}),
            "'oidc_discovery_url' must be set",
        ),
    ] {
        let answer = write(body).expect(400);
        assert!(
            answer.errors().contains(why),
            "{} does not say {why}",
            answer.errors()
        );
        assert!(!answer.text.contains("secret@"), "{}", answer.text);
    }
    // None of them has replaced the config.
    login(&vault, &signer.token(&claims(&issuer))).expect(200);
    write(json!({"jwks_url": keys, "jwks_ca_pem": ca, "bound_issuer": issuer.url()})).expect(204);
    login(&vault, &signer.token(&claims(&issuer))).expect(200);
    refused(
        &login(&vault, &signer.token(&with(&issuer, json!({"iss": "x"})))),
        "(iss) claim",
    );
    write(json!({"jwks_pairs": [{"jwks_url": keys, "jwks_ca_pem": ca}]})).expect(204);
    login(&vault, &signer.token(&claims(&issuer))).expect(200);
    let pair = rcgen::KeyPair::generate().unwrap();
    write(json!({"jwt_validation_pubkeys": [pair.public_key_pem()]})).expect(204);
    refused(
        &login(&vault, &signer.token(&claims(&issuer))),
        "no known key",
    );
    let config = vault
        .root("GET", "auth/jwt/config", json!(null))
        .expect(200);
    assert_eq!(
        text(&config.data()["jwt_validation_pubkeys"][0]).trim(),
        pair.public_key_pem().trim()
    );
    issuer.web.set_down(true);
    let warned = write(json!({"jwks_url": keys, "jwks_ca_pem": ca})).expect(200);
    assert!(
        warned.text.contains("error checking jwks URL"),
        "{}",
        warned.text
    );
}

#[test]
fn roles_are_checked_when_they_are_written() {
    let (issuer, _) = Issuer::start();
    let vault = mounted(&issuer);
    let write = |body: Value| vault.root("POST", "auth/jwt/role/odd", body);
    for (body, why) in [
        (
            json!({"role_type": "jwt", "bound_subject": "a"}),
            "a user claim must be defined",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub"}),
            "at least one bound constraint",
        ),
        (
            json!({"user_claim": "sub"}),
            "'allowed_redirect_uris' must be set",
        ),
        (json!({"role_type": "saml"}), "invalid 'role_type'"),
        (
            json!({"bound_claims_type": "regex"}),
            "invalid 'bound_claims_type'",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub", "bound_claims": {"a": {}}}),
            "bound_claims: \"a\"",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub", "bound_claims": {"a": []}}),
            "bound_claims: \"a\"",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub", "bound_claims": {"a": 1}, "bound_claims_type": "glob"}),
            "bound_claims: \"a\"",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "a", "claim_mappings": {"a": "role"}}),
            "reserved",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "a", "claim_mappings": {"a": "x", "b": "x"}}),
            "several claims",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "a", "token_policies": "root"}),
            "root",
        ),
        (
            json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "a", "policies": "root"}),
            "root",
        ),
    ] {
        let answer = write(body).expect(400);
        assert!(
            answer.errors().contains(why),
            "{} does not say {why}",
            answer.errors()
        );
    }
    vault
        .root("GET", "auth/jwt/role/odd", json!(null))
        .expect(404);
    let missing = json!({"role": "odd", "jwt": "a.b.c"});
    let answer = vault
        .call("POST", "auth/jwt/login", None, Some(&missing))
        .expect(400);
    assert_eq!(answer.errors(), "role \"odd\" could not be found");
    let oidc = json!({"user_claim": "sub", "allowed_redirect_uris": "https://app.example/cb"});
    write(oidc).expect(204);
    let answer = vault
        .call("POST", "auth/jwt/login", None, Some(&missing))
        .expect(400);
    assert_eq!(answer.errors(), "role with oidc role_type is not allowed");
    let read = vault
        .root("GET", "auth/jwt/role/odd", json!(null))
        .expect(200);
    assert_eq!(read.data()["role_type"], "oidc");
    assert_eq!(read.data()["bound_audiences"], Value::Null);
    role(&vault, json!({"token_bound_cidrs": "10.9.0.0/16"}));
    let answer = vault.call(
        "POST",
        "auth/jwt/login",
        None,
        Some(&json!({"role": "app"})),
    );
    assert_eq!(answer.expect(400).errors(), "missing token");
}

#[test]
fn a_bound_network_holds_for_the_login_too() {
    let (issuer, signer) = Issuer::start();
    let vault = mounted(&issuer);
    role(&vault, json!({"token_bound_cidrs": "10.9.0.0/16"}));
    login(&vault, &signer.token(&claims(&issuer))).expect(403);
    role(&vault, json!({"token_bound_cidrs": "127.0.0.0/8"}));
    login(&vault, &signer.token(&claims(&issuer))).expect(200);
}
