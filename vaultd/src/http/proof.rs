//! Proofs for authorities (ACME): a plain listener that knows nothing but the tokens of orders under way
//! (http-01), and handshakes that ask for `acme-tls/1` (tls-alpn-01, RFC 8737).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::StartHandshake;

use super::listener::{Shutdown, stopped};
use crate::core::Core;
use crate::core::proof;
use crate::engine::acme::Handshake;

const PATH: &str = "/.well-known/acme-challenge/";
const PROTOCOL: &[u8] = b"acme-tls/1";
/// Anybody may connect.
const CONNECTIONS_MAX: usize = 256;
const CONNECTION_MAX: Duration = Duration::from_secs(20);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound address for http-01.
pub struct ProofListener {
    tcp: TcpListener,
}

impl ProofListener {
    pub async fn bind(address: SocketAddr) -> std::io::Result<ProofListener> {
        let tcp = TcpListener::bind(address).await?;
        Ok(ProofListener { tcp })
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    pub async fn serve(self, core: Arc<Core>, mut shutdown: Shutdown) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = stopped(&mut shutdown) => return,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let core = Arc::clone(&core);
            tokio::spawn(async move {
                let _ = tokio::time::timeout(CONNECTION_MAX, connection(stream, core)).await;
                drop(permit);
            });
        }
    }
}

async fn connection(stream: TcpStream, core: Arc<Core>) {
    let service = service_fn(|request| {
        let core = Arc::clone(&core);
        async move { Ok::<_, Infallible>(answer(&core, &request).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_MAX)
        .keep_alive(false)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(core: &Core, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let token = request.uri().path().strip_prefix(PATH);
    let (status, text) = match (request.method(), token) {
        (&Method::GET | &Method::HEAD, Some(token)) => match proof::response(core, token).await {
            Ok(Some(text)) => (StatusCode::OK, text),
            Ok(None) => (StatusCode::NOT_FOUND, String::new()),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        },
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    let plain = http::HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

/// Whether a client connects for a proof, and for nothing else.
pub fn is_wanted(hello: &ClientHello<'_>) -> bool {
    let mut protocols = hello.alpn().into_iter().flatten();
    protocols.next() == Some(PROTOCOL) && protocols.next().is_none()
}

/// Shows the proof for the host that is asked for, if there is one, and hangs up.
pub async fn shake_hands<S>(start: StartHandshake<S>, core: &Core)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let host = start.client_hello().server_name().map(str::to_owned);
    let found = match host {
        Some(host) => proof::handshake(core, &host).await.ok().flatten(),
        None => None,
    };
    let config = found.and_then(config);
    if let Some(config) = config
        && let Ok(mut stream) = start.into_stream(config).await
    {
        let _ = stream.shutdown().await;
    }
}

/// Not by `with_single_cert`: it refuses the critical extension that this is all about.
fn config(shown: Handshake) -> Option<Arc<rustls::ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = provider
        .key_provider
        .load_private_key(shown.key.into())
        .ok()?;
    let own = CertifiedKey::new(vec![shown.certificate], key);
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Some(Arc::new(config))
}
