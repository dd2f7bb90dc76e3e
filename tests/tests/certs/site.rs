//! A server with a root, an authority below it and a role, and a machine that gets certificates.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::{Options, Said, Vault, Vaultctl};

use crate::server::{Client, Kind, NAME, Server, nginx_reload};

/// What the machine may do.
const RULES: &str = r#"
path "pki/sign/web" { capabilities = ["update"] }
path "pki/sign/any" { capabilities = ["update"] }
path "pki/issue/web" { capabilities = ["update"] }
path "pki/revoke-with-key" { capabilities = ["update"] }
path "pki/expiring" { capabilities = ["read"] }
"#;

pub(crate) struct Site {
    pub(crate) vault: Vault,
    pub(crate) dir: TempDir,
    pub(crate) token: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Site {
    pub(crate) fn new() -> Site {
        Site::with(Options::memory())
    }

    pub(crate) fn with(options: Options) -> Site {
        let vault = Vault::ready_with(options);
        let dir = tempfile::tempdir().unwrap();
        for mount in ["top", "pki"] {
            let body = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
            let path = format!("sys/mounts/{mount}");
            vault.root("POST", &path, body).expect(204);
        }
        let ask = |path: &str, body: Value| vault.root("POST", path, body).expect(200).body;
        let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "87600h"});
        let root = ask("top/root/generate/internal", root);
        let root = text(&root["data"]["certificate"]);
        std::fs::write(dir.path().join("root.pem"), &root).unwrap();
        let middle = json!({"common_name": "Middle", "key_type": "ec"});
        let csr = ask("pki/intermediate/generate/internal", middle);
        let wanted = json!({"csr": csr["data"]["csr"], "common_name": "Middle", "ttl": "43800h"});
        let signed = ask("top/root/sign-intermediate", wanted);
        let chain = [text(&signed["data"]["certificate"]), root].join("\n");
        ask("pki/intermediate/set-signed", json!({"certificate": chain}));
        let role = json!({
            "allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec",
            "max_ttl": "72h", "not_before_duration": "1s",
        });
        vault.root("POST", "pki/roles/web", role);
        let any = json!({"allow_any_name": true, "key_type": "any", "max_ttl": "72h"});
        vault.root("POST", "pki/roles/any", any);
        let rules = json!({ "policy": RULES });
        let policies = vault.root("POST", "sys/policies/acl/machine", rules);
        policies.expect(204);
        let made = vault.root(
            "POST",
            "auth/token/create",
            json!({"policies": ["machine"]}),
        );
        let token = text(&made.expect(200).body["auth"]["client_token"]);
        Site { vault, dir, token }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn vaultctl(&self) -> Vaultctl {
        Vaultctl::new(self.dir.path(), &self.vault.addr).env("VAULT_TOKEN", &self.token)
    }

    #[track_caller]
    pub(crate) fn pki(&self, words: &str) -> Said {
        let state = self.path("state").display().to_string();
        let mut all = vec!["pki"];
        all.extend(words.split_whitespace());
        all.extend(["--state", &state]);
        self.vaultctl().run(&all, "")
    }

    #[track_caller]
    pub(crate) fn good(&self, words: &str) -> String {
        let said = self.pki(words);
        assert_eq!(said.code, 0, "{words}: {}{}", said.out, said.err);
        said.out
    }

    /// Where the certificate of a kind of server lies.
    pub(crate) fn to(&self, kind: Kind) -> String {
        let (layout, path) = match kind {
            Kind::Nginx => ("nginx", self.path("tls")),
            Kind::Haproxy => ("haproxy", self.path("tls/haproxy.pem")),
        };
        format!("--layout {layout} --to {}", path.display())
    }

    /// A server with a first certificate that nobody looked at.
    pub(crate) fn serve(&self, kind: Kind) -> Server {
        let place = self.to(kind);
        self.good(&format!("install web --name {NAME} --as shop {place}"));
        Server::start(kind, self.dir.path())
    }

    pub(crate) fn client(&self, server: &Server) -> Client {
        Client::new(&self.path("root.pem"), server.port)
    }

    /// The file with the leaf first.
    pub(crate) fn chain(&self, kind: Kind) -> PathBuf {
        self.path(match kind {
            Kind::Nginx => "tls/fullchain.pem",
            Kind::Haproxy => "tls/haproxy.pem",
        })
    }

    pub(crate) fn record(&self) -> Value {
        let text = std::fs::read(self.path("state/shop.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// What has to be said to [`Site::pki`] so that nginx is reloaded and looked at.
    pub(crate) fn nginx(&self, server: &Server) -> Vec<String> {
        let reload = nginx_reload(self.dir.path());
        self.install(Kind::Nginx, server, &["--reload", &reload])
    }

    pub(crate) fn install(&self, kind: Kind, server: &Server, how: &[&str]) -> Vec<String> {
        let state = self.path("state").display().to_string();
        let words = format!("pki install web --name {NAME} --as shop {}", self.to(kind));
        let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        words.extend(how.iter().map(|word| (*word).to_owned()));
        words.extend(["--probe".to_owned(), server.address()]);
        words.extend(["--state".to_owned(), state]);
        words
    }

    #[track_caller]
    pub(crate) fn run(&self, words: &[String]) -> Said {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.vaultctl().run(&words, "")
    }
}

/// Connections without end, until it is asked how it went.
pub(crate) struct Load {
    stop: AtomicBool,
    pub(crate) answered: AtomicUsize,
}

impl Load {
    /// Runs `work` under load. The certificates that were served, in order, and what went wrong.
    pub(crate) fn during(client: &Client, work: impl FnOnce(&Load)) -> (Vec<Vec<u8>>, Vec<String>) {
        let load = Load {
            stop: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
        };
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let (mut served, mut wrong) = (Vec::new(), Vec::new());
                while !load.stop.load(Ordering::Relaxed) {
                    match client.ask() {
                        Err(error) => wrong.push(error),
                        Ok(leaf) if served.contains(&leaf) => {}
                        Ok(leaf) => served.push(leaf),
                    }
                    load.answered.fetch_add(1, Ordering::Relaxed);
                }
                (served, wrong)
            });
            work(&load);
            load.stop.store(true, Ordering::Relaxed);
            asking.join().unwrap()
        })
    }
}

/// Names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let found = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
