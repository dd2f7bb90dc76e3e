//! Changes as programs hear of them: `vaultctl run --watch`, and the SDK's `watch` and `load`.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use vault_sdk::{Client, SecretString, Secrets};
use vault_tests::process::until;
use vault_tests::{Process, Vault, program};

use crate::setup::{quick, token, token_with};

fn put(vault: &Vault, path: &str, value: &str) {
    vault
        .root(
            "POST",
            &format!("kv/data/{path}"),
            json!({"data": {"WORD": value}}),
        )
        .expect(200);
}

fn run(vault: &Vault, token: &str, dir: &std::path::Path, how: &str, script: &str) -> Process {
    let mut command = Command::new(program("vaultctl"));
    command
        .env("VAULT_ADDR", &vault.addr)
        .env("VAULT_TOKEN", token)
        .args(["run", how, "-s", "kv/app", "--", "sh", "-c", script]);
    Process::spawn(command, dir)
}

fn says(process: &Process, wanted: &str) {
    let found = until(Duration::from_secs(60), || {
        process.log().contains(wanted).then_some(())
    });
    assert!(found.is_some(), "no {wanted:?} in {}", process.log());
}

#[test]
fn a_changed_secret_restarts_or_signals_the_command() {
    let vault = quick();
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    put(&vault, "app", "one");
    let app = token_with(
        &vault,
        "app",
        r#"path "kv/data/app" { capabilities = ["read"] }"#,
    );
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let wait = "while :; do sleep 0.1; done";
    let restarted = format!("echo it is $WORD; trap 'echo bye; exit 7' TERM; {wait}");
    let mut restarted = run(&vault, &app, dirs[0].path(), "--watch", &restarted);
    let signalled = format!("trap 'echo told of it' HUP; trap 'exit 0' TERM; echo up; {wait}");
    let mut signalled = run(
        &vault,
        &app,
        dirs[1].path(),
        "--watch=signal:HUP",
        &signalled,
    );
    says(&restarted, "it is one");
    says(&signalled, "up");

    put(&vault, "other", "ignored");
    put(&vault, "app", "two");
    says(&restarted, "it is two");
    says(&signalled, "told of it");
    assert!(
        !restarted.log().contains("WORD"),
        "no values in our own words"
    );

    // A signal for us is one for the command, whose exit code is ours.
    restarted.signal(Signal::TERM);
    let ended = until(Duration::from_secs(60), || restarted.ended()).unwrap();
    assert_eq!(ended.code(), Some(7));
    signalled.signal(Signal::TERM);
    let ended = until(Duration::from_secs(60), || signalled.ended()).unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_watching_command_outlives_the_first_life_of_its_token() {
    let vault = quick();
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    put(&vault, "app", "one");
    let rules = r#"path "kv/data/app" { capabilities = ["read"] }"#;
    token_with(&vault, "app", rules);
    let short = token(&vault, json!({"policies": ["app"], "ttl": "6s"}));
    let dir = tempfile::tempdir().unwrap();
    let script = "echo it is $WORD; exec sleep 300";
    let command = run(&vault, &short, dir.path(), "--watch", script);
    says(&command, "it is one");
    std::thread::sleep(Duration::from_secs(8));
    put(&vault, "app", "two");
    says(&command, "it is two");
    assert!(!command.log().contains("warning"), "{}", command.log());
    // When nothing can be renewed any more, that is said.
    let revoke = json!({ "token": short });
    vault.root("POST", "auth/token/revoke", revoke).expect(204);
    says(&command, "warning");
}

#[derive(Secrets)]
#[secrets(mount = "kv", path = "app")]
struct Maybe {
    #[secret(key = "WORD", optional)]
    word: Option<SecretString>,
}

#[test]
fn the_sdk_and_a_command_follow_time_and_the_mount() {
    let vault = quick();
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    put(&vault, "app", "one");
    let rules = r#"path "kv/*" { capabilities = ["read"] }"#;
    let app = token_with(&vault, "app", rules);
    let dir = tempfile::tempdir().unwrap();
    let command = run(
        &vault,
        &app,
        dir.path(),
        "--watch",
        "echo it is $WORD; exec sleep 300",
    );
    says(&command, "it is one");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::builder().addr(&vault.addr).token(app.as_str());
        let client = client.build().unwrap();
        let hour = Duration::from_secs(3600);
        let mut live = client.watch::<Maybe>(hour).await.unwrap();
        let mut next = async || {
            let fresh = tokio::time::timeout(Duration::from_secs(60), live.changed()).await;
            let fresh = fresh.unwrap();
            fresh.word.as_ref().map(|word| word.expose().to_owned())
        };
        let limit = json!({"delete_version_after": "1s"});
        vault.root("POST", "kv/metadata/app", limit).expect(204);
        put(&vault, "app", "two");
        assert_eq!(next().await.as_deref(), Some("two"));
        assert_eq!(next().await, None);
        says(&command, "the command keeps what it has");
        let limit = json!({"delete_version_after": "0s"});
        vault.root("POST", "kv/metadata/app", limit).expect(204);
        put(&vault, "app", "three");
        assert_eq!(next().await.as_deref(), Some("three"));
        says(&command, "it is three");
        let moved = json!({"from": "kv", "to": "away"});
        vault.root("POST", "sys/remount", moved).expect(200);
        assert_eq!(next().await, None);
        let back = json!({"from": "away", "to": "kv"});
        vault.root("POST", "sys/remount", back).expect(200);
        assert_eq!(next().await.as_deref(), Some("three"));
    });
}

#[derive(Secrets)]
#[secrets(mount = "kv", path = "app")]
struct Words {
    #[secret(key = "WORD")]
    word: SecretString,
    #[secret(path = "other", key = "WORD")]
    other: SecretString,
}

#[test]
fn the_sdk_reads_at_once_and_follows_changes_without_polling() {
    let vault = crate::setup::durable();
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    put(&vault, "app", "one");
    put(&vault, "other", "same");
    let rules = r#"path "kv/data/*" { capabilities = ["read"] }"#;
    let app = token_with(&vault, "app", rules);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::builder()
            .addr(&vault.addr)
            .token(app.as_str())
            .build()
            .unwrap();
        // It would look again by itself only after the test.
        let mut live = client
            .watch::<Words>(Duration::from_secs(3600))
            .await
            .unwrap();
        assert_eq!(live.load().word.expose(), "one");
        for word in ["two", "three"] {
            put(&vault, "app", word);
            let fresh = tokio::time::timeout(Duration::from_secs(60), live.changed()).await;
            assert_eq!(fresh.unwrap().word.expose(), word);
        }
        assert_eq!(live.load().other.expose(), "same");
    });
    let audit = vault.audit();
    let asked = |path: &str| audit.iter().any(|line| line["request"]["path"] == path);
    assert!(asked("sys/batch") && asked("kv/data/app"));
}
