//! A server that unseals itself through another one's transit engine: two real servers, stopped,
//! killed and misconfigured.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::process::until;
use vault_tests::{Options, Vault};

const PATIENCE: Duration = Duration::from_secs(60);

/// The server with the transit key, and the token that may use it.
struct Keeper {
    vault: Vault,
    token: String,
    accessor: String,
}

impl Keeper {
    fn new() -> Keeper {
        let vault = Vault::ready_with(Options::plain());
        vault
            .root("POST", "sys/mounts/transit", json!({"type": "transit"}))
            .expect(204);
        for key in ["autounseal", "other"] {
            vault
                .root("POST", &format!("transit/keys/{key}"), json!({}))
                .expect(200);
        }
        let policy = r#"path "transit/+/autounseal" { capabilities = ["update"] }
                        path "transit/+/other" { capabilities = ["update"] }"#;
        vault
            .root("PUT", "sys/policies/acl/seal", json!({"policy": policy}))
            .expect(204);
        let (token, accessor) = token(&vault, "1h");
        Keeper {
            vault,
            token,
            accessor,
        }
    }

    fn seal(&self, key: &str) -> String {
        format!(
            "[seal]\ntype = \"transit\"\naddress = \"{}\"\ntoken = \"{}\"\nkey_name = \"{key}\"\n",
            self.vault.addr, self.token
        )
    }

    fn options(&self) -> Options {
        Options {
            toml: self.seal("autounseal"),
            ..Options::plain()
        }
    }
}

fn token(vault: &Vault, period: &str) -> (String, String) {
    let body = json!({"policies": ["seal"], "period": period, "no_parent": true});
    let answer = vault.root("POST", "auth/token/create", body).expect(200);
    let text = |name: &str| answer.body["auth"][name].as_str().unwrap().to_owned();
    (text("client_token"), text("accessor"))
}

fn status(vault: &Vault) -> Value {
    vault
        .call("GET", "sys/seal-status", None, None)
        .expect(200)
        .body
}

#[track_caller]
fn opens(vault: &Vault) {
    let open = until(PATIENCE, || {
        (status(vault)["sealed"] == json!(false)).then_some(())
    });
    assert!(open.is_some(), "{}", vault.log());
}

/// Starts it again and waits until it says anew why it stays sealed.
#[track_caller]
fn restarts_sealed(vault: &mut Vault, why: &str) {
    let times = |vault: &Vault| vault.log().matches(why).count();
    let before = times(vault);
    vault.restart();
    let said = until(PATIENCE, || (times(vault) > before).then_some(()));
    assert!(said.is_some(), "{}", vault.log());
    assert_eq!(status(vault)["sealed"], json!(true));
    vault.call("GET", "sys/health", None, None).expect(503);
}

/// Initialised with two of three recovery shares.
fn init(vault: &mut Vault) {
    let body = json!({"recovery_shares": 3, "recovery_threshold": 2});
    let answer = vault.call("PUT", "sys/init", None, Some(&body)).expect(200);
    assert_eq!(answer.body["keys"], json!([]));
    let keys = answer.body["recovery_keys"].as_array().unwrap().iter();
    vault.keys = keys.map(|key| key.as_str().unwrap().to_owned()).collect();
    assert_eq!(vault.keys.len(), 3);
    vault.root = answer.body["root_token"].as_str().unwrap().to_owned();
}

fn started(keeper: &Keeper) -> Vault {
    let mut vault = Vault::start(keeper.options());
    init(&mut vault);
    opens(&vault);
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    vault
        .root("POST", "kv/a", json!({"value": "1"}))
        .expect(204);
    vault
}

fn is_whole(vault: &Vault) {
    let answer = vault.root("GET", "kv/a", Value::Null).expect(200);
    assert_eq!(answer.data()["value"], json!("1"));
}

#[test]
fn it_unseals_itself_after_every_kind_of_stop() {
    let keeper = Keeper::new();
    let mut vault = Vault::start(keeper.options());
    assert_eq!(status(&vault)["type"], json!("transit"));
    let shamir = json!({"secret_shares": 1, "secret_threshold": 1});
    let refused = vault
        .call("PUT", "sys/init", None, Some(&shamir))
        .expect(400);
    assert!(
        refused.errors().contains("not applicable"),
        "{}",
        refused.text
    );
    init(&mut vault);
    opens(&vault);
    let shown = status(&vault);
    assert_eq!(
        (
            &shown["type"],
            &shown["recovery_seal"],
            &shown["n"],
            &shown["t"]
        ),
        (&json!("transit"), &json!(true), &json!(3), &json!(2))
    );
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    vault
        .root("POST", "kv/a", json!({"value": "1"}))
        .expect(204);
    vault.restart();
    opens(&vault);
    is_whole(&vault);
    vault.kill9();
    vault.restart();
    opens(&vault);
    is_whole(&vault);
    // Sealed by hand, it stays so until somebody wants it open.
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    vault.call("GET", "sys/health", None, None).expect(503);
    let opened = vault
        .audit()
        .into_iter()
        .filter(|entry| entry["type"] == "response" && entry["request"]["path"] == "sys/unseal");
    assert_eq!(opened.count(), 3);
    let files = std::fs::read(vault.data().join("vaultd.db")).unwrap();
    let text = String::from_utf8_lossy(&files).into_owned();
    assert!(!text.contains(&keeper.token) && !vault.log().contains(&keeper.token));
}

