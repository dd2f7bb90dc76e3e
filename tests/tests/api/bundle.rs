//! Starting while the server is sealed: `vaultctl run --cache` and the SDK's cache use what a host
//! keeps only as long as the server allows, on that host, and not once it is revoked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use linux_keyutils::{KeyRing, KeyRingIdentifier};
use serde_json::{Value, json};
use tempfile::TempDir;
use vault_sdk::{Cache, Client, Error, HostKey, SecretString, Secrets, Startup};
use vault_tests::{Said, Vault, Vaultctl};

use crate::setup::{durable, quick, token_with};

const PASSWORD: &str = "h4Kq9Zx/W2mP+7vB3sL6";
const READ: &str = "path \"kv/data/*\" { capabilities = [\"read\"] }";

fn prepared(vault: &Vault, max_stale: &str) -> String {
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    for path in ["app", "other", "never"] {
        let data = json!({"data": {"password": PASSWORD}});
        vault
            .root("POST", &format!("kv/data/{path}"), data)
            .expect(200);
    }
    for path in ["app", "other"] {
        let metadata = json!({"custom_metadata": {"max_stale": max_stale}});
        vault
            .root("POST", &format!("kv/metadata/{path}"), metadata)
            .expect(204);
    }
    token_with(vault, "app", READ)
}

fn seal(vault: &Vault) {
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
}

struct Host<'a> {
    vault: &'a Vault,
    dir: TempDir,
    token: String,
}

impl Host<'_> {
    /// With a server that has secrets to keep.
    fn new<'a>(vault: &'a Vault, max_stale: &str) -> Host<'a> {
        Host {
            vault,
            dir: tempfile::tempdir().unwrap(),
            token: prepared(vault, max_stale),
        }
    }

    fn vaultctl(&self) -> Vaultctl {
        Vaultctl::new(self.dir.path(), &self.vault.addr)
            .env("VAULT_TOKEN", &self.token)
            .env("VAULT_MAX_RETRIES", "0")
    }

    fn run_with(&self, secret: &str, options: &[&str]) -> Said {
        let keep = [
            "run",
            "--cache",
            "--cache-dir",
            "kept",
            "--cache-key",
            "key",
        ];
        let command = ["-s", secret, "--", "sh", "-c", "printf %s \"$password\""];
        let all = [&keep[..], options, &command[..]].concat();
        self.vaultctl().run(&all, "")
    }

    fn run(&self, secret: &str) -> Said {
        self.run_with(secret, &[])
    }

    fn learn(&self) -> Said {
        let arguments = [
            "bundle",
            "learn",
            "--cache-dir",
            "kept",
            "--cache-key",
            "key",
        ];
        self.vaultctl().run(&arguments, "")
    }
}

#[track_caller]
fn started(said: &Said) {
    assert_eq!((said.code, said.out.as_str()), (0, PASSWORD), "{said:?}");
}

