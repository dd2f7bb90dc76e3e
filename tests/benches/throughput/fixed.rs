//! The reference for reads: axum answers every request with the same JSON, over the same TLS.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::load::Target;
use super::vault::Vault;

/// The argument with which this program is that server.
pub const COMMAND: &str = "serve-static-json";

pub struct Fixed {
    pub target: Target,
    process: Child,
}

impl Drop for Fixed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Fixed {
    /// With vaultd's certificate and a body like vaultd's.
    pub fn start(vault: &Vault) -> Result<Fixed> {
        let body = vault.dir.join("answer.json");
        std::fs::write(&body, &vault.answer)?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .args([vault.dir.join("data/tls"), body])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .context("the static server did not start")?;
        let target = Target {
            address,
            pid: process.id(),
            ..vault.target.clone()
        };
        Ok(Fixed { target, process })
    }
}

/// `FOLDER-WITH-CERTIFICATE BODY-FILE`: prints its address and serves until it is killed.
pub fn serve(args: &[String]) -> Result<()> {
    let [tls, body] = args else {
        anyhow::bail!("expected a folder and a file")
    };
    let tls = PathBuf::from(tls);
    let body = Bytes::from(std::fs::read(body)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let chain = CertificateDer::pem_file_iter(tls.join("server.pem"))?
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(tls.join("server.key"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let answer = move || async move { ([("content-type", "application/json")], body) };
        let router = Router::new().fallback(answer);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                if let Ok(stream) = acceptor.accept(stream).await {
                    let service = TowerToHyperService::new(router);
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }
            });
        }
    })
}
