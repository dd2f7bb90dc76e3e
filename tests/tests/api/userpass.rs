//! Userpass: logins of people, and what happens to who guesses.

use serde_json::{Value, json};
use vault_tests::{Answer, Vault};

use crate::setup::{durable, policy, quick, text, together, with_status};

fn with_users(names: &[&str]) -> Vault {
    prepared(quick(), names)
}

fn prepared(vault: Vault, names: &[&str]) -> Vault {
    vault
        .root("POST", "sys/auth/userpass", json!({"type": "userpass"}))
        .expect(204);
    for name in names {
        let body = json!({"password": format!("{name}-right"), "token_policies": "team"});
        vault
            .root("POST", &format!("auth/userpass/users/{name}"), body)
            .expect(204);
    }
    vault
}

fn login(vault: &Vault, name: &str, password: &str) -> Answer {
    let path = format!("auth/userpass/login/{name}");
    vault.call("POST", &path, None, Some(&json!({ "password": password })))
}

fn accessor(vault: &Vault) -> String {
    let mounts = vault.root("GET", "sys/auth", Value::Null).expect(200);
    text(&mounts.data()["userpass/"]["accessor"])
}

#[test]
fn a_login_gives_a_token_with_the_users_settings() {
    let vault = with_users(&["Alice"]);
    policy(&vault, "team", r#"path "kv/*" { capabilities = ["read"] }"#);
    let answer = login(&vault, "ALICE", "Alice-right").expect(200);
    let auth = &answer.body["auth"];
    assert_eq!(auth["policies"], json!(["default", "team"]));
    assert_eq!(auth["metadata"], json!({"username": "alice"}));
    let own = vault
        .call(
            "GET",
            "auth/token/lookup-self",
            auth["client_token"].as_str(),
            None,
        )
        .expect(200);
    assert_eq!(own.data()["display_name"], json!("userpass-alice"));
    assert_eq!(own.data()["path"], json!("auth/userpass/login/alice"));
    let listed = vault.root(
        "LIST",
        "sys/leases/lookup/auth/userpass/login/alice",
        Value::Null,
    );
    assert_eq!(
        listed.expect(200).data()["keys"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn users_are_created_read_changed_and_deleted() {
    let vault = with_users(&[]);
    let missing = vault.root(
        "POST",
        "auth/userpass/users/bob",
        json!({"token_ttl": "1h"}),
    );
    assert_eq!(missing.expect(400).errors(), "missing password");
    let body = json!({"password": "one", "policies": "a,b", "ttl": "10s"});
    vault
        .root("POST", "auth/userpass/users/bob", body)
        .expect(204);
    let read = vault
        .root("GET", "auth/userpass/users/Bob", Value::Null)
        .expect(200);
    assert_eq!(read.data()["token_ttl"], json!(10));
    assert_eq!(read.data()["token_policies"], json!(["a", "b"]));
    assert_eq!(read.data()["policies"], json!(["a", "b"]));
    assert!(!read.text.contains("hash") && !read.text.contains("password"));
    let token = login(&vault, "bob", "one").expect(200).body["auth"].clone();
    assert_eq!(token["lease_duration"], json!(10));
    vault
        .root(
            "POST",
            "auth/userpass/users/bob",
            json!({"token_ttl": "20s"}),
        )
        .expect(204);
    vault
        .root(
            "POST",
            "auth/userpass/users/bob/password",
            json!({"password": "two"}),
        )
        .expect(204);
    vault
        .root(
            "POST",
            "auth/userpass/users/bob/policies",
            json!({"token_policies": "c"}),
        )
        .expect(204);
    login(&vault, "bob", "one").expect(400);
    let auth = login(&vault, "bob", "two").expect(200).body["auth"].clone();
    assert_eq!(auth["lease_duration"], json!(20));
    assert_eq!(auth["token_policies"], json!(["c", "default"]));
    let listed = vault
        .root("LIST", "auth/userpass/users", Value::Null)
        .expect(200);
    assert_eq!(listed.data()["keys"], json!(["bob"]));
    vault
        .root("DELETE", "auth/userpass/users/bob", Value::Null)
        .expect(204);
    vault
        .root("GET", "auth/userpass/users/bob", Value::Null)
        .expect(404);
    login(&vault, "bob", "two").expect(400);
    // A token of a user who is gone is not renewed.
    let own = auth["client_token"].as_str();
    vault
        .call("POST", "auth/token/renew-self", own, Some(&json!({})))
        .expect(400);
}

#[test]
fn cve_2025_6011_unknown_names_and_wrong_passwords_look_the_same() {
    let vault = with_users(&["alice"]);
    let (wrong, unknown) = (login(&vault, "alice", "no"), login(&vault, "nobody", "no"));
    assert_eq!(wrong.errors(), "invalid username or password");
    assert_eq!((wrong.status, wrong.errors()), (400, unknown.errors()));
    assert_eq!(
        login(&vault, "alice", "").expect(400).errors(),
        "missing password"
    );
    // The work is the same: neither is answered without hashing.
    let took = |name: &str| {
        let start = std::time::Instant::now();
        login(&vault, name, "no").expect(400);
        start.elapsed()
    };
    let (known, unknown) = (took("alice"), took("nobody"));
    assert!(
        unknown * 4 > known && known * 4 > unknown,
        "{known:?} {unknown:?}"
    );
}

#[test]
fn cve_2025_6004_the_lockout_counts_every_spelling_as_one() {
    let vault = with_users(&["alice"]);
    for odd in ["alice%20", "%20alice", "alice%09", "al%C3%AFce", "alice%00"] {
        login(&vault, odd, "no").expect(400);
    }
    for name in ["alice", "ALICE", "aLiCe", "Alice", "alicE"] {
        login(&vault, name, "no").expect(400);
    }
    for name in ["alice", "ALICE"] {
        let locked = login(&vault, name, "alice-right").expect(403);
        assert_eq!(locked.errors(), "permission denied");
    }
    let shown = vault
        .root("GET", "sys/locked-users", Value::Null)
        .expect(200);
    assert_eq!(shown.data()["total"], json!(1));
    let accessor = accessor(&vault);
    let mounts = &shown.data()["by_namespace"][0]["mount_accessors"];
    assert_eq!(mounts[0]["mount_accessor"], json!(accessor));
    assert_eq!(mounts[0]["alias_identifiers"], json!(["alice"]));
    let unlock = format!("sys/locked-users/{accessor}/unlock/Alice");
    vault.root("POST", &unlock, json!({})).expect(204);
    login(&vault, "alice", "alice-right").expect(200);
    let none = vault
        .root("GET", "sys/locked-users", Value::Null)
        .expect(200);
    assert_eq!(none.data()["total"], json!(0));
}

#[test]
fn a_lock_outlives_a_restart_and_an_unlocking_does_too() {
    let mut vault = prepared(durable(), &["alice", "bob"]);
    for name in ["alice", "bob", "ghost"] {
        for _ in 0..5 {
            login(&vault, name, "no").expect(400);
        }
    }
    let accessor = accessor(&vault);
    let unlock = format!("sys/locked-users/{accessor}/unlock/bob");
    vault.root("POST", &unlock, json!({})).expect(204);
    vault.restart_unsealed();
    login(&vault, "alice", "alice-right").expect(403);
    login(&vault, "ghost", "no").expect(403);
    login(&vault, "bob", "bob-right").expect(200);
    let shown = vault
        .root("GET", "sys/locked-users", Value::Null)
        .expect(200);
    let mounts = &shown.data()["by_namespace"][0]["mount_accessors"];
    assert_eq!(mounts[0]["alias_identifiers"], json!(["alice", "ghost"]));
}

#[test]
fn a_lock_that_is_over_after_a_restart_is_no_lock() {
    let mut vault = prepared(durable(), &["alice"]);
    let rules = json!({"user_lockout_config": {"lockout_threshold": 2, "lockout_duration": "3s"}});
    vault
        .root("POST", "sys/auth/userpass/tune", rules)
        .expect(204);
    for _ in 0..2 {
        login(&vault, "alice", "no").expect(400);
    }
    vault.restart_unsealed();
    std::thread::sleep(std::time::Duration::from_secs(4));
    login(&vault, "alice", "alice-right").expect(200);
}

#[test]
fn names_without_a_user_are_locked_too() {
    let vault = with_users(&[]);
    for _ in 0..5 {
        login(&vault, "ghost", "no").expect(400);
    }
    login(&vault, "ghost", "no").expect(403);
}

#[test]
fn parallel_guesses_get_no_further_than_five() {
    let vault = with_users(&["alice"]);
    let answers = together(40, |_| login(&vault, "alice", "no"));
    assert!(
        with_status(&answers, 400) <= 5,
        "more guesses than allowed were tried"
    );
    assert_eq!(with_status(&answers, 200), 0);
}

#[test]
fn cve_2025_5999_no_user_can_be_given_root() {
    let vault = with_users(&["alice"]);
    for odd in [
        "root",
        "ROOT",
        " root",
        "root ",
        "RooT",
        "root\t",
        "root\u{0}",
        "ｒｏｏｔ",
        "root/",
    ] {
        for field in ["token_policies", "policies"] {
            for path in [
                "auth/userpass/users/alice",
                "auth/userpass/users/alice/policies",
            ] {
                // One string would be split and trimmed; a list item " root" is trimmed to root.
                vault
                    .root("POST", path, json!({ field: [odd] }))
                    .expect(400);
            }
        }
    }
    let auth = login(&vault, "alice", "alice-right").expect(200).body["auth"].clone();
    assert_eq!(auth["policies"], json!(["default", "team"]));
}

#[test]
fn a_bound_network_is_checked_after_the_password() {
    let vault = with_users(&["alice"]);
    let body = json!({"token_bound_cidrs": "10.9.0.0/16"});
    vault
        .root("POST", "auth/userpass/users/alice", body)
        .expect(204);
    login(&vault, "alice", "no").expect(400);
    assert_eq!(
        login(&vault, "alice", "alice-right").expect(403).errors(),
        "permission denied"
    );
}

#[test]
fn a_mount_has_lockout_rules_of_its_own() {
    let vault = with_users(&["alice"]);
    let tune = |config: Value| {
        let body = json!({ "user_lockout_config": config });
        vault.root("POST", "sys/auth/userpass/tune", body)
    };
    tune(json!({"lockout_threshold": "2", "lockout_duration": "1h", "lockout_counter_reset_duration": 600}))
        .expect(204);
    let shown = vault.root("GET", "sys/auth/userpass/tune", Value::Null);
    for (name, value) in [
        ("user_lockout_threshold", json!(2)),
        ("user_lockout_duration", json!(3600)),
        ("user_lockout_counter_reset_duration", json!(600)),
        ("user_lockout_disable", json!(false)),
    ] {
        assert_eq!(shown.data()[name], value, "{name}");
    }
    for _ in 0..2 {
        login(&vault, "alice", "no").expect(400);
    }
    login(&vault, "alice", "alice-right").expect(403);
    for bad in [
        json!({"lockout_threshold": -1}),
        json!({"lockout_threshold": "many"}),
        json!({"threshold": 1}),
    ] {
        tune(bad).expect(400);
    }
    let elsewhere = json!({"user_lockout_config": {"lockout_disable": true}});
    vault
        .root("POST", "sys/auth/token/tune", elsewhere)
        .expect(400);
    tune(json!({"lockout_disable": true})).expect(204);
    login(&vault, "alice", "alice-right").expect(200);
    for _ in 0..8 {
        login(&vault, "alice", "no").expect(400);
    }
    login(&vault, "alice", "alice-right").expect(200);
}
