//! The programs of this build as processes. A process ends with the value that stands for it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How a server is started.
#[derive(Clone, Default)]
pub struct Options {
    /// Plain HTTP on loopback, instead of TLS with the server's own certificate.
    pub plain: bool,
    /// In memory and without an audit device, instead of SQLite.
    pub memory: bool,
    /// TOML before the first section: `default_lease_ttl = "1h"`.
    pub top: String,
    /// More keys of the listener.
    pub listener: String,
    /// More TOML sections: `[[audit]]` and the like.
    pub toml: String,
    pub env: Vec<(String, String)>,
    /// Runs the program through another one, which must replace itself with it.
    pub wrapper: Vec<String>,
}

impl Options {
    pub fn plain() -> Options {
        Options {
            plain: true,
            ..Options::default()
        }
    }

    pub fn memory() -> Options {
        Options {
            plain: true,
            memory: true,
            ..Options::default()
        }
    }
}

/// The path of `vaultd` or `vaultctl` in the target folder of this build.
///
/// # Panics
/// If the program was not built.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let dir = own.ancestors().find(|dir| dir.join(name).is_file());
    let Some(dir) = dir else {
        panic!(
            "no program {name} near {}: run `cargo build --workspace` first",
            own.display()
        );
    };
    dir.join(name)
}

/// A child whose output goes to files.
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Output is appended to `out` and `err` in `dir`.
    pub fn spawn(mut command: Command, dir: &Path) -> Process {
        let (stdout, stderr) = (dir.join("out"), dir.join("err"));
        let append = |path: &Path| {
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap()
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(append(&stdout))
            .stderr(append(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process {
            child,
            stdout,
            stderr,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that was printed, stdout before stderr.
    pub fn log(&self) -> String {
        let read = |path: &Path| {
            String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
        };
        read(&self.stdout) + &read(&self.stderr)
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    pub fn kill9(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }

    /// SIGTERM, and at most 20 seconds for the rest.
    pub fn terminate(&mut self) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        self.signal(Signal::TERM);
        let ended = until(Duration::from_secs(20), || self.ended());
        ended.unwrap_or_else(|| panic!("the process does not stop\n{}", self.log()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Asks until there is an answer or the time is over.
pub fn until<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > time {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
/// Exit code (128 and more for signals), stdout, stderr.
///
/// # Panics
/// If it cannot be started.
pub fn finish(command: &mut Command) -> (i32, String, String) {
    match command.output() {
        Ok(output) => told(&output),
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// The same of what has ended.
pub fn told(output: &Output) -> (i32, String, String) {
    use std::os::unix::process::ExitStatusExt;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let signal = output.status.signal().unwrap_or(0);
    (
        output.status.code().unwrap_or(128 + signal),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// What a command that has to go well prints.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn good(command: &mut Command) -> String {
    let (code, out, err) = finish(command);
    assert_eq!(code, 0, "{err}\n{out}");
    out
}

/// User and system time of a process so far (proc(5): fields 14 and 15 of `stat`, in ticks of 10 ms).
pub fn cpu_of(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
