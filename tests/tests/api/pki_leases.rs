//! Leases of certificates, and roles that are about who asks.

use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::process::until;
use vault_tests::{Answer, Vault};

struct Site {
    vault: Vault,
}

impl Site {
    /// A root, and a role `leased` that gives leases.
    fn new() -> Site {
        let vault = Vault::ready();
        vault
            .root("POST", "sys/mounts/pki", json!({"type": "pki"}))
            .expect(204);
        let root = json!({"common_name": "root", "key_type": "ec"});
        vault
            .root("POST", "pki/root/generate/internal", root)
            .expect(200);
        let site = Site { vault };
        site.role("leased", json!({"generate_lease": true}));
        site
    }

    fn role(&self, name: &str, mut fields: Value) -> Answer {
        for (field, value) in [
            ("key_type", json!("ec")),
            ("allow_any_name", json!(true)),
            ("ttl", json!("1h")),
        ] {
            if fields[field].is_null() {
                fields[field] = value;
            }
        }
        self.vault
            .root("POST", &format!("pki/roles/{name}"), fields)
            .expect(200)
    }

    fn issue(&self, token: &str, role: &str) -> Answer {
        let body = json!({"common_name": "a.example.com"});
        self.vault.call(
            "POST",
            &format!("pki/issue/{role}"),
            Some(token),
            Some(&body),
        )
    }

    /// Lease and serial number.
    fn leased(&self, token: &str) -> (String, String) {
        let made = self.issue(token, "leased").expect(200);
        let lease = made.body["lease_id"].as_str().unwrap().to_owned();
        assert!(lease.starts_with("pki/issue/leased/"), "{lease:?}");
        (
            lease,
            made.data()["serial_number"].as_str().unwrap().to_owned(),
        )
    }

    fn is_revoked(&self, serial: &str) -> bool {
        let path = format!("pki/cert/{serial}");
        let read = self.vault.root("GET", &path, json!(null)).expect(200);
        read.data()["revocation_time"] != 0
    }

    fn lookup(&self, lease: &str) -> Answer {
        self.vault
            .root("POST", "sys/leases/lookup", json!({"lease_id": lease}))
    }
}

