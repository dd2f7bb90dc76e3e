//! OpenSSL's OCSP responder over an index of ours, and a plain HTTP server that says what it is told.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::certificates::{Authority, Identity};
use crate::process::{Process, until};

/// `openssl ocsp -index`.
pub struct Responder {
    pub url: String,
    dir: TempDir,
    _process: Process,
}

impl Responder {
    /// For the certificates of `authority`, with responses that it signs itself.
    pub fn of(authority: &Authority) -> Responder {
        Responder::signed(authority, &authority.pem(), &authority.key_pem())
    }

    /// With responses that somebody else signs: his certificate and key in PEM.
    pub fn signed(authority: &Authority, certificate: &str, key: &str) -> Responder {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let mut command = Command::new("openssl");
        command.args(["ocsp", "-ignore_err", "-port", "0", "-nmin", "5", "-index"]);
        command.arg(file("index.txt", ""));
        command.arg("-CA").arg(file("ca.pem", &authority.pem()));
        command.arg("-rsigner").arg(file("signer.pem", certificate));
        command.arg("-rkey").arg(file("key.pem", key));
        let process = Process::spawn(command, dir.path());
        let port = until(Duration::from_secs(20), || {
            let log = process.log();
            let (_, rest) = log.split_once("ACCEPT ")?;
            let (place, _) = rest.split_once(" PID")?;
            Some(place.rsplit_once(':')?.1.to_owned())
        });
        let port = port.unwrap_or_else(|| panic!("no responder: {}", process.log()));
        Responder {
            url: format!("http://127.0.0.1:{port}"),
            dir,
            _process: process,
        }
    }

    /// From now on it knows exactly these.
    pub fn know(&self, good: &[&Identity], revoked: &[&Identity]) {
        let line = |mark: &str, since: &str, one: &Identity| {
            let serial = hex::encode_upper(one.serial());
            format!("{mark}\t491231235959Z\t{since}\t{serial}\tunknown\t/CN={serial}\n")
        };
        let good = good.iter().map(|one| line("V", "", one));
        let revoked = revoked.iter().map(|one| line("R", "240101000000Z", one));
        let new = self.dir.path().join("new");
        fs::write(&new, good.chain(revoked).collect::<String>()).unwrap();
        fs::rename(new, self.dir.path().join("index.txt")).unwrap();
        // It looks for another index after each request.
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        stream.write_all(b"GET /none HTTP/1.0\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }

    /// What it says about a certificate to who asks with these options.
    pub fn response(&self, about: &Identity, options: &[&str]) -> Vec<u8> {
        let path = |name: &str| -> PathBuf { self.dir.path().join(name) };
        fs::write(path("about.pem"), about.pem()).unwrap();
        let mut command = Command::new("openssl");
        command.args(["ocsp", "-noverify", "-url", &self.url]);
        command.arg("-issuer").arg(path("ca.pem"));
        command.arg("-cert").arg(path("about.pem"));
        command.arg("-respout").arg(path("response"));
        let output = command.args(options).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read(path("response")).unwrap()
    }
}

/// Answers every request with the same bytes, over plain HTTP.
pub struct Fixed {
    pub url: String,
    address: SocketAddr,
    body: Arc<Mutex<Vec<u8>>>,
    over: Arc<AtomicBool>,
}

impl Fixed {
    pub fn start(body: impl Into<Vec<u8>>) -> Fixed {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let fixed = Fixed {
            url: format!("http://{address}/"),
            address,
            body: Arc::new(Mutex::new(body.into())),
            over: Arc::default(),
        };
        let (body, over) = (fixed.body.clone(), fixed.over.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let body = body.lock().unwrap().clone();
                let _ = answer(stream, &body);
            }
        });
        fixed
    }

    pub fn say(&self, body: impl Into<Vec<u8>>) {
        *self.body.lock().unwrap() = body.into();
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes who waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // A request comes in one piece: it is small.
    let mut request = [0; 8192];
    let _ = stream.read(&mut request)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.flush()
}
