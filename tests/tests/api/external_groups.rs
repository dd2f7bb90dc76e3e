//! Groups that a login brings along: an external group gives its policies to whom the issuer counts
//! in, from one login to the next.

use serde_json::{Value, json};
use vault_tests::Vault;
use vault_tests::issuer::{Issuer, Signer};

use crate::jwt::{login, mounted, role, with};
use crate::oidc;
use crate::setup::{policy, text};

fn accessor(vault: &Vault, mount: &str) -> String {
    let mounts = vault.root("GET", "sys/auth", Value::Null).expect(200);
    text(&mounts.data()[format!("{mount}/")]["accessor"])
}

/// A policy for `kv/NAME`, and an external group with it that the mount knows as `alias`.
fn external(vault: &Vault, mount: &str, name: &str, alias: &str) -> (String, String) {
    let rule = format!("path \"kv/{name}\" {{ capabilities = [\"read\"] }}");
    policy(vault, name, &rule);
    let group = json!({"name": name, "type": "external", "policies": [name]});
    let group = vault.root("POST", "identity/group", group).expect(200);
    let group = text(&group.data()["id"]);
    let alias =
        json!({"name": alias, "mount_accessor": accessor(vault, mount), "canonical_id": group});
    let alias = vault
        .root("POST", "identity/group-alias", alias)
        .expect(200);
    (group, text(&alias.data()["id"]))
}

/// The status of a read of `kv/NAME`; an allowed one finds nothing.
fn read(vault: &Vault, token: &str, name: &str) -> u16 {
    let answer = vault.call("GET", &format!("kv/{name}"), Some(token), None);
    answer.status
}

struct Bed {
    issuer: Issuer,
    signer: std::sync::Arc<Signer>,
    vault: Vault,
}

impl Bed {
    fn new() -> Bed {
        let (issuer, signer) = Issuer::start();
        let vault = mounted(&issuer);
        vault
            .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
            .expect(204);
        policy(
            &vault,
            "app",
            r#"path "kv/app" { capabilities = ["read"] }"#,
        );
        role(&vault, json!({"groups_claim": "/team/groups"}));
        Bed {
            issuer,
            signer,
            vault,
        }
    }

    /// The `auth` block of a login.
    fn log_in(&self, who: &str, groups: Value) -> Value {
        let claims = with(
            &self.issuer,
            json!({"sub": who, "team": {"groups": groups}}),
        );
        let answer = login(&self.vault, &self.signer.token(&claims));
        answer.expect(200).body["auth"].clone()
    }
}

#[test]
fn a_group_of_the_issuer_gives_its_policies_until_a_login_without_it() {
    let bed = Bed::new();
    let vault = &bed.vault;
    let (ops, _) = external(vault, "jwt", "ops", "team-ops");
    external(vault, "jwt", "db", "team-db");

    let auth = bed.log_in("ada", json!(["team-ops", "unknown to us"]));
    assert_eq!(auth["policies"], json!(["app", "default", "ops"]));
    assert_eq!(auth["token_policies"], json!(["app", "default"]));
    assert_eq!(auth["identity_policies"], json!(["ops"]));
    let first = text(&auth["client_token"]);
    assert_eq!(
        (read(vault, &first, "ops"), read(vault, &first, "db")),
        (404, 403)
    );
    let shown = vault
        .root("GET", &format!("identity/group/id/{ops}"), Value::Null)
        .expect(200);
    assert_eq!(
        shown.data()["member_entity_ids"],
        json!([auth["entity_id"]])
    );

    // Others neither gain nor take away.
    let bob = text(&bed.log_in("bob", json!([]))["client_token"]);
    assert_eq!(
        (read(vault, &bob, "ops"), read(vault, &bob, "app")),
        (403, 404)
    );
    // A renewal asks nobody, and what was said at the login holds.
    let renew = |token: &str| {
        let answer = vault.call("POST", "auth/token/renew-self", Some(token), None);
        answer.expect(200).body["auth"]["policies"].clone()
    };
    assert_eq!(renew(&first), json!(["app", "default", "ops"]));
    assert_eq!(read(vault, &first, "ops"), 404);

    // A single name is a list of one; the next login replaces what the last one said, for the tokens
    // of before too.
    let auth = bed.log_in("ada", json!("team-db"));
    assert_eq!(auth["identity_policies"], json!(["db"]));
    let second = text(&auth["client_token"]);
    for token in [&first, &second] {
        assert_eq!(
            (read(vault, token, "ops"), read(vault, token, "db")),
            (403, 404)
        );
    }
    assert_eq!(renew(&first), json!(["app", "db", "default"]));
    let auth = bed.log_in("ada", json!([]));
    assert_eq!(auth["identity_policies"], Value::Null);
    for token in [&first, &second] {
        assert_eq!(
            [
                read(vault, token, "ops"),
                read(vault, token, "db"),
                read(vault, token, "app")
            ],
            [403, 403, 404]
        );
    }
    // Who had left is counted in again.
    assert_eq!(
        bed.log_in("ada", json!(["team-ops"]))["identity_policies"],
        json!(["ops"])
    );
}

