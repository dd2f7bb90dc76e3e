//! `vaultctl deploykey`, `ci ssh` and `git-credential` with a forge, as operators and jobs have them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::forge::{Dialect, Forge};
use vault_tests::sshd::keygen;
use vault_tests::{Options, Vault, program};

use vault_tests::process::{finish, good, told};

use crate::host::{holds_no_key, text};

/// What the README gives a job.
const JOB: &str = r#"
path "sshkeys/lookup"   { capabilities = ["read"] }
path "sshkeys/sign/one" { capabilities = ["update"] }
path "sshkeys/sign/two" { capabilities = ["update"] }
"#;

struct Site {
    vault: Vault,
    forge: Forge,
    home: TempDir,
    token: String,
}

impl Site {
    fn new() -> Site {
        let vault = Vault::ready_with(Options::memory());
        let forge = Forge::start(Dialect::Github, &["org/one", "org/two", "org/three"]);
        let root = |path: &str, body: Value| {
            let answer = vault.root("POST", path, body);
            assert!(answer.status < 300, "{path}: {}", answer.text);
            answer
        };
        root("sys/mounts/sshkeys", json!({"type": "sshkeys"}));
        root("sshkeys/config", json!({"grace": 60, "linger": 1}));
        root("sshkeys/forges/github", forge.config());
        root("sys/policies/acl/job", json!({ "policy": JOB }));
        let made = root("auth/token/create", json!({"policies": ["job"]}));
        let token = text(&made.body["auth"]["client_token"]);
        Site {
            vault,
            forge,
            home: tempfile::tempdir().unwrap(),
            token,
        }
    }

