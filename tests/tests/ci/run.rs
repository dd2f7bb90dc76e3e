//! `vaultctl run` in a job: files in memory, signals and codes, the token given back.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use vault_tests::Options;
use vault_tests::process::{program, until};

use vault_tests::process::{finish, good};

use crate::job::{Job, folder_of};

const KEY: &str = "-----BEGIN KEY-----\nq83vEjRWeJCrze8\n-----END KEY-----\n";
const FILE: [&str; 3] = ["run", "--file", "KEY=kv/deploy#ssh"];

fn job() -> Job {
    let job = Job::new();
    job.put("deploy", json!({"ssh": KEY, "password": "correct horse"}));
    job
}

/// Starts `vaultctl run --file` and reads the first line that the command prints: the file's path.
fn started(job: &Job, script: &str) -> (Child, String) {
    let mut command = job.vaultctl(&[&FILE[..], &["--", "sh", "-c", script]].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line.trim().to_owned())
}

#[track_caller]
fn gone(path: &str) {
    let folder = folder_of(path);
    assert!(folder.to_str().unwrap().contains("vaultctl-"), "{path}");
    let gone = until(Duration::from_secs(20), || (!folder.exists()).then_some(()));
    assert!(gone.is_some(), "{path} is still there");
}

#[test]
fn a_file_is_private_in_memory_and_gone_at_the_end() {
    let job = job();
    let script = "echo $KEY; stat -c %a $KEY $(dirname $KEY); stat -fc %T $KEY; cat $KEY; exit 7";
    let words = [&FILE[..], &["--", "sh", "-c", script]].concat();
    let (code, out, err) = finish(&mut job.vaultctl(&words));
    let (path, rest) = out.split_once('\n').unwrap();
    assert_eq!(rest, format!("600\n700\ntmpfs\n{KEY}"), "{err}");
    assert_eq!(code, 7);
    gone(path);
}

#[test]
fn signals_and_crashes_leave_no_file_and_keep_their_code() {
    let job = job();
    let wait = "echo $KEY; exec sleep 60";
    for (signal, expected) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let (mut child, path) = started(&job, wait);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), KEY);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected));
        assert!(!folder_of(&path).exists(), "{path}");
    }
    let (mut child, path) = started(&job, "echo $KEY; kill -SEGV $$");
    assert_eq!(child.wait().unwrap().code(), Some(139));
    assert!(!folder_of(&path).exists());

    // Nobody can do anything about SIGKILL but a process that is not killed.
    let (mut child, path) = started(&job, "echo $KEY; exec sleep 5");
    child.kill().unwrap();
    child.wait().unwrap();
    gone(&path);
}

#[test]
fn a_file_that_cannot_be_written_starts_nothing_and_leaves_nothing() {
    let job = job();
    let runtime = format!("/dev/shm/full-{}", std::process::id());
    std::fs::create_dir(&runtime).unwrap();
    let mut limited = Command::new("sh");
    // A write beyond the limit fails as one to a full disk does.
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(program("vaultctl"))
        .args(FILE)
        .args(["--", "echo", "ran"])
        .env("VAULT_ADDR", &job.vault.addr)
        .env("VAULT_TOKEN", &job.token)
        .env("XDG_RUNTIME_DIR", &runtime);
    let (code, out, err) = finish(&mut limited);
    let left = std::fs::read_dir(&runtime).unwrap().count();
    std::fs::remove_dir(&runtime).unwrap();
    assert_eq!((code, out.as_str(), left), (125, "", 0), "{err}");
    assert!(
        err.contains("cannot write") && !err.contains("q83v"),
        "{err}"
    );
}

