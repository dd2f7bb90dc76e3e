//! `vaultctl run --mask`: a job that prints its secrets shows none.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;
use vault_tests::process::until;

use vault_tests::process::finish;

use crate::job::Job;

const PASSWORD: &str = "correct horse/\"battery\" stäple";
const KEY: &str = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIH\nq83vEjRWeJCrze8q83vEjRWeJCrze8\n-----END KEY-----\n";

fn job() -> Job {
    let job = Job::new();
    job.put(
        "deploy",
        json!({"PASSWORD": PASSWORD, "KEY": KEY, "PIN": "42"}),
    );
    job
}

/// Prints the secrets in the ways in which jobs print them.
const PRINTS: &str = r#"
import base64, json, os, sys, time, urllib.parse
p, k = os.environ["PASSWORD"], os.environ["KEY"]
print("plain", p)
print("json", json.dumps({"p": p}), json.dumps(json.dumps(p)))
print("url", urllib.parse.quote(p), urllib.parse.quote_plus(p, safe=""))
for before in ["", "u", "us", "user:"]:
    print("b64", base64.b64encode((before + p).encode()).decode())
    print("b64", base64.urlsafe_b64encode((before + p).encode()).decode())
print(base64.encodebytes(k.encode()).decode())
print(k)
for line in k.splitlines(): print("    " + line)
for piece in p:
    sys.stderr.write(piece); sys.stderr.flush(); time.sleep(0.01)
print("\nend")
"#;

fn shows_none(out: &str) {
    let encoded = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    let (password, key) = (encoded(PASSWORD), encoded(KEY));
    let telling = [
        "horse",
        "battery",
        "BEGIN KEY",
        "MC4CAQ",
        "q83vEj",
        &password[4..16],
        &key[8..24],
    ];
    for part in telling {
        assert!(!out.contains(part), "{part} in {out}");
    }
    assert!(
        out.contains("***") && out.contains("plain") && out.contains("end"),
        "{out}"
    );
}

#[test]
fn a_job_that_prints_its_secrets_shows_none() {
    let job = job();
    let words = [
        "run",
        "--mask",
        "-s",
        "kv/deploy",
        "--",
        "python3",
        "-c",
        PRINTS,
    ];
    let (code, out, err) = finish(&mut job.vaultctl(&words));
    assert_eq!(code, 0, "{err}");
    shows_none(&out);
    assert!(err.contains("***") && !err.contains("horse"), "{err}");
    assert!(err.contains("too short to be masked: PIN"), "{err}");
}

#[test]
fn codes_and_signals_pass_through_a_mask() {
    let job = job();
    let run = |script: &str| {
        let words = ["run", "--mask", "-s", "kv/deploy", "--", "sh", "-c", script];
        finish(&mut job.vaultctl(&words))
    };
    assert_eq!(run("echo $PIN is no secret; exit 9").0, 9);
    assert_eq!(run("kill -ABRT $$").0, 134);
    assert_eq!(run("nothing-like-this").0, 127);
    // What stays behind does not hold up the job.
    let (code, out, _) = run("echo early; sleep 60 & exit 4");
    assert_eq!((code, out.as_str()), (4, "early\n"));
}

#[test]
fn a_full_disk_behind_the_output_is_no_success() {
    let job = job();
    let words = [
        "run",
        "--mask",
        "-s",
        "kv/deploy",
        "--",
        "sh",
        "-c",
        "echo $PASSWORD",
    ];
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = job.vaultctl(&words);
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("No space left") && !err.contains("horse"),
        "{err}"
    );
}

/// A terminal with `vaultctl` at it.
struct Screen {
    child: Child,
    master: File,
    shown: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Screen {
    fn start(job: &Job, words: &[&str]) -> Screen {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        size(&master, 33);
        let child = job
            .vaultctl(words)
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        let master = File::from(master);
        let shown = std::sync::Arc::<std::sync::Mutex<Vec<u8>>>::default();
        let (mut reads, keeps) = (master.try_clone().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reads.read(&mut bytes) {
                keeps.lock().unwrap().extend(&bytes[..count]);
            }
        });
        Screen {
            child,
            master,
            shown,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn shows(&self, wanted: &str) {
        let found = until(Duration::from_secs(60), || {
            self.text().contains(wanted).then_some(())
        });
        assert!(found.is_some(), "no {wanted:?} in {:?}", self.text());
    }

    fn code(&mut self) -> Option<i32> {
        let ended = until(Duration::from_secs(60), || self.child.try_wait().unwrap());
        ended.unwrap().code()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(master: &impl std::os::fd::AsFd, columns: u16) {
    let size = Winsize {
        ws_row: 10,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(master, size).unwrap();
}

#[test]
fn on_a_terminal_the_command_has_one_too() {
    let job = job();
    let words = [
        "run",
        "--mask",
        "-s",
        "kv/deploy",
        "--",
        "python3",
        "-c",
        PRINTS,
    ];
    let mut screen = Screen::start(&job, &words);
    assert_eq!(screen.code(), Some(0), "{}", screen.text());
    shows_none(&screen.text());
}

#[test]
fn keys_sizes_and_signals_reach_the_command_on_its_terminal() {
    let job = job();
    let script = "tty; stty size; trap 'stty size; echo resized' WINCH; trap 'echo stopped; exit 5' INT; \
         read line; echo \"got $line\"; while :; do sleep 0.1; done";
    let words = [
        "run",
        "--mask",
        "-s",
        "kv/deploy",
        "--",
        "bash",
        "-c",
        script,
    ];
    let mut screen = Screen::start(&job, &words);
    screen.shows("/dev/pts/");
    screen.shows("10 33");
    screen.master.write_all(b"typed\r").unwrap();
    screen.shows("got typed");
    size(&screen.master, 77);
    kill_process(Pid::from_child(&screen.child), Signal::WINCH).unwrap();
    screen.shows("10 77");
    // The key, not a signal: nobody but the command's terminal makes one of it.
    screen.master.write_all(b"\x03").unwrap();
    screen.shows("stopped");
    assert_eq!(screen.code(), Some(5));
}