    fn command(&self, token: &str, words: &[&str]) -> Command {
        let runtime = self.home.path().join("runtime");
        std::fs::create_dir_all(&runtime).unwrap();
        let mut command = Command::new(program("vaultctl"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", runtime)
            .env("VAULT_ADDR", &self.vault.addr)
            .env("VAULT_TOKEN", token)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .args(words);
        command
    }

    fn job(&self, words: &[&str]) -> Command {
        self.command(&self.token, words)
    }

    fn operator(&self, words: &[&str]) -> Command {
        self.command(&self.vault.root, words)
    }

    /// What an operator does for a repository.
    fn deploy_key(&self, name: &str, more: &[&str]) -> String {
        let repository = format!("org/{name}");
        let words = ["deploykey", "create", name, "--forge", "github"];
        let words = [&words[..], &["--repository", &repository, "--wait"], more].concat();
        good(&mut self.operator(&words))
    }

    fn import(&self) {
        let host = self.forge.host();
        let words = ["ssh", "known-hosts", "import", &host, "--forge", "github"];
        good(&mut self.operator(&words));
    }

    fn has(&self, dir: &str) -> bool {
        self.home.path().join(dir).join(".git/HEAD").exists()
    }

    fn fingerprints(&self, name: &str) -> Vec<String> {
        let keys = self.forge.keys(&format!("org/{name}"));
        let keys = keys
            .iter()
            .map(|deploy| vault_ssh::Key::from_line(&deploy.key));
        keys.map(|key| key.unwrap().fingerprint()).collect()
    }
}

#[test]
fn one_job_clones_several_repositories_each_with_its_own_key() {
    let site = Site::new();
    site.import();
    let said = site.deploy_key("one", &[]);
    assert!(said.contains("ready, version 1"), "{said}");
    assert!(said.contains("org/one at github (read)"), "{said}");
    site.deploy_key("two", &["--write"]);
    let (one, two) = (site.forge.address("org/one"), site.forge.address("org/two"));
    let script = format!(
        "set -e
git clone -q {one} one
git clone -q {two} two
cd two
git -c user.name=a -c user.email=a@b commit -q --allow-empty -m more
git push -q origin HEAD
find \"$XDG_RUNTIME_DIR\" -type f -name '[!k]*'"
    );
    let out = good(&mut site.job(&["ci", "ssh", "--", "sh", "-c", &script]));
    assert_eq!(out, "", "files that are no known_hosts");
    assert!(site.has("one") && site.has("two"));
    for name in ["one", "two"] {
        let path = format!("sshkeys/creds/{name}");
        let creds = site.vault.root("GET", &path, json!(null)).expect(200);
        holds_no_key(site.home.path(), &text(&creds.data()["private_key"]));
    }
    let runtime = site.home.path().join("runtime");
    assert_eq!(std::fs::read_dir(runtime).unwrap().count(), 0);
    // One repository has no key, another lets nobody push.
    let three = site.forge.address("org/three");
    let clone = ["ci", "ssh", "--", "git", "clone", "-q", &three, "three"];
    let (code, _, err) = finish(&mut site.job(&clone));
    assert_eq!(code, 128);
    assert!(err.contains("no managed key is for org/three at"), "{err}");
    let push = "cd one && git push -q origin HEAD:refs/heads/new";
    let (code, _, err) = finish(&mut site.job(&["ci", "ssh", "--", "sh", "-c", push]));
    assert_ne!(code, 0);
    assert!(err.contains("no managed key is for org/one at"), "{err}");
}

#[test]
fn an_operator_rotates_with_one_command_while_a_job_goes_on() {
    let site = Site::new();
    site.import();
    site.deploy_key("one", &[]);
    let one = site.forge.address("org/one");
    let (before, pulls) = (site.fingerprints("one"), site.home.path().join("pulls"));
    let script = format!(
        "set -e
git clone -q {one} one
cd one
touch ../started
while [ ! -e ../rotated ]; do git pull -q; echo >>../pulls; done
git pull -q"
    );
    let job = site
        .job(&["ci", "ssh", "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = site.home.path().join("started");
    let is_there = |path: &Path| {
        let path = path.to_owned();
        let found = move || path.exists().then_some(());
        vault_tests::process::until(std::time::Duration::from_secs(30), found).unwrap();
    };
    is_there(&started);
    is_there(&pulls);
    let feed = "sys/events/subscribe/sshkeys";
    let start = site.vault.root("GET", feed, Value::Null).expect(200);
    let cursor = text(&start.data()["cursor"]);
    let rotate = ["deploykey", "rotate", "one", "--wait"];
    let (code, out, err) = finish(&mut site.operator(&rotate));
    std::fs::write(site.home.path().join("rotated"), "").unwrap();
    let (job_code, _, job_err) = told(&job.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}\n{out}");
    assert!(out.contains("ready, version 2"), "{out}");
    // A stage may begin and end between two looks: what was told is whole.
    assert!(err.contains("2 follows 1"), "{err}");
    let told = format!("{feed}?cursor={cursor}&wait=1");
    let told = site.vault.root("GET", &told, Value::Null).expect(200);
    let told: Vec<String> = told.data()["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| text(&event["operation"]))
        .collect();
    let steps = [
        "rotating",
        "published",
        "proved",
        "switched",
        "removed",
        "refused",
        "rotated",
    ];
    assert_eq!(told, steps);
    assert_eq!(job_code, 0, "{job_err}");
    let after = site.fingerprints("one");
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
    let board = good(&mut site.operator(&["deploykey", "board"]));
    assert!(board.contains("org/one at github"), "{board}");
    let json = good(&mut site.operator(&["deploykey", "status", "one", "-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["data"]["current_version"], 2);
}

#[test]
fn a_rotation_that_fails_says_what_to_do_and_the_old_key_goes_on() {
    let site = Site::new();
    site.import();
    site.deploy_key("one", &[]);
    site.forge.fail_with(Some(403));
    let rotate = ["deploykey", "rotate", "one", "--wait"];
    let (code, out, err) = finish(&mut site.operator(&rotate));
    assert_eq!(code, 2, "{err}");
    assert!(out.contains("version 2 cannot be put there"), "{out}");
    assert!(out.contains("next: "), "{out}");
    assert!(err.contains("what worked before still works"), "{err}");
    let one = site.forge.address("org/one");
    good(&mut site.job(&["ci", "ssh", "--", "git", "clone", "-q", &one, "one"]));
    site.forge.fail_with(None);
    good(&mut site.operator(&["deploykey", "rollback", "one", "--wait"]));
    let out = good(&mut site.operator(&["deploykey", "retire", "one", "--wait", "--yes"]));
    assert!(out.contains("retired"), "{out}");
    assert!(site.forge.keys("org/one").is_empty());
    good(&mut site.operator(&["deploykey", "delete", "one", "--yes"]));
}

#[test]
fn a_changed_host_key_is_an_error_and_an_event_and_is_never_taken_over() {
    let site = Site::new();
    let host = site.forge.host();
    let known = |words: &[&str]| {
        let all = [&["ssh", "known-hosts"], words].concat();
        finish(&mut site.operator(&all))
    };
    // Nobody is there to confirm.
    let (code, _, err) = known(&["scan", &host]);
    assert_eq!(code, 1, "{err}");
    let key = vault_ssh::Key::from_line(&site.forge.sshd.site.host_key).unwrap();
    assert!(err.contains(&key.fingerprint()), "{err}");
    let (code, _, err) = known(&["scan", &host, "--fingerprint", "SHA256:nothing"]);
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = known(&["scan", &host, "--fingerprint", &key.fingerprint()]);
    assert_eq!(code, 0, "{err}");
    let (_, out, _) = known(&[]);
    assert_eq!(out, format!("{host} {}\n", key.line()));
    assert_eq!(known(&["check"]).0, 0);
    // Another one is pinned: as if the host had changed.
    let other = keygen(&site.home.path().join("other"));
    let (code, _, err) = known(&["add", &host, &other]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--replace"), "{err}");
    site.deploy_key("one", &[]);
    let (code, _, err) = known(&["add", &host, &other, "--replace"]);
    assert_eq!(code, 0, "{err}");
    // A login of vaultd's own finds it.
    let verify = ["deploykey", "verify", "one", "--wait"];
    let (code, out, _) = finish(&mut site.operator(&verify));
    assert_eq!(code, 2);
    assert!(out.contains("shows another host key"), "{out}");
    let (_, out, _) = known(&["list"]);
    assert!(
        out.contains(&format!("CHANGED: it showed {}", key.fingerprint())),
        "{out}"
    );
    let (code, _, err) = known(&["check"]);
    assert_eq!(code, 2);
    assert!(err.contains("HAS CHANGED"), "{err}");
    let (_, out, _) = known(&["show", &host, "-o", "json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    let shown = &shown["data"]["changed"]["fingerprints"];
    assert_eq!(*shown, json!([key.fingerprint()]), "{out}");
    let (_, out, _) = known(&["list"]);
    assert!(
        out.contains("CHANGED: it showed") && out.contains("by hand"),
        "{out}"
    );
    let (code, _, err) = known(&["scan", &host, "--fingerprint", &key.fingerprint()]);
    assert_eq!(code, 2, "{err}");
    let (_, out, _) = known(&[]);
    assert_eq!(out, format!("{host} {other}\n"));
    let authority = ["add", "*.corp.example", &other, "--authority"];
    assert_eq!(known(&authority).0, 0);
    let (_, out, _) = known(&[]);
    assert!(
        out.contains(&format!("@cert-authority *.corp.example {other}\n")),
        "{out}"
    );
}

#[test]
fn git_over_https_gets_a_token_of_the_app_for_one_repository() {
    let site = Site::new();
    let pem = site.home.path().join("app.pem");
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-out"])
        .arg(&pem)
        .output()
        .unwrap();
    assert!(made.status.success());
    let pem = std::fs::read_to_string(&pem).unwrap();
    let key = vault_ssh::PrivateKey::parse(&pem).unwrap();
    site.forge.install_app(key.public().clone());
    let mut config = site.forge.config();
    config["token"] = Value::Null;
    config["app_id"] = json!("4711");
    config["installation_id"] = json!("77");
    config["private_key"] = json!(pem);
    site.vault
        .root("POST", "sshkeys/forges/app", config)
        .expect(200);
    let ask = |operation: &str, said: &str| {
        let words = ["git-credential", "--forge", "app", operation];
        let mut command = site.operator(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, said.as_bytes()).unwrap();
        drop(stdin);
        told(&child.wait_with_output().unwrap())
    };
    let asked = "protocol=https\nhost=github.com\npath=org/one.git\n\n";
    let (code, out, err) = ask("get", asked);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "username=x-access-token");
    assert!(lines[1].starts_with("password=") && lines[1].len() > 12);
    assert!(lines[2].starts_with("password_expiry_utc="), "{out}");
    for (operation, said) in [
        ("store", asked),
        ("erase", asked),
        ("get", "protocol=https\nhost=elsewhere\npath=a/b\n\n"),
        ("get", "protocol=http\nhost=github.com\npath=a/b\n\n"),
    ] {
        assert_eq!(ask(operation, said), (0, String::new(), String::new()));
    }
    let (code, _, err) = ask("get", "protocol=https\nhost=github.com\n\n");
    assert_eq!(code, 1);
    assert!(err.contains("useHttpPath true"), "{err}");
    // git itself asks it so.
    let helper = format!(
        "credential.helper=!{} git-credential --forge app",
        program("vaultctl").display()
    );
    let fill = format!(
        "printf '{}' | git -c '{helper}' -c credential.useHttpPath=true credential fill",
        asked.replace('\n', "\\n")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &fill]);
    for (name, value) in site.operator(&[]).get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    assert!(good(&mut shell).contains("password="));
}
