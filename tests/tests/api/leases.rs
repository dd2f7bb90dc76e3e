//! Leases of logins: looked up, listed, revoked one by one and by prefix.

use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::{Options, Vault};

use crate::setup::{quick, text, token, token_with};

/// Logs in through a new AppRole mount; the tokens with their lease ids.
fn logins(vault: &Vault, mount: &str, count: usize) -> Vec<(String, String)> {
    let under = |path: &str| format!("auth/{mount}/{path}");
    vault
        .root(
            "POST",
            &format!("sys/auth/{mount}"),
            json!({"type": "approle"}),
        )
        .expect(204);
    vault
        .root("POST", &under("role/r"), json!({"token_ttl": "1h"}))
        .expect(204);
    let role = vault.root("GET", &under("role/r/role-id"), Value::Null);
    let secret = vault.root("POST", &under("role/r/secret-id"), json!({}));
    let body = json!({
        "role_id": role.data()["role_id"],
        "secret_id": secret.data()["secret_id"],
    });
    let login = |_| {
        let auth = vault
            .call("POST", &under("login"), None, Some(&body))
            .expect(200);
        let accessor = text(&auth.body["auth"]["accessor"]);
        let lease = format!("auth/{mount}/login/h{accessor}");
        (text(&auth.body["auth"]["client_token"]), lease)
    };
    (0..count).map(login).collect()
}

fn lives(vault: &Vault, token: &str) -> bool {
    vault
        .call("GET", "auth/token/lookup-self", Some(token), None)
        .status
        == 200
}

#[test]
fn a_login_has_a_lease_that_can_be_looked_up_and_revoked() {
    let vault = quick();
    let made = logins(&vault, "approle", 2);
    let (secret, lease) = &made[0];
    for method in ["POST", "PUT"] {
        let found = vault
            .root(method, "sys/leases/lookup", json!({ "lease_id": lease }))
            .expect(200);
        assert_eq!(found.data()["id"], json!(lease));
        assert_eq!(found.data()["renewable"], json!(true));
        assert_eq!(found.data()["last_renewal"], Value::Null);
        assert!((3590..=3600).contains(&found.data()["ttl"].as_u64().unwrap()));
    }
    let listed = vault
        .root("LIST", "sys/leases/lookup/auth/approle/login", Value::Null)
        .expect(200);
    assert_eq!(listed.data()["keys"].as_array().unwrap().len(), 2);
    let top = vault
        .root("LIST", "sys/leases/lookup/auth", Value::Null)
        .expect(200);
    assert_eq!(top.data()["keys"], json!(["approle/"]));
    let counted = vault
        .root("GET", "sys/leases/count", Value::Null)
        .expect(200);
    assert_eq!(counted.data()["lease_count"], json!(2));
    assert_eq!(counted.data()["counts"], json!({"auth/approle/": 2}));

    let revoke = json!({ "lease_id": lease });
    vault
        .root("PUT", "sys/leases/revoke", revoke.clone())
        .expect(204);
    assert!(!lives(&vault, secret));
    assert!(lives(&vault, &made[1].0));
    let gone = vault
        .root("PUT", "sys/leases/lookup", revoke.clone())
        .expect(400);
    assert_eq!(gone.errors(), "invalid lease");
    // Again, and not waiting: nothing left to do.
    let again = json!({ "lease_id": lease, "sync": false });
    vault.root("PUT", "sys/leases/revoke", again).expect(202);
    vault
        .root("PUT", &format!("sys/revoke/{}", made[1].1), Value::Null)
        .expect(204);
    assert!(!lives(&vault, &made[1].0));
    vault
        .root("LIST", "sys/leases/lookup/auth/approle/login", Value::Null)
        .expect(404);
}

#[test]
fn tokens_are_not_renewed_as_leases_on_any_path() {
    let vault = quick();
    let lease = logins(&vault, "approle", 1).remove(0).1;
    for path in [
        "sys/leases/renew".to_owned(),
        "sys/renew".to_owned(),
        format!("sys/renew/{lease}"),
    ] {
        let refused = vault
            .root("PUT", &path, json!({ "lease_id": lease }))
            .expect(400);
        assert_eq!(
            refused.errors(),
            "tokens cannot be renewed through this endpoint",
            "{path}"
        );
        let unknown = vault.root("PUT", "sys/leases/renew", json!({"lease_id": "auth/x/h0"}));
        assert_eq!(unknown.expect(400).errors(), "lease not found");
    }
    let missing = vault
        .root("PUT", "sys/leases/lookup", json!({}))
        .expect(400);
    assert_eq!(missing.errors(), "lease_id must be specified");
}

