//! A blocking HTTP/1.1 client that sends exactly what it is told to: one connection, one request.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent. `path` is below `/v1/` and goes out as it is, encoded or not.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn token(self, token: &str) -> Request {
        self.header("X-Vault-Token", token)
    }

    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body as JSON; PATCH gets the content type that it needs.
    pub fn json(self, body: &Value) -> Request {
        let kind = if self.method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        self.header("Content-Type", kind).body(body.to_string())
    }

    /// A body without a content type.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} /v1/{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What came back. `body` is null if it is not JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// `data` of the answer.
    pub fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// All errors in one line.
    pub fn errors(&self) -> String {
        let errors = self.body["errors"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        errors
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// The answer itself, if its status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Splits an answer off its bytes, whatever they are: a refusal may be cut short.
    pub fn parse(bytes: &[u8]) -> Option<Answer> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let text = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Some(Answer {
            status,
            headers,
            text,
            body,
        })
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// Where to send to, and whom to trust.
#[derive(Clone)]
pub struct Endpoint {
    /// `IP:PORT`
    pub address: String,
    pub tls: Option<Arc<ClientConfig>>,
}

impl Endpoint {
    /// `ca` is the PEM file of the server's own CA; `None` speaks plain HTTP.
    pub fn new(address: &str, ca: Option<&std::path::Path>) -> Endpoint {
        let tls = ca.map(|file| {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_file(file).unwrap())
                .unwrap();
            Arc::new(
                ClientConfig::builder()
                    .with_root_certificates(roots)
                    .with_no_client_auth(),
            )
        });
        Endpoint {
            address: address.to_owned(),
            tls,
        }
    }

    fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect(&self.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let Some(config) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let ip = self.address.rsplit_once(':').unwrap().0;
        let name = ServerName::try_from(ip.to_owned()).map_err(std::io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
        Ok(Box::new(StreamOwned::new(tls, tcp)))
    }

    /// Sends bytes and reads until the server closes. The server may refuse before it has read
    /// everything: what it said until then counts.
    pub fn raw(&self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = self.connect()?;
        let sent = stream.write_all(bytes).and_then(|()| stream.flush());
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            sent?;
            read?;
        }
        Ok(answer)
    }

    /// An error means that no whole answer came.
    pub fn send(&self, request: &Request) -> std::io::Result<Answer> {
        let bytes = self.raw(&request.bytes())?;
        let answer = Answer::parse(&bytes).ok_or_else(|| std::io::Error::other("no answer"))?;
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok());
        if request.method != "HEAD" && length.is_some_and(|length| length > answer.text.len()) {
            return Err(std::io::Error::other("the answer is cut short"));
        }
        Ok(answer)
    }
}
