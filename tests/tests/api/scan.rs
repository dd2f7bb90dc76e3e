//! `vaultctl scan` finds what is really stored, in every form, and never shows it.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_tests::{Said, Vault, Vaultctl, program};

use crate::setup::{durable, quick, token_with};

const PASSWORD: &str = "h4Kq9Zx/W2mP+7vB3sL6";
const OTHER: &str = "other-8Tn3Rw5Yc1Xe0Vg";

fn prepared(vault: &Vault) {
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    vault
        .root("POST", "sys/mounts/old", json!({"type": "kv"}))
        .expect(204);
    let data = json!({"data": {"password": PASSWORD, "pin": "1234", "nested": {"key": "n9Qw3Er7Ty1Ui5Op2As"}}});
    vault.root("POST", "kv/data/app/web", data).expect(200);
    vault
        .root("POST", "old/legacy", json!({"token": OTHER}))
        .expect(204);
}

fn scan(vault: &Vault, token: &str, dir: &Path, arguments: &[&str]) -> Said {
    let arguments = [&["scan"], arguments].concat();
    let vaultctl = Vaultctl::new(dir, &vault.addr).env("VAULT_TOKEN", token);
    let said = vaultctl.run(&arguments, "");
    for secret in [PASSWORD, OTHER] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret));
    }
    said
}

fn lines(said: &Said) -> Vec<&str> {
    said.out.lines().collect()
}

