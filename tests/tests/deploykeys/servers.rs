//! Accounts on servers: lines that vaultd edits over SSH, and lines that a host asks for.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use vault_tests::sshd::Sshd;

use crate::site::{Site, encoded, write_private};

/// A server that vaultd administers with the key `admin`, whose line somebody put there by hand.
fn administered(site: &Site, sshd: &Sshd) -> String {
    site.write("keys/admin", json!({}));
    let admin = site.read("public/admin")["public_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let others = format!("# by hand\n{admin} admin\nssh-rsa AAAAB3 broken line of somebody\n");
    sshd.authorize(&others);
    let host = format!("[127.0.0.1]:{}", sshd.port);
    site.pin(&host, &sshd.site.host_key);
    let server =
        json!({"address": "127.0.0.1", "port": sshd.port, "user": "deploy", "key": "admin"});
    site.write("servers/box", server);
    others
}

fn logs_in(sshd: &Sshd, private: &str) -> bool {
    let file = sshd.site.path("client_key");
    write_private(&file, private);
    let mut ssh = sshd.ssh(&["-i", file.to_str().unwrap()]);
    ssh.arg("true").output().unwrap().status.success()
}

#[test]
fn a_rotation_on_a_server_leaves_every_other_line_as_it_is() {
    let (site, sshd) = (Site::new(), Sshd::start());
    let others = administered(&site, &sshd);
    let file = sshd.authorized_keys();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    site.write("keys/k", json!({}));
    let target = json!({"server": "box", "user": "deploy", "options": "restrict,command=\"echo \\\"hi\\\"\""});
    site.write("keys/k/targets/box", target);
    site.ready("k", 1);
    let (old, _) = site.creds("k");
    assert!(logs_in(&sshd, &old));
    site.write("keys/k/rotate", json!({"emergency": true}));
    site.ready("k", 2);
    let (new, _) = site.creds("k");
    assert!(!logs_in(&sshd, &old) && logs_in(&sshd, &new));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(&others), "{text}");
    let added: Vec<&str> = text[others.len()..].lines().collect();
    assert_eq!(added.len(), 1, "{text}");
    assert!(
        added[0].starts_with("restrict,command=\"echo \\\"hi\\\"\" ssh-ed25519 "),
        "{text}"
    );
    assert!(added[0].contains(" vaultd:"), "{text}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );

    site.write("keys/k/retire", json!({}));
    site.until("k", |s| s["state"] == "retired");
    assert_eq!(fs::read_to_string(&file).unwrap(), others);
    assert!(!logs_in(&sshd, &new));
    let refused = site
        .vault
        .root("GET", "sshkeys/creds/k", Value::Null)
        .expect(400);
    assert!(refused.errors().contains("retired"), "{}", refused.errors());
    site.delete("keys/k");
}

/// Even the key that vaultd logs in with.
#[test]
fn the_key_of_the_administrator_rotates_too() {
    let (site, sshd) = (Site::new(), Sshd::start());
    administered(&site, &sshd);
    let target = json!({"server": "box", "user": "deploy"});
    site.write("keys/admin/targets/box", target);
    site.ready("admin", 1);
    let (old, _) = site.creds("admin");
    site.write("keys/admin/rotate", json!({"emergency": true}));
    site.ready("admin", 2);
    assert!(!logs_in(&sshd, &old));
    let (new, _) = site.creds("admin");
    assert!(logs_in(&sshd, &new));
    // And it administers still.
    site.write("keys/k", json!({}));
    let path = sshd.authorized_keys().display().to_string();
    let target = json!({"server": "box", "user": "other", "path": path});
    site.write("keys/k/targets/box", target);
    site.ready("k", 1);
}

/// All in one file.
#[test]
fn keys_of_one_account_that_rotate_together_lose_no_line() {
    let (site, sshd) = (Site::new(), Sshd::start());
    let others = administered(&site, &sshd);
    let names: Vec<String> = (0..8).map(|at| format!("k{at}")).collect();
    for name in &names {
        site.write(&format!("keys/{name}"), json!({}));
        let target = json!({"server": "box", "user": "deploy"});
        site.write(&format!("keys/{name}/targets/box"), target);
    }
    names.iter().for_each(|name| drop(site.ready(name, 1)));
    for name in &names {
        site.write(&format!("keys/{name}/rotate"), json!({}));
    }
    names.iter().for_each(|name| drop(site.ready(name, 2)));
    let text = fs::read_to_string(sshd.authorized_keys()).unwrap();
    assert!(text.starts_with(&others), "{text}");
    for name in &names {
        let public = site.read(&format!("public/{name}"));
        let public = public["public_key"].as_str().unwrap();
        assert_eq!(text.matches(public).count(), 1, "{text}");
    }
    assert_eq!(text.lines().count(), others.lines().count() + names.len());
}

#[test]
fn a_host_asks_for_its_lines() {
    let site = Site::new();
    // What a host's AuthorizedKeysCommand would print.
    let lines = |host: &str, user: &str| {
        let path = format!("authorized-keys?host={}&user={user}", encoded(host));
        site.read(&path)["lines"].clone()
    };
    let sshd = Sshd::start();
    let host = format!("[127.0.0.1]:{}", sshd.port);
    site.pin(&host, &sshd.site.host_key);
    site.write("keys/k", json!({}));
    let target = json!({"host": host, "user": "deploy", "options": "restrict"});
    site.write("keys/k/targets/ask", target);
    let served = || {
        let path = format!("authorized-keys?host={}&user=deploy", encoded(&host));
        let text = site.read(&path)["authorized_keys"]
            .as_str()
            .unwrap()
            .to_owned();
        sshd.authorize(&text);
        text.lines().count()
    };
    // The host asks at each login; here it asks whenever the key has moved on.
    site.until("k", |s| {
        served();
        s["state"] == "ready"
    });
    assert_eq!(lines(&host, "other"), json!([]));
    assert_eq!(lines("elsewhere", "deploy"), json!([]));
    let (old, _) = site.creds("k");
    assert!(logs_in(&sshd, &old));
    site.write("keys/k/rotate", json!({"emergency": true}));
    site.until("k", |s| {
        served();
        s["state"] == "ready" && s["current_version"] == 2
    });
    assert_eq!(served(), 1);
    assert!(!logs_in(&sshd, &old));
}

#[test]
fn what_would_break_out_of_a_line_is_refused() {
    let (site, sshd) = (Site::new(), Sshd::start());
    administered(&site, &sshd);
    site.write("keys/k", json!({}));
    for target in [
        json!({"server": "box", "user": "../root"}),
        json!({"server": "box", "user": "a b"}),
        json!({"server": "box", "user": "deploy", "path": "../x"}),
        json!({"server": "box", "user": "deploy", "path": "a;id"}),
        json!({"server": "box", "user": "deploy", "options": "restrict\nssh-ed25519 AAAA"}),
        json!({"server": "box", "user": "deploy", "options": "command=\"a\" ssh-ed25519 AAAA"}),
        json!({"server": "box", "user": "deploy", "options": "command=\"a"}),
        json!({"server": "none", "user": "deploy"}),
        json!({"forge": "none", "repository": "a/b"}),
        json!({"server": "box", "user": "deploy", "host": "h"}),
        json!({"host": "h\nx", "user": "deploy"}),
        json!({}),
    ] {
        let answer = site
            .vault
            .root("POST", "sshkeys/keys/k/targets/t", target.clone());
        assert_eq!(answer.status, 400, "{target}: {}", answer.text);
    }
}
