//! AppRole: who may log in, how often, from where.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::{Answer, Vault};

use crate::setup::{quick, text, together, token_with, with_status};

fn with_approle() -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/auth/approle", json!({"type": "approle"}))
        .expect(204);
    vault
}

/// Creates a role and answers with its id.
fn role(vault: &Vault, name: &str, body: Value) -> String {
    let path = format!("auth/approle/role/{name}");
    vault.root("POST", &path, body).expect(204);
    let id = vault
        .root("GET", &format!("{path}/role-id"), Value::Null)
        .expect(200);
    text(&id.data()["role_id"])
}

/// A new secret id: value and accessor.
fn secret_id(vault: &Vault, role: &str, body: Value) -> (String, String) {
    let made = vault
        .root("POST", &format!("auth/approle/role/{role}/secret-id"), body)
        .expect(200);
    (
        text(&made.data()["secret_id"]),
        text(&made.data()["secret_id_accessor"]),
    )
}

fn login(vault: &Vault, role_id: &str, secret_id: &str) -> Answer {
    vault.call(
        "POST",
        "auth/approle/login",
        None,
        Some(&json!({"role_id": role_id, "secret_id": secret_id})),
    )
}

#[test]
fn a_login_gives_the_token_that_the_role_describes() {
    let vault = with_approle();
    let id = role(
        &vault,
        "web",
        json!({"token_policies": "a,b", "token_ttl": "10m", "token_max_ttl": "20m", "token_num_uses": 3}),
    );
    let (secret, _) = secret_id(&vault, "web", json!({"metadata": "{\"k\":\"v\"}"}));
    let answer = login(&vault, &id, &secret).expect(200);
    let auth = &answer.body["auth"];
    assert_eq!(auth["policies"], json!(["a", "b", "default"]));
    assert_eq!(auth["lease_duration"], 600);
    assert_eq!(auth["num_uses"], 3);
    assert_eq!(auth["orphan"], true);
    assert_eq!(auth["metadata"], json!({"k": "v", "role_name": "web"}));
    let token = text(&auth["client_token"]);
    let renewed = vault
        .call(
            "POST",
            "auth/token/renew-self",
            Some(&token),
            Some(&json!({"increment": "5h"})),
        )
        .expect(200);
    let left = renewed.body["auth"]["lease_duration"].as_u64().unwrap();
    assert!(
        (1100..=1200).contains(&left),
        "bounded by token_max_ttl: {left}"
    );
}

#[test]
fn a_secret_id_with_one_use_logs_in_one_of_a_hundred() {
    let vault = with_approle();
    // The others would lock the role.
    let off = json!({"user_lockout_config": {"lockout_disable": true}});
    vault.root("POST", "sys/auth/approle/tune", off).expect(204);
    let id = role(&vault, "web", json!({"secret_id_num_uses": 1}));
    for round in 0..3 {
        let (secret, _) = secret_id(&vault, "web", json!({}));
        let answers = together(100, |_| login(&vault, &id, &secret));
        assert_eq!(with_status(&answers, 200), 1, "round {round}");
        assert_eq!(with_status(&answers, 400), 99, "round {round}");
    }
    let tokens = vault
        .root("LIST", "auth/token/accessors", Value::Null)
        .expect(200);
    assert_eq!(
        tokens.data()["keys"].as_array().unwrap().len(),
        4,
        "the root token and one per round"
    );
}

#[test]
fn a_secret_id_with_three_uses_has_three() {
    let vault = with_approle();
    let id = role(&vault, "web", json!({}));
    let (secret, _) = secret_id(&vault, "web", json!({"num_uses": 3}));
    let answers = together(20, |_| login(&vault, &id, &secret));
    assert_eq!(with_status(&answers, 200), 3);
}

