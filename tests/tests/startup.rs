//! Starting and stopping: configs that are wrong, data that is in use, disks that are full.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::http::{Endpoint, Request};
use vault_tests::process::until;
use vault_tests::{Options, Process, Vault, program};

fn server(config: &Path, dir: &Path) -> Process {
    let mut command = Command::new(program("vaultd"));
    command.arg("server").arg("--config").arg(config);
    Process::spawn(command, dir)
}

/// Runs a server that must end by itself; its status and everything it said.
fn refused(name: &str, config: &str) -> (ExitStatus, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, config.replace("$DIR", dir.path().to_str().unwrap())).unwrap();
    let mut process = server(&path, dir.path());
    let status = until(Duration::from_secs(10), || process.ended());
    let log = process.log();
    (
        status.unwrap_or_else(|| panic!("it runs, with\n{config}\n{log}")),
        log,
    )
}

const LISTENER: &str = "[listener]\naddress = \"127.0.0.1:0\"\ntls_disable = true\n";
const STORAGE: &str = "[storage]\ntype = \"sqlite\"\npath = \"$DIR/data\"\n";

#[test]
fn damaged_toml_config_is_refused_with_file_line_and_key() {
    let cases: &[(String, &[&str])] = &[
        (
            format!("{LISTENER}{STORAGE}typo = 1\n"),
            &["line 7", "typo"],
        ),
        (
            format!("{LISTENER}tls_dissable = true\n{STORAGE}"),
            &["line 4", "tls_dissable"],
        ),
        (
            format!("nonsense = 1\n{LISTENER}{STORAGE}"),
            &["line 1", "nonsense"],
        ),
        (
            format!("{LISTENER}[storage]\ntype = 5\n"),
            &["line 5", "type", "expected a string"],
        ),
        (format!("{LISTENER}[storage]\npath = \"x\"\n"), &["type"]),
        (
            format!("{LISTENER}[storage]\ntype = \"sqlite\"\n"),
            &["storage.path"],
        ),
        (
            format!("{LISTENER}[storage]\ntype = \"consul\"\n"),
            &["storage.type"],
        ),
        (STORAGE.to_owned(), &["listener"]),
        (
            format!("{LISTENER}{STORAGE}[[audit]]\ntype = \"syslog\"\n"),
            &["audit.type"],
        ),
        (
            format!("{LISTENER}{STORAGE}[[audit]]\ntype = \"file\"\n"),
            &["audit.path"],
        ),
        (
            format!("default_lease_ttl = \"soon\"\n{LISTENER}{STORAGE}"),
            &["default_lease_ttl"],
        ),
        (
            format!("default_lease_ttl = \"2h\"\nmax_lease_ttl = \"1h\"\n{LISTENER}{STORAGE}"),
            &["default_lease_ttl"],
        ),
        (
            format!("compat_version = \"new\"\n{LISTENER}{STORAGE}"),
            &["compat_version"],
        ),
        (
            format!("{LISTENER}{STORAGE}[log]\nformat = \"xml\"\n"),
            &["log.format"],
        ),
        (
            format!("[listener]\naddress = \"nowhere\"\n{STORAGE}"),
            &["listener", "address"],
        ),
        (
            format!("[listener]\naddress = \"0.0.0.0:0\"\ntls_disable = true\n{STORAGE}"),
            &["loopback", "tls_disable"],
        ),
        (
            format!("[listener]\naddress = \"127.0.0.1:0\"\ntls_cert_file = \"x\"\n{STORAGE}"),
            &["tls_cert_file", "tls_key_file"],
        ),
        (
            format!(
                "[listener]\naddress = \"127.0.0.1:0\"\ntls_min_version = \"tls10\"\n{STORAGE}"
            ),
            &["tls_min_version"],
        ),
        (format!("{LISTENER}{STORAGE}\n[broken\n"), &["line 8"]),
        (
            format!("{LISTENER}{STORAGE}path = \"twice\"\n"),
            &["line 7", "path"],
        ),
    ];
    check("vaultd.toml", cases);
}

#[test]
fn damaged_hcl_config_is_refused_with_file_line_and_key() {
    let listener = "listener \"tcp\" {\n  address = \"127.0.0.1:0\"\n  tls_disable = true\n}\n";
    let storage = "storage \"file\" {\n  path = \"$DIR/data\"\n}\n";
    let cases: &[(String, &[&str])] = &[
        (
            format!("{listener}{storage}nonsense = 1\n"),
            &["line 8", "nonsense"],
        ),
        (
            format!("{listener}storage \"consul\" {{\n}}\n"),
            &["line 5", "storage", "consul"],
        ),
        (
            format!("{listener}storage \"file\" {{\n}}\n"),
            &["line 5", "path"],
        ),
        (
            format!("{listener}{storage}seal \"awskms\" {{\n}}\n"),
            &["line 8", "seal"],
        ),
        (
            format!("{listener}{storage}default_lease_ttl = \"soon\"\n"),
            &["line 8", "default_lease_ttl"],
        ),
        (
            format!("{listener}{storage}listener \"unix\" {{\n}}\n"),
            &["line 8", "listener"],
        ),
        (storage.to_owned(), &["listener"]),
        (format!("{listener}{storage}broken = {{\n"), &["line"]),
        (
            format!(
                "listener \"tcp\" {{\n  address = \"0.0.0.0:0\"\n  tls_disable = true\n}}\n{storage}"
            ),
            &["loopback"],
        ),
    ];
    check("vault.hcl", cases);
}

