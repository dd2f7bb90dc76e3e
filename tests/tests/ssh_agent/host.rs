//! A host with repositories, each with keys of its own, and a server that manages the keys.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::sshd::{Sshd, USERS};
use vault_tests::{Options, Vault, program};

/// Lets one key into one repository, as forges do.
const GATE: &str = r#"#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
"git-upload-pack '/$1.git'") exec git-upload-pack "$HOME/$1.git" ;;
"git-receive-pack '/$1.git'") exec git-receive-pack "$HOME/$1.git" ;;
*) echo "ERROR: Repository not found." >&2; exit 1 ;;
esac
"#;

pub(crate) struct Host {
    pub(crate) vault: Vault,
    pub(crate) sshd: Sshd,
    /// The home of the job.
    pub(crate) home: TempDir,
    token: String,
}

impl Host {
    /// With the repositories `org/one` and `org/two`, and a key for each: `one` and `two`. The job's
    /// token may do what the rules say.
    pub(crate) fn new(rules: &str) -> Host {
        let vault = Vault::ready_with(Options::memory());
        let body = json!({"type": "sshkeys"});
        vault.root("POST", "sys/mounts/sshkeys", body).expect(204);
        let body = json!({ "policy": rules });
        vault.root("POST", "sys/policies/acl/job", body).expect(204);
        let made = vault.root("POST", "auth/token/create", json!({"policies": ["job"]}));
        let token = text(&made.expect(200).body["auth"]["client_token"]);
        let mut host = Host {
            vault,
            sshd: Sshd::start(),
            home: tempfile::tempdir().unwrap(),
            token,
        };
        let gate = host.sshd.site.write("gate", GATE);
        std::fs::set_permissions(gate, PermissionsExt::from_mode(0o700)).unwrap();
        for name in ["one", "two"] {
            host.repository(name);
            host.vault
                .root("POST", &format!("sshkeys/keys/{name}"), json!({}))
                .expect(200);
        }
        host.pin(&host.sshd.site.host_key.clone());
        host.authorize();
        host
    }

    fn repository(&mut self, name: &str) {
        let home = self.sshd.site.home();
        let bare = home.join(format!("org/{name}.git"));
        let work = self.home.path().join(format!("made-{name}"));
        let git = |dir: &Path, words: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=a", "-c", "user.email=a@b"]);
            let output = command.args(words).current_dir(dir).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        let (work_text, bare_text) = (work.to_str().unwrap(), bare.to_str().unwrap());
        git(&home, &["init", "-q", work_text]);
        std::fs::write(work.join("README"), name).unwrap();
        git(&work, &["add", "README"]);
        git(&work, &["commit", "-q", "-m", "first"]);
        git(&home, &["clone", "-q", "--bare", work_text, bare_text]);
        self.own(&home.join("org"));
    }

    fn own(&self, path: &Path) {
        self.sshd.site.own(path);
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            self.own(&entry.path());
        }
    }

    /// As known_hosts names it.
    pub(crate) fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.sshd.port)
    }

    /// `ssh-ed25519 AAAA…` becomes the only pinned key of the host.
    pub(crate) fn pin(&self, key: &str) {
        let path = format!("sshkeys/known-hosts/{}", self.name());
        let path = path.replace('[', "%5B").replace(']', "%5D");
        let body = json!({"keys": [key], "source": "test", "replace": true});
        self.vault.root("POST", &path, body).expect(204);
    }

    pub(crate) fn public(&self, key: &str) -> String {
        let answer = self
            .vault
            .root("GET", &format!("sshkeys/public/{key}"), json!(null));
        text(&answer.expect(200).data()["public_key"])
    }

    /// Each repository takes the current version of its key, and nothing else.
    pub(crate) fn authorize(&self) {
        let gate = self.sshd.site.path("gate");
        let lines = ["one", "two"].map(|name| {
            let gate = gate.display();
            let public = self.public(name);
            format!("restrict,command=\"{gate} org/{name}\" {public}\n")
        });
        self.sshd.authorize(&lines.concat());
    }

    /// A key of the same name that has never been seen.
    pub(crate) fn renew(&self, name: &str) {
        let path = format!("sshkeys/keys/{name}");
        self.vault.root("DELETE", &path, json!(null)).expect(204);
        self.vault.root("POST", &path, json!({})).expect(200);
        self.authorize();
    }

    pub(crate) fn private(&self, name: &str) -> String {
        let path = format!("sshkeys/creds/{name}");
        let answer = self.vault.root("GET", &path, json!(null));
        text(&answer.expect(200).data()["private_key"])
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}/org/{name}.git",
            USERS[0], self.sshd.port
        )
    }

    /// `vaultctl` as the job has it, in its home.
    pub(crate) fn vaultctl(&self, words: &[&str]) -> Command {
        let runtime = self.runtime();
        let mut command = Command::new(program("vaultctl"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin")
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", runtime)
            .env("VAULT_ADDR", &self.vault.addr)
            .env("VAULT_TOKEN", &self.token)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .args(words);
        command
    }

    /// Where sockets are made.
    pub(crate) fn runtime(&self) -> PathBuf {
        let path = self.home.path().join("runtime");
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// A script for `sh` in the job's home; its path.
    pub(crate) fn script(&self, text: &str) -> String {
        let path = self.home.path().join("script");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Options of `ssh` that trust whatever host there is.
    pub(crate) fn credulous(&self) -> &'static str {
        "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Every file below a folder but sockets.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        match () {
            () if kind.is_dir() => found.extend(files(&entry.path())),
            () if kind.is_file() => found.push(entry.path()),
            () => {}
        }
    }
    found
}

/// Fails if a file below a folder holds a line of the private key.
#[track_caller]
pub(crate) fn holds_no_key(dir: &Path, private: &str) {
    let secret = private.lines().filter(|line| !line.starts_with('-'));
    let secret: Vec<_> = secret.skip(2).filter(|line| line.len() > 20).collect();
    assert!(!secret.is_empty());
    for path in files(dir) {
        let content = std::fs::read(&path).unwrap_or_default();
        let content = String::from_utf8_lossy(&content);
        for line in &secret {
            assert!(!content.contains(*line), "{}", path.display());
        }
    }
    std::io::stdout().flush().unwrap();
}
