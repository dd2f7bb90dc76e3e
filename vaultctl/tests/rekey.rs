//! `operator rekey` by the real binary: at every moment either the old or the new shares work.

#![expect(clippy::unwrap_used)]

mod fake;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fake::Fake;
use serde_json::{Value, json};

fn shares() -> Vec<String> {
    let (_, shares) = vault_crypto::split(&[4; 32], 2, 2, &vault_crypto::Seeded::new(8)).unwrap();
    shares
        .iter()
        .map(|share| STANDARD.encode(&*share.to_bytes()))
        .collect()
}

fn server() -> Fake {
    Fake::start(|asked| match (asked.verb.as_str(), asked.path.as_str()) {
        ("GET", "sys/seal-status") => (200, json!({"type": "shamir", "sealed": false})),
        ("PUT", "sys/rekey/init") => (
            200,
            json!({"nonce": "n1", "started": true, "required": 1, "progress": 0}),
        ),
        ("GET", "sys/rekey/init") => (
            200,
            json!({"nonce": "n1", "started": true, "required": 1, "progress": 0}),
        ),
        ("DELETE", "sys/rekey/init") => (204, Value::Null),
        ("PUT", "sys/rekey/update") if asked.body["key"] == "wrong" => {
            (400, json!({"errors": ["share is of another set"]}))
        }
        ("PUT", "sys/rekey/update") => (
            200,
            json!({"complete": true, "keys_base64": shares(), "t": 2, "n": 2, "verification_required": true, "verification_nonce": "n2"}),
        ),
        ("PUT", "sys/rekey/verify") => (200, json!({"complete": asked.body["key"] == shares()[1]})),
        _ => (404, json!({"errors": []})),
    })
}

fn rekey(fake: &Fake, share: &str) -> (i32, String, String) {
    let old = fake.file("old", share);
    let passphrase = fake.file("pass", "a long passphrase\n");
    let mut words = vec![
        "operator",
        "rekey",
        "--init",
        "--threshold",
        "2",
        "--share-dir",
        "new",
    ];
    let files = ["alice", "bob"].map(|name| format!("{name}={passphrase}"));
    for (name, file) in ["alice", "bob"].iter().zip(&files) {
        words.extend(["--operator", name, "--passphrase-file", file]);
    }
    let share = format!("@{old}");
    words.extend(["--share", &share]);
    fake.run(&words)
}

#[test]
fn new_share_files_are_given_back_before_the_old_shares_stop_working() {
    let fake = server();
    let (code, out, err) = rekey(&fake, "old-share");
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("new/alice.share") && shares().iter().all(|s| !out.contains(s)),
        "{out}"
    );
    assert!(fake.home().join("new/bob.share").is_file());
    let asked = fake.asked();
    assert!(
        asked
            .iter()
            .filter(|a| a.path != "sys/seal-status")
            .all(|a| a.token == "s.in-use")
    );
    let started = asked.iter().find(|a| a.path == "sys/rekey/init").unwrap();
    assert_eq!(
        started.body,
        json!({"secret_shares": 2, "secret_threshold": 2, "require_verification": true})
    );
    let given: Vec<_> = asked
        .iter()
        .filter(|a| a.path == "sys/rekey/verify")
        .map(|a| a.body.clone())
        .collect();
    assert_eq!(
        given,
        shares()
            .iter()
            .map(|s| json!({"key": s, "nonce": "n2"}))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_refused_share_gives_the_rekey_up() {
    let fake = server();
    let (code, _, err) = rekey(&fake, "wrong");
    assert!(
        code == 2 && err.contains("another set") && err.contains("old shares stay valid"),
        "{err}"
    );
    let last = fake.asked().pop().unwrap();
    assert_eq!(
        (last.verb.as_str(), last.path.as_str()),
        ("DELETE", "sys/rekey/init")
    );
}

#[test]
fn vaults_own_way_gives_one_share_for_each_command() {
    let fake = server();
    let (code, out, _) = fake.run(&[
        "operator",
        "rekey",
        "-init",
        "-key-shares=2",
        "-key-threshold=2",
    ]);
    assert!(code == 0 && out.contains("n1"), "{out}");
    let (code, out, err) = fake.run(&["operator", "rekey", "-nonce=n1", "old-share"]);
    assert!(
        code == 0 && out.contains(&format!("Key 1: {}", shares()[0])),
        "{out}{err}"
    );
}
