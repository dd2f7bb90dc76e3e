//! Pebble, Let's Encrypt's authority for tests, with the DNS that it asks.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Endpoint;
use crate::process::{Process, until};

/// How the authority behaves.
#[derive(Clone)]
pub struct Habits {
    /// Where it connects to for http-01 and tls-alpn-01, on loopback.
    pub http_port: u16,
    pub tls_port: u16,
    /// Percent of good nonces that it refuses.
    pub nonce_reject: u8,
    /// Percent of valid authorizations that a new order gets.
    pub authz_reuse: u8,
    /// Seconds at most before it validates.
    pub sleep: u32,
    /// Seconds that certificates live.
    pub life: u32,
    /// Key by identifier, of accounts elsewhere; without them no account is made.
    pub external: Option<(String, String)>,
    /// `127.0.0.1:PORT` of another DNS server.
    pub dns: Option<String>,
}

impl Habits {
    pub fn at(http_port: u16, tls_port: u16) -> Habits {
        Habits {
            http_port,
            tls_port,
            nonce_reject: 5,
            authz_reuse: 0,
            sleep: 0,
            life: 90 * 86_400,
            external: None,
            dns: None,
        }
    }
}

/// Ends with the value that stands for it.
pub struct Pebble {
    pub directory: String,
    /// Those who vouch for the directory, in PEM.
    pub ca_pem: String,
    /// What `pebble-challtestsrv` takes records by.
    pub records_port: u16,
    management: Endpoint,
    dir: TempDir,
    _dns: Process,
    process: Process,
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// DNS needs the same port of UDP and TCP.
fn answers(port: u16, process: &mut Process) -> Option<bool> {
    until(Duration::from_secs(20), || {
        let open = TcpStream::connect(("127.0.0.1", port)).is_ok();
        open.then_some(true)
            .or_else(|| process.ended().map(|_| false))
    })
}

impl Pebble {
    pub fn start(habits: &Habits) -> Pebble {
        let dir = tempfile::tempdir().unwrap();
        let ca_pem = certificate(&dir);
        // Of ports that were free a moment ago one may be taken: then others are tried.
        for _ in 0..10 {
            if let Some(found) = Pebble::try_start(habits, &dir, &ca_pem) {
                let (process, dns, ports) = found;
                return Pebble {
                    directory: format!("https://localhost:{}/dir", ports[0]),
                    management: Endpoint::new(
                        &format!("localhost:{}", ports[1]),
                        Some(&dir.path().join("ca")),
                    ),
                    ca_pem,
                    records_port: ports[2],
                    dir,
                    _dns: dns,
                    process,
                };
            }
        }
        panic!(
            "pebble does not start: {}",
            fs::read_to_string(dir.path().join("err")).unwrap()
        );
    }

    fn try_start(habits: &Habits, dir: &TempDir, _: &str) -> Option<(Process, Process, [u16; 3])> {
        let [acme, management, records, dns] = [0; 4].map(|_| free_port());
        let path = |name: &str| dir.path().join(name);
        let mut command = Command::new("pebble-challtestsrv");
        command.args([
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-defaultIPv6",
            "",
        ]);
        command.arg("-dns01").arg(format!("127.0.0.1:{dns}"));
        command
            .arg("-management")
            .arg(format!("127.0.0.1:{records}"));
        let mut names = Process::spawn(command, dir.path());
        if answers(records, &mut names) != Some(true) {
            return None;
        }
        let mut config = json!({
            "listenAddress": format!("127.0.0.1:{acme}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("cert"),
            "privateKey": path("key"),
            "httpPort": habits.http_port,
            "tlsPort": habits.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": habits.external.is_some(),
            "certificateValidityPeriod": habits.life,
        });
        if let Some((id, key)) = &habits.external {
            config["externalAccountMACKeys"] = json!({ id: key });
        }
        fs::write(path("config"), json!({ "pebble": config }).to_string()).unwrap();
        let mut command = Command::new("pebble");
        command.arg("-config").arg(path("config"));
        let dns = habits.dns.clone().unwrap_or(format!("127.0.0.1:{dns}"));
        command.arg("-dnsserver").arg(dns);
        command.env("PEBBLE_WFE_NONCEREJECT", habits.nonce_reject.to_string());
        command.env("PEBBLE_AUTHZREUSE", habits.authz_reuse.to_string());
        match habits.sleep {
            0 => command.env("PEBBLE_VA_NOSLEEP", "1"),
            most => command.env("PEBBLE_VA_SLEEPTIME", most.to_string()),
        };
        let mut process = Process::spawn(command, dir.path());
        let is_up = [acme, management]
            .into_iter()
            .all(|port| answers(port, &mut process) == Some(true));
        is_up.then_some((process, names, [acme, management, records]))
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The body that the management interface answers with; it has no `/v1/`.
    fn ask(&self, path: &str) -> String {
        let head = format!("GET /{path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        let bytes = self.management.raw(head.as_bytes()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// A file with the root that its certificates lead to.
    pub fn root(&self) -> PathBuf {
        let path = self.dir.path().join("root");
        fs::write(&path, self.ask("roots/0")).unwrap();
        path
    }

    /// `Valid` or `Revoked`.
    pub fn status(&self, serial: &str) -> String {
        let text = self.ask(&format!(
            "cert-status-by-serial/{}",
            serial.replace(':', "")
        ));
        let status: Value = serde_json::from_str(&text).unwrap();
        status["Status"].as_str().unwrap().to_owned()
    }

    /// Tells its DNS something: `set-default-ipv4`, `add-a`, `set-servfail`, …
    pub fn dns(&self, deed: &str, what: &Value) {
        let body = what.to_string();
        let mut tcp = TcpStream::connect(("127.0.0.1", self.records_port)).unwrap();
        let head = format!(
            "POST /{deed} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tcp.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    }

    /// Orders that it took since it started.
    pub fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }
}

/// Writes `cert`, `key` and `ca`; the CA in PEM.
fn certificate(dir: &TempDir) -> String {
    let path = |name: &str| dir.path().join(name);
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let cert = cert.signed_by(&key, &ca).unwrap();
    fs::write(path("ca"), ca.pem()).unwrap();
    fs::write(path("cert"), cert.pem()).unwrap();
    fs::write(path("key"), key.serialize_pem()).unwrap();
    ca.pem()
}
