//! nginx and HAProxy on loopback ports, over the folder of one test, and clients that trust one root.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use vault_tests::process::{Process, good, until};

/// The name that is served.
pub(crate) const NAME: &str = "shop.example.com";

const NGINX: &str = "\
daemon off; worker_processes 2; pid DIR/nginx.pid; error_log DIR/nginx.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path DIR/tmp; proxy_temp_path DIR/tmp; fastcgi_temp_path DIR/tmp;
    uwsgi_temp_path DIR/tmp; scgi_temp_path DIR/tmp;
    server {
        listen 127.0.0.1:PORT ssl;
        server_name shop.example.com;
        ssl_certificate DIR/tls/fullchain.pem;
        ssl_certificate_key DIR/tls/privkey.pem;
        location / { return 200 \"ok\"; }
    }
}
";

const HAPROXY: &str = "\
global
    stats socket DIR/admin.sock mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend shop
    bind 127.0.0.1:PORT ssl crt DIR/tls/haproxy.pem
    http-request return status 200 content-type text/plain string ok
";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

/// Ends with the value that stands for it, and its workers with it.
pub(crate) struct Server {
    pub(crate) port: u16,
    process: Process,
}

impl Server {
    /// Its certificate has to lie in `tls` already.
    pub(crate) fn start(kind: Kind, dir: &Path) -> Server {
        // Workers of nginx are nobody.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        for _ in 0..10 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            configure(kind, dir, port);
            let mut process = Process::spawn(command(kind, dir), dir);
            let answers = until(Duration::from_secs(20), || {
                let answers = TcpStream::connect(("127.0.0.1", port)).is_ok();
                let ended = process.ended().map(|_| false);
                ended.or(answers.then_some(true))
            });
            if answers == Some(true) {
                return Server { port, process };
            }
        }
        let said = fs::read_to_string(dir.join("err")).unwrap_or_default();
        panic!("it does not start: {said}");
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.terminate();
    }
}

/// Writes the configuration.
pub(crate) fn configure(kind: Kind, dir: &Path, port: u16) {
    let (text, name) = match kind {
        Kind::Nginx => (NGINX, "nginx.conf"),
        Kind::Haproxy => (HAPROXY, "haproxy.cfg"),
    };
    let text = text.replace("DIR", &dir.display().to_string());
    fs::write(dir.join(name), text.replace("PORT", &port.to_string())).unwrap();
}

fn command(kind: Kind, dir: &Path) -> Command {
    let path = |name: &str| dir.join(name).display().to_string();
    let (program, arguments) = match kind {
        Kind::Nginx => (
            "/usr/sbin/nginx",
            vec!["-p".into(), path(""), "-c".into(), path("nginx.conf")],
        ),
        Kind::Haproxy => (
            "/usr/sbin/haproxy",
            vec![
                "-W".into(),
                "-p".into(),
                path("haproxy.pid"),
                "-f".into(),
                path("haproxy.cfg"),
            ],
        ),
    };
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The words that have nginx load its configuration again.
pub(crate) fn nginx_reload(dir: &Path) -> String {
    let dir = dir.display();
    format!("/usr/sbin/nginx -p {dir} -c {dir}/nginx.conf -s reload")
}

/// Trusts the root alone; each connection is a new one.
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    port: u16,
}

impl Client {
    pub(crate) fn new(root: &Path, port: u16) -> Client {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(root).unwrap();
        roots.add(root).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Client {
            config: Arc::new(config),
            port,
        }
    }

    /// Asks once; the leaf that was served to a trusting client, in DER.
    pub(crate) fn ask(&self) -> Result<Vec<u8>, String> {
        let text = |error: std::io::Error| error.to_string();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(text)?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .map_err(text)?;
        let name = ServerName::try_from(NAME).unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let mut stream = StreamOwned::new(connection.unwrap(), stream);
        let request = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(text)?;
        let mut answer = Vec::new();
        // What counts is the answer; how the connection ends does not.
        let ended = stream.read_to_end(&mut answer);
        match answer.ends_with(b"ok") {
            true => Ok(stream.conn.peer_certificates().unwrap()[0].to_vec()),
            false => Err(format!("{ended:?}: {}", String::from_utf8_lossy(&answer))),
        }
    }
}

/// Whether OpenSSL, at its strictest, takes the chain of a file.
pub(crate) fn openssl_verifies(root: &Path, chain: &Path) {
    let mut command = Command::new("openssl");
    command.args(["verify", "-x509_strict", "-purpose", "sslserver"]);
    command
        .args(["-verify_hostname", NAME, "-CAfile"])
        .arg(root);
    command.arg("-untrusted").arg(chain).arg(chain);
    assert!(good(&mut command).contains(": OK"));
}

/// A script that can be started.
pub(crate) fn script(path: PathBuf, text: &str) -> String {
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}
