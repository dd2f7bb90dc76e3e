//! Audit devices over the API: only where the config allows it, and only inside its folder.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::process::until;
use vault_tests::{Answer, Options, Vault};

use crate::setup::{durable, token_with};

/// A server whose config names the folder `devices` beside its data.
fn allowing(folder: &Path) -> Vault {
    let top = format!("audit_folder = {:?}", folder.display().to_string());
    Vault::ready_with(Options {
        top,
        ..Options::plain()
    })
}

fn enable(vault: &Vault, path: &str, options: Value) -> Answer {
    let body = json!({"type": "file", "description": "mine", "local": true, "options": options});
    vault.root("POST", &format!("sys/audit/{path}"), body)
}

/// Another device may have accepted the record a moment earlier.
fn comes(file: &Path, path: &str) -> bool {
    let there = || paths(file).iter().any(|found| found == path).then_some(());
    until(Duration::from_secs(20), there).is_some()
}

fn paths(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter_map(|line| line["request"]["path"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_device_records_from_when_it_is_enabled_until_it_is_disabled_and_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("more.log");
    let mut vault = allowing(folder.path());
    enable(&vault, "more", json!({"file_path": file})).expect(204);
    assert_eq!(
        enable(&vault, "more", json!({"file_path": "other.log"}))
            .expect(400)
            .errors(),
        "path already in use"
    );
    vault.root("GET", "sys/host-info", Value::Null).expect(200);
    let listed = vault.root("GET", "sys/audit", Value::Null).expect(200);
    let expected = json!({
        "type": "file", "path": "more/", "description": "mine", "local": true, "options": {"file_path": file},
    });
    assert_eq!(listed.data()["more/"], expected);
    assert_eq!(listed.body["more/"], expected);
    assert!(
        listed.data()["audit.log/"].is_object(),
        "that of the config"
    );
    let hash = vault
        .root("POST", "sys/audit-hash/more", json!({"input": "secret"}))
        .expect(200);
    assert!(
        hash.data()["hash"]
            .as_str()
            .unwrap()
            .starts_with("hmac-sha256:")
    );
    assert!(comes(&file, "sys/host-info"));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    vault.restart_unsealed();
    vault
        .root("GET", "sys/experiments", Value::Null)
        .expect(200);
    assert!(comes(&file, "sys/experiments"));

    vault
        .root("DELETE", "sys/audit/more", Value::Null)
        .expect(204);
    vault
        .root("DELETE", "sys/audit/more", Value::Null)
        .expect(204);
    vault
        .root("GET", "sys/config/cors", Value::Null)
        .expect(200);
    assert!(!paths(&file).contains(&"sys/config/cors".to_owned()));
    let gone = vault.root("POST", "sys/audit-hash/more", json!({"input": "x"}));
    assert!(gone.expect(400).errors().contains("unknown audit backend"));
    vault.restart_unsealed();
    let listed = vault.root("GET", "sys/audit", Value::Null).expect(200);
    assert!(listed.data().get("more/").is_none());
    // The device of the config stays.
    vault
        .root("DELETE", "sys/audit/audit.log", Value::Null)
        .expect(400);
}

#[test]
fn cve_2025_6000_a_device_writes_to_nothing_but_its_own_file_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let vault = allowing(folder.path());
    let victim = outside.path().join("victim.so");
    std::fs::write(&victim, "untouched\n").unwrap();
    symlink(&victim, folder.path().join("link")).unwrap();
    symlink(outside.path(), folder.path().join("dir")).unwrap();
    std::fs::write(folder.path().join("foreign"), "untouched\n").unwrap();
    let inside = |name: &str| folder.path().join(name).display().to_string();
    for path in [
        victim.display().to_string(),
        inside("link"),
        inside("dir/new"),
        inside("foreign"),
        inside("../escape.log"),
        inside("sub/new"),
        "../escape.log".to_owned(),
        "/etc/vaultd-audit".to_owned(),
        "/dev/null".to_owned(),
        "stdout".to_owned() + "/x",
        String::new(),
    ] {
        let answer = enable(&vault, "bad", json!({"file_path": path}));
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
    }
    for options in [
        json!({"file_path": "a.log", "prefix": "#!/bin/sh\n"}),
        json!({"file_path": "a.log", "mode": "0755"}),
        json!({"file_path": "a.log", "log_raw": "true"}),
        json!({"file_path": "a.log", "log_raw": true}),
        json!({"file_path": "a.log", "hmac_accessor": "false"}),
        json!({"file_path": "a.log", "format": "jsonx"}),
        json!({"file_path": "a.log", "unknown": "x"}),
        json!({}),
    ] {
        let answer = enable(&vault, "bad", options.clone());
        assert_eq!(answer.status, 400, "{options}: {}", answer.text);
    }
    for kind in ["socket", "syslog", "http", ""] {
        let body =
            json!({"type": kind, "options": {"file_path": "a.log", "address": "127.0.0.1:9"}});
        vault.root("POST", "sys/audit/bad", body).expect(400);
    }
    let listed = vault.root("GET", "sys/audit", Value::Null).expect(200);
    assert!(listed.data().get("bad/").is_none());
    for untouched in [victim, folder.path().join("foreign")] {
        assert_eq!(std::fs::read_to_string(untouched).unwrap(), "untouched\n");
    }
    assert!(!folder.path().join("a.log").exists());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    // None of the refusals left anything that would stop records.
    enable(&vault, "good", json!({"file_path": "a.log"})).expect(204);
    vault.root("GET", "sys/mounts", Value::Null).expect(200);
}

#[test]
fn without_a_folder_in_the_config_and_without_sudo_there_is_no_device() {
    let vault = durable();
    let refused = enable(&vault, "more", json!({"file_path": "a.log"})).expect(400);
    assert!(
        refused.errors().contains("audit_folder"),
        "{}",
        refused.text
    );
    let most = token_with(
        &vault,
        "most",
        r#"path "sys/audit/*" { capabilities = ["create", "update", "delete", "read"] }"#,
    );
    let body = json!({"type": "file", "options": {"file_path": "a.log"}});
    vault
        .call("POST", "sys/audit/more", Some(&most), Some(&body))
        .expect(403);
    let dev = Vault::dev();
    let name = format!("vaultd-test-{}.log", std::process::id());
    enable(&dev, "tmp", json!({"file_path": name})).expect(204);
    dev.root("GET", "sys/mounts", Value::Null).expect(200);
    dev.root("DELETE", "sys/audit/tmp", Value::Null).expect(204);
    std::fs::remove_file(std::env::temp_dir().join(name)).unwrap();
}
