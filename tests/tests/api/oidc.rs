//! Logins by browser: the URL, the way back, and everybody who takes another way.

use serde_json::{Value, json};
use vault_tests::issuer::{CLIENT_ID, CLIENT_SECRET, Issuer, Signer};
use vault_tests::web::field;
use vault_tests::{Answer, Vault};

use crate::jwt::now;
use crate::setup::{policy, quick, text, together, with_status};

const BACK: &str = "http://localhost:8250/oidc/callback";

pub(crate) fn mounted(issuer: &Issuer) -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/auth/oidc", json!({"type": "oidc"}))
        .expect(204);
    policy(&vault, "app", r#"path "kv/*" { capabilities = ["read"] }"#);
    let config = json!({
        "oidc_discovery_url": issuer.url(), "oidc_discovery_ca_pem": issuer.web.ca_pem,
        "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET,
        "default_role": "app", "jwt_supported_algs": "ES256",
    });
    vault.root("POST", "auth/oidc/config", config).expect(204);
    let role = json!({
        "user_claim": "sub", "allowed_redirect_uris": BACK, "token_policies": "app",
        "oidc_scopes": "profile,groups", "claim_mappings": {"mail": "mail"},
    });
    vault.root("POST", "auth/oidc/role/app", role).expect(204);
    vault
}

pub(crate) fn auth_url(vault: &Vault, more: Value) -> String {
    let mut body = json!({"role": "app", "redirect_uri": BACK});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = vault.call("POST", "auth/oidc/oidc/auth_url", None, Some(&body));
    text(&answer.expect(200).data()["auth_url"])
}

pub(crate) fn get(url: &str, name: &str) -> String {
    field(url.split_once('?').unwrap().1, name).unwrap_or_default()
}

pub(crate) fn back(vault: &Vault, state: &str, code: &str, more: &str) -> Answer {
    let code = code.replace(' ', "%20");
    let path = format!("auth/oidc/oidc/callback?state={state}&code={code}{more}");
    vault.call("GET", &path, None, None)
}

pub(crate) fn claims(issuer: &Issuer) -> Value {
    json!({"iss": issuer.url(), "sub": "ada", "aud": CLIENT_ID, "iat": now(), "exp": now() + 600})
}

#[track_caller]
pub(crate) fn refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(
        answer.errors().contains(why),
        "{} does not say {why}",
        answer.errors()
    );
}

#[test]
fn a_person_is_sent_to_the_provider_and_comes_back_logged_in() {
    let (issuer, _) = Issuer::start();
    let vault = mounted(&issuer);
    issuer.set_user_info(json!({"sub": "ada", "mail": "ada@example.org", "aud": "nobody"}));
    let url = auth_url(&vault, json!({}));
    assert!(
        url.starts_with(&format!(
            "{}/authorize?client_id=vault%20at%20idp&",
            issuer.url()
        )),
        "{url}"
    );
    assert_eq!(get(&url, "scope"), "openid profile groups");
    assert_eq!(get(&url, "redirect_uri"), BACK);
    let code = issuer.log_in(&url, claims(&issuer));
    let answer = back(&vault, &get(&url, "state"), &code, "").expect(200);
    let auth = &answer.body["auth"];
    assert_eq!(auth["policies"], json!(["app", "default"]));
    assert_eq!(
        auth["metadata"],
        json!({"role": "app", "mail": "ada@example.org"})
    );
    let own = vault.call(
        "GET",
        "auth/token/lookup-self",
        auth["client_token"].as_str(),
        None,
    );
    assert_eq!(own.expect(200).data()["display_name"], "oidc-ada");
    // Neither the verifier nor the secret has travelled through the browser.
    let exchanged = issuer.web.asked();
    let exchanged = exchanged
        .iter()
        .find(|asked| asked.target == "/token")
        .unwrap();
    let verifier = exchanged.field("code_verifier").unwrap();
    assert_eq!(verifier.len(), 43);
    assert!(!url.contains(&verifier) && !url.contains(CLIENT_SECRET));
}

#[test]
fn a_replayed_state_is_refused_also_when_all_come_at_once() {
    let (issuer, _) = Issuer::start();
    let vault = mounted(&issuer);
    let url = auth_url(&vault, json!({}));
    let state = get(&url, "state");
    let codes: Vec<String> = (0..12)
        .map(|_| issuer.log_in(&url, claims(&issuer)))
        .collect();
    let answers = together(codes.len(), |at| back(&vault, &state, &codes[at], ""));
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 400), codes.len() - 1);
    let again = issuer.log_in(&url, claims(&issuer));
    refused(
        &back(&vault, &state, &again, ""),
        "Expired or missing OAuth state.",
    );
}