#[test]
fn it_waits_for_a_keeper_that_is_sealed_or_down() {
    let mut keeper = Keeper::new();
    let mut vault = started(&keeper);
    keeper
        .vault
        .root("PUT", "sys/seal", Value::Null)
        .expect(204);
    restarts_sealed(&mut vault, "the server is sealed");
    keeper.vault.unseal();
    opens(&vault);
    is_whole(&vault);

    keeper.vault.terminate();
    restarts_sealed(&mut vault, "cannot connect to");
    keeper.vault.restart_unsealed();
    opens(&vault);
    is_whole(&vault);
}

#[test]
fn a_revoked_token_or_a_wrong_key_keeps_it_sealed_and_recovery_shares_open_it() {
    let keeper = Keeper::new();
    let mut vault = started(&keeper);
    vault.terminate();
    let right = keeper.seal("autounseal");
    for (broken, why) in [
        (keeper.seal("other"), "not unsealed"),
        (
            right.replace(&keeper.token, "hvs.never"),
            "does not accept the token",
        ),
    ] {
        vault.reconfigure(&broken);
        restarts_sealed(&mut vault, why);
    }
    vault.reconfigure(&right);
    let body = json!({"accessor": keeper.accessor});
    keeper
        .vault
        .root("POST", "auth/token/revoke-accessor", body)
        .expect(204);
    restarts_sealed(&mut vault, "does not accept the token");
    vault.unseal();
    is_whole(&vault);
}

#[test]
fn its_token_is_renewed_while_it_runs() {
    let mut keeper = Keeper::new();
    (keeper.token, keeper.accessor) = token(&keeper.vault, "12s");
    let vault = started(&keeper);
    let lookup = |keeper: &Keeper| {
        let body = json!({"accessor": keeper.accessor});
        let path = "auth/token/lookup-accessor";
        keeper.vault.root("POST", path, body).status
    };
    // At the start, after 8 and after 16 seconds; without that it is gone after 12.
    let renewed = until(PATIENCE, || {
        let audit = keeper.vault.audit();
        let renewals = audit.iter().filter(|entry| {
            entry["type"] == "response" && entry["request"]["path"] == "auth/token/renew-self"
        });
        (renewals.count() >= 3).then_some(())
    });
    assert!(renewed.is_some(), "{}", vault.log());
    assert_eq!(lookup(&keeper), 200);
}

fn unseal(vault: &Vault, key: &str, migrate: bool) -> vault_tests::http::Answer {
    let body = json!({"key": key, "migrate": migrate});
    vault.call("PUT", "sys/unseal", None, Some(&body))
}

#[test]
fn shares_migrate_to_transit_and_back() {
    let keeper = Keeper::new();
    let mut vault = Vault::start(Options::plain());
    vault.init(3, 2);
    vault.unseal();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    vault
        .root("POST", "kv/a", json!({"value": "1"}))
        .expect(204);
    let keys = vault.keys.clone();

    vault.reconfigure(&keeper.seal("autounseal"));
    vault.restart();
    assert_eq!(status(&vault)["migration"], json!(true));
    let refused = unseal(&vault, &keys[0], false).expect(400);
    assert!(refused.errors().contains("migrate option not provided"));
    unseal(&vault, &keys[0], true).expect(200);
    let done = unseal(&vault, &keys[1], true).expect(200);
    assert_eq!(done.body["sealed"], json!(false));
    assert_eq!(done.body["migration"], json!(false));
    vault.restart();
    opens(&vault);
    is_whole(&vault);

    vault.reconfigure("");
    vault.restart();
    assert_eq!(status(&vault)["migration"], json!(true));
    unseal(&vault, &keys[2], true).expect(200);
    unseal(&vault, &keys[0], true).expect(200);
    is_whole(&vault);
    vault.restart_unsealed();
    is_whole(&vault);
    assert_eq!(status(&vault)["type"], json!("shamir"));
    let nothing = vault.root("PUT", "sys/seal", Value::Null).status;
    assert_eq!(nothing, 204);
    unseal(&vault, &keys[0], true).expect(400);
}

#[test]
fn recovery_shares_are_renewed_and_make_a_root_token() {
    let keeper = Keeper::new();
    let mut vault = started(&keeper);
    let body = json!({"secret_shares": 1, "secret_threshold": 1});
    let other = vault
        .root("POST", "sys/rekey/init", body.clone())
        .expect(400);
    assert!(other.errors().contains("rekey-recovery-key"));
    let begun = vault
        .root("POST", "sys/rekey-recovery-key/init", body)
        .expect(200);
    let nonce = begun.body["nonce"].as_str().unwrap().to_owned();
    let give = |key: &String| {
        let body = json!({"key": key, "nonce": nonce});
        vault.root("POST", "sys/rekey-recovery-key/update", body)
    };
    // The new root key has to be sealed under the other server's too.
    keeper
        .vault
        .root("PUT", "sys/seal", Value::Null)
        .expect(204);
    give(&vault.keys[0]).expect(200);
    let refused = give(&vault.keys[1]).expect(400);
    assert!(
        refused.errors().contains("does not encrypt"),
        "{}",
        refused.text
    );
    keeper.vault.unseal();
    give(&vault.keys[0]).expect(200);
    let answer = give(&vault.keys[2]).expect(200);
    assert_eq!(answer.body["complete"], json!(true));
    vault.keys = vec![answer.body["keys"][0].as_str().unwrap().to_owned()];
    let begun = vault
        .root("POST", "sys/generate-root/attempt", json!({}))
        .expect(200);
    let body = json!({"key": vault.keys[0], "nonce": begun.body["nonce"]});
    let made = vault
        .root("POST", "sys/generate-root/update", body)
        .expect(200);
    assert_eq!(made.body["complete"], json!(true));
    // The other way goes on, with the new root key.
    vault.restart();
    opens(&vault);
    is_whole(&vault);
}
