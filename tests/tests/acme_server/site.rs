//! A vaultd that is an ACME server, a DNS server that says what it is told, and ports for the hosts that
//! prove names.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::http::Endpoint;
use vault_tests::process::{Process, until};
use vault_tests::{Answer, Options, Request, Vault};

pub struct Site {
    pub vault: Vault,
    /// Where http-01 and tls-alpn-01 are looked for.
    pub http_port: u16,
    pub tls_port: u16,
    pub dns_port: u16,
    management: u16,
    _dns: Option<Process>,
}

/// One that nothing else is given by chance: below those that the system hands out.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + u16::try_from(std::process::id() % 16_000).unwrap();
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        let tcp = TcpListener::bind(("127.0.0.1", port));
        if tcp.is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Site {
    /// Checks may reach loopback; `example.test` and all other names are there.
    pub fn new() -> Site {
        Site::with(Options::default(), json!({}))
    }

    /// With more fields of `config/acme`.
    pub fn with(options: Options, config: Value) -> Site {
        let mut site = Site {
            vault: Vault::ready_with(options),
            http_port: port(),
            tls_port: port(),
            dns_port: port(),
            management: port(),
            _dns: None,
        };
        let mut command = Command::new("pebble-challtestsrv");
        command
            .args([
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-defaultIPv6",
                "",
            ])
            .arg("-dns01")
            .arg(format!("127.0.0.1:{}", site.dns_port))
            .arg("-management")
            .arg(format!("127.0.0.1:{}", site.management));
        let dir = site.dir("dns");
        site._dns = Some(Process::spawn(command, &dir));
        let mount = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
        site.root("POST", "sys/mounts/pki", mount).expect(204);
        let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "80000h"});
        site.root("POST", "pki/root/generate/internal", root)
            .expect(200);
        let path = format!("{}/v1/pki", site.vault.addr);
        site.root("POST", "pki/config/cluster", json!({ "path": path }))
            .expect(200);
        let mut settings = json!({
            "enabled": true,
            "dns_resolver": format!("127.0.0.1:{}", site.dns_port),
            "http_port": site.http_port,
            "tls_port": site.tls_port,
            "allowed_networks": "127.0.0.0/8",
        });
        for (name, value) in config.as_object().unwrap() {
            settings[name] = value.clone();
        }
        site.root("POST", "pki/config/acme", settings).expect(200);
        let up = || std::net::TcpStream::connect(("127.0.0.1", site.management)).ok();
        until(Duration::from_secs(10), up).expect("the DNS server does not start");
        site
    }

    /// A role for names below `test`.
    pub fn role(&self, name: &str, fields: Value) {
        let mut role = json!({
            "allowed_domains": "test", "allow_subdomains": true, "key_type": "any",
            "require_cn": false, "acme_allowed_networks": "127.0.0.0/8", "max_ttl": "240h",
        });
        for (field, value) in fields.as_object().unwrap() {
            role[field] = value.clone();
        }
        self.root("POST", &format!("pki/roles/{name}"), role)
            .expect(200);
    }

    pub fn root(&self, method: &str, path: &str, body: Value) -> Answer {
        self.vault.root(method, path, body)
    }

    /// Tells the DNS server.
    pub fn dns(&self, what: &str, body: &Value) {
        let endpoint = Endpoint::new(&format!("127.0.0.1:{}", self.management), None);
        let body = body.to_string();
        let head = format!(
            "POST /{what} HTTP/1.1\r\nHost: dns\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = endpoint.raw((head + &body).as_bytes()).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{what}");
    }

    pub fn directory(&self, prefix: &str) -> String {
        format!("{}/v1/pki/{prefix}acme/directory", self.vault.addr)
    }

    /// A folder of this test.
    pub fn dir(&self, name: &str) -> PathBuf {
        let dir = self.vault.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Runs a client, which trusts the server, and returns what it says.
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> String {
        let (ok, said) = self.attempt(command);
        assert!(ok, "{command:?}\n{said}\n{}", self.vault.log());
        said
    }

    pub fn attempt(&self, command: &mut Command) -> (bool, String) {
        let ca = self.vault.ca();
        for name in [
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
            "LEGO_CA_CERTIFICATES",
        ] {
            command.env(name, &ca);
        }
        let output = command.env("HOME", self.dir("home")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    }

    /// The PEM chain in a file leads to the root and is for that name; its serial number in hex.
    #[track_caller]
    pub fn verify(&self, chain: &Path, name: &str) -> String {
        let root = self.dir("root").join("root.pem");
        let request = Request::new("GET", "pki/ca/pem");
        std::fs::write(&root, self.vault.send(&request).expect(200).text).unwrap();
        let mut command = Command::new("openssl");
        command.args(["verify", "-x509_strict", "-purpose", "sslserver"]);
        command.arg("-CAfile").arg(&root);
        command.arg("-untrusted").arg(chain);
        command.args(["-verify_hostname", name]).arg(chain);
        self.run(&mut command);
        let mut command = Command::new("openssl");
        command
            .args(["x509", "-noout", "-serial", "-in"])
            .arg(chain);
        let said = self.run(&mut command);
        said.trim().trim_start_matches("serial=").to_owned()
    }

    /// Whether the server says that a certificate is revoked.
    pub fn is_revoked(&self, serial: &str) -> bool {
        let path = format!("pki/cert/{serial}");
        let found = self.root("GET", &path, Value::Null).expect(200);
        found.data()["revocation_time"] != json!(0)
    }
}