#[test]
fn a_state_of_somebody_else_is_refused() {
    let (issuer, _) = Issuer::start();
    let vault = mounted(&issuer);
    vault
        .root("POST", "sys/auth/other", json!({"type": "oidc"}))
        .expect(204);
    let url = auth_url(&vault, json!({}));
    let (state, code) = (get(&url, "state"), issuer.log_in(&url, claims(&issuer)));
    let (payload, mac) = state.split_once('.').unwrap();
    for odd in [
        "",
        "x",
        "a.b",
        payload,
        &format!("{payload}."),
        &format!(".{mac}"),
        &format!("x{state}"),
        &format!("{state}x"),
        &format!("{state}="),
    ] {
        refused(
            &back(&vault, odd, &code, ""),
            "Expired or missing OAuth state.",
        );
    }
    let elsewhere = format!("auth/other/oidc/callback?state={state}&code=x");
    vault.call("GET", &elsewhere, None, None).expect(400);
    // A second browser, with its own state, has the first one's code.
    let second = get(&auth_url(&vault, json!({})), "state");
    refused(
        &back(&vault, &second, &code, ""),
        "error exchanging oidc code",
    );
}

/// CVE-2026-33757: the login goes to who began it.
#[test]
fn cve_2026_33757_a_login_is_finished_by_the_client_that_began_it() {
    let (issuer, _) = Issuer::start();
    let vault = mounted(&issuer);
    let url = auth_url(&vault, json!({"client_nonce": "mine"}));
    let (state, code) = (get(&url, "state"), issuer.log_in(&url, claims(&issuer)));
    assert!(!url.contains("mine"));
    for more in ["", "&client_nonce=", "&client_nonce=yours"] {
        refused(&back(&vault, &state, &code, more), "invalid client_nonce");
    }
    back(&vault, &state, &code, "&client_nonce=mine").expect(200);
}

#[test]
fn an_id_token_is_for_this_client_and_this_login() {
    let (issuer, _) = Issuer::start();
    let vault = mounted(&issuer);
    for (change, why) in [
        (json!({"aud": "elsewhere"}), "(aud) claim"),
        (json!({"aud": []}), "(aud) claim"),
        (json!({"iss": "https://elsewhere.example"}), "(iss) claim"),
        (json!({"nonce": "another"}), "nonce claim"),
        (json!({"nonce": 7}), "nonce claim"),
        (json!({"azp": "elsewhere"}), "(azp) claim"),
        (json!({"exp": now() - 100}), "(exp) claim"),
        (json!({"iat": now() + 600}), "(nbf) claim"),
    ] {
        let url = auth_url(&vault, json!({}));
        let mut all = claims(&issuer);
        for (name, value) in change.as_object().unwrap() {
            all[name] = value.clone();
        }
        let code = issuer.log_in(&url, all);
        refused(&back(&vault, &get(&url, "state"), &code, ""), why);
    }
    for missing in ["exp", "iat", "sub"] {
        let url = auth_url(&vault, json!({}));
        let mut all = claims(&issuer);
        all.as_object_mut().unwrap().remove(missing);
        let code = issuer.log_in(&url, all);
        refused(&back(&vault, &get(&url, "state"), &code, ""), missing);
    }
    // What the user info says is believed only about the same person, and never against the id token.
    issuer.set_user_info(json!({"sub": "eve", "mail": "eve@example.org"}));
    let url = auth_url(&vault, json!({}));
    let code = issuer.log_in(&url, claims(&issuer));
    let answer = back(&vault, &get(&url, "state"), &code, "").expect(200);
    assert_eq!(answer.body["auth"]["metadata"], json!({"role": "app"}));
    // Keys that the provider does not publish.
    issuer.publish(vec![Signer::new("first").jwk()]);
    let config = vault
        .root("GET", "auth/oidc/config", json!(null))
        .expect(200);
    assert!(!config.text.contains(CLIENT_SECRET) && config.data()["oidc_client_id"] == CLIENT_ID);
}

#[test]
fn nobody_is_sent_elsewhere() {
    let (issuer, _) = Issuer::start();
    let vault = mounted(&issuer);
    let ask = |body: Value| vault.call("POST", "auth/oidc/oidc/auth_url", None, Some(&body));
    for odd in [
        "https://evil.example/cb",
        "http://localhost:8250/oidc/callback/../x",
        "http://localhost@evil.example/oidc/callback",
    ] {
        refused(
            &ask(json!({"role": "app", "redirect_uri": odd})),
            "unauthorized redirect_uri",
        );
    }
    ask(json!({"redirect_uri": "http://localhost:50123/oidc/callback"})).expect(200);
    refused(&ask(json!({"role": "app"})), "missing redirect_uri");
    refused(
        &ask(json!({"role": "nobody", "redirect_uri": BACK})),
        "could not be found",
    );
    let url = auth_url(&vault, json!({}));
    let denied = format!(
        "auth/oidc/oidc/callback?state={}&error=access_denied&error_description=secret",
        get(&url, "state")
    );
    let answer = vault.call("GET", &denied, None, None);
    refused(&answer, "the provider did not log the user in");
    assert!(!answer.text.contains("secret"));
    refused(
        &back(&vault, &get(&url, "state"), "", ""),
        "code parameter not provided",
    );
}