#[test]
fn a_secret_id_ends_with_its_ttl() {
    let vault = with_approle();
    let id = role(&vault, "web", json!({"secret_id_ttl": "1s"}));
    let (secret, accessor) = secret_id(&vault, "web", json!({}));
    login(&vault, &id, &secret).expect(200);
    sleep(Duration::from_millis(1100));
    assert_eq!(
        login(&vault, &id, &secret).expect(400).errors(),
        "invalid role or secret ID"
    );
    let lookup = vault.root(
        "POST",
        "auth/approle/role/web/secret-id/lookup",
        json!({ "secret_id": secret }),
    );
    assert_eq!(lookup.status, 204, "{}", lookup.text);
    drop(accessor);
    let longer = vault.root(
        "POST",
        "auth/approle/role/web/secret-id",
        json!({"ttl": "1h"}),
    );
    assert_eq!(
        longer.status, 400,
        "the role's limit holds: {}",
        longer.text
    );
}

#[test]
fn unknown_roles_and_wrong_secrets_look_the_same() {
    let vault = with_approle();
    let id = role(&vault, "web", json!({}));
    let (secret, _) = secret_id(&vault, "web", json!({}));
    let (other, _) = {
        role(&vault, "other", json!({}));
        secret_id(&vault, "other", json!({}))
    };
    let cases = [
        login(&vault, "no-such-role", &secret),
        login(&vault, &id, "no-such-secret"),
        login(&vault, "no-such-role", "no-such-secret"),
        login(&vault, &id, &other),
        login(&vault, &id, &secret.to_uppercase()),
    ];
    for answer in cases {
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.body,
            json!({"errors": ["invalid role or secret ID"]})
        );
    }
    let (known, unknown) = (json!({ "role_id": id }), json!({"role_id": "no-such-role"}));
    let without = |body: &Value| vault.call("POST", "auth/approle/login", None, Some(body));
    assert_eq!(without(&known).text, without(&unknown).text);
    login(&vault, &id, &secret).expect(200);
}

#[test]
fn logins_come_from_the_bound_networks_only() {
    let vault = with_approle();
    let near = role(
        &vault,
        "near",
        json!({"secret_id_bound_cidrs": "127.0.0.0/8"}),
    );
    let far = role(
        &vault,
        "far",
        json!({"secret_id_bound_cidrs": ["10.0.0.0/8", "192.0.2.1"]}),
    );
    let (secret, _) = secret_id(&vault, "near", json!({}));
    login(&vault, &near, &secret).expect(200);
    let (secret, _) = secret_id(&vault, "far", json!({}));
    login(&vault, &far, &secret).expect(400);
    vault
        .root(
            "POST",
            "auth/approle/role/far/secret-id",
            json!({"cidr_list": "0.0.0.0/0"}),
        )
        .expect(400);
    let (secret, _) = secret_id(&vault, "near", json!({"cidr_list": "127.0.0.2/32"}));
    login(&vault, &near, &secret).expect(400);
    // Without a secret id, the network is the only proof.
    let open = role(
        &vault,
        "open",
        json!({"bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32"}),
    );
    vault
        .call(
            "POST",
            "auth/approle/login",
            None,
            Some(&json!({ "role_id": open })),
        )
        .expect(200);
    let shut = role(
        &vault,
        "shut",
        json!({"bind_secret_id": false, "secret_id_bound_cidrs": "192.0.2.1/32"}),
    );
    vault
        .call(
            "POST",
            "auth/approle/login",
            None,
            Some(&json!({ "role_id": shut })),
        )
        .expect(400);
    vault
        .root(
            "POST",
            "auth/approle/role/nothing",
            json!({"bind_secret_id": false}),
        )
        .expect(400);
    vault
        .root(
            "POST",
            "auth/approle/role/odd",
            json!({"secret_id_bound_cidrs": "10.0.0.0/99"}),
        )
        .expect(400);
}

