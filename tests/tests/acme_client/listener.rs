//! The listener's own certificate, renewed while it serves.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use vault_tests::process::{finish, until};
use vault_tests::{Options, Vault};

use crate::site::Site;

/// Whom clients trust.
fn trusting(authorities: &[String]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for pem in authorities {
        roots
            .add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// A connection that was asked something: the certificate that it was shown, and itself.
type Open = StreamOwned<ClientConnection, TcpStream>;

fn ask(stream: &mut Open) -> std::io::Result<()> {
    stream.write_all(b"GET /v1/sys/seal-status HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin)?;
    assert_eq!(&begin, b"HTTP/1.1 200");
    let mut rest = [0; 8192];
    stream.read(&mut rest).map(|_| ())
}

fn connect(address: &str, config: &Arc<ClientConfig>) -> Result<(Vec<u8>, Open), String> {
    let told = |error: std::io::Error| error.to_string();
    let tcp = TcpStream::connect(address).map_err(told)?;
    tcp.set_read_timeout(Some(Duration::from_secs(20)))
        .map_err(told)?;
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(|e| e.to_string())?;
    let mut stream = StreamOwned::new(connection, tcp);
    ask(&mut stream).map_err(told)?;
    let shown = stream.conn.peer_certificates().unwrap()[0].to_vec();
    Ok((shown, stream))
}

/// Connects all the time until `is_over`: what was shown, in its order, and nothing may fail. One
/// connection is used throughout.
fn watch(
    address: &str,
    authorities: &[String],
    is_over: impl Fn(&[Vec<u8>]) -> bool,
) -> Vec<Vec<u8>> {
    let config = trusting(authorities);
    let (first, mut open) = connect(address, &config).unwrap();
    let mut shown = vec![first];
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                connect(address, &config).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let done = until(Duration::from_secs(90), || {
            let (now, _) = connect(address, &config).unwrap();
            ask(&mut open).unwrap();
            if shown.last() != Some(&now) {
                shown.push(now);
            }
            is_over(&shown).then_some(())
        });
        over.store(true, Ordering::SeqCst);
        load.join().unwrap();
        assert!(done.is_some(), "{} certificates", shown.len());
    });
    ask(&mut open).unwrap();
    println!(
        "{} connections, {} certificates",
        count.into_inner(),
        shown.len()
    );
    shown
}

fn listener(keys: &str) -> Options {
    Options {
        listener: keys.to_owned(),
        ..Options::default()
    }
}

#[test]
fn its_own_is_renewed_without_a_refused_connection() {
    let vault = Vault::ready_with(listener("tls_ttl = \"10s\""));
    let ca = fs::read_to_string(vault.ca()).unwrap();
    watch(&vault.endpoint.address, &[ca], |shown| shown.len() >= 4);
}

#[test]
fn from_a_role_of_pki() {
    let keys = "tls_source = \"pki\"\ntls_role = \"vaultd\"\ntls_common_name = \"localhost\"\n\
                tls_ip_sans = [\"127.0.0.1\"]\ntls_ttl = \"12s\"";
    let mut vault = Vault::ready_with(listener(keys));
    let own = fs::read_to_string(vault.ca()).unwrap();
    // There is no such mount yet: the own one is served, and it is said why.
    let said = until(Duration::from_secs(20), || {
        vault
            .log()
            .contains("pki/issue/vaultd does not exist")
            .then_some(())
    });
    assert!(said.is_some(), "{}", vault.log());
    let metrics = |vault: &Vault| {
        let path = "sys/metrics?format=prometheus";
        vault
            .root("GET", path, Value::Null)
            .expect(200)
            .text
            .clone()
    };
    let failing = "vaultd_certificate_last_error{mount=\"listener\",name=\"127.0.0.1:0\"} 1";
    assert!(metrics(&vault).contains(failing), "{}", metrics(&vault));
    vault
        .root("POST", "sys/mounts/pki", json!({"type": "pki"}))
        .expect(204);
    let body = json!({"common_name": "Root", "key_type": "ec", "ttl": "24h"});
    let root = vault
        .root("POST", "pki/root/generate/internal", body)
        .expect(200);
    let root = root.data()["certificate"].as_str().unwrap().to_owned();
    let role = json!({"key_type": "ec", "allowed_domains": "localhost", "allow_bare_domains": true, "allow_ip_sans": true, "not_before_duration": "1s"});
    vault.root("POST", "pki/roles/vaultd", role).expect(200);
    let authorities = [own, root];
    watch(&vault.endpoint.address, &authorities, |shown| {
        shown.len() >= 4
    });
    // Readable by nobody else, and served by a start that is sealed.
    let file = vault.data().join("tls/listener-0.pem");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("PRIVATE KEY").count(), 2);
    vault.restart();
    let (shown, _) = connect(&vault.endpoint.address, &trusting(&authorities[1..])).unwrap();
    assert!(!shown.is_empty());
    let audit = vault.audit();
    let asked = audit
        .iter()
        .any(|line| line["type"] == "response" && line["request"]["path"] == "pki/issue/vaultd");
    assert!(asked);
    assert!(!Value::from(audit).to_string().contains("PRIVATE KEY"));
}

#[test]
fn from_an_authority_outside() {
    let mut site = Site::with_listener("tls_source = \"acme\"\ntls_name = \"own\"", |habits| {
        habits.life = 3600
    });
    let body = json!({"account": "test", "names": ["vault.example.test"], "challenge": "http-01"});
    site.write("certs/own", body);
    // From here on this client trusts the wrong one.
    let address = site.vault.endpoint.address.clone();
    let served = |site: &Site| {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-servername",
            "vault.example.test",
            "-connect",
            &address,
        ]);
        command.arg("-CAfile").arg(site.pebble.root());
        command.args([
            "-verify_return_error",
            "-verify_hostname",
            "vault.example.test",
        ]);
        let (code, _, _) = finish(command.stdin(Stdio::null()));
        (code == 0).then_some(())
    };
    let first = until(Duration::from_secs(40), || served(&site));
    assert!(first.is_some(), "{}", site.vault.log());
    site.vault.process().signal(rustix::process::Signal::HUP);
    until(Duration::from_secs(20), || {
        let reloaded = site.vault.log().contains("certificate reloaded");
        reloaded.then_some(())
    })
    .unwrap();
    assert!(served(&site).is_some());
    // Sealed after a start, it serves what it had.
    site.vault.kill9();
    site.vault.restart();
    assert!(served(&site).is_some(), "{}", site.vault.log());
}

#[test]
fn what_contradicts_itself_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (keys, said) in [
        ("tls_source = \"pki\"", "tls_role"),
        ("tls_source = \"pki\"\ntls_role = \"a\"", "tls_common_name"),
        ("tls_source = \"acme\"", "tls_name"),
        ("tls_source = \"files\"", "tls_cert_file and tls_key_file"),
        ("tls_source = \"letsencrypt\"", "expected \"files\""),
        ("tls_source = \"own\"\ntls_disable = true", "contradicts"),
        (
            "tls_source = \"own\"\ntls_cert_file = \"a\"\ntls_key_file = \"b\"",
            "contradicts",
        ),
        ("tls_ttl = \"1s\"", "at least 10s"),
    ] {
        let file = dir.path().join("vaultd.toml");
        let text = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\n{keys}\n[storage]\ntype = \"memory\"\n"
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new(vault_tests::program("vaultd"));
        let (code, _, err) = finish(command.arg("check-config").arg("--config").arg(&file));
        assert!(code != 0 && err.contains(said), "{keys}: {err}");
    }
}
