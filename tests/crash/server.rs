//! The real program as a process, and a blocking HTTP client that notices when it dies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// `VAULTD_BIN`, or the program of this build.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(path) = std::env::var_os("VAULTD_BIN") {
            return path.into();
        }
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "vaultd", "--bin", "vaultd"])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot build vaultd"
        );
        let own = std::env::current_exe().unwrap_or_default();
        own.ancestors()
            .nth(2)
            .unwrap_or(Path::new("."))
            .join("vaultd")
    })
}

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Sealed, and answering.
    pub(crate) fn start(dir: &Path) -> Result<Server> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = dir.with_extension("toml");
        let storage = dir.to_str().context("the path is not UTF-8")?;
        std::fs::write(
            &config,
            format!(
                "[listener]\naddress = \"{address}\"\ntls_disable = true\n\
                 [storage]\ntype = \"sqlite\"\npath = {storage:?}\n[log]\nlevel = \"error\"\n"
            ),
        )?;
        let process = Command::new(program())
            .arg("server")
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .spawn()?;
        let server = Server { process, address };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(
                start.elapsed() < Duration::from_secs(20),
                "the server does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// SIGKILL: nothing is flushed, nothing is finished.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    pub(crate) fn client(&self, token: &str) -> Result<Client> {
        Client::connect(self.address, token)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One kept-alive connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, token: &str) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Client {
            stream: BufReader::new(stream),
            token: token.to_owned(),
        })
    }

    /// Status and body. An error means that no answer came.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let token = &self.token;
        let length = body.len();
        let head = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {token}\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.get_mut().write_all((head + &body).as_bytes())?;
        self.receive()
    }

    fn receive(&mut self) -> Result<(u16, Value)> {
        let status = self
            .line()?
            .split(' ')
            .nth(1)
            .context("no status line")?
            .parse()?;
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            ensure!(
                !line.starts_with("transfer-encoding"),
                "this client knows content-length only"
            );
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((
            status,
            if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&body)?
            },
        ))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(
            self.stream.read_line(&mut line)? > 0,
            "the connection was closed"
        );
        Ok(line.trim_end().to_owned())
    }

    /// For what must succeed.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = self.send(method, path, &body)?;
        if status >= 300 {
            bail!("{method} {path}: {status} {answer}");
        }
        Ok(answer)
    }
}

/// What is needed to get in again.
pub(crate) struct Keys {
    share: String,
    pub(crate) token: String,
}

impl Keys {
    pub(crate) fn init(server: &Server) -> Result<Keys> {
        let body = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let answer = server.client("")?.call("PUT", "sys/init", body)?;
        let text = |value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .context("init: a field is missing")
        };
        Ok(Keys {
            share: text(&answer["keys"][0])?,
            token: text(&answer["root_token"])?,
        })
    }

    pub(crate) fn unseal(&self, server: &Server) -> Result<()> {
        let answer = server
            .client("")?
            .call("PUT", "sys/unseal", json!({ "key": self.share }))?;
        ensure!(answer["sealed"] == false, "still sealed: {answer}");
        Ok(())
    }
}