/// A service token that may issue.
fn token(site: &Site, body: Value) -> String {
    let policy = json!({"policy": r#"path "pki/issue/*" { capabilities = ["update"] }"#});
    site.vault
        .root("POST", "sys/policies/acl/issue", policy)
        .expect(204);
    let mut asked = json!({"policies": ["issue"]});
    asked
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    let made = site
        .vault
        .root("POST", "auth/token/create", asked)
        .expect(200);
    made.body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_certificate_ends_with_its_lease() {
    let site = Site::new();
    let (lease, serial) = site.leased(&site.vault.root);
    let known = site.lookup(&lease).expect(200);
    assert_eq!(known.data()["renewable"], false);
    let ttl = known.data()["ttl"].as_u64().unwrap();
    assert!((3500..=3600).contains(&ttl), "{ttl}");
    let renewed = site
        .vault
        .root("POST", "sys/leases/renew", json!({"lease_id": lease}));
    assert!(renewed.expect(400).errors().contains("not renewable"));
    let listed = site
        .vault
        .root("LIST", "sys/leases/lookup/pki/issue/leased", json!(null));
    let name = lease.rsplit_once('/').unwrap().1;
    assert_eq!(listed.expect(200).data()["keys"], json!([name]));
    assert!(!site.is_revoked(&serial));

    let body = json!({"lease_id": lease});
    site.vault
        .root("POST", "sys/leases/revoke", body.clone())
        .expect(204);
    assert!(site.is_revoked(&serial));
    site.lookup(&lease).expect(400);
    // Unknown is fine, and so is twice.
    site.vault
        .root("POST", "sys/leases/revoke", body)
        .expect(204);
}

#[test]
fn leases_below_a_path_end_together_and_with_the_mount() {
    let site = Site::new();
    let root = site.vault.root.clone();
    let made: Vec<(String, String)> = (0..5).map(|_| site.leased(&root)).collect();
    site.vault
        .root("POST", "sys/leases/revoke-prefix/pki/issue", json!({}))
        .expect(204);
    assert!(made.iter().all(|(_, serial)| site.is_revoked(serial)));
    assert!(
        made.iter()
            .all(|(lease, _)| site.lookup(lease).status == 400)
    );

    let (lease, serial) = site.leased(&root);
    // The whole id is a prefix too.
    let path = format!("sys/leases/revoke-force/{lease}");
    site.vault.root("POST", &path, json!({})).expect(204);
    assert!(site.is_revoked(&serial));

    let (lease, _) = site.leased(&root);
    site.vault
        .root("DELETE", "sys/mounts/pki", json!(null))
        .expect(204);
    site.lookup(&lease).expect(400);
    site.vault
        .root("LIST", "sys/leases/lookup/pki", json!(null))
        .expect(404);
}

#[test]
fn certificates_end_with_the_token_that_asked() {
    let site = Site::new();
    let (revoked, expiring) = (token(&site, json!({})), token(&site, json!({"ttl": "2s"})));
    let once = token(&site, json!({"num_uses": 1}));
    let (_, of_revoked) = site.leased(&revoked);
    let (_, of_expiring) = site.leased(&expiring);
    let (_, of_once) = site.leased(&once);
    assert!(site.is_revoked(&of_once), "its token is used up");
    assert!(!site.is_revoked(&of_revoked));
    site.vault
        .call("POST", "auth/token/revoke-self", Some(&revoked), None)
        .expect(204);
    assert!(site.is_revoked(&of_revoked));
    let gone = until(Duration::from_secs(20), || {
        site.is_revoked(&of_expiring).then_some(())
    });
    assert!(
        gone.is_some(),
        "the token has ended, its certificate has not"
    );
}

#[test]
fn cve_2020_25816_a_lease_of_a_batch_token_ends_with_it() {
    let site = Site::new();
    let batch = token(&site, json!({"type": "batch", "ttl": "2s"}));
    let (lease, serial) = site.leased(&batch);
    let ttl = site.lookup(&lease).expect(200).data()["ttl"]
        .as_u64()
        .unwrap();
    assert!(ttl <= 2, "{ttl}");
    let gone = until(Duration::from_secs(20), || {
        site.is_revoked(&serial).then_some(())
    });
    assert!(gone.is_some());
}

#[test]
fn leases_survive_a_restart_and_end_after_it() {
    let mut site = Site::new();
    let short = token(&site, json!({"ttl": "3s"}));
    let (lease, serial) = site.leased(&short);
    site.vault.kill9();
    site.vault.restart_unsealed();
    let gone = until(Duration::from_secs(20), || {
        site.is_revoked(&serial).then_some(())
    });
    assert!(gone.is_some());
    site.lookup(&lease).expect(400);
}

#[test]
fn a_budget_counts_leases_of_certificates() {
    let site = Site::new();
    let quota = json!({"path": "pki/issue/leased", "max_leases": 2});
    site.vault
        .root("POST", "sys/quotas/lease-count/few", quota)
        .expect(204);
    let root = site.vault.root.clone();
    let (lease, _) = site.leased(&root);
    site.leased(&root);
    assert_eq!(site.issue(&root, "leased").status, 429);
    site.vault
        .root("POST", "sys/leases/revoke", json!({"lease_id": lease}))
        .expect(204);
    let again = until(Duration::from_secs(20), || {
        (site.issue(&root, "leased").status == 200).then_some(())
    });
    assert!(again.is_some());
}

#[test]
fn what_is_not_stored_has_no_lease() {
    let site = Site::new();
    let made = site.role(
        "unstored",
        json!({"generate_lease": true, "no_store": true}),
    );
    assert_eq!(made.data()["generate_lease"], false);
    assert!(
        made.body["warnings"].to_string().contains("no_store"),
        "{}",
        made.text
    );
    let issued = site.issue(&site.vault.root, "unstored").expect(200);
    assert_eq!(issued.body["lease_id"], "");
    // And without the flag there is none either.
    site.role("plain", json!({}));
    assert_eq!(
        site.issue(&site.vault.root, "plain").expect(200).body["lease_id"],
        ""
    );
}

#[test]
fn a_role_from_templates_is_about_who_asks() {
    let site = Site::new();
    let vault = &site.vault;
    vault
        .root("POST", "sys/auth/userpass", json!({"type": "userpass"}))
        .expect(204);
    let policy = json!({"policy": r#"path "pki/issue/*" { capabilities = ["update"] }"#});
    vault
        .root("POST", "sys/policies/acl/issue", policy)
        .expect(204);
    let login = |user: &str, team: &str| {
        let body = json!({"password": "pass-word-1", "token_policies": ["issue"]});
        vault
            .root("POST", &format!("auth/userpass/users/{user}"), body)
            .expect(204);
        let path = format!("auth/userpass/login/{user}");
        let auth = vault
            .call(
                "POST",
                &path,
                None,
                Some(&json!({"password": "pass-word-1"})),
            )
            .expect(200);
        let entity = auth.body["auth"]["entity_id"].as_str().unwrap().to_owned();
        let body = json!({"metadata": {"team": team}});
        vault.root("POST", &format!("identity/entity/id/{entity}"), body);
        auth.body["auth"]["client_token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    site.role(
        "own",
        json!({
            "allow_any_name": false,
            "allow_subdomains": true,
            "allow_glob_domains": true,
            "allowed_domains": ["{{identity.entity.metadata.team}}.example.com"],
            "allowed_domains_template": true,
            "allowed_uri_sans": ["spiffe://example.com/{{identity.entity.metadata.team}}/*"],
            "allowed_uri_sans_template": true,
        }),
    );
    let ask = |token: &str, name: &str, uri: &str| {
        let body = json!({"common_name": name, "uri_sans": uri});
        vault.call("POST", "pki/issue/own", Some(token), Some(&body))
    };
    let (ada, bob) = (login("ada", "red"), login("bob", "blue"));
    ask(&ada, "x.red.example.com", "spiffe://example.com/red/x").expect(200);
    ask(&bob, "x.blue.example.com", "").expect(200);
    ask(&bob, "x.red.example.com", "").expect(400);
    ask(&bob, "x.blue.example.com", "spiffe://example.com/red/x").expect(400);
    // Without an entity, or with a value that would be more than a piece of one name: nothing is allowed.
    ask(&vault.root, "x.red.example.com", "").expect(400);
    ask(&vault.root, "x..example.com", "").expect(400);
    for odd in ["*", "", "a/b", "red.example.com,evil"] {
        let eve = login("eve", odd);
        for name in ["x.red.example.com", "a.example.com", "x.evil.example.com"] {
            ask(&eve, name, "").expect(400);
        }
        ask(&eve, "", "spiffe://example.com/red/x").expect(400);
    }
    let unclosed =
        json!({"allowed_domains": ["{{identity.entity.name"], "allowed_domains_template": true});
    vault.root("POST", "pki/roles/odd", unclosed).expect(400);
}
