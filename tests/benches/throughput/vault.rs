//! A real vaultd with secrets, policies, a token and an AppRole, and the requests made of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::{Connection, Dice, Target};

pub const SECRETS: usize = 1000;
/// Versions of a secret that are kept, unless it says otherwise.
pub const VERSIONS: usize = 10;
/// Of the JSON object that is a secret's data.
pub const SECRET_BYTES: usize = 300;
/// One write in this many makes a new secret, the others add a version to one of [`SECRETS`].
pub const CREATE_EVERY: usize = 10;

pub struct Vault {
    pub target: Target,
    pub dir: PathBuf,
    /// The body of one KV read.
    pub answer: Vec<u8>,
    requests: Arc<Requests>,
    process: Child,
    _dir: TempDir,
}

/// Requests as bytes, made once.
struct Requests {
    reads: Vec<Vec<u8>>,
    token: String,
    root: String,
    login: Vec<u8>,
    values: String,
    created: AtomicUsize,
}

impl Drop for Vault {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Vault {
    pub async fn start() -> Result<Vault> {
        let program = program()?;
        // Beside the build, so that both sides of the comparison are on the same, real file system.
        let keep = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let dir = keep.path().to_owned();
        let data = dir.join("data");
        let config = format!(
            "listener = {{ address = \"127.0.0.1:0\" }}\nstorage = {{ type = \"sqlite\", path = {data:?} }}\n",
        );
        std::fs::write(dir.join("vaultd.toml"), config)?;
        let mut process = Command::new(program)
            .args(["server", "--config"])
            .arg(dir.join("vaultd.toml"))
            .stderr(Stdio::piped())
            .spawn()?;
        let address = match address(&mut process) {
            Ok(address) => address,
            Err(error) => {
                let _ = process.kill();
                return Err(error);
            }
        };
        let tls = Arc::new(client_config(&data.join("tls/ca.pem"))?);
        let target = Target {
            address,
            tls,
            pid: process.id(),
        };
        Vault::prepared(process, target, keep).await
    }

    /// Unsealed, and with secrets in it: over the API, so it may be any server that speaks it.
    pub(super) async fn prepared(process: Child, target: Target, keep: TempDir) -> Result<Vault> {
        let requests = Arc::new(Requests {
            reads: Vec::new(),
            token: String::new(),
            root: String::new(),
            login: Vec::new(),
            values: secret(0),
            created: AtomicUsize::new(0),
        });
        let mut vault = Vault {
            target,
            dir: keep.path().to_owned(),
            answer: Vec::new(),
            requests,
            process,
            _dir: keep,
        };
        let requests = vault.prepare().await?;
        vault.answer = vault.ask(&requests.reads[0]).await?;
        vault.requests = Arc::new(requests);
        Ok(vault)
    }

    /// From sealed to something like a small company's store.
    async fn prepare(&self) -> Result<Requests> {
        let init = self
            .call(
                "PUT",
                "sys/init",
                "",
                &json!({"secret_shares": 1, "secret_threshold": 1}),
            )
            .await?;
        let root = init["root_token"].as_str().context("no root token")?;
        self.call("PUT", "sys/unseal", "", &json!({"key": init["keys"][0]}))
            .await?;
        self.until("sys/health", "", &Value::Null).await?;
        self.call(
            "POST",
            "sys/mounts/secret",
            root,
            &json!({"type": "kv", "options": {"version": "2"}}),
        )
        .await?;
        let first = json!({"data": {"first": "1"}});
        self.until("secret/data/first", root, &first).await?;
        let mut names = Vec::new();
        for (at, team) in ["app", "web", "data", "build", "infra"]
            .into_iter()
            .enumerate()
        {
            let rules = format!(
                "path \"secret/data/{team}/*\" {{ capabilities = [\"create\", \"read\", \"update\", \"delete\"] }}\n\
                 path \"secret/metadata/{team}/*\" {{ capabilities = [\"list\", \"read\"] }}\n\
                 path \"secret/data/+/{at}/shared\" {{ capabilities = [\"read\"] }}\n\
                 path \"auth/token/lookup-self\" {{ capabilities = [\"read\"] }}\n"
            );
            self.call(
                "PUT",
                &format!("sys/policies/acl/{team}"),
                root,
                &json!({"policy": rules}),
            )
            .await?;
            names.push(team);
        }
        let made = self
            .call(
                "POST",
                "auth/token/create",
                root,
                &json!({"policies": names, "ttl": "1h"}),
            )
            .await?;
        let token = made["auth"]["client_token"]
            .as_str()
            .context("no token")?
            .to_owned();
        self.call(
            "POST",
            "sys/auth/approle",
            root,
            &json!({"type": "approle"}),
        )
        .await?;
        let role = json!({"token_policies": names, "token_ttl": "10m", "secret_id_ttl": "1h"});
        self.call("POST", "auth/approle/role/app", root, &role)
            .await?;
        let role_id = self
            .call("GET", "auth/approle/role/app/role-id", root, &Value::Null)
            .await?;
        let secret_id = self
            .call("POST", "auth/approle/role/app/secret-id", root, &json!({}))
            .await?;
        let login = json!({"role_id": role_id["data"]["role_id"], "secret_id": secret_id["data"]["secret_id"]});
        for number in 0..SECRETS {
            let body = format!("{{\"data\":{}}}", secret(number));
            self.ask(&request("POST", &path(number), &token, &body))
                .await?;
        }
        Ok(Requests {
            reads: (0..SECRETS)
                .map(|number| request("GET", &path(number), &token, ""))
                .collect(),
            login: request("POST", "auth/approle/login", "", &login.to_string()),
            values: secret(0),
            created: AtomicUsize::new(SECRETS),
            token,
            root: root.to_owned(),
        })
    }