#[test]
fn tokens_are_used_from_the_bound_networks_only() {
    let vault = with_approle();
    let id = role(&vault, "far", json!({"token_bound_cidrs": "192.0.2.0/24"}));
    let (secret, _) = secret_id(&vault, "far", json!({}));
    let token = text(&login(&vault, &id, &secret).expect(200).body["auth"]["client_token"]);
    let used = vault
        .call("GET", "auth/token/lookup-self", Some(&token), None)
        .expect(403);
    assert_eq!(used.errors(), "permission denied");
}

/// CVE-2023-24999: the accessor of another role's secret id was taken for one's own.
#[test]
fn cve_2023_24999_an_accessor_works_for_its_own_role_only() {
    let vault = with_approle();
    role(&vault, "mine", json!({}));
    let theirs = role(&vault, "theirs", json!({}));
    let (secret, accessor) = secret_id(&vault, "theirs", json!({}));
    let me = token_with(
        &vault,
        "me",
        r#"path "auth/approle/role/mine/*" { capabilities = ["create", "read", "update", "delete", "list"] }"#,
    );
    for action in [
        "secret-id-accessor/lookup",
        "secret-id-accessor/destroy",
        "secret-id/lookup",
        "secret-id/destroy",
    ] {
        let path = format!("auth/approle/role/mine/{action}");
        for accessor in [
            accessor.clone(),
            accessor.to_uppercase(),
            format!("../{accessor}"),
        ] {
            let body = json!({"secret_id_accessor": accessor, "secret_id": secret});
            let answer = vault.call("POST", &path, Some(&me), Some(&body));
            assert!(
                matches!(answer.status, 204 | 400 | 404),
                "{action}: {}",
                answer.text
            );
            assert!(
                answer.status != 204 || action.starts_with("secret-id/"),
                "{action}"
            );
        }
        let other = path.replace("/mine/", "/theirs/");
        vault
            .call(
                "POST",
                &other,
                Some(&me),
                Some(&json!({ "secret_id_accessor": accessor })),
            )
            .expect(403);
    }
    login(&vault, &theirs, &secret).expect(200);
    let own = json!({ "secret_id_accessor": accessor });
    vault
        .root(
            "POST",
            "auth/approle/role/theirs/secret-id-accessor/lookup",
            own.clone(),
        )
        .expect(200);
    vault
        .root(
            "POST",
            "auth/approle/role/theirs/secret-id-accessor/destroy",
            own,
        )
        .expect(204);
    login(&vault, &theirs, &secret).expect(400);
}

#[test]
fn no_field_of_no_role_grants_root() {
    let vault = with_approle();
    for name in ["root", "ROOT", " root ", "Root"] {
        for field in ["policies", "token_policies"] {
            for value in [json!([name]), json!(format!("a,{name}"))] {
                let body = json!({ field: value });
                let made = vault.root("POST", "auth/approle/role/r", body.clone());
                assert_eq!(made.status, 400, "{body}: {}", made.text);
            }
        }
    }
    let id = role(&vault, "r", json!({"token_policies": "a"}));
    for body in [
        json!({"policies": "root"}),
        json!({"token_policies": ["root"]}),
    ] {
        vault
            .root("POST", "auth/approle/role/r/policies", body)
            .expect(400);
    }
    let (secret, _) = secret_id(&vault, "r", json!({}));
    let login = login(&vault, &id, &secret).expect(200);
    assert_eq!(login.body["auth"]["policies"], json!(["a", "default"]));
    for field in ["allowed_policies", "policies"] {
        let made = vault.root(
            "POST",
            "sys/policies/acl/root",
            json!({ field: "path \"*\" {}" }),
        );
        assert_eq!(made.status, 400);
    }
    let written = vault.root(
        "POST",
        "auth/token/roles/r",
        json!({"allowed_policies": ["root"]}),
    );
    if written.status == 204 {
        let child = token_with(
            &vault,
            "maker",
            r#"path "auth/token/create/r" { capabilities = ["update", "sudo"] }"#,
        );
        let made = vault.call(
            "POST",
            "auth/token/create/r",
            Some(&child),
            Some(&json!({"policies": ["root"]})),
        );
        assert_eq!(made.status, 400, "{}", made.text);
    }
}

