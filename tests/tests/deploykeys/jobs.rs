//! A job of vaultctl's whose key never leaves the server, through a rotation.

use std::process::Output;

use serde_json::json;
use vault_tests::Vaultctl;
use vault_tests::forge::{Dialect, Forge};

use crate::site::{Site, said};

const RULES: &str = r#"
path "sshkeys/lookup" { capabilities = ["read"] }
path "sshkeys/sign/k" { capabilities = ["update"] }
"#;

#[test]
fn a_job_that_has_its_logins_signed_notices_nothing() {
    let (site, forge) = (
        Site::new(),
        Forge::start(Dialect::Github, &["a/one", "a/two"]),
    );
    site.know(&forge);
    site.deploy_key("k", &forge, "a/one");
    site.ready("k", 1);
    let policy = json!({ "policy": RULES });
    site.vault
        .root("POST", "sys/policies/acl/job", policy)
        .expect(204);
    let body = json!({"policies": ["job"], "display_name": "job"});
    let token = site
        .vault
        .root("POST", "auth/token/create", body)
        .expect(200);
    let token = token.body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let home = tempfile::tempdir().unwrap();
    let ca = site.vault.ca().display().to_string();
    let vaultctl = Vaultctl::new(home.path(), &site.vault.addr)
        .env("VAULT_CACERT", &ca)
        .env("VAULT_TOKEN", &token)
        .env("XDG_RUNTIME_DIR", &home.path().display().to_string());
    let git = |words: &[&str]| -> Output {
        let job = ["ci", "ssh", "--key", "k", "--", "git"];
        vaultctl.command(&[&job, words].concat()).output().unwrap()
    };
    let pulls = |done: Output| assert!(done.status.success(), "{}", said(&done));
    pulls(git(&["clone", "-q", &forge.address("a/one"), "tree"]));
    let status = site.status("k");
    assert_eq!(status["readers"][0]["name"], "token-job", "{status}");

    site.write("keys/k/rotate", json!({}));
    let mut pulled = 0;
    while site.status("k")["rotation"].is_object() {
        pulls(git(&["-C", "tree", "pull", "-q"]));
        pulled += 1;
        assert!(pulled < 200, "{}", site.status("k"));
    }
    site.ready("k", 2);
    pulls(git(&["-C", "tree", "pull", "-q"]));
    assert!(pulled > 0);
    assert_eq!(site.status("k")["readers"][0]["version"], 2);
    // Another forge's host is no target of the key, though its own is pinned.
    let other = Forge::start(Dialect::Gitea, &["a/one"]);
    site.pin(&other.host(), &other.sshd.site.host_key);
    let public = site.read("public/k")["public_key"]
        .as_str()
        .unwrap()
        .to_owned();
    other.add_by_hand("a/one", &public, true);
    let done = git(&["clone", "-q", &other.address("a/one"), "elsewhere"]);
    assert!(!done.status.success());
}
