//! Runs that can be repeated, and receipts of what they were given.

use serde_json::{Value, json};

use crate::forge::Forge;
use vault_tests::process::{finish, good};

use crate::job::Job;

const MANIFEST: &str = "[secrets]\nPASSWORD = \"kv/app#password\"\nDSN = \"kv/shared/db#dsn\"\n";
const SHOW: [&str; 4] = ["--", "sh", "-c", "echo $PASSWORD $DSN"];

fn job() -> Job {
    let job = Job::new();
    job.put("app", json!({"password": "old horse"}));
    job.put("shared/db", json!({"dsn": "db:1"}));
    job.file("vault.toml", MANIFEST);
    job
}

fn run(job: &Job, options: &[&str]) -> (i32, String, String) {
    finish(&mut job.vaultctl(&[&["run"], options, &SHOW].concat()))
}

#[test]
fn a_locked_run_is_the_same_again_until_the_lock_is_updated() {
    let job = job();
    let (code, out, err) = run(&job, &["--locked"]);
    assert!(
        code == 125 && out.is_empty() && err.contains("vaultctl lock"),
        "{err}"
    );
    let (code, _, err) = run(&job, &["--manifest", "elsewhere.toml"]);
    assert!(code == 125 && err.contains("write one"), "{err}");
    let out = good(&mut job.vaultctl(&["lock"]));
    assert_eq!(out, "kv/app: version 1\nkv/shared/db: version 1\n");
    let lock = std::fs::read_to_string(job.home.path().join("vault.lock")).unwrap();
    assert!(
        lock.contains("\"kv/app\" = 1") && !lock.contains("horse"),
        "{lock}"
    );

    job.put("app", json!({"password": "new horse"}));
    assert_eq!(run(&job, &["--locked"]).1, "old horse db:1\n");
    assert_eq!(
        run(&job, &["--manifest", "vault.toml"]).1,
        "new horse db:1\n"
    );
    let (code, out, _) = finish(&mut job.vaultctl(&["lock", "--check"]));
    assert_eq!((code, out.as_str()), (2, "kv/app: version 1 -> 2\n"));
    assert_eq!(run(&job, &["--locked"]).1, "old horse db:1\n");
    good(&mut job.vaultctl(&["lock"]));
    assert_eq!(run(&job, &["--locked"]).1, "new horse db:1\n");
    good(&mut job.vaultctl(&["lock", "--check"]));
}

#[test]
fn what_is_not_locked_or_gone_starts_nothing() {
    let job = job();
    job.put("other", json!({"x": "1"}));
    good(&mut job.vaultctl(&["lock"]));
    let (code, _, err) = run(&job, &["--locked", "-s", "kv/other"]);
    assert!(code == 125 && err.contains("kv/other"), "{err}");
    let destroy = json!({"versions": [1]});
    job.vault
        .root("POST", "kv/destroy/app", destroy)
        .expect(204);
    let (code, out, err) = run(&job, &["--locked"]);
    assert!(code == 125 && out.is_empty(), "{out}");
    assert!(err.contains("version 1 of kv/app is destroyed"), "{err}");
    job.vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    job.vault
        .root("POST", "one/app", json!({"a": "b"}))
        .expect(204);
    job.file("vault.toml", "[secrets]\nA = \"one/app#a\"\n");
    let (code, _, err) = finish(&mut job.owner(&["lock"]));
    assert!(code == 1 && err.contains("version 1"), "{err}");
}

/// As the operators know it: the server logs it when it is unsealed.
fn audit_key(job: &Job) -> String {
    let log = job.vault.log();
    let (_, rest) = log.split_once("audit_key").unwrap();
    let digits = rest.chars().skip_while(|c| !c.is_ascii_hexdigit());
    digits.take_while(char::is_ascii_hexdigit).collect()
}

#[test]
fn a_receipt_tells_the_versions_and_not_the_values_and_cannot_be_changed() {
    let job = job();
    job.put("app", json!({"password": "new horse"}));
    good(&mut job.vaultctl(&["lock"]));
    assert_eq!(run(&job, &["--locked", "--receipt", "receipt.json"]).0, 0);
    let text = std::fs::read_to_string(job.home.path().join("receipt.json")).unwrap();
    assert!(!text.contains("horse") && !text.contains("db:1"), "{text}");

    let key = audit_key(&job);
    let verify = |file: &str, key: &str, more: &[&str]| {
        let words = [&["receipt", "verify", file, "--key", key], more].concat();
        finish(&mut job.without_token(&words))
    };
    let (code, out, err) = verify("receipt.json", &key, &["--lock", "vault.lock"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("kv/data/app version 2\n  kv/data/shared/db version 1"),
        "{out}"
    );
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let (code, _, err) = verify("receipt.json", other, &[]);
    assert!(code == 1 && err.contains("another key"), "{err}");

    job.file(
        "changed.json",
        &text.replace("\\\"version\\\":2", "\\\"version\\\":1"),
    );
    let (code, out, err) = verify("changed.json", &key, &[]);
    assert!(
        code == 1 && out.is_empty() && err.contains("has not signed"),
        "{err}"
    );
    job.file("none.json", "[]");
    assert_eq!(verify("none.json", &key, &[]).0, 1);

    job.put("app", json!({"password": "newest horse"}));
    good(&mut job.vaultctl(&["lock"]));
    let (code, _, err) = verify("receipt.json", &key, &["--lock", "vault.lock"]);
    assert!(
        code == 1 && err.contains("version 2 was given, 3 is locked"),
        "{err}"
    );
}

#[test]
fn a_receipt_names_the_job_by_its_forges_claims() {
    let forge = Forge::start(json!({
        "repository_id": "74", "repository_owner_id": "65", "environment": "production",
        "repository": "octo-org/app", "run_id": "4711",
    }));
    let job = job();
    let ca = forge.ca(&job);
    let words = [
        "ci",
        "setup",
        "github",
        "--role",
        "deploy",
        "--policy",
        "ci",
        "--repository-id",
        "74",
        "--owner-id",
        "65",
        "--environment",
        "production",
        "--issuer",
        forge.url(),
        "--issuer-ca",
        &ca,
    ];
    good(&mut job.owner(&words));
    let words = [
        "run",
        "--ci-role",
        "deploy",
        "-s",
        "P=kv/app#password",
        "--receipt",
        "receipt.json",
        "--",
        "true",
    ];
    let mut command = job.without_token(&words);
    forge.github(&job, &mut command);
    good(&mut command);
    let words = [
        "receipt",
        "verify",
        "receipt.json",
        "--key",
        &audit_key(&job),
        "-o",
        "json",
    ];
    let told: Value = serde_json::from_str(&good(&mut job.without_token(&words))).unwrap();
    assert_eq!(told[0]["metadata"]["run_id"], "4711");
    assert_eq!(
        told[0]["secrets"],
        json!([{"path": "kv/data/app", "version": 1}])
    );
    // A refused read is on no receipt.
    let token = job.new_token();
    let body = json!({"paths": ["kv/data/app", "kv/data/none", "sys/mounts"], "receipt": true});
    let answer = job
        .vault
        .call("POST", "sys/batch", Some(&token), Some(&body))
        .expect(200);
    let receipt: Value =
        serde_json::from_str(answer.data()["receipt"]["receipt"].as_str().unwrap()).unwrap();
    assert_eq!(
        receipt["secrets"],
        json!([{"path": "kv/data/app", "version": 1}])
    );
}
