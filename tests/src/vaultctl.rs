//! `vaultctl`, started with an environment of the test's own.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::program;

/// How to start it: against a server, in a folder that is its home too.
pub struct Vaultctl {
    dir: PathBuf,
    env: Vec<(String, String)>,
}

/// What it said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Vaultctl {
    pub fn new(dir: &Path, address: &str) -> Vaultctl {
        let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let path = std::env::var("PATH").unwrap_or_default();
        Vaultctl {
            dir: dir.to_owned(),
            env: vec![
                env("VAULT_ADDR", address),
                env("HOME", &dir.display().to_string()),
                env("PATH", &path),
            ],
        }
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Vaultctl {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Not started yet; with nothing inherited.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("vaultctl"));
        command.args(arguments).current_dir(&self.dir).env_clear();
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that reads nothing may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
