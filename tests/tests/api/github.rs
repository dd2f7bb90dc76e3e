//! Logins of an organisation's members, against a server that answers like GitHub's API.

use serde_json::{Value, json};
use vault_tests::web::{Asked, Web};
use vault_tests::{Answer, Options, Vault};

use crate::setup::policy;

/// `ada` is in the organisation 7 and two of its teams; `eve` in another one of the same name.
fn answer(asked: &Asked) -> (u16, Value) {
    let token = asked.header("authorization");
    let path = asked.target.split('?').next().unwrap();
    let member = match (path, token) {
        ("/api/v3/orgs/acme", _) => return (200, json!({"login": "acme", "id": 7})),
        (_, "Bearer ghp_ada") => true,
        (_, "Bearer ghp_eve") => false,
        _ => return (401, json!({"message": "Bad credentials"})),
    };
    let id = if member { 7 } else { 8 };
    let page: usize = asked.field("page").map_or(1, |page| page.parse().unwrap());
    assert!(path == "/api/v3/user" || asked.field("per_page").as_deref() == Some("100"));
    let body = match path {
        "/api/v3/user" => json!({"login": if member { "Ada" } else { "eve" }, "id": 1}),
        "/api/v3/user/orgs" => json!([{"login": "acme", "id": id}]),
        // The team that counts is on the second page.
        "/api/v3/user/teams" if page == 1 => {
            json!(vec![
                json!({"name": "Elsewhere", "slug": "ops", "organization": {"id": 9}});
                100
            ])
        }
        "/api/v3/user/teams" => {
            json!([{"name": "Dev Team", "slug": "dev-team", "organization": {"id": id}}])
        }
        _ => return (404, json!({"message": "Not Found"})),
    };
    (200, body)
}

fn started() -> (Web, Vault) {
    let web = Web::start(|asked| {
        let (status, body) = answer(asked);
        (status, body.to_string())
    });
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &web.ca_pem).unwrap();
    let env = vec![("SSL_CERT_FILE".to_owned(), ca.to_str().unwrap().to_owned())];
    let vault = Vault::ready_with(Options {
        env,
        ..Options::memory()
    });
    vault
        .root("POST", "sys/auth/github", json!({"type": "github"}))
        .expect(204);
    for name in ["dev", "own", "everybody", "ops"] {
        policy(&vault, name, r#"path "kv/*" { capabilities = ["read"] }"#);
    }
    let config = json!({"organization": "acme", "base_url": format!("{}/api/v3/", web.url), "token_ttl": "5m"});
    vault.root("POST", "auth/github/config", config).expect(204);
    // Read once, at the first request.
    drop(dir);
    (web, vault)
}

fn login(vault: &Vault, token: &str) -> Answer {
    vault.call(
        "POST",
        "auth/github/login",
        None,
        Some(&json!({ "token": token })),
    )
}

fn map(vault: &Vault, path: &str, policies: &str) {
    let path = format!("auth/github/map/{path}");
    vault
        .root("POST", &path, json!({ "value": policies }))
        .expect(204);
}

#[test]
fn a_member_gets_what_his_teams_and_he_himself_get() {
    let (web, vault) = started();
    let config = vault
        .root("GET", "auth/github/config", json!(null))
        .expect(200);
    assert_eq!(config.data()["organization_id"], 7);
    map(&vault, "teams/dev-team", "dev");
    map(&vault, "teams/ops", "ops");
    map(&vault, "teams/default", "everybody");
    map(&vault, "users/ADA", "own");
    let auth = login(&vault, "ghp_ada").expect(200).body["auth"].clone();
    assert_eq!(
        auth["policies"],
        json!(["default", "dev", "everybody", "own"])
    );
    assert_eq!(auth["metadata"], json!({"username": "Ada", "org": "acme"}));
    assert_eq!(auth["lease_duration"], 300);
    let asked = web.asked().len();
    let renewed = vault.call(
        "POST",
        "auth/token/renew-self",
        auth["client_token"].as_str(),
        Some(&json!({})),
    );
    renewed.expect(200);
    assert_eq!(
        web.asked().len(),
        asked,
        "the token is not kept, so nobody can be asked"
    );
}

#[test]
fn who_is_not_a_member_or_has_no_token_is_refused() {
    let (web, vault) = started();
    let stranger = login(&vault, "ghp_eve").expect(500);
    assert!(
        stranger
            .errors()
            .contains("user is not part of required org")
    );
    let unknown = login(&vault, "ghp_unknown").expect(400);
    assert_eq!(unknown.errors(), "GitHub does not know the token");
    for odd in ["", " ", "a\r\nX: y", "a\u{0}"] {
        let answer = login(&vault, odd).expect(400);
        assert!(!answer.text.contains("X: y"));
    }
    web.set_down(true);
    assert!(
        login(&vault, "ghp_ada")
            .expect(400)
            .errors()
            .contains("GitHub does not answer")
    );
}

#[test]
fn a_mapping_to_root_lets_nobody_in() {
    let (_web, vault) = started();
    let written = vault.root(
        "POST",
        "auth/github/map/users/ada",
        json!({"value": "default,root"}),
    );
    assert!(written.expect(200).text.contains("cannot grant"));
    let read = vault
        .root("GET", "auth/github/map/users/ada", json!(null))
        .expect(200);
    assert_eq!(read.data(), &json!({"key": "ada", "value": "default,root"}));
    login(&vault, "ghp_ada").expect(400);
    vault
        .root("DELETE", "auth/github/map/users/ada", json!(null))
        .expect(204);
    login(&vault, "ghp_ada").expect(200);
}

#[test]
fn a_persons_token_is_sent_nowhere_unprotected() {
    let (_web, vault) = started();
    for (body, why) in [
        (
            json!({"organization": "acme", "base_url": "http://github.example/"}),
            "must be https",
        ),
        (
            json!({"organization": "acme", "base_url": "github.example"}),
            "base_url",
        ),
        (
            json!({"organization": ""}),
            "organization is a required parameter",
        ),
        (
            json!({"organization": "../user"}),
            "organization is a required parameter",
        ),
        (
            json!({"organization": "unknown"}),
            "unable to fetch the organization_id",
        ),
    ] {
        let answer = vault.root("POST", "auth/github/config", body).expect(400);
        assert!(answer.errors().contains(why), "{}", answer.errors());
    }
}
