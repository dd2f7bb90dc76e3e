//! `audit verify` and `audit tail` by the real binary over files made here.

#![expect(clippy::unwrap_used)]

use std::process::Command;

use vault_audit::{Chain, Link, Mark, VERSION};
use vault_crypto::{Key, Seeded, SigningKey};

fn log() -> (Vec<u8>, String) {
    let key = SigningKey::from_seed(&Key::generate(&Seeded::new(5)));
    let mut chain = Chain::new(Link::GENESIS, 1);
    let mut bytes = Vec::new();
    let start = Mark::Start {
        time: "T".into(),
        version: VERSION,
        previous: "0".repeat(64),
    };
    chain.mark(&start, &mut bytes);
    for path in ["secret/data/a", "secret/data/b"] {
        let entry = format!(
            r#"{{"type":"request","time":"T","request":{{"operation":"read","path":"{path}"}}}}"#
        );
        chain.append(entry.as_bytes(), &mut bytes);
    }
    chain.checkpoint("T".into(), "c1", &key, &mut bytes);
    (bytes, hex::encode(key.public().as_bytes()))
}

fn run(content: &[u8], words: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    std::fs::write(&path, content).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vaultctl"));
    command
        .env_clear()
        .env("HOME", directory.path())
        .arg("audit")
        .args(words)
        .arg(&path);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_sound_file_is_sound_with_and_without_the_key() {
    let (log, key) = log();
    let (code, out, err) = run(&log, &["verify"]);
    assert!(
        code == 0 && out.contains("2 entries, 1 signed") && out.contains("not compared"),
        "{out}{err}"
    );
    let (code, out, _) = run(&log, &["verify", "--key", &key, "--cluster", "c1"]);
    assert!(code == 0 && !out.contains("not compared"), "{out}");
    assert_eq!(run(&log, &["verify", "--key", &"11".repeat(32)]).0, 1);
    assert_eq!(run(&log, &["verify", "--key", "xyz"]).0, 1);
}

#[test]
fn an_edited_a_shortened_and_a_reordered_file_are_not() {
    let (log, _) = log();
    let edited = String::from_utf8(log.clone())
        .unwrap()
        .replace("data/a", "data/x");
    let (code, out, _) = run(edited.as_bytes(), &["verify"]);
    assert!(code == 1 && out.contains("NOT SOUND, line 2"), "{out}");
    let mut lines: Vec<_> = std::str::from_utf8(&log)
        .unwrap()
        .split_inclusive('\n')
        .collect();
    lines.swap(1, 2);
    assert_eq!(run(lines.concat().as_bytes(), &["verify"]).0, 1);
    lines.swap(1, 2);
    lines.remove(1);
    assert_eq!(run(lines.concat().as_bytes(), &["verify"]).0, 1);
    assert_eq!(run(&log, &["verify", "--expect-seq", "9"]).0, 1);
    let report: serde_json::Value =
        serde_json::from_str(&run(edited.as_bytes(), &["verify", "-o", "json"]).1).unwrap();
    assert_eq!(
        (
            report["sound"].as_bool(),
            report["problem"]["line"].as_u64()
        ),
        (Some(false), Some(2))
    );
}

#[test]
fn the_tail_is_one_line_for_each_entry() {
    let (code, out, _) = run(&log().0, &["tail", "-n", "1"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "T  request   read    secret/data/b\n")
    );
}