#[track_caller]
fn refused(said: &Said, why: &str) {
    assert_eq!((said.code, said.out.as_str()), (125, ""), "{said:?}");
    assert!(said.err.contains(why), "{said:?}");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn an_app_starts_while_the_server_is_sealed_with_nothing_in_plain_on_the_disk() {
    let vault = durable();
    let host = Host::new(&vault, "12h");
    started(&host.run("kv/app"));
    for path in files(&host.dir.path().join("kept")) {
        let bytes = fs::read(&path).unwrap();
        let shows = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(!shows(PASSWORD.as_bytes()) && !shows(b"password") && !shows(b"kv/app"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let audit = serde_json::to_string(&vault.audit()).unwrap();
    assert!(audit.contains("kv/data/app") && !audit.contains(PASSWORD));
    seal(&vault);
    let said = host.run("kv/app");
    started(&said);
    assert!(said.err.contains("sealed"), "{said:?}");
    refused(&host.run("kv/other"), "nothing is kept");
    vault.unseal();
    let said = host.run("kv/app");
    started(&said);
    assert_eq!(said.err, "");
}

#[test]
fn what_the_server_does_not_allow_or_is_too_old_is_not_used() {
    let vault = quick();
    let host = Host::new(&vault, "2s");
    started(&host.run("kv/app"));
    started(&host.run("kv/never"));
    // Longer than the server allows is not to be had; less is.
    seal(&vault);
    std::thread::sleep(Duration::from_millis(3100));
    refused(
        &host.run_with("kv/app", &["--max-stale", "12h"]),
        "may be 2 s",
    );
    refused(&host.run("kv/never"), "nothing is kept");
    vault.unseal();
    let metadata = json!({"custom_metadata": {"max_stale": "12h"}});
    vault.root("POST", "kv/metadata/app", metadata).expect(204);
    started(&host.run("kv/app"));
    seal(&vault);
    std::thread::sleep(Duration::from_millis(2100));
    refused(
        &host.run_with("kv/app", &["--max-stale", "1"]),
        "may be 1 s",
    );
    started(&host.run("kv/app"));
}

#[test]
fn a_tampered_bundle_and_another_hosts_key_open_nothing() {
    let vault = quick();
    let host = Host::new(&vault, "12h");
    started(&host.run("kv/app"));
    seal(&vault);
    let all = files(&host.dir.path().join("kept"));
    assert_eq!(all.len(), 2, "{all:?}");
    for path in &all {
        let whole = fs::read(path).unwrap();
        for at in [0, 10, 50, whole.len() - 1] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(path, altered).unwrap();
            refused(
                &host.run("kv/app"),
                "was altered, or made with the key of another host",
            );
        }
        fs::write(path, &whole[..20]).unwrap();
        refused(&host.run("kv/app"), "was altered");
        fs::write(path, &whole).unwrap();
    }
    // One file in the place of the other.
    let (one, two) = (fs::read(&all[0]).unwrap(), fs::read(&all[1]).unwrap());
    fs::write(&all[0], &two).unwrap();
    refused(&host.run("kv/app"), "was altered");
    fs::write(&all[0], one).unwrap();
    started(&host.run("kv/app"));

    let key = host.dir.path().join("key");
    let own = fs::read(&key).unwrap();
    fs::write(&key, [7; 32]).unwrap();
    refused(&host.run("kv/app"), "another host");
    fs::write(&key, own).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&host.run("kv/app"), "others may read it");
    // Without being asked for, there is no file with a key.
    let said = host
        .vaultctl()
        .run(&["run", "--cache", "-s", "kv/app", "--", "true"], "");
    refused(&said, "vaultd-bundle-key");
}

/// Takes it away, as a reboot would. Until the kernel has cleared away a revoked key, minutes later, a
/// search still finds it.
fn forget_key(name: &str) {
    let user = KeyRing::from_special_id(KeyRingIdentifier::User, true).unwrap();
    let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true).unwrap();
    own.link_keyring(user).unwrap();
    user.search(name).unwrap().revoke().unwrap();
}

#[test]
fn the_kernels_keyring_has_a_key_until_a_reboot() {
    let vault = quick();
    let host = Host::new(&vault, "12h");
    let name = format!("vaultd-test-{}", host.dir.path().display());
    let option = format!("--cache-keyring={name}");
    let run = || {
        let secret = ["-s", "kv/app", "--", "sh", "-c", "printf %s \"$password\""];
        let keep = ["run", "--cache", "--cache-dir", "kept", &option];
        host.vaultctl().run(&[&keep[..], &secret[..]].concat(), "")
    };
    let first = run();
    if first.code != 0 {
        // Some containers have no keyring, and say so.
        refused(&first, "the kernel's keyring does not give a key");
        return;
    }
    started(&first);
    seal(&vault);
    started(&run());
    forget_key(&name);
    refused(&run(), "kept before a reboot: its key is gone");
    vault.unseal();
    let said = run();
    started(&said);
    assert_eq!(said.err, "");
    seal(&vault);
    started(&run());
    forget_key(&name);
}

#[test]
fn an_engine_says_how_long_its_secrets_may_be_kept_unless_a_secret_does() {
    let vault = quick();
    let host = Host::new(&vault, "12h");
    let config = || {
        let shown = vault.root("GET", "kv/config", Value::Null).expect(200);
        shown.data()["max_stale"].clone()
    };
    assert_eq!(config(), Value::Null);
    let write = |body: Value| vault.root("POST", "kv/config", body);
    write(json!({"max_stale": "soon"})).expect(400);
    write(json!({"max_stale": "90m"})).expect(204);
    write(json!({"max_versions": 5})).expect(204);
    assert_eq!(config(), "1h30m0s");
    let own = json!({"custom_metadata": {"max_stale": "0s"}});
    vault.root("POST", "kv/metadata/other", own).expect(204);
    started(&host.run("kv/never"));
    started(&host.run("kv/other"));
    seal(&vault);
    started(&host.run("kv/never"));
    refused(&host.run("kv/other"), "nothing is kept");
    vault.unseal();
    write(json!({"max_stale": 0})).expect(204);
    assert_eq!(config(), Value::Null);
    started(&host.run("kv/never"));
    seal(&vault);
    refused(&host.run("kv/never"), "nothing is kept");
}

#[test]
fn without_a_cache_a_run_can_wait_for_the_unseal() {
    let vault = quick();
    let host = Host::new(&vault, "12h");
    seal(&vault);
    let run = |limit: &'static str| {
        let command = ["sh", "-c", "printf %s \"$password\""];
        let all = [
            &["run", "--wait", limit, "-s", "kv/app", "--"][..],
            &command,
        ]
        .concat();
        host.vaultctl().run(&all, "")
    };
    refused(&run("1"), "sealed");
    let said = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run("1m"));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!waiting.is_finished());
        vault.unseal();
        waiting.join().unwrap()
    });
    started(&said);
}