#[test]
fn what_a_run_leaves_that_was_killed_altogether_the_next_one_removes() {
    let job = job();
    let runtime = format!("/dev/shm/left-{}", std::process::id());
    let (left, young) = (
        format!("{runtime}/vaultctl-1"),
        format!("{runtime}/vaultctl-2"),
    );
    std::fs::create_dir(&runtime).unwrap();
    let run = |script: &str| {
        let mut command = job.vaultctl(&[&FILE[..], &["--", "sh", "-c", script]].concat());
        command.env("XDG_RUNTIME_DIR", &runtime);
        command
    };
    let age = |folder: &str| {
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        let folder = std::fs::File::open(folder).unwrap();
        folder.set_modified(long_ago).unwrap();
    };
    // A run that lasts long is no left-over.
    let mut lasting = run("echo $KEY; exec sleep 60")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(lasting.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let in_use = folder_of(&line).to_owned();
    age(in_use.to_str().unwrap());
    for folder in [&left, &young] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(format!("{folder}/KEY"), KEY).unwrap();
    }
    age(&left);
    good(&mut run("true"));
    let there = |folder: &str| std::path::Path::new(folder).exists();
    let found = (there(&left), there(&young), in_use.join("KEY").exists());
    lasting.kill().unwrap();
    lasting.wait().unwrap();
    gone(&line);
    std::fs::remove_dir_all(&runtime).unwrap();
    assert_eq!(found, (false, true, true));
}

#[test]
fn without_an_end_to_wait_for_the_command_takes_our_place() {
    let job = job();
    let pid = |words: &[&str]| {
        let command = ["--", "sh", "-c", "echo $$"];
        let mut command = job.vaultctl(&[words, &command].concat());
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let own = child.id();
        let out = child.wait_with_output().unwrap().stdout;
        (
            own,
            String::from_utf8(out)
                .unwrap()
                .trim()
                .parse::<u32>()
                .unwrap(),
        )
    };
    let (own, of_command) = pid(&["run", "-s", "kv/deploy#password"]);
    assert_eq!(own, of_command);
    let (own, of_command) = pid(&["run", "-s", "kv/deploy#password", "--revoke-on-exit"]);
    assert_ne!(own, of_command);
}

#[test]
fn the_token_is_revoked_whatever_the_end() {
    let mut job = job();
    for (reference, command, expected) in [
        ("kv/deploy#password", "exit 3", 3),
        ("kv/deploy#password", "kill -KILL $$", 137),
        ("kv/deploy#nothing", "exit 0", 125),
    ] {
        job.token = job.new_token();
        let words = [
            "run",
            "--revoke-on-exit",
            "-s",
            reference,
            "--",
            "sh",
            "-c",
            command,
        ];
        let (code, _, err) = finish(&mut job.vaultctl(&words));
        assert_eq!(code, expected, "{err}");
        assert!(!job.alive(&job.token), "{command}");
    }
    job.token = job.new_token();
    good(&mut job.vaultctl(&["run", "-s", "kv/deploy#password", "--", "true"]));
    assert!(job.alive(&job.token));
}

#[test]
fn twenty_secrets_are_one_request() {
    let job = Job::with(Options::plain());
    let mut words = vec!["run".to_owned()];
    for number in 0..20 {
        job.put(
            &format!("s{number}"),
            json!({"value": format!("v{number}")}),
        );
        words.extend(["-s".to_owned(), format!("N{number}=kv/s{number}#value")]);
    }
    words.extend(["--", "sh", "-c", "echo $N0 $N19"].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let before = job.vault.audit().len();
    assert_eq!(good(&mut job.vaultctl(&words)), "v0 v19\n");
    let audit = job.vault.audit().split_off(before);
    let asked = |path: &str| {
        let same = |line: &&serde_json::Value| {
            line["type"] == "request" && line["request"]["path"] == path
        };
        audit.iter().filter(same).count()
    };
    assert_eq!(asked("sys/batch"), 1);
    assert_eq!(asked("sys/internal/ui/mounts/kv/s0"), 1);
    // Each is recorded, all in the one request.
    assert_eq!(asked("kv/data/s7"), 1);
    let requests: std::collections::BTreeSet<_> = audit
        .iter()
        .filter(|line| {
            line["request"]["path"]
                .as_str()
                .is_some_and(|p| p.starts_with("sys/"))
        })
        .map(|line| line["request"]["id"].to_string())
        .collect();
    assert_eq!(requests.len(), 2, "{requests:?}");
}
