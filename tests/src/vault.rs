//! One server with a data folder of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, Endpoint, Request};
use crate::process::{Options, Process, program, until};

/// What init gave out: unseal keys in hex.
#[derive(Clone)]
pub struct Init {
    pub keys: Vec<String>,
    pub root_token: String,
}

/// A real `vaultd`.
pub struct Vault {
    process: Process,
    pub endpoint: Endpoint,
    /// `https://127.0.0.1:PORT`
    pub addr: String,
    /// Holds the data folder, the config file and the output.
    pub dir: TempDir,
    /// The root token, once there is one.
    pub root: String,
    pub keys: Vec<String>,
    options: Option<Options>,
}

impl Vault {
    /// Neither initialised nor unsealed.
    pub fn start(options: Options) -> Vault {
        let dir = tempfile::tempdir().unwrap();
        write_config(&dir, &options, "127.0.0.1:0");
        let process = spawn(&dir, &options);
        Vault::listening(process, dir, Some(options))
    }

    /// `vaultd dev`: plain HTTP, in memory, root token "root".
    pub fn dev() -> Vault {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(program("vaultd"));
        command.args(["dev", "--listen", "127.0.0.1:0", "--root-token", "root"]);
        let process = Process::spawn(command, dir.path());
        let mut vault = Vault::listening(process, dir, None);
        until(Duration::from_secs(20), || {
            vault.log().contains("Root Token: root").then_some(())
        })
        .unwrap();
        vault.root = "root".to_owned();
        vault
    }

    /// Initialised with one share and unsealed, over TLS and SQLite.
    pub fn ready() -> Vault {
        Vault::ready_with(Options::default())
    }

    pub fn ready_with(options: Options) -> Vault {
        let mut vault = Vault::start(options);
        vault.init(1, 1);
        vault.unseal();
        vault
    }

    fn listening(mut process: Process, dir: TempDir, options: Option<Options>) -> Vault {
        let addr = listens(&mut process, 0)
            .unwrap_or_else(|| panic!("the server does not listen\n{}", process.log()));
        let endpoint = endpoint(&addr, &dir);
        let (root, keys) = (String::new(), Vec::new());
        Vault {
            process,
            endpoint,
            addr,
            dir,
            root,
            keys,
            options,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The CA file that clients trust, with TLS.
    pub fn ca(&self) -> PathBuf {
        self.data().join("tls/ca.pem")
    }

    pub fn init(&mut self, shares: u32, threshold: u32) -> Init {
        let body = json!({"secret_shares": shares, "secret_threshold": threshold});
        let answer = self.call("PUT", "sys/init", None, Some(&body)).expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.keys = answer.body["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        self.root = text(&answer.body["root_token"]);
        Init {
            keys: self.keys.clone(),
            root_token: self.root.clone(),
        }
    }

    /// Gives one share after another until the server is unsealed.
    pub fn unseal(&self) {
        for key in &self.keys {
            let answer = self
                .call("PUT", "sys/unseal", None, Some(&json!({ "key": key })))
                .expect(200);
            if answer.body["sealed"] == json!(false) {
                return;
            }
        }
        panic!("still sealed\n{}", self.log());
    }

    /// # Panics
    /// If no answer comes; see `send` for requests that may fail.
    #[track_caller]
    pub fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::new(method, path);
        if let Some(token) = token {
            request = request.token(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(&request)
    }

    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        match self.endpoint.send(request) {
            Ok(answer) => answer,
            Err(error) => panic!(
                "{} {}: {error}\n{}",
                request.method,
                request.path,
                self.log()
            ),
        }
    }

    /// As root, with a body or without.
    #[track_caller]
    pub fn root(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call(
            method,
            path,
            Some(&self.root),
            (!body.is_null()).then_some(&body),
        )
    }

    /// Sends bytes as they are, and returns what came until the server closed.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        self.endpoint.raw(bytes).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Output of all processes that this server has had.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The audit file, line by line.
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.data().join("audit.log")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    pub fn kill9(&mut self) -> ExitStatus {
        self.process.kill9()
    }

    /// SIGTERM, and waits.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.terminate()
    }

    /// Other TOML sections, from the next start on.
    pub fn reconfigure(&mut self, toml: &str) {
        if let Some(options) = &mut self.options {
            options.toml = toml.to_owned();
        }
    }

    /// Starts again on the same data and the same port; sealed. Ends the process first if it runs.
    pub fn restart(&mut self) {
        let options = self
            .options
            .clone()
            .expect("dev mode has nothing to start again from");
        self.terminate();
        write_config(&self.dir, &options, &self.endpoint.address);
        let again = until(Duration::from_secs(10), || {
            let before = announced(&self.log()).len();
            self.process = spawn(&self.dir, &options);
            listens(&mut self.process, before)
        });
        assert!(
            again.is_some(),
            "the server does not start again\n{}",
            self.log()
        );
    }

    pub fn restart_unsealed(&mut self) {
        self.restart();
        self.unseal();
    }
}

fn spawn(dir: &TempDir, options: &Options) -> Process {
    let vaultd = program("vaultd");
    let mut command = match options.wrapper.split_first() {
        Some((wrapper, args)) => {
            let mut command = Command::new(wrapper);
            command.args(args).arg(vaultd);
            command
        }
        None => Command::new(vaultd),
    };
    command
        .arg("server")
        .arg("--config")
        .arg(dir.path().join("vaultd.toml"))
        .envs(options.env.iter().cloned());
    Process::spawn(command, dir.path())
}

fn write_config(dir: &TempDir, options: &Options, address: &str) {
    let Options {
        plain,
        memory,
        top,
        listener,
        toml,
        ..
    } = options;
    let storage = match memory {
        true => "type = \"memory\"".to_owned(),
        false => format!("type = \"sqlite\"\npath = {:?}", dir.path().join("data")),
    };
    let text = format!(
        "{top}\n[listener]\naddress = \"{address}\"\ntls_disable = {plain}\n{listener}\n[storage]\n{storage}\n{toml}\n"
    );
    std::fs::write(dir.path().join("vaultd.toml"), text).unwrap();
}

/// Waits for one address more than there were. `None` if the process ends, as it does while the port
/// is taken.
fn listens(process: &mut Process, before: usize) -> Option<String> {
    until(Duration::from_secs(20), || {
        let found = announced(&process.log()).into_iter().nth(before);
        found.map(Some).or_else(|| process.ended().map(|_| None))
    })
    .flatten()
}

/// The log says the address in server mode, stdout in dev mode.
fn announced(log: &str) -> Vec<String> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let starts = whole.lines().filter_map(|line| {
        let (_, rest) = line
            .split_once("listening on ")
            .or_else(|| line.split_once("VAULT_ADDR='"))?;
        rest.split('\'').next()
    });
    starts.map(str::to_owned).collect()
}

fn endpoint(addr: &str, dir: &TempDir) -> Endpoint {
    let (scheme, address) = addr.split_once("://").unwrap();
    let ca = dir.path().join("data/tls/ca.pem");
    Endpoint::new(address, (scheme == "https").then_some(ca.as_path()))
}