#[test]
fn systemds_credential_is_the_key() {
    let vault = quick();
    let host = Host::new(&vault, "12h");
    fs::write(host.dir.path().join("vaultd-bundle-key"), [9; 32]).unwrap();
    let run = |folder: &Path| {
        let vaultctl = host.vaultctl();
        let vaultctl = vaultctl.env("CREDENTIALS_DIRECTORY", &folder.display().to_string());
        let vaultctl = vaultctl.env(
            "CACHE_DIRECTORY",
            &host.dir.path().join("systemd").display().to_string(),
        );
        vaultctl.run(
            &[
                "run",
                "--cache",
                "-s",
                "kv/app",
                "--",
                "sh",
                "-c",
                "printf %s \"$password\"",
            ],
            "",
        )
    };
    started(&run(host.dir.path()));
    seal(&vault);
    started(&run(host.dir.path()));
    refused(
        &run(&host.dir.path().join("elsewhere")),
        "vaultd-bundle-key",
    );
}

#[test]
fn a_revoked_epoch_that_was_learnt_drops_every_bundle_of_the_host() {
    let vault = quick();
    let host = Host::new(&vault, "12h");
    started(&host.run("kv/app"));
    started(&host.run("kv/other"));
    let revoke = || {
        vault
            .root("POST", "sys/bundle/revoke", json!({}))
            .expect(200)
    };
    revoke();
    // Heard of through another app: its own is new, this one's is not.
    started(&host.run("kv/other"));
    seal(&vault);
    refused(&host.run("kv/app"), "is revoked; it is removed");
    refused(&host.run("kv/app"), "nothing is kept");
    started(&host.run("kv/other"));
    vault.unseal();
    // Or by asking, which needs no token.
    revoke();
    let said = host.learn();
    assert_eq!((said.code, said.out.trim()), (0, "Epoch 2"), "{said:?}");
    seal(&vault);
    refused(&host.run("kv/other"), "is revoked");
}