#[test]
fn role_names_are_one_whatever_their_case() {
    let vault = with_approle();
    let id = role(&vault, "Web", json!({}));
    let same = vault
        .root("GET", "auth/approle/role/web/role-id", Value::Null)
        .expect(200);
    assert_eq!(same.data()["role_id"], json!(id));
    let listed = vault
        .root("LIST", "auth/approle/role", Value::Null)
        .expect(200);
    assert_eq!(listed.data()["keys"], json!(["web"]));
    vault
        .root("DELETE", "auth/approle/role/WEB", Value::Null)
        .expect(204);
    vault
        .root("GET", "auth/approle/role/web", Value::Null)
        .expect(404);
}

#[test]
fn the_secret_ids_of_a_deleted_role_are_dead_even_if_it_comes_back() {
    let vault = with_approle();
    let id = role(&vault, "web", json!({"role_id": "chosen"}));
    assert_eq!(id, "chosen");
    let (secret, _) = secret_id(&vault, "web", json!({}));
    vault
        .root("DELETE", "auth/approle/role/web", Value::Null)
        .expect(204);
    login(&vault, &id, &secret).expect(400);
    role(&vault, "web", json!({"role_id": "chosen"}));
    login(&vault, &id, &secret).expect(400);
}

#[test]
fn cve_2020_7220_disabling_the_method_revokes_what_it_issued() {
    let vault = with_approle();
    let id = role(&vault, "web", json!({}));
    let (secret, _) = secret_id(&vault, "web", json!({}));
    let token = text(&login(&vault, &id, &secret).expect(200).body["auth"]["client_token"]);
    vault
        .root("DELETE", "sys/auth/approle", Value::Null)
        .expect(204);
    vault
        .call("GET", "auth/token/lookup-self", Some(&token), None)
        .expect(403);
    login(&vault, &id, &secret).expect(403);
}

#[test]
fn wrong_secret_ids_lock_a_role_as_the_mount_says_and_a_restart_keeps_it() {
    let mut vault = crate::setup::durable();
    vault
        .root("POST", "sys/auth/approle", json!({"type": "approle"}))
        .expect(204);
    let (web, other) = (
        role(&vault, "Web", json!({})),
        role(&vault, "other", json!({})),
    );
    let (secret, _) = secret_id(&vault, "Web", json!({}));
    let (others, _) = secret_id(&vault, "other", json!({}));
    for _ in 0..5 {
        login(&vault, &web, "wrong").expect(400);
    }
    assert_eq!(
        login(&vault, &web, &secret).expect(403).errors(),
        "permission denied"
    );
    login(&vault, &other, &others).expect(200);
    // A role id that nobody has is not counted: there is nothing to protect, and no end of them.
    for _ in 0..8 {
        login(&vault, "nobody", "wrong").expect(400);
    }
    vault.restart_unsealed();
    login(&vault, &web, &secret).expect(403);
    let shown = vault
        .root("GET", "sys/locked-users", Value::Null)
        .expect(200);
    let mount = &shown.data()["by_namespace"][0]["mount_accessors"][0];
    assert_eq!(mount["alias_identifiers"], json!([web]));
    let accessor = text(&mount["mount_accessor"]);
    let unlock = format!("sys/locked-users/{accessor}/unlock/{web}");
    vault.root("POST", &unlock, json!({})).expect(204);
    login(&vault, &web, &secret).expect(200);
    // A success forgets the failures before it.
    for _ in 0..3 {
        for _ in 0..4 {
            login(&vault, &web, "wrong").expect(400);
        }
        login(&vault, &web, &secret).expect(200);
    }
    let off = json!({"user_lockout_config": {"lockout_disable": true}});
    vault.root("POST", "sys/auth/approle/tune", off).expect(204);
    for _ in 0..12 {
        login(&vault, &web, "wrong").expect(400);
    }
    login(&vault, &web, &secret).expect(200);
}