fn check(name: &str, cases: &[(String, &[&str])]) {
    let mut wrong = Vec::new();
    for (config, expected) in cases {
        let (status, log) = refused(name, config);
        let missing: Vec<_> = expected
            .iter()
            .filter(|part| !log.contains(**part))
            .collect();
        if status.code() != Some(1)
            || !log.contains(name)
            || !missing.is_empty()
            || log.contains("panicked")
        {
            wrong.push(format!("{config}\n-> {status}, without {missing:?}: {log}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn refused_config_does_not_show_what_may_be_a_secret() {
    let cases = [
        (
            "vaultd.toml",
            format!("token = \"hunter2\"\n{LISTENER}{STORAGE}"),
        ),
        (
            "vaultd.toml",
            format!("{LISTENER}{STORAGE}path = \"hunter2\n"),
        ),
        (
            "vaultd.toml",
            format!("[listener]\naddress = \"127.0.0.1:0\"\ntls_disable = \"hunter2\"\n{STORAGE}"),
        ),
        (
            "vaultd.toml",
            format!("[listener]\naddress = \"hunter2\"\n{STORAGE}"),
        ),
        (
            "vaultd.toml",
            format!("{LISTENER}[storage]\ntype = \"hunter2\"\n"),
        ),
        (
            "vault.hcl",
            "listener \"tcp\" { address = \"hunter2\" }\n".to_owned(),
        ),
        ("vault.hcl", "token = \"hunter2\n".to_owned()),
    ];
    for (name, config) in cases {
        let (_, log) = refused(name, &config);
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn missing_config_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = server(&dir.path().join("absent.toml"), dir.path());
    let status = until(Duration::from_secs(10), || process.ended()).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(process.log().contains("absent.toml"));
}

#[test]
fn second_server_on_the_same_data_is_refused() {
    let vault = Vault::ready_with(Options::plain());
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("vaultd.toml");
    let text = format!(
        "{LISTENER}[storage]\ntype = \"sqlite\"\npath = {:?}\n",
        vault.data()
    );
    std::fs::write(&config, text).unwrap();
    let mut second = server(&config, dir.path());
    let status = until(Duration::from_secs(10), || second.ended()).unwrap();
    assert_eq!(status.code(), Some(1));
    let log = second.log();
    let data = vault.data();
    assert!(
        log.contains(data.to_str().unwrap()) && log.contains("another process"),
        "{log}"
    );
    vault.root("GET", "sys/mounts", Value::Null).expect(200);
}

#[test]
fn taken_port_is_said() {
    let vault = Vault::start(Options::plain());
    let address = &vault.endpoint.address;
    let config = format!("[listener]\naddress = \"{address}\"\ntls_disable = true\n{STORAGE}");
    let (status, log) = refused("vaultd.toml", &config);
    assert_eq!(status.code(), Some(1));
    assert!(log.contains(address.as_str()), "{log}");
}

#[test]
fn cve_2021_38553_files_are_private_whatever_the_umask() {
    let options = Options {
        wrapper: ["sh", "-c", "umask 000; exec \"$@\"", "sh"]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    };
    let vault = Vault::ready_with(options);
    let mut seen = 0;
    let mut folders = vec![vault.data()];
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder) & 0o077, 0, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            // Clients are given the certificates.
            let public = path.extension().is_some_and(|extension| extension == "pem");
            let allowed = if public { 0o644 } else { 0o600 };
            assert_eq!(mode(&path) & !allowed & 0o777, 0, "{}", path.display());
        }
    }
    assert!(seen >= 6, "only {seen} files");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode()
}

#[test]
fn port_is_free_at_once_after_sigterm() {
    let mut vault = Vault::ready_with(Options::plain());
    let address = vault.endpoint.address.clone();
    let config = vault.dir.path().join("again.toml");
    let text = format!(
        "[listener]\naddress = \"{address}\"\ntls_disable = true\n[storage]\ntype = \"sqlite\"\npath = {:?}\n",
        vault.data()
    );
    std::fs::write(&config, text).unwrap();
    assert!(vault.terminate().success());
    let dir = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let mut process = server(&config, dir.path());
        let endpoint = Endpoint::new(&address, None);
        let start = Instant::now();
        let health = until(Duration::from_secs(5), || {
            assert!(
                process.ended().is_none(),
                "round {round}: {}",
                process.log()
            );
            endpoint.send(&Request::new("GET", "sys/health")).ok()
        });
        assert_eq!(health.unwrap().status, 503);
        assert!(start.elapsed() < Duration::from_secs(3));
        let status = process.terminate();
        assert_eq!(status.code(), Some(0), "{}", process.log());
    }
}

#[test]
fn server_is_ready_within_a_second() {
    let mut vault = Vault::ready_with(Options::default());
    for number in 0..50 {
        vault
            .root(
                "POST",
                &format!("sys/policies/acl/p{number}"),
                json!({"policy": "# nothing"}),
            )
            .expect(204);
    }
    vault.terminate();
    // The best of a few: other tests share the machine.
    let best = (0..5).map(|_| {
        let start = Instant::now();
        vault.restart_unsealed();
        vault
            .root("GET", "sys/policies/acl/p7", Value::Null)
            .expect(200);
        let took = start.elapsed();
        vault.terminate();
        took
    });
    assert!(best.min().unwrap() < Duration::from_secs(1));
}

#[test]
fn exit_codes_are_0_for_help_and_1_for_mistakes() {
    let run = |args: &[&str]| Command::new(program("vaultd")).args(args).output().unwrap();
    for args in [&["--help"][..], &["--version"], &["server", "--help"]] {
        assert_eq!(run(args).status.code(), Some(0), "{args:?}");
    }
    for args in [
        &[][..],
        &["nonsense"],
        &["server"],
        &["server", "--nonsense"],
        &["dev", "--listen", "0.0.0.0:0"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn check_config_says_what_a_config_means() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("vaultd.toml");
    std::fs::write(&config, format!("{LISTENER}{STORAGE}")).unwrap();
    let run = || {
        Command::new(program("vaultd"))
            .arg("check-config")
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap()
    };
    let output = run();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("plain HTTP"));
    std::fs::write(&config, "nonsense = 1\n").unwrap();
    assert_eq!(run().status.code(), Some(1));
    // It only looks.
    assert!(!dir.path().join("data").exists());
}

/// A file system of a given size; `None` where one cannot be mounted.
struct Small(TempDir);

impl Small {
    fn mount(size: &str) -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a tmpfs cannot be mounted here (needs root)");
        }
        mounted.then(|| Small(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn full_disk_loses_nothing_that_was_acknowledged() {
    let Some(small) = Small::mount("3m") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("vaultd.toml");
    let (data, log) = (small.0.path().join("data"), dir.path().join("audit.log"));
    let text = format!(
        "{LISTENER}[storage]\ntype = \"sqlite\"\npath = {data:?}\n[[audit]]\ntype = \"file\"\npath = {log:?}\n"
    );
    std::fs::write(&config, text).unwrap();
    let start = |out: &Path| -> (Process, Endpoint) {
        let process = server(&config, out);
        let address = until(Duration::from_secs(10), || {
            let log = process.log();
            let (_, rest) = log.split_once("listening on http://")?;
            Some(rest.split_once('\n')?.0.to_owned())
        });
        let endpoint = Endpoint::new(
            &address.unwrap_or_else(|| panic!("{}", process.log())),
            None,
        );
        (process, endpoint)
    };
    let (mut process, endpoint) = start(dir.path());
    let put = |endpoint: &Endpoint, path: &str, token: &str, body: Value| {
        endpoint
            .send(&Request::new("PUT", path).token(token).json(&body))
            .unwrap()
    };
    let init = put(
        &endpoint,
        "sys/init",
        "",
        json!({"secret_shares": 1, "secret_threshold": 1}),
    )
    .expect(200);
    let (key, root) = (
        init.body["keys"][0].clone(),
        init.body["root_token"].as_str().unwrap().to_owned(),
    );
    put(&endpoint, "sys/unseal", "", json!({"key": key})).expect(200);
    put(&endpoint, "sys/mounts/one", &root, json!({"type": "kv"})).expect(204);
    let value = |number: usize| format!("{number}-").repeat(3000);
    let mut acknowledged = Vec::new();
    let refused = (0..2000).find_map(|number| {
        let answer = put(
            &endpoint,
            &format!("one/{number}"),
            &root,
            json!({"value": value(number)}),
        );
        match answer.status {
            204 => acknowledged.push(number),
            _ => return Some(answer),
        }
        None
    });
    let refused = refused.expect("the disk did not fill");
    assert!((500..600).contains(&refused.status), "{}", refused.text);
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    // It says no, or is sealed; it does not lie.
    let after = put(&endpoint, "one/after", &root, json!({"value": value(1)}));
    assert!((500..600).contains(&after.status), "{}", after.text);
    process.terminate();

    let more = Command::new("mount")
        .args(["-o", "remount,size=64m"])
        .arg(small.0.path())
        .status()
        .unwrap();
    assert!(more.success());
    let second = tempfile::tempdir().unwrap();
    let (mut process, endpoint) = start(second.path());
    put(&endpoint, "sys/unseal", "", json!({"key": key})).expect(200);
    for number in &acknowledged {
        let answer = endpoint
            .send(&Request::new("GET", &format!("one/{number}")).token(&root))
            .unwrap()
            .expect(200);
        assert_eq!(
            answer.data()["value"],
            json!(value(*number)),
            "one/{number}"
        );
    }
    let verified = put(&endpoint, "sys/integrity/verify", &root, json!({})).expect(200);
    assert_eq!(verified.data()["healthy"], json!(true), "{}", verified.text);
    put(&endpoint, "one/again", &root, json!({"value": "v"})).expect(204);
    assert!(process.terminate().success());
}
