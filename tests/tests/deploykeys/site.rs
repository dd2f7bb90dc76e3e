//! A vault with a mount of SSH keys, and those who pull with them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::Vault;
use vault_tests::forge::Forge;
use vault_tests::process::until;

pub struct Site {
    pub vault: Vault,
}

impl Site {
    /// Readers have a minute; who has read a key connects within a second.
    pub fn new() -> Site {
        let vault = Vault::ready();
        let body = json!({"type": "sshkeys"});
        vault.root("POST", "sys/mounts/sshkeys", body).expect(204);
        let site = Site { vault };
        site.write("config", json!({"grace": 60, "linger": 1}));
        site
    }

    #[track_caller]
    pub fn write(&self, path: &str, body: Value) -> Value {
        let answer = self.vault.root("POST", &format!("sshkeys/{path}"), body);
        assert!(answer.status < 300, "{path}: {}", answer.text);
        answer.data().clone()
    }

    #[track_caller]
    pub fn read(&self, path: &str) -> Value {
        let answer = self
            .vault
            .root("GET", &format!("sshkeys/{path}"), json!(null));
        answer.expect(200).data().clone()
    }

    #[track_caller]
    pub fn delete(&self, path: &str) {
        let answer = self
            .vault
            .root("DELETE", &format!("sshkeys/{path}"), json!(null));
        assert!(answer.status < 300, "{path}: {}", answer.text);
    }

    /// Knows the forge by its dialect's name, and its host key.
    pub fn know(&self, forge: &Forge) {
        self.write(&format!("forges/{}", forge.dialect.name()), forge.config());
        self.pin(&forge.host(), &forge.sshd.site.host_key);
    }

    pub fn pin(&self, host: &str, key: &str) {
        let body = json!({"keys": [key], "source": "the test", "replace": true});
        self.write(&format!("known-hosts/{}", encoded(host)), body);
    }

    /// A key for one repository, ready.
    pub fn deploy_key(&self, name: &str, forge: &Forge, repository: &str) {
        self.write(&format!("keys/{name}"), json!({}));
        let forge = forge.dialect.name();
        let target = json!({"forge": forge, "repository": repository});
        self.write(&format!("keys/{name}/targets/main"), target);
    }

    pub fn status(&self, name: &str) -> Value {
        self.read(&format!("keys/{name}/status"))
    }

    /// Waits until the key is as it should be.
    #[track_caller]
    pub fn until(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = until(Duration::from_secs(40), || {
            last = self.status(name);
            is_so(&last).then(|| last.clone())
        });
        match found {
            Some(found) => found,
            None => panic!("{name} stays so: {last:#}\n{}", self.vault.log()),
        }
    }

    /// Waits until nothing is under way, with this version.
    #[track_caller]
    pub fn ready(&self, name: &str, version: u64) -> Value {
        let is_so = |s: &Value| s["state"] == "ready" && s["current_version"] == version;
        self.until(name, is_so)
    }

    /// The current key, as root reads it; the version too.
    #[track_caller]
    pub fn creds(&self, name: &str) -> (String, u64) {
        let creds = self.read(&format!("creds/{name}"));
        let text = creds["private_key"].as_str().unwrap().to_owned();
        (text, creds["version"].as_u64().unwrap())
    }
}

pub fn encoded(host: &str) -> String {
    host.replace('[', "%5B").replace(']', "%5D")
}

/// A working copy of a repository, and a key in a file.
pub struct Clone {
    pub dir: TempDir,
    address: String,
    known_hosts: String,
}

impl Clone {
    pub fn of(forge: &Forge, repository: &str) -> Clone {
        Clone {
            dir: tempfile::tempdir().unwrap(),
            address: forge.address(repository),
            known_hosts: forge.sshd.known_hosts_line(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Clones, or pulls if that was done, with this private key.
    pub fn pull(&self, private: &str) -> Output {
        write_private(&self.path("key"), private);
        std::fs::write(self.path("known_hosts"), &self.known_hosts).unwrap();
        let ssh = format!(
            "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none \
             -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} -i {}",
            self.path("known_hosts").display(),
            self.path("key").display()
        );
        let tree = self.path("tree");
        let mut command = Command::new("git");
        match tree.exists() {
            true => command.arg("-C").arg(&tree).args(["pull", "-q"]),
            false => command.args(["clone", "-q", &self.address]).arg(&tree),
        };
        command
            .env("GIT_SSH_COMMAND", ssh)
            .env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.output().unwrap()
    }

    #[track_caller]
    pub fn pulls(&self, private: &str) {
        let done = self.pull(private);
        assert!(done.status.success(), "{}", said(&done));
    }

    /// The host refuses the key, and says so.
    #[track_caller]
    pub fn is_refused(&self, private: &str) {
        let done = self.pull(private);
        assert!(!done.status.success(), "the key still pulls");
        assert!(said(&done).contains("Permission denied"), "{}", said(&done));
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn write_private(path: &Path, private: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(path);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    std::io::Write::write_all(&mut file.unwrap(), private.as_bytes()).unwrap();
}
