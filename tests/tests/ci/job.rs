//! What every job needs: a server with secrets, a token for them, and `vaultctl` with nothing around it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::{Options, Vault, program};

pub(crate) struct Job {
    pub(crate) vault: Vault,
    pub(crate) home: TempDir,
    pub(crate) token: String,
}

/// May read everything in `kv/`.
const RULES: &str = r#"path "kv/data/*" { capabilities = ["read"] }"#;

impl Job {
    pub(crate) fn new() -> Job {
        Job::with(Options::memory())
    }

    pub(crate) fn with(options: Options) -> Job {
        let vault = Vault::ready_with(options);
        let body = json!({"type": "kv", "options": {"version": "2"}});
        vault.root("POST", "sys/mounts/kv", body).expect(204);
        vault
            .root("POST", "sys/policies/acl/ci", json!({ "policy": RULES }))
            .expect(204);
        let mut job = Job {
            vault,
            home: tempfile::tempdir().unwrap(),
            token: String::new(),
        };
        job.token = job.new_token();
        job
    }

    pub(crate) fn new_token(&self) -> String {
        let body = json!({"policies": ["ci"]});
        let made = self
            .vault
            .root("POST", "auth/token/create", body)
            .expect(200);
        made.body["auth"]["client_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A new version.
    pub(crate) fn put(&self, path: &str, data: Value) {
        self.vault
            .root("POST", &format!("kv/data/{path}"), json!({ "data": data }))
            .expect(200);
    }

    /// `vaultctl` with the job's token.
    pub(crate) fn vaultctl(&self, words: &[&str]) -> Command {
        let mut command = self.without_token(words);
        command.env("VAULT_TOKEN", &self.token);
        command
    }

    pub(crate) fn without_token(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program("vaultctl"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("VAULT_ADDR", &self.vault.addr)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .args(words);
        command
    }

    /// As root, for what prepares a job.
    pub(crate) fn owner(&self, words: &[&str]) -> Command {
        let mut command = self.without_token(words);
        command.env("VAULT_TOKEN", &self.vault.root);
        command
    }

    pub(crate) fn alive(&self, token: &str) -> bool {
        let answer = self
            .vault
            .call("GET", "auth/token/lookup-self", Some(token), None);
        answer.status == 200
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// The files of `run` that are there now.
pub(crate) fn folder_of(path: &str) -> &Path {
    Path::new(path.trim()).parent().unwrap()
}
