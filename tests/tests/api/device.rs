//! Logins with a browser on another machine: what the client is told, what it may ask, and who else
//! gets nothing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_tests::issuer::Issuer;
use vault_tests::process::program;
use vault_tests::{Answer, Vault};

use crate::oidc::{auth_url, back, claims, get, mounted, refused};
use crate::setup::{text, together, with_status};

/// Like [`mounted`], and the role's browser is elsewhere.
fn with_device(issuer: &Issuer) -> Vault {
    let vault = mounted(issuer);
    let role = json!({"user_claim": "sub", "callback_mode": "device", "token_policies": "app"});
    vault.root("POST", "auth/oidc/role/tv", role).expect(204);
    vault
}

fn begin(vault: &Vault, body: Value) -> Answer {
    vault.call("POST", "auth/oidc/oidc/auth_url", None, Some(&body))
}

fn begun(vault: &Vault) -> Value {
    let body = json!({"role": "tv", "client_nonce": "mine"});
    begin(vault, body).expect(200).data().clone()
}

fn poll(vault: &Vault, begun: &Value, nonce: &str) -> Answer {
    let body = json!({"state": begun["state"], "client_nonce": nonce});
    vault.call("POST", "auth/oidc/oidc/poll", None, Some(&body))
}

#[test]
fn a_person_agrees_elsewhere_and_the_client_is_logged_in_once() {
    let (issuer, _) = Issuer::start();
    let vault = with_device(&issuer);
    let begun = begun(&vault);
    assert_eq!(
        begun["auth_url"],
        json!(format!("{}/activate", issuer.url()))
    );
    assert_eq!(begun["poll_interval"], "1");
    let code = text(&begun["user_code"]);
    assert_eq!(
        poll(&vault, &begun, "mine").expect(400).errors(),
        "authorization_pending"
    );
    issuer.put_off(&code, "slow_down");
    assert_eq!(
        poll(&vault, &begun, "mine").expect(400).errors(),
        "slow_down"
    );
    issuer.agree(&code, claims(&issuer));
    // Who saw the state does not have the nonce.
    for nonce in ["", "yours"] {
        refused(&poll(&vault, &begun, nonce), "invalid client_nonce");
    }
    let auth = poll(&vault, &begun, "mine").expect(200).body["auth"].clone();
    assert_eq!(auth["policies"], json!(["app", "default"]));
    assert_eq!(auth["metadata"], json!({"role": "tv"}));
    refused(
        &poll(&vault, &begun, "mine"),
        "Expired or missing OAuth state.",
    );
}

#[test]
fn a_replayed_poll_is_refused_also_when_all_come_at_once() {
    let (issuer, _) = Issuer::start();
    let vault = with_device(&issuer);
    let begun = begun(&vault);
    issuer.agree(&text(&begun["user_code"]), claims(&issuer));
    let answers = together(8, |_| poll(&vault, &begun, "mine"));
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 400), 7);
}

#[test]
fn who_does_not_agree_or_is_somebody_else_is_not_logged_in() {
    let (issuer, _) = Issuer::start();
    let vault = with_device(&issuer);
    let denied = begun(&vault);
    issuer.deny(&text(&denied["user_code"]));
    refused(
        &poll(&vault, &denied, "mine"),
        "authorization failed: access_denied",
    );
    refused(
        &poll(&vault, &denied, "mine"),
        "authorization failed: expired_token",
    );
    for (change, why) in [
        (json!({"aud": "elsewhere"}), "(aud) claim"),
        (json!({"iss": "https://elsewhere.example"}), "(iss) claim"),
        (json!({"exp": 1}), "(exp) claim"),
    ] {
        let begun = begun(&vault);
        let mut all = claims(&issuer);
        all.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        issuer.agree(&text(&begun["user_code"]), all);
        refused(&poll(&vault, &begun, "mine"), why);
    }
}

#[test]
fn a_device_and_a_browser_do_not_finish_each_others_logins() {
    let (issuer, _) = Issuer::start();
    let vault = with_device(&issuer);
    let url = auth_url(&vault, json!({"client_nonce": "mine"}));
    let browser = json!({"state": get(&url, "state")});
    refused(&poll(&vault, &browser, "mine"), "begun in a browser");
    let begun = begun(&vault);
    issuer.agree(&text(&begun["user_code"]), claims(&issuer));
    let state = text(&begun["state"]);
    refused(
        &back(&vault, &state, "code", "&client_nonce=mine"),
        "begun on a device",
    );
    refused(
        &begin(&vault, json!({"role": "tv"})),
        "missing client_nonce",
    );
    for odd in ["", "x.y", &format!("x{state}")] {
        refused(
            &poll(&vault, &json!({"state": odd}), "mine"),
            "Expired or missing OAuth state.",
        );
    }
    let direct = json!({"user_claim": "sub", "callback_mode": "direct"});
    let refused = vault.root("POST", "auth/oidc/role/odd", direct).expect(400);
    assert!(refused.errors().contains("invalid 'callback_mode'"));
}

/// `vaultctl login` with these arguments, until the person at the issuer has answered.
fn command_line(
    issuer: &Issuer,
    vault: &Vault,
    arguments: &[&str],
    agrees: bool,
) -> (bool, String) {
    let home = tempfile::tempdir().unwrap();
    let child = Command::new(program("vaultctl"))
        .args(["login", "--method", "oidc"])
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("VAULT_ADDR", &vault.addr)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let code = loop {
        if let Some(code) = issuer.waiting().pop() {
            break code;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nobody asked");
        std::thread::sleep(Duration::from_millis(20));
    };
    match agrees {
        true => issuer.agree(&code, claims(issuer)),
        false => issuer.deny(&code),
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains(&code) && said.contains("/activate"), "{said}");
    assert_eq!(home.path().join(".vault-token").exists(), agrees);
    (output.status.success(), said)
}

#[test]
fn the_command_line_logs_in_without_a_browser() {
    let (issuer, _) = Issuer::start();
    let vault = with_device(&issuer);
    // The server says that the role's browser is elsewhere, whether it was asked for or not.
    for arguments in [
        &["--device", "role=tv"][..],
        &["role=tv", "callbackmode=device"],
        &["role=tv", "port=0"],
    ] {
        let (done, said) = command_line(&issuer, &vault, arguments, true);
        assert!(done && said.contains("You are now authenticated"), "{said}");
    }
    let (done, said) = command_line(&issuer, &vault, &["--device", "role=tv"], false);
    assert!(!done && said.contains("access_denied"), "{said}");
}