#[test]
fn stored_values_are_found_in_files_in_every_form_and_named_not_shown() {
    let vault = durable();
    prepared(&vault);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("src/deep");
    fs::create_dir_all(&folder).unwrap();
    let encoded = STANDARD.encode(format!("admin:{PASSWORD}"));
    let escaped = PASSWORD.replace('/', "%2F").replace('+', "%2B");
    fs::write(folder.join("a.py"), format!("x = 1\n\npw = '{PASSWORD}'\n")).unwrap();
    fs::write(folder.join("b.yaml"), format!("auth: Basic {encoded}\n")).unwrap();
    fs::write(
        folder.join("c.txt"),
        format!("https://u:{escaped}@host/\nold {OTHER}\npin 1234\n"),
    )
    .unwrap();
    fs::write(folder.join("clean"), "nothing here").unwrap();
    // What git keeps for itself is not looked at.
    fs::create_dir(dir.path().join(".git")).unwrap();
    fs::write(dir.path().join(".git/x"), PASSWORD).unwrap();

    let said = scan(&vault, &vault.root, dir.path(), &["."]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(
        lines(&said),
        [
            "./src/deep/a.py:3: the value of kv/app/web#password",
            "./src/deep/b.yaml:1: the value of kv/app/web#password (base64)",
            "./src/deep/c.txt:1: the value of kv/app/web#password (url)",
            "./src/deep/c.txt:2: the value of old/legacy#token",
        ]
    );
    assert!(
        said.err.contains("without 1 that are too short"),
        "{}",
        said.err
    );

    let said = scan(&vault, &vault.root, dir.path(), &["src/deep/clean"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    let said = scan(
        &vault,
        &vault.root,
        dir.path(),
        &["--prefix", "old/", "-o", "json", "src"],
    );
    let found: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (said.code, found["findings"].as_array().unwrap().len()),
        (3, 1)
    );
    assert_eq!(found["findings"][0]["secret"], "old/legacy#token");
    let said = scan(&vault, &vault.root, dir.path(), &["missing"]);
    assert_eq!(said.code, 1);

    // Each read is in the audit log as one.
    let audit = vault.audit();
    let reads = audit.iter().filter(|line| {
        line["request"]["path"] == "kv/data/app/web" && line["request"]["operation"] == "read"
    });
    assert!(reads.count() >= 2);
}

#[test]
fn fingerprints_are_the_callers_own_and_of_what_it_may_read() {
    let vault = quick();
    prepared(&vault);
    let ask = |token: &str| {
        let body = json!({"paths": ["kv/app/web", "old/legacy", "kv/none"]});
        vault
            .call("POST", "sys/fingerprints", Some(token), Some(&body))
            .expect(200)
    };
    let app = token_with(
        &vault,
        "app",
        "path \"kv/data/app/*\" { capabilities = [\"read\"] }",
    );
    let other = token_with(
        &vault,
        "other",
        "path \"kv/data/*\" { capabilities = [\"read\"] }",
    );
    let (one, two) = (ask(&app), ask(&other));
    assert!(!one.text.contains(PASSWORD) && !one.text.contains("1234\""));
    let results = one.data()["results"].as_array().unwrap();
    let status: Vec<u64> = results
        .iter()
        .map(|r| r["status"].as_u64().unwrap())
        .collect();
    assert_eq!(status, [200, 403, 403]);
    assert_eq!(results[0]["skipped"], 1);
    assert_eq!(results[1]["fingerprints"], json!([]));
    assert_ne!(one.data()["key"], two.data()["key"]);
    let tags = |answer: &vault_tests::Answer| -> Vec<Value> {
        let list = answer.data()["results"][0]["fingerprints"].clone();
        let list = list.as_array().unwrap().clone();
        list.into_iter().map(|entry| entry["tag"].clone()).collect()
    };
    assert_eq!(tags(&one), tags(&ask(&app)));
    assert!(!tags(&one).is_empty() && tags(&one).iter().all(|tag| !tags(&two).contains(tag)));

    // A scan finds what its token may read, and needs no right to list what is named.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), format!("{PASSWORD} {OTHER}\n")).unwrap();
    let said = scan(&vault, &app, dir.path(), &["--secret", "kv/app/web", "f"]);
    assert_eq!(
        lines(&said),
        ["f:1: the value of kv/app/web#password"],
        "{said:?}"
    );
    let said = scan(&vault, &app, dir.path(), &["--secret", "old/legacy", "f"]);
    assert_eq!(said.code, 2, "{said:?}");
}

fn git(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let path = program("vaultctl");
    let path = format!(
        "{}:{}",
        path.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@localhost"])
        .args(arguments)
        .current_dir(dir)
        .env("PATH", path)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_range_of_commits_is_scanned_one_by_one_and_the_hook_stops_a_commit() {
    let vault = quick();
    prepared(&vault);
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path();
    let commit = |name: &str, text: &str| {
        fs::write(repository.join(name), text).unwrap();
        assert!(git(repository, &["add", "."]).0);
        git(repository, &["commit", "--quiet", "-m", "a commit"])
    };
    assert!(git(repository, &["init", "--quiet"]).0);
    assert!(commit("a", "1\n2\n").0);
    assert!(commit("a", &format!("1\n2\n++ x\n+++ b/{PASSWORD}\n")).0);
    assert!(commit("a", "1\n2\n").0);
    // Taken out again, but still in the history.
    let said = scan(&vault, &vault.root, repository, &["."]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = scan(&vault, &vault.root, repository, &["--git", "HEAD~2..HEAD"]);
    assert_eq!(said.code, 3, "{said:?}");
    let found = lines(&said);
    assert!(
        found.len() == 1 && found[0].ends_with(":a:4: the value of kv/app/web#password"),
        "{said:?}"
    );
    let said = scan(&vault, &vault.root, repository, &["--git", "HEAD~1..HEAD"]);
    assert_eq!(said.code, 0, "{said:?}");
    for bad in ["--output=x", "nothing..HEAD"] {
        let said = scan(&vault, &vault.root, repository, &[&format!("--git={bad}")]);
        assert_eq!(said.code, 1, "{said:?}");
    }

    let said = scan(&vault, &vault.root, repository, &["--install-hook"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        scan(&vault, &vault.root, repository, &["--install-hook"]).code,
        0
    );
    let with_server = |text: &str| {
        fs::write(repository.join("b"), text).unwrap();
        assert!(git(repository, &["add", "."]).0);
        let path = format!(
            "{}:{}",
            program("vaultctl").parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@localhost",
                "commit",
                "--quiet",
                "-m",
                "b",
            ])
            .current_dir(repository)
            .env("PATH", path)
            .env("HOME", repository)
            .env("VAULT_ADDR", &vault.addr)
            .env("VAULT_TOKEN", &vault.root)
            .output()
            .unwrap()
    };
    let refused = with_server(&format!("pw={PASSWORD}\n"));
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("b:1: the value of kv/app/web#password")
    );
    assert!(with_server("pw from the vault\n").status.success());
    // Without a server the shapes are left.
    let (done, said) = commit("c", &format!("t = {}\n", vault.root));
    assert!(!done && said.contains("token of vaultd"), "{said}");
    assert!(!said.contains(&vault.root));
    fs::write(repository.join(".git/hooks/pre-commit"), "#!/bin/sh\n").unwrap();
    let said = scan(&vault, &vault.root, repository, &["--install-hook"]);
    assert!(
        said.code == 1 && said.err.contains("vaultctl scan --staged"),
        "{said:?}"
    );
}

#[test]
fn a_value_at_the_border_of_two_pieces_of_a_large_file_is_found_once() {
    let vault = quick();
    prepared(&vault);
    let dir = tempfile::tempdir().unwrap();
    let line = "twenty characters..\n";
    let border = 4 << 20;
    for offset in [border - (16 << 10) - 5, border - 10, border + 100] {
        let mut text = line.repeat(offset / line.len());
        text.push_str(&" ".repeat(offset - text.len()));
        text.push_str(PASSWORD);
        text.push_str(&line.repeat(100_000));
        fs::write(dir.path().join("large"), &text).unwrap();
        let said = scan(&vault, &vault.root, dir.path(), &["large"]);
        let expected = format!(
            "large:{}: the value of kv/app/web#password",
            offset / line.len() + 1
        );
        assert_eq!(lines(&said), [expected.as_str()], "{offset}");
    }
}
