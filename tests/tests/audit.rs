//! The audit log: nothing is answered that is not in it, and nothing in it can be changed unseen.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::process::until;
use vault_tests::{Options, Process, Vault, program};

fn file(vault: &Vault) -> PathBuf {
    vault.data().join("audit.log")
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// `vaultctl audit verify`: whether all is well, and what it says.
fn verify(files: &[&Path], more: &[&str]) -> (bool, String) {
    let output = Command::new(program("vaultctl"))
        .env_clear()
        .args(["audit", "verify"])
        .args(files)
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[track_caller]
fn sound(files: &[&Path]) {
    let (sound, text) = verify(files, &[]);
    assert!(sound, "{text}");
}

fn with_kv(options: Options) -> Vault {
    let vault = Vault::ready_with(options);
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    vault
}

/// A server whose audit devices are these files.
fn with_devices(paths: &[&Path]) -> Options {
    let device = |path: &&Path| format!("[[audit]]\ntype = \"file\"\npath = {path:?}\n");
    Options {
        toml: paths.iter().map(device).collect(),
        ..Options::plain()
    }
}

#[test]
fn every_answer_has_its_records_before_it_leaves() {
    let vault = with_kv(Options::plain());
    let requests: [(&str, &str, Option<&str>, Value); 10] = [
        ("POST", "one/a", Some(&vault.root), json!({"value": "1"})),
        ("GET", "one/a", Some(&vault.root), Value::Null),
        ("LIST", "one/", Some(&vault.root), Value::Null),
        ("GET", "one/absent", Some(&vault.root), Value::Null),
        ("GET", "one/a", None, Value::Null),
        ("GET", "one/a", Some("hvs.wrong"), Value::Null),
        ("GET", "nowhere/a", Some(&vault.root), Value::Null),
        (
            "POST",
            "sys/policies/acl/p",
            Some(&vault.root),
            json!({"policy": "nonsense {"}),
        ),
        ("DELETE", "one/a", Some(&vault.root), Value::Null),
        ("GET", "sys/mounts", Some(&vault.root), Value::Null),
    ];
    for (method, path, token, body) in requests {
        let before = records(&file(&vault)).len();
        let answer = vault.call(method, path, token, (!body.is_null()).then_some(&body));
        // At this moment, and not a little later.
        let all = records(&file(&vault));
        let mine: Vec<&Value> = all[before..]
            .iter()
            .filter(|one| one["request"]["path"] == json!(path))
            .collect();
        let kinds: Vec<&str> = mine
            .iter()
            .map(|one| one["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["request", "response"], "{method} {path}");
        assert!(mine[0]["seq"].as_u64() < mine[1]["seq"].as_u64());
        assert_eq!(mine[0]["request"]["id"], mine[1]["request"]["id"]);
        assert_eq!(mine[1]["response"]["status"], json!(answer.status));
        if let Some(id) = answer.body["request_id"].as_str() {
            assert_eq!(mine[0]["request"]["id"], json!(id));
        }
    }
    sound(&[&file(&vault)]);
}

#[test]
fn cve_2024_8365_values_are_hmaced_and_the_hash_can_be_asked_for() {
    let vault = with_kv(Options::plain());
    let secret = "a-very-secret-value";
    vault
        .root("POST", "one/a", json!({"password": secret}))
        .expect(204);
    vault.root("GET", "one/a", Value::Null).expect(200);
    let text = std::fs::read_to_string(file(&vault)).unwrap();
    assert!(!text.contains(secret) && !text.contains(&vault.root));
    let hash = |input: &str| {
        let answer = vault
            .root("POST", "sys/audit-hash/audit.log", json!({"input": input}))
            .expect(200);
        answer.data()["hash"].as_str().unwrap().to_owned()
    };
    let hashed = hash(secret);
    assert!(hashed.starts_with("hmac-sha256:"));
    let all = records(&file(&vault));
    let with = |kind: &str, at: &str| {
        let of =
            |one: &&Value| one["type"] == json!(kind) && one["request"]["path"] == json!("one/a");
        all.iter()
            .filter(of)
            .any(|one| one.pointer(at) == Some(&json!(hashed)))
    };
    assert!(with("request", "/request/data/password"), "{text}");
    assert!(with("response", "/response/data/password"), "{text}");
    let token = hash(&vault.root);
    assert!(
        all.iter()
            .any(|one| one["request"]["client_token"] == json!(token))
    );
}

/// The file of a server that did something and ended.
fn finished() -> (Vault, String) {
    let mut vault = with_kv(Options::plain());
    for number in 0..20 {
        vault
            .root("POST", &format!("one/{number}"), json!({"value": "v"}))
            .expect(204);
    }
    assert!(vault.terminate().success());
    sound(&[&file(&vault)]);
    let text = std::fs::read_to_string(file(&vault)).unwrap();
    (vault, text)
}

#[test]
fn edit_deletion_reordering_and_truncation_are_found() {
    let (vault, text) = finished();
    let lines: Vec<&str> = text.lines().collect();
    let written = |name: &str, lines: &[&str]| {
        let path = vault.dir.path().join(name);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        path
    };
    let changed = |name: &str, change: &dyn Fn(&mut Vec<&str>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        verify(&[&written(name, &lines)], &[])
    };
    assert!(changed("same", &|_| {}).0);
    let middle = lines.len() / 2;
    let edited = lines[middle].replacen("one/", "two/", 1);
    assert_ne!(edited, lines[middle]);
    for (name, change) in [
        (
            "edit",
            &(|lines: &mut Vec<&str>| lines[middle] = Box::leak(edited.clone().into_boxed_str()))
                as &dyn Fn(&mut Vec<&str>),
        ),
        ("deletion", &|lines| {
            lines.remove(middle);
        }),
        ("deletion of the first line", &|lines| {
            lines.remove(0);
        }),
        ("reordering", &|lines| lines.swap(middle, middle + 1)),
        ("repetition", &|lines| lines.insert(middle, lines[middle])),
        ("torn end", &|lines| {
            *lines.last_mut().unwrap() = &lines.last().unwrap()[..20]
        }),
    ] {
        let (sound, text) = changed(name, change);
        assert!(!sound, "{name} was not found: {text}");
    }
    // Every single bit counts.
    for at in (0..text.len()).step_by(997) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let path = vault.dir.path().join("bit");
        std::fs::write(&path, bytes).unwrap();
        assert!(
            !verify(&[&path], &[]).0,
            "a flipped bit at {at} was not found"
        );
    }
    // A cut behind a checkpoint is found by whoever knows how far the log once went.
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let seq = last["seq"].to_string();
    let short = written("truncation", &lines[..lines.len() - 3]);
    assert!(!verify(&[&short], &["--expect-seq", &seq]).0);
    assert!(verify(&[&file(&vault)], &["--expect-seq", &seq]).0);
}

#[test]
fn log_is_signed_at_least_every_second() {
    let vault = with_kv(Options::plain());
    vault
        .root("POST", "one/a", json!({"value": "1"}))
        .expect(204);
    let signed = until(Duration::from_secs(2), || {
        let last = records(&file(&vault)).pop()?;
        (last["type"] == json!("checkpoint")).then_some(())
    });
    assert!(signed.is_some());
}

#[test]
fn device_that_hangs_does_not_block_while_another_accepts() {
    let dir = tempfile::tempdir().unwrap();
    let (pipe, log) = (dir.path().join("pipe"), dir.path().join("log"));
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // Nobody reads from it.
    let vault = with_kv(with_devices(&[&pipe, &log]));
    let start = Instant::now();
    for number in 0..20 {
        vault
            .root("POST", &format!("one/{number}"), json!({"value": "v"}))
            .expect(204);
    }
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    let writes = records(&log)
        .into_iter()
        .filter(|one| one["type"] == json!("response"));
    assert!(writes.count() >= 20);
    sound(&[&log]);
}

#[test]
fn without_a_device_that_accepts_nothing_is_done() {
    let mut vault = Vault::start(with_devices(&[Path::new("/dev/full")]));
    let body = json!({"secret_shares": 1, "secret_threshold": 1});
    let answer = vault.call("PUT", "sys/init", None, Some(&body)).expect(500);
    assert!(answer.body["keys"].is_null(), "{}", answer.text);
    assert_eq!(
        vault.call("GET", "sys/init", None, None).body["initialized"],
        json!(false)
    );
    vault.terminate();
}

/// A file system that is full at will; `None` where one cannot be mounted.
struct Small {
    dir: TempDir,
}

impl Small {
    fn mount(size: &str) -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a tmpfs cannot be mounted here (needs root)");
        }
        mounted.then_some(Small { dir })
    }

    fn fill(&self) {
        let mut filler = std::fs::File::create(self.dir.path().join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.dir.path().join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.dir.path())
            .status();
    }
}

#[test]
fn full_disk_under_the_only_device_means_500_and_no_effect() {
    let Some(small) = Small::mount("1m") else {
        return;
    };
    let log = small.dir.path().join("log");
    let vault = with_kv(with_devices(&[&log]));
    vault
        .root("POST", "one/before", json!({"value": "v"}))
        .expect(204);
    small.fill();
    // The last block of the file may have room for some more records.
    let refused = (0..200).find(|number| {
        let path = format!("one/edge{number}");
        vault
            .root("POST", &path, json!({"value": "v".repeat(200)}))
            .status
            == 500
    });
    assert!(refused.is_some(), "a full disk was not noticed");
    for number in 0..10 {
        vault
            .root(
                "POST",
                &format!("one/refused{number}"),
                json!({"value": "v"}),
            )
            .expect(500);
        vault.root("GET", "one/before", Value::Null).expect(500);
        vault
            .root(
                "PUT",
                "sys/policies/acl/refused",
                json!({"policy": "# nothing"}),
            )
            .expect(500);
    }
    small.free();
    let again = until(Duration::from_secs(15), || {
        (vault.root("GET", "one/before", Value::Null).status == 200).then_some(())
    });
    assert!(
        again.is_some(),
        "the device does not come back\n{}",
        vault.log()
    );
    for number in 0..10 {
        vault
            .root("GET", &format!("one/refused{number}"), Value::Null)
            .expect(404);
    }
    vault
        .root("GET", "sys/policies/acl/refused", Value::Null)
        .expect(404);
    sound(&[&log]);
}

#[test]
fn rotation_by_sighup_keeps_the_chain() {
    let mut vault = with_kv(Options::plain());
    let (log, rotated) = (file(&vault), vault.data().join("audit.log.1"));
    vault
        .root("POST", "one/first", json!({"value": "v"}))
        .expect(204);
    std::fs::rename(&log, &rotated).unwrap();
    vault.process().signal(Signal::HUP);
    assert!(until(Duration::from_secs(5), || log.exists().then_some(())).is_some());
    vault
        .root("POST", "one/second", json!({"value": "v"}))
        .expect(204);
    assert!(vault.terminate().success());
    let has = |path: &Path, wanted: &str| {
        records(path)
            .iter()
            .any(|one| one["request"]["path"] == json!(wanted))
    };
    assert!(has(&rotated, "one/first") && !has(&rotated, "one/second"));
    assert!(has(&log, "one/second") && !has(&log, "one/first"));
    sound(&[&rotated, &log]);
    // A file between the two would be missed, and the order matters.
    assert!(!verify(&[&log, &rotated], &[]).0);

    // As logrotate leaves it.
    let packed = vault.data().join("audit.log.1.gz");
    let gzip = Command::new("gzip").arg(&rotated).status().unwrap();
    assert!(gzip.success() && packed.exists());
    sound(&[&packed, &log]);
    let cut = std::fs::read(&packed).unwrap();
    std::fs::write(&packed, &cut[..cut.len() - 20]).unwrap();
    assert!(!verify(&[&packed], &[]).0, "a file that ends early");
}

#[test]
fn chain_goes_on_after_kill_9() {
    let mut vault = with_kv(Options::plain());
    for round in 0..3 {
        for number in 0..10 {
            vault
                .root(
                    "POST",
                    &format!("one/{round}/{number}"),
                    json!({"value": "v"}),
                )
                .expect(204);
        }
        vault.kill9();
        vault.restart_unsealed();
    }
    assert!(vault.terminate().success());
    sound(&[&file(&vault)]);
    let mut times: HashMap<String, usize> = HashMap::new();
    for one in records(&file(&vault))
        .iter()
        .filter(|one| one["type"] == json!("response"))
    {
        *times.entry(one["request"]["path"].to_string()).or_default() += 1;
    }
    for round in 0..3 {
        for number in 0..10 {
            assert!(times.contains_key(&json!(format!("one/{round}/{number}")).to_string()));
        }
    }
}

#[test]
fn records_of_committed_writes_come_back_after_the_log_lost_its_end() {
    let mut vault = with_kv(Options::plain());
    for round in 0..5 {
        let paths: Vec<String> = (0..4)
            .map(|number| format!("one/{round}/{number}"))
            .collect();
        for path in &paths {
            vault.root("POST", path, json!({"value": "v"})).expect(204);
        }
        vault.kill9();
        // The last two writes had not reached the disk.
        let text = std::fs::read_to_string(file(&vault)).unwrap();
        let cut = text.find(&format!("\"path\":{:?}", paths[2])).unwrap();
        let cut = text[..cut].rfind('\n').unwrap() + 1;
        std::fs::write(file(&vault), &text[..cut]).unwrap();
        vault.restart_unsealed();
        for path in &paths {
            let all = records(&file(&vault));
            let requests = all.iter().filter(|one| {
                one["type"] == json!("request") && one["request"]["path"] == json!(path)
            });
            assert_eq!(requests.count(), 1, "round {round}: {path}");
            vault.root("GET", path, Value::Null).expect(200);
        }
    }
    assert!(vault.log().contains("audit records recovered"));
    vault.terminate();
    sound(&[&file(&vault)]);
}

#[test]
fn file_that_is_not_an_audit_log_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("notes");
    std::fs::write(&foreign, "not an audit log\n").unwrap();
    let config = dir.path().join("vaultd.toml");
    let text = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\ntls_disable = true\n[storage]\ntype = \"sqlite\"\npath = {:?}\n[[audit]]\ntype = \"file\"\npath = {foreign:?}\n",
        dir.path().join("data")
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(program("vaultd"));
    command.arg("server").arg("--config").arg(&config);
    let mut process = Process::spawn(command, dir.path());
    let status = until(Duration::from_secs(10), || process.ended()).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(
        process.log().contains("not an audit record of vaultd"),
        "{}",
        process.log()
    );
    assert_eq!(
        std::fs::read_to_string(&foreign).unwrap(),
        "not an audit log\n"
    );
}