#[test]
fn a_server_that_says_no_is_believed_and_another_server_is_not() {
    let vault = quick();
    let host = Host::new(&vault, "12h");
    started(&host.run("kv/app"));
    crate::setup::policy(
        &vault,
        "app",
        "path \"kv/data/x\" { capabilities = [\"read\"] }",
    );
    refused(&host.run("kv/app"), "permission denied");
    seal(&vault);
    refused(&host.run("kv/app"), "nothing is kept");
    vault.unseal();
    crate::setup::policy(&vault, "app", READ);
    started(&host.run("kv/app"));

    // What another server gives is used, but not kept under the name of the first.
    let other = quick();
    let token = prepared(&other, "12h");
    let kept = host.dir.path().join("kept");
    let first = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
    let name = |address: &str| address.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    fs::rename(&first, kept.join(name(&other.addr))).unwrap();
    let host = Host {
        vault: &other,
        dir: host.dir,
        token,
    };
    let said = host.run("kv/app");
    started(&said);
    assert!(said.err.contains("another server signs"), "{said:?}");
    let said = host.learn();
    assert!(
        said.code == 2 && said.err.contains("another server signs"),
        "{said:?}"
    );
}

#[test]
fn systemd_is_told_to_wait_until_the_server_is_unsealed() {
    let vault = quick();
    let token = prepared(&vault, "12h");
    let dir = tempfile::tempdir().unwrap();
    seal(&vault);
    let socket = dir.path().join("notify");
    let listener = UnixDatagram::bind(&socket).unwrap();
    listener
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let vaultctl = Vaultctl::new(dir.path(), &vault.addr)
        .env("VAULT_TOKEN", &token)
        .env("NOTIFY_SOCKET", &socket.display().to_string());
    let arguments = [
        "run",
        "--cache",
        "--cache-key",
        "key",
        "--wait",
        "1m",
        "-s",
        "kv/app",
        "--",
        "sh",
        "-c",
        "printf %s \"$password\"",
    ];
    let mut command = vaultctl.command(&arguments);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = [0; 500];
    let length = listener.recv(&mut told).unwrap();
    let told = String::from_utf8_lossy(&told[..length]).into_owned();
    assert!(told.contains("EXTEND_TIMEOUT_USEC="), "{told}");
    vault.unseal();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, PASSWORD.as_bytes());
}

#[derive(Secrets)]
#[secrets(mount = "kv", path = "app")]
struct App {
    password: SecretString,
}

async fn load(vault: &Vault, token: &str, dir: &Path, startup: Startup) -> Result<App, Error> {
    let key = HostKey::from_file(&dir.join("key"))?;
    let cache = Cache::new(dir.join("kept"), key, None)?;
    let client = Client::builder()
        .addr(&vault.addr)
        .token(token)
        .max_retries(0)
        .cache(cache)
        .startup(startup)
        .connect()
        .await?;
    client.load::<App>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_takes_the_cache_then_waits() {
    let vault = quick();
    let token = prepared(&vault, "12h");
    let dir = tempfile::tempdir().unwrap();
    let long = Startup::CacheThenWait(Duration::from_secs(30));
    let short = Startup::CacheThenWait(Duration::from_millis(100));
    seal(&vault);
    let failure = load(&vault, &token, dir.path(), short).await.err().unwrap();
    assert!(matches!(failure, Error::Cache(_)), "{failure}");
    // Nothing is kept yet: it waits for the operators.
    let app = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1500));
            vault.unseal();
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(load(&vault, &token, dir.path(), long))
        })
    });
    assert_eq!(app.unwrap().password.expose(), PASSWORD);
    seal(&vault);
    let app = load(&vault, &token, dir.path(), short).await.unwrap();
    assert_eq!(app.password.expose(), PASSWORD);
    let failure = load(&vault, &token, dir.path(), Startup::FailFast).await;
    assert!(matches!(failure.err().unwrap(), Error::Sealed));
}
