//! The SSH CA with a real sshd, a real ssh, and `vaultctl ssh` between them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::sshd::{Sshd, keygen};
use vault_tests::{Options, Said, Vault, Vaultctl};

/// A CA, a role for the users of the sshd, and an sshd that trusts the CA through the files that
/// `vaultctl ssh fetch` writes.
struct Site {
    vault: Vault,
    sshd: Sshd,
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let vault = Vault::ready_with(Options::memory());
        vault
            .root("POST", "sys/mounts/ssh", json!({"type": "ssh"}))
            .expect(204);
        let ca = json!({"key_type": "ed25519", "issuer_name": "first"});
        vault.root("POST", "ssh/config/ca", ca).expect(200);
        let role = json!({
            "key_type": "ca", "allow_user_certificates": true, "allowed_users": "deploy,other",
            "ttl": "10m", "default_extensions": {"permit-pty": ""},
        });
        vault.root("POST", "ssh/roles/ops", role).expect(204);
        let dir = tempfile::tempdir().unwrap();
        let tool = tool(&vault, dir.path());
        let sshd = Sshd::start_with(|site| {
            let folder = site.path("ca").display().to_string();
            let said = tool.run(&["ssh", "fetch", &folder], "");
            assert_eq!(said.code, 0, "{said:?}");
            site.own(&site.path("ca"));
            let said = tool.run(&["ssh", "sshd-config", "--dir", &folder], "");
            assert_eq!(said.code, 0, "{said:?}");
            said.out
        });
        let known = dir.path().join("known_hosts");
        fs::write(known, sshd.known_hosts_line()).unwrap();
        Site { vault, sshd, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What hosts do by a timer.
    fn fetch(&self) {
        let folder = self.sshd.site.path("ca").display().to_string();
        let said = tool(&self.vault, self.dir.path()).run(&["ssh", "fetch", &folder], "");
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// `vaultctl ssh OPTIONS deploy@127.0.0.1 …` with a command for the host.
    fn login(&self, options: &[&str], command: &str) -> Said {
        self.login_knowing("known_hosts", options, command)
    }

    fn login_knowing(&self, known: &str, options: &[&str], command: &str) -> Said {
        let port = self.sshd.port.to_string();
        let known = format!("UserKnownHostsFile={}", self.path(known).display());
        let mut words = vec!["ssh", "--role", "ops"];
        words.extend(options);
        words.extend(["deploy@127.0.0.1", "-F", "/dev/null", "-p", &port]);
        words.extend([
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            &known,
        ]);
        words.extend(["-o", "GlobalKnownHostsFile=/dev/null", command]);
        tool(&self.vault, self.dir.path()).run(&words, "")
    }

    /// With options for ssh.
    fn login_as(&self, tool: &Vaultctl, options: &[&str]) -> Said {
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        let mut words = vec![
            "ssh",
            "--role",
            "ops",
            "deploy@127.0.0.1",
            "-F",
            "/dev/null",
        ];
        words.extend(["-o", "StrictHostKeyChecking=yes", "-o", &known]);
        words.extend(options);
        words.push("true");
        tool.run(&words, "")
    }

    /// A key in a file, with a certificate beside it.
    fn certified(&self, name: &str, more: Value) -> PathBuf {
        let path = self.path(name);
        let mut body = json!({"public_key": keygen(&path), "valid_principals": "deploy"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = self.vault.root("POST", "ssh/sign/ops", body).expect(200);
        let certificate = answer.data()["signed_key"].as_str().unwrap();
        fs::write(self.path(&format!("{name}-cert.pub")), certificate).unwrap();
        path
    }

    /// With the system's ssh alone.
    fn plain(&self, key: &Path) -> Output {
        let mut ssh = self.sshd.ssh(&["-i", key.to_str().unwrap()]);
        ssh.arg("true").output().unwrap()
    }

    #[track_caller]
    fn accepted(&self, key: &Path) {
        let said = self.plain(key);
        assert!(said.status.success(), "{said:?}\n{}", self.sshd.log());
    }

    #[track_caller]
    fn refused(&self, key: &Path) {
        let said = self.plain(key);
        assert_eq!(
            said.status.code(),
            Some(255),
            "{said:?}\n{}",
            self.sshd.log()
        );
        let why = String::from_utf8(said.stderr).unwrap();
        assert!(why.contains("Permission denied (publickey)"), "{why}");
    }
}

fn tool(vault: &Vault, dir: &Path) -> Vaultctl {
    Vaultctl::new(dir, &vault.addr).env("VAULT_TOKEN", &vault.root)
}

#[test]
fn one_command_logs_in_and_leaves_nothing_behind() {
    let site = Site::new();
    let said = site.login(&[], "echo hello; env; exit 7");
    assert_eq!(said.code, 7, "{said:?}\n{}", site.sshd.log());
    assert!(said.out.starts_with("hello\n"), "{said:?}");
    assert!(
        !said.out.contains(&site.vault.root),
        "ssh was given the token"
    );
    assert!(
        site.sshd.log().contains("ED25519-CERT"),
        "{}",
        site.sshd.log()
    );
    // The key was in memory, in a folder that is gone.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let folder = memory.path().display().to_string();
    let said = site.login_as(
        &tool(&site.vault, site.dir.path()).env("XDG_RUNTIME_DIR", &folder),
        &["-v", "-p", &site.sshd.port.to_string()],
    );
    assert!(said.code == 0 && said.err.contains(&folder), "{said:?}");
    assert_eq!(fs::read_dir(memory.path()).unwrap().count(), 0);

    // As `vault` has it.
    let port = site.sshd.port.to_string();
    let known = format!("UserKnownHostsFile={}", site.path("known_hosts").display());
    let words = [
        "ssh",
        "-mode=ca",
        "-role",
        "ops",
        "-mount-point=ssh",
        "deploy@127.0.0.1",
    ];
    let options = ["-F", "/dev/null", "-p", &port, "-o", &known, "echo -role x"];
    let said = tool(&site.vault, site.dir.path()).run(&[&words[..], &options].concat(), "");
    assert_eq!((said.code, said.out.as_str()), (0, "-role x\n"), "{said:?}");

    // Mistakes are told apart: no such role, no such principal, no destination, no host.
    let wrong = site.login(&["--role", "none"], "true");
    assert_eq!(wrong.code, 1, "given twice: {wrong:?}");
    let wrong = site.login(&["--principal", "root"], "true");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("does not allow"), "{wrong:?}");
    let tool = tool(&site.vault, site.dir.path());
    assert_eq!(tool.run(&["ssh", "--role", "ops"], "").code, 1);
    let wrong = tool.run(&["ssh", "deploy@127.0.0.1"], "");
    assert!(wrong.code == 1 && wrong.err.contains("--role"), "{wrong:?}");
}

#[test]
fn sshd_refuses_what_the_certificate_does_not_say() {
    let site = Site::new();
    site.accepted(&site.certified("good", json!({})));
    // A key without a certificate, and a certificate for somebody else.
    let bare = site.path("bare");
    keygen(&bare);
    site.refused(&bare);
    site.refused(&site.certified("other", json!({"valid_principals": "other"})));
    let said = site.login(&["--principal", "other"], "true");
    assert_eq!(said.code, 255, "{said:?}");
    // From elsewhere, and from here.
    let from = |address: &str| json!({"critical_options": {"source-address": address}});
    site.refused(&site.certified("elsewhere", from("10.0.0.0/8")));
    site.accepted(&site.certified("here", from("10.0.0.0/8,127.0.0.1")));
    // A forced command is what runs.
    let forced = json!({"critical_options": {"force-command": "echo forced"}});
    let key = site.certified("forced", forced);
    let mut ssh = site.sshd.ssh(&["-i", key.to_str().unwrap()]);
    let said = ssh.arg("echo free").output().unwrap();
    assert_eq!(said.stdout, b"forced\n", "{said:?}");
    // Of another CA.
    site.vault
        .root("POST", "sys/mounts/else", json!({"type": "ssh"}))
        .expect(204);
    site.vault
        .root("POST", "else/config/ca", json!({"key_type": "ed25519"}))
        .expect(200);
    let role = json!({"key_type": "ca", "allow_user_certificates": true, "allowed_users": "*"});
    site.vault.root("POST", "else/roles/ops", role).expect(200);
    let said = site.login(&["--mount", "else"], "true");
    assert_eq!(said.code, 255, "{said:?}");
}

#[test]
fn a_certificate_is_refused_after_its_end() {
    let site = Site::new();
    let key = site.certified("short", json!({"ttl": "3s"}));
    site.accepted(&key);
    thread::sleep(Duration::from_secs(4));
    site.refused(&key);
}

#[test]
fn a_revoked_certificate_is_refused_and_others_are_not() {
    let site = Site::new();
    let (lost, kept) = (
        site.certified("lost", json!({})),
        site.certified("kept", json!({})),
    );
    let leaked = site.certified("leaked", json!({}));
    for key in [&lost, &kept, &leaked] {
        site.accepted(key);
    }
    let certificate = fs::read_to_string(site.path("lost-cert.pub")).unwrap();
    let body = json!({ "certificate": certificate });
    site.vault.root("POST", "ssh/revoke", body).expect(200);
    let body = json!({"public_key": fs::read_to_string(site.path("leaked.pub")).unwrap()});
    site.vault.root("POST", "ssh/revoke", body).expect(200);
    site.accepted(&lost);
    site.fetch();
    site.refused(&lost);
    site.refused(&leaked);
    site.accepted(&kept);
}

#[test]
fn a_host_is_trusted_through_its_certificate_alone() {
    let site = Site::new();
    let vault = &site.vault;
    vault
        .root("POST", "sys/mounts/hosts", json!({"type": "ssh"}))
        .expect(204);
    vault
        .root("POST", "hosts/config/ca", json!({"key_type": "ed25519"}))
        .expect(200);
    let role = json!({
        "key_type": "ca", "allow_host_certificates": true, "allowed_domains": "127.0.0.1",
        "allow_bare_domains": true,
    });
    vault.root("POST", "hosts/roles/host", role).expect(204);
    let tool = tool(vault, site.dir.path());
    let host_key = site.sshd.site.path("host_key.pub").display().to_string();
    let words = [
        "ssh", "sign", "--mount", "hosts", "--role", "host", "--host",
    ];
    let words = [&words[..], &["--principal", "127.0.0.1", &host_key]].concat();
    let said = tool.run(&words, "");
    assert_eq!(said.code, 0, "{said:?}");
    fs::write(site.path("nobody"), "").unwrap();
    // Known to nobody, and vouched for by nothing yet.
    let unknown = |options: &[&str]| site.login_knowing("nobody", options, "true").code;
    assert_eq!(unknown(&[]), 255);
    assert_eq!(unknown(&["--host-ca", "hosts"]), 255);
    let config = site.sshd.site.path("config");
    let certificate = site.sshd.site.path("host_key-cert.pub");
    site.sshd.site.own(&certificate);
    let text = fs::read_to_string(&config).unwrap();
    let words = [
        "ssh",
        "sshd-config",
        "--host-certificate",
        certificate.to_str().unwrap(),
    ];
    let lines = tool.run(&words, "").out;
    let line = lines
        .lines()
        .find(|line| line.starts_with("HostCertificate"))
        .unwrap();
    site.sshd.site.write("config", format!("{line}\n{text}"));
    site.sshd.reload();
    assert_eq!(unknown(&["--host-ca", "hosts"]), 0, "{}", site.sshd.log());
    assert_eq!(unknown(&[]), 255);
    assert_eq!(
        unknown(&["--host-ca", "ssh"]),
        255,
        "the CA of users vouches for no host"
    );
    // The line for everybody's known_hosts.
    let said = tool.run(
        &[
            "ssh",
            "trust-host",
            "--mount",
            "hosts",
            "127.0.0.*,[127.0.0.1]:*",
        ],
        "",
    );
    assert!(
        said.out.starts_with("@cert-authority 127.0.0.*,"),
        "{said:?}"
    );
    fs::write(site.path("trusting"), said.out).unwrap();
    let said = site.login_knowing("trusting", &[], "true");
    assert_eq!(said.code, 0, "{said:?}");
    let hosts = tool.run(&["ssh", "trust-host", "a b"], "");
    assert_eq!(hosts.code, 1, "{hosts:?}");
}

#[test]
fn the_ca_is_rotated_without_a_failed_login() {
    let site = Site::new();
    let old = site.certified("old", json!({}));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let logins = scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) || count < 3 {
                let said = site.login(&[], "true");
                assert_eq!(said.code, 0, "{said:?}\n{}", site.sshd.log());
                count += 1;
            }
        });
        let pause = || thread::sleep(Duration::from_millis(700));
        pause();
        let ca = json!({"key_type": "ed25519"});
        site.vault
            .root("POST", "ssh/issuers/import/second", ca)
            .expect(200);
        pause();
        site.fetch();
        let new = json!({"default": "second"});
        site.vault
            .root("POST", "ssh/config/issuers", new)
            .expect(200);
        pause();
        // Both are trusted until certificates of the old one are over.
        site.accepted(&old);
        site.accepted(&site.certified("new", json!({})));
        site.vault
            .root("DELETE", "ssh/issuer/first", json!(null))
            .expect(204);
        site.fetch();
        pause();
        over.store(true, Ordering::Relaxed);
        logins.join().unwrap();
    });
    site.refused(&old);
    site.accepted(&site.path("new"));
}