    /// Some servers need a while after they were told to do something.
    async fn until(&self, path: &str, token: &str, body: &Value) -> Result<()> {
        let method = if body.is_null() { "GET" } else { "POST" };
        let mut outcome = self.call(method, path, token, body).await;
        for _ in 0..100 {
            if outcome.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            outcome = self.call(method, path, token, body).await;
        }
        outcome.map(drop)
    }

    /// The service token of the ordinary requests.
    pub fn token(&self) -> &str {
        &self.requests.token
    }

    pub fn root(&self) -> &str {
        &self.requests.root
    }

    pub async fn call(&self, method: &str, path: &str, token: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self
            .ask(&request(method, path, token, &body))
            .await
            .with_context(|| format!("{method} {path}"))?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&answer)?)
    }

    pub async fn ask(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut connection = Connection::open(&self.target).await?;
        let status = connection.exchange(request).await?;
        let body = connection.body().to_vec();
        ensure!(
            (200..300).contains(&status),
            "status {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join("data/vaultd.db")
    }

    /// Any of the secrets.
    pub fn reads(&self) -> impl Fn(&mut Dice, &mut Vec<u8>) + Clone + Send + use<> {
        let requests = Arc::clone(&self.requests);
        move |dice, request| request.extend_from_slice(&requests.reads[dice.roll(SECRETS)])
    }

    /// A new version of any of the secrets, or a new secret.
    pub fn writes(&self) -> impl Fn(&mut Dice, &mut Vec<u8>) + Clone + Send + use<> {
        let requests = Arc::clone(&self.requests);
        move |dice, into| {
            let number = match dice.roll(CREATE_EVERY) {
                0 => requests.created.fetch_add(1, Ordering::Relaxed),
                _ => dice.roll(SECRETS),
            };
            *into = requests.write(number);
        }
    }

    pub fn logins(&self) -> impl Fn(&mut Dice, &mut Vec<u8>) + Clone + Send + use<> {
        let requests = Arc::clone(&self.requests);
        move |_, request| request.extend_from_slice(&requests.login)
    }

    /// One write by itself: a new secret, or a new version of one.
    pub async fn write_once(&self, new: bool) -> Result<()> {
        let number = if new {
            self.requests.created.fetch_add(1, Ordering::Relaxed)
        } else {
            7
        };
        self.ask(&self.requests.write(number)).await.map(drop)
    }
}

impl Requests {
    fn write(&self, number: usize) -> Vec<u8> {
        request(
            "POST",
            &path(number),
            &self.token,
            &format!("{{\"data\":{}}}", self.values),
        )
    }
}

pub fn path(number: usize) -> String {
    let team = ["app", "web", "data", "build", "infra"][number % 5];
    format!(
        "secret/data/{team}/service-{}/config-{number}",
        number / 5 % 20
    )
}

/// Five fields, as a JSON object.
fn secret(number: usize) -> String {
    let fixed = format!(
        "{{\"username\":\"service-{number:06}\",\"host\":\"db-{number:06}.internal.example\",\"port\":\"5432\",\
         \"database\":\"orders\",\"password\":\"\"}}"
    );
    let password: String = (0..SECRET_BYTES - fixed.len())
        .map(|at| char::from(b'a' + ((at * 7 + number) % 26) as u8))
        .collect();
    fixed.replace("\"password\":\"\"", &format!("\"password\":\"{password}\""))
}

pub fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let mut text = format!("{method} /v1/{path} HTTP/1.1\r\nhost: localhost\r\n");
    if !token.is_empty() {
        text.push_str(&format!("x-vault-token: {token}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        ));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// The release build, made now if it is missing or old.
fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("VAULTD_BENCH_BIN") {
        return Ok(program.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "vaultd"])
        .status()?;
    ensure!(
        built.success(),
        "`cargo build --release --package vaultd` failed"
    );
    // target/release/deps/throughput-HASH
    let exe = std::env::current_exe()?;
    let release = exe
        .parent()
        .and_then(Path::parent)
        .context("an unexpected place for a benchmark")?;
    Ok(release.join("vaultd"))
}

/// From the log; the rest of it is read too, so that the pipe never fills.
fn address(process: &mut Child) -> Result<SocketAddr> {
    let mut log = BufReader::new(process.stderr.take().context("no log")?).lines();
    let mut seen = String::new();
    while let Some(Ok(line)) = log.next() {
        if let Some((_, address)) = line.split_once("https://") {
            let address = address
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .parse()?;
            std::thread::spawn(move || log.for_each(drop));
            return Ok(address);
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    bail!("vaultd did not start:\n{seen}")
}

fn client_config(ca: &Path) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(ca)? {
        roots.add(cert?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
