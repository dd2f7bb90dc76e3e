//! TLS: the server's own CA, versions, certificates that change, and clients that hang.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use serde_json::Value;
use vault_tests::process::until;
use vault_tests::{Answer, Options, Vault, program};
use vaultd::http::tls::{OWN_LIFE, own};

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn connect(
    address: &str,
    ca: &Path,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_protocol_versions(versions)
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    Ok(StreamOwned::new(tls, tcp))
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// One request on a connection that stays open.
fn ask(stream: &mut impl ReadWrite) -> Answer {
    stream
        .write_all(b"GET /v1/sys/seal-status HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "the connection was closed");
        bytes.extend_from_slice(&part[..count]);
        if let Some(answer) = Answer::parse(&bytes)
            && !matches!(answer.body, Value::Null)
        {
            return answer;
        }
    }
}

trait ReadWrite: Read + Write {}
impl<S: Read + Write> ReadWrite for S {}

fn certificate(stream: &Stream) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn own_ca_is_trusted_by_a_client_that_has_the_file() {
    let vault = Vault::start(Options::default());
    let mut stream = connect(&vault.endpoint.address, &vault.ca(), BOTH).unwrap();
    assert_eq!(
        stream.conn.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    assert_eq!(ask(&mut stream).status, 200);
    // Nobody else's CA will do.
    let other = Vault::start(Options::default());
    assert!(connect(&vault.endpoint.address, &other.ca(), BOTH).is_err());
}

#[test]
fn own_ca_outlives_a_restart() {
    let mut vault = Vault::start(Options::default());
    let ca = std::fs::read(vault.ca()).unwrap();
    vault.restart();
    assert_eq!(std::fs::read(vault.ca()).unwrap(), ca);
    assert!(connect(&vault.endpoint.address, &vault.ca(), BOTH).is_ok());
}

#[test]
fn tls_1_2_is_accepted_unless_the_config_says_otherwise() {
    let vault = Vault::start(Options::default());
    for (version, number) in [
        (&rustls::version::TLS12, rustls::ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, rustls::ProtocolVersion::TLSv1_3),
    ] {
        let mut stream = connect(&vault.endpoint.address, &vault.ca(), &[version]).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(number));
        assert_eq!(ask(&mut stream).status, 200);
    }
    // A second listener, since the first one is the harness's.
    let address = free_address();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("vaultd.toml");
    let data = dir.path().join("data");
    let text = format!(
        "[listener]\naddress = \"{address}\"\ntls_min_version = \"tls13\"\n[storage]\ntype = \"sqlite\"\npath = {data:?}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(program("vaultd"));
    command.arg("server").arg("--config").arg(&config);
    let process = vault_tests::Process::spawn(command, dir.path());
    assert!(
        until(Duration::from_secs(10), || process
            .log()
            .contains("listening")
            .then_some(()))
        .is_some()
    );
    let ca = data.join("tls/ca.pem");
    assert!(connect(&address, &ca, &[&rustls::version::TLS13]).is_ok());
    assert!(connect(&address, &ca, &[&rustls::version::TLS12]).is_err());
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

#[test]
fn plaintext_on_a_tls_port_is_not_answered() {
    let vault = Vault::start(Options::default());
    let mut tcp = TcpStream::connect(&vault.endpoint.address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    tcp.write_all(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP/"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn certificate_changes_on_sighup_and_open_connections_stay() {
    let certs = tempfile::tempdir().unwrap();
    let dir = certs.path();
    let make = || {
        let address = "127.0.0.1:0".parse().unwrap();
        own(dir, address, 1_790_000_000, OWN_LIFE).unwrap()
    };
    let (cert, key) = make();
    let options = Options {
        toml: format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\ntls_cert_file = {cert:?}\ntls_key_file = {key:?}\n"
        ),
        ..Options::default()
    };
    let (mut process, address, _data) = configured(&options.toml);
    let mut old = connect(&address, &dir.join("ca.pem"), BOTH).unwrap();
    assert_eq!(ask(&mut old).status, 200);
    let before = certificate(&old);

    make();
    process.signal(Signal::HUP);
    let changed = until(Duration::from_secs(5), || {
        let fresh = connect(&address, &dir.join("ca.pem"), BOTH).ok()?;
        (certificate(&fresh) != before).then_some(())
    });
    assert!(changed.is_some(), "{}", process.log());
    assert_eq!(ask(&mut old).status, 200);

    // A broken file is said and changes nothing.
    std::fs::write(&cert, "not a certificate").unwrap();
    process.signal(Signal::HUP);
    assert!(
        until(Duration::from_secs(5), || process
            .log()
            .contains("ERROR")
            .then_some(()))
        .is_some(),
        "{}",
        process.log()
    );
    assert!(connect(&address, &dir.join("ca.pem"), BOTH).is_ok());
    assert_eq!(ask(&mut old).status, 200);
    drop(old);
    assert!(process.terminate().success());
}

/// A server with these listeners.
fn configured(listeners: &str) -> (vault_tests::Process, String, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("vaultd.toml");
    let data = dir.path().join("data");
    std::fs::write(
        &config,
        format!("{listeners}\n[storage]\ntype = \"sqlite\"\npath = {data:?}\n"),
    )
    .unwrap();
    let mut command = Command::new(program("vaultd"));
    command.arg("server").arg("--config").arg(&config);
    let process = vault_tests::Process::spawn(command, dir.path());
    let address = until(Duration::from_secs(10), || {
        let log = process.log();
        let (_, rest) = log.split_once("listening on https://")?;
        Some(rest.split_once('\n')?.0.to_owned())
    });
    let address = address.unwrap_or_else(|| panic!("{}", process.log()));
    (process, address, dir)
}

#[test]
fn cve_2026_73500_half_open_handshakes_are_dropped() {
    let vault = Vault::start(Options::default());
    let start = Instant::now();
    let mut silent: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(&vault.endpoint.address).unwrap())
        .collect();
    // The start of a handshake, and no more.
    silent[0]
        .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
        .unwrap();
    // Others are served meanwhile.
    assert_eq!(vault.call("GET", "sys/seal-status", None, None).status, 200);
    for tcp in &mut silent {
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest);
    }
    assert!(
        (8..16).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
}