#[test]
fn what_was_fetched_is_replaced_by_something_good_only() {
    let site = Site::new();
    let folder = site.path("ca");
    let folder = folder.to_str().unwrap();
    let tool = tool(&site.vault, site.dir.path());
    let fetch = || tool.run(&["ssh", "fetch", folder], "");
    assert_eq!(fetch().code, 0);
    assert!(fetch().out.contains("Nothing changed"));
    let kept = |name: &str| fs::read(Path::new(folder).join(name)).unwrap();
    let before = (kept("trusted_user_ca_keys"), kept("revoked_keys"));
    site.vault
        .root("DELETE", "ssh/config/ca", json!(null))
        .expect(204);
    let said = fetch();
    assert_eq!(said.code, 2, "{said:?}");
    assert_eq!(before, (kept("trusted_user_ca_keys"), kept("revoked_keys")));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
}

/// A server that was restored from a backup has forgotten what was revoked since.
#[test]
fn an_older_list_does_not_replace_a_newer_one() {
    let site = Site::new();
    let key = site.certified("lost", json!({}));
    let body = json!({"public_key": fs::read_to_string(site.path("lost.pub")).unwrap()});
    site.vault.root("POST", "ssh/revoke", body).expect(200);
    site.fetch();
    site.refused(&key);
    let vault = &site.vault;
    vault
        .root("DELETE", "sys/mounts/ssh", json!(null))
        .expect(204);
    vault
        .root("POST", "sys/mounts/ssh", json!({"type": "ssh"}))
        .expect(204);
    vault
        .root("POST", "ssh/config/ca", json!({"key_type": "ed25519"}))
        .expect(200);
    let folder = site.sshd.site.path("ca").display().to_string();
    let tool = tool(vault, site.dir.path());
    let said = tool.run(&["ssh", "fetch", &folder], "");
    assert!(said.code == 2 && said.err.contains("older"), "{said:?}");
    site.refused(&key);
    let said = tool.run(&["ssh", "fetch", "--older", &folder], "");
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn the_sample_configuration_lets_certificates_in_and_has_nothing_to_change() {
    let site = Site::new();
    let tool = tool(&site.vault, site.dir.path());
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/ssh/50-vaultd.conf");
    let sample = fs::read_to_string(sample).unwrap();
    let said = tool.run(&["ssh", "check", "-"], &sample);
    assert_eq!(said.code, 0, "{said:?}");
    let folder = site.sshd.site.path("ca").display().to_string();
    let own = sample.replace("/etc/ssh/vaultd", &folder);
    // A host certificate has a test of its own.
    let own = own.replace("HostCertificate", "#HostCertificate");
    let config = fs::read_to_string(site.sshd.site.path("config")).unwrap();
    site.sshd.site.write("config", format!("{own}\n{config}"));
    site.sshd.reload();
    site.accepted(&site.certified("good", json!({})));
    let bare = site.path("bare");
    site.sshd.authorize(&keygen(&bare));
    site.refused(&bare);
}

#[test]
fn an_sshd_is_told_what_to_change() {
    let site = Site::new();
    let tool = tool(&site.vault, site.dir.path());
    let config = fs::read_to_string(site.sshd.site.path("config")).unwrap();
    let said = tool.run(&["ssh", "check", "-"], &config);
    assert_eq!(said.code, 1, "{said:?}");
    let told: Vec<_> = said
        .out
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(told, ["AuthorizedKeysFile", "HostCertificate"], "{said:?}");
    let good = format!("AuthorizedKeysFile none\nHostCertificate x\n{config}");
    let said = tool.run(&["ssh", "check", "-"], &good);
    assert_eq!(said.code, 0, "{said:?}");
    let said = tool.run(
        &["ssh", "check", "-o", "json", "-"],
        "PermitRootLogin yes\n",
    );
    let found: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(found[0]["setting"], "PermitRootLogin");
    assert_eq!(tool.run(&["ssh", "check", "-"], "").code, 1);
}