#[test]
fn a_group_is_known_by_its_mount_and_exact_name_only() {
    let bed = Bed::new();
    let vault = &bed.vault;
    vault
        .root("POST", "sys/auth/other", json!({"type": "jwt"}))
        .expect(204);
    external(vault, "other", "elsewhere", "team-ops");
    external(vault, "jwt", "exact", "Team-Ops");
    let (group, alias) = external(vault, "jwt", "ops", "team-ops");
    // The group's own name and id are not what the issuer says.
    for said in [json!(["ops"]), json!([group]), json!(["TEAM-OPS"])] {
        let auth = bed.log_in("ada", said);
        assert_eq!(auth["identity_policies"], Value::Null);
    }
    let auth = bed.log_in("ada", json!(["team-ops"]));
    assert_eq!(auth["identity_policies"], json!(["ops"]));
    let token = text(&auth["client_token"]);

    // What the group is in counts as well, and ends with either of both.
    policy(vault, "org", r#"path "kv/org" { capabilities = ["read"] }"#);
    let org = json!({"name": "org", "policies": ["org"], "member_group_ids": [group]});
    vault.root("POST", "identity/group", org).expect(200);
    assert_eq!(
        (read(vault, &token, "ops"), read(vault, &token, "org")),
        (404, 404)
    );
    let alias = format!("identity/group-alias/id/{alias}");
    vault.root("DELETE", &alias, Value::Null).expect(204);
    assert_eq!(
        (read(vault, &token, "ops"), read(vault, &token, "org")),
        (403, 403)
    );
}

#[test]
fn a_role_without_groups_claim_counts_nobody_in() {
    let bed = Bed::new();
    let vault = &bed.vault;
    external(vault, "jwt", "ops", "team-ops");
    let before = text(&bed.log_in("ada", json!(["team-ops"]))["client_token"]);
    assert_eq!(read(vault, &before, "ops"), 404);
    role(vault, json!({}));
    let auth = bed.log_in("ada", json!(["team-ops"]));
    assert_eq!(auth["identity_policies"], Value::Null);
    assert_eq!(read(vault, &before, "ops"), 403);
}

#[test]
fn a_browser_login_brings_the_groups_of_the_id_token_and_of_the_user_info() {
    let (issuer, _) = Issuer::start();
    let vault = oidc::mounted(&issuer);
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    policy(
        &vault,
        "app",
        r#"path "kv/app" { capabilities = ["read"] }"#,
    );
    let role = json!({"groups_claim": "groups"});
    vault.root("POST", "auth/oidc/role/app", role).expect(204);
    external(&vault, "oidc", "ops", "team-ops");
    let log_in = |more: Value| {
        let url = oidc::auth_url(&vault, json!({}));
        let mut claims = oidc::claims(&issuer);
        let more = more.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        let code = issuer.log_in(&url, claims);
        let state = oidc::get(&url, "state");
        oidc::back(&vault, &state, &code, "")
    };
    let auth = log_in(json!({"groups": ["team-ops"]})).expect(200).body["auth"].clone();
    assert_eq!(auth["identity_policies"], json!(["ops"]));
    let token = text(&auth["client_token"]);
    assert_eq!(read(&vault, &token, "ops"), 404);
    let missing = log_in(json!({})).expect(400);
    assert!(
        missing
            .errors()
            .contains("\"groups\" claim not found in token")
    );
    assert_eq!(
        read(&vault, &token, "ops"),
        404,
        "a refused login changes nothing"
    );
    issuer.set_user_info(json!({"sub": "ada", "groups": []}));
    log_in(json!({})).expect(200);
    assert_eq!(read(&vault, &token, "ops"), 403);
    issuer.set_user_info(json!({"sub": "ada", "groups": ["team-ops"]}));
    log_in(json!({})).expect(200);
    assert_eq!(read(&vault, &token, "ops"), 404);
}
