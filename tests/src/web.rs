//! An HTTPS server in the test process, with a CA of its own: stands for the identity providers,
//! clusters and forges that vaultd asks.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    /// Empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A field of the query or of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        field(query, name).or_else(|| field(&self.body, name))
    }
}

/// A field of `a=b&c=d`, unescaped.
pub fn field(form: &str, name: &str) -> Option<String> {
    let found = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut out = Vec::new();
    let mut rest = found.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                out.extend(hex::decode(&after[..2]).unwrap());
                rest = &after[2..];
            }
            b'+' => out.push(b' '),
            byte => out.push(*byte),
        }
    }
    Some(String::from_utf8(out).unwrap())
}

type Answering = dyn Fn(&Asked) -> (u16, String) + Send + Sync;

/// Answers with JSON. Ends with the value that stands for it.
pub struct Web {
    /// `https://localhost:PORT`
    pub url: String,
    /// The CA that vouches for it.
    pub ca_pem: String,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    down: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Web {
    pub fn start(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (config, ca_pem) = certificate();
        let web = Web {
            url: format!("https://localhost:{}", address.port()),
            ca_pem,
            address,
            asked: Arc::default(),
            down: Arc::default(),
            over: Arc::default(),
        };
        let (asked, down, over) = (web.asked.clone(), web.down.clone(), web.over.clone());
        let answer: Arc<Answering> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                if down.load(Ordering::SeqCst) {
                    continue;
                }
                let (config, asked, answer) = (config.clone(), asked.clone(), answer.clone());
                thread::spawn(move || serve(stream, config, &asked, &*answer));
            }
        });
        web
    }

    /// While down, connections are closed as soon as they are made.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Everything that was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often this path was asked for.
    pub fn count(&self, path: &str) -> usize {
        let asked = self.asked();
        let same = |one: &&Asked| one.target.split('?').next() == Some(path);
        asked.iter().filter(same).count()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes who waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn certificate() -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let cert = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (Arc::new(config), ca.pem())
}

/// One request. Who goes away in the middle of it is let go.
fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    asked: &Mutex<Vec<Asked>>,
    answer: &Answering,
) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut tls = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut bytes = Vec::new();
    let request = loop {
        let mut chunk = [0; 4096];
        let read = tls.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(request) = parse(&bytes) {
            break request;
        }
    };
    let (status, body) = answer(&request);
    asked.lock().unwrap().push(request);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    tls.write_all((head + &body).as_bytes()).ok()?;
    tls.conn.send_close_notify();
    tls.flush().ok()
}

/// `None` until all of it is there.
fn parse(bytes: &[u8]) -> Option<Asked> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Asked {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers,
        body: String::new(),
    };
    let length = request.header("content-length").parse().unwrap_or(0);
    let body = bytes[end + 4..].get(..length)?;
    request.body = String::from_utf8(body.to_vec()).ok()?;
    Some(request)
}