#[test]
fn a_prefix_revokes_what_is_below_it_and_nothing_beside_it() {
    let vault = quick();
    let (here, there) = (logins(&vault, "app", 5), logins(&vault, "apple", 1));
    let child = {
        let body = json!({"ttl": "1h"});
        let made = vault.call("POST", "auth/token/create", Some(&here[0].0), Some(&body));
        // The role's tokens have only the default policy, which may not create.
        made.status
    };
    assert_eq!(child, 403);
    vault
        .root("PUT", "sys/leases/revoke-prefix/auth/app", Value::Null)
        .expect(204);
    assert!(here.iter().all(|(secret, _)| !lives(&vault, secret)));
    assert!(lives(&vault, &there[0].0));
    vault
        .root("PUT", "sys/revoke-force/auth/apple", Value::Null)
        .expect(204);
    assert!(!lives(&vault, &there[0].0));
    let direct = token(&vault, json!({"ttl": "1h"}));
    vault
        .root(
            "PUT",
            "sys/leases/revoke-prefix/auth/token",
            json!({"sync": false}),
        )
        .expect(202);
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        !lives(&vault, &direct)
    });
    assert!(gone, "what was queued was not done");
}

#[test]
fn a_child_of_a_revoked_lease_goes_with_it() {
    let vault = quick();
    let maker = token_with(
        &vault,
        "maker",
        r#"path "auth/token/create" { capabilities = ["update"] }"#,
    );
    let body = json!({"ttl": "1h"});
    let child = vault
        .call("POST", "auth/token/create", Some(&maker), Some(&body))
        .expect(200);
    let child = text(&child.body["auth"]["client_token"]);
    let own = vault.call(
        "POST",
        "auth/token/lookup",
        Some(&vault.root),
        Some(&json!({"token": maker})),
    );
    let lease = format!("auth/token/create/h{}", text(&own.data()["accessor"]));
    vault
        .root("PUT", "sys/leases/revoke", json!({ "lease_id": lease }))
        .expect(204);
    assert!(!lives(&vault, &maker) && !lives(&vault, &child));
}

/// Every alias asks the policies for its own path.
#[test]
fn cve_2026_40264_leases_of_others_are_out_of_reach_on_every_path() {
    let vault = quick();
    let (secret, lease) = logins(&vault, "approle", 1).remove(0);
    let stranger = token_with(
        &vault,
        "stranger",
        r#"path "kv/*" { capabilities = ["read"] }"#,
    );
    for path in [
        "revoke",
        "leases/revoke",
        "leases/renew",
        "renew",
        "leases/lookup",
        "leases/tidy",
    ] {
        let body = json!({ "lease_id": lease });
        vault
            .call("PUT", &format!("sys/{path}"), Some(&stranger), Some(&body))
            .expect(403);
    }
    for path in [
        "revoke",
        "leases/revoke",
        "revoke-prefix",
        "leases/revoke-prefix",
        "leases/revoke-force",
    ] {
        vault
            .call(
                "PUT",
                &format!("sys/{path}/{lease}"),
                Some(&stranger),
                Some(&json!({})),
            )
            .expect(403);
    }
    assert!(lives(&vault, &secret));
}

#[test]
fn leases_are_there_after_a_restart() {
    let mut vault = Vault::ready_with(Options::plain());
    let made = logins(&vault, "approle", 2);
    vault.restart_unsealed();
    vault
        .root("PUT", "sys/leases/lookup", json!({ "lease_id": made[0].1 }))
        .expect(200);
    vault
        .root(
            "PUT",
            "sys/leases/revoke-prefix/auth/approle",
            json!({"sync": true}),
        )
        .expect(204);
    assert!(made.iter().all(|(secret, _)| !lives(&vault, secret)));
}
