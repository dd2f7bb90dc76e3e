//! Requests that the server itself sends: to directories (LDAP) and, over HTTP, to identity providers, Kubernetes, forges, OCSP responders.
//!
//! Promises: one deadline for the whole exchange, an answer of bounded size, no redirect followed,
//! no proxy from the environment, and a given CA replaces the system's. Nothing of a request or an
//! answer is in an error or a log. That an address is not an internal one is promised by `Guarded` only,
//! for what strangers name: other URLs come from the mount's config, which is the operator's, or from a
//! certificate of an authority that the operator trusts.

mod directory;
mod dns;
mod guarded;
mod networks;
mod tls;
mod trust;
mod url;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

pub use self::directory::{
    Dereference, Directory, DirectoryUrl, Entry, Reach, Search, in_filter, in_name, is_filter,
};
pub use self::dns::{Resolver, Unresolved};
pub use self::guarded::{Guarded, Unreachable};
pub use self::networks::Networks;
pub use self::tls::{TlsRules, TlsVersion, certified};
pub use self::trust::Trust;
pub use self::url::{Url, form, percent};

/// For connecting, asking and reading together.
const DEADLINE: Duration = Duration::from_secs(10);
const ANSWER_MAX: usize = 1 << 20;
/// The protocol over TLS (RFC 7301).
const HTTP: &[u8] = b"http/1.1";

/// Why there is no answer. Texts hold neither what was sent nor what came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    #[error("not a URL of the form https://HOST[:PORT][/PATH]")]
    Url,
    #[error("not a URL of the form ldap://HOST[:PORT] or ldaps://HOST[:PORT]")]
    DirectoryUrl,
    #[error("the CA certificates are not valid PEM, or there are none")]
    Authority,
    #[error("expected a certificate and its own private key, both in PEM")]
    OwnCertificate,
    #[error("no address is known for the name of the host")]
    Name,
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no answer in time")]
    Timeout,
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    #[error("the connection broke")]
    Broken,
    #[error("a header would hold characters that no header has")]
    Header,
    #[error("answered with status {0}")]
    Status(u16),
    /// RFC 4511, 4.1.9.
    #[error("the directory answered with result code {0}")]
    Directory(u32),
    #[error("the answer is not what was asked for: {0}")]
    Answer(&'static str),
}

/// What is sent. Holds secrets: not `Debug`.
pub struct Request {
    method: Method,
    url: Url,
    authorization: Option<Zeroizing<String>>,
    accept: &'static str,
    body: Option<(&'static str, Zeroizing<Vec<u8>>)>,
}

impl Request {
    pub fn get(url: Url) -> Request {
        Request {
            method: Method::GET,
            url,
            authorization: None,
            accept: "application/json",
            body: None,
        }
    }

    pub fn post(url: Url, content_type: &'static str, body: Vec<u8>) -> Request {
        Request {
            method: Method::POST,
            body: Some((content_type, Zeroizing::new(body))),
            ..Request::get(url)
        }
    }

    pub fn delete(url: Url) -> Request {
        Request {
            method: Method::DELETE,
            ..Request::get(url)
        }
    }

    /// The type of the answer, if it is not JSON.
    #[must_use]
    pub fn accept(self, accept: &'static str) -> Request {
        Request { accept, ..self }
    }

    /// `Authorization: Bearer TOKEN` (RFC 6750).
    #[must_use]
    pub fn bearer(self, token: &str) -> Request {
        self.authorization(format!("Bearer {token}"))
    }

    /// The whole value of the header.
    #[must_use]
    pub fn authorization(mut self, value: String) -> Request {
        self.authorization = Some(Zeroizing::new(value));
        self
    }
}

/// What came back. Wiped after use.
pub struct Answer {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body of a success.
    pub fn success(self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match self.status {
            200..=299 => Ok(self.body),
            status => Err(Failure::Status(status)),
        }
    }
}

/// The client. One connection for each request.
#[derive(Default)]
pub struct Outbound {
    /// Reading the system's certificates takes a while.
    system: OnceLock<Arc<ClientConfig>>,
}

impl Outbound {
    pub async fn send(&self, trust: &Trust, request: Request) -> Result<Answer, Failure> {
        tokio::time::timeout(DEADLINE, self.exchange(trust, request))
            .await
            .map_err(|_| Failure::Timeout)?
    }

    /// The body of a GET that succeeded.
    pub async fn get(&self, trust: &Trust, url: &Url) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let answer = self.send(trust, Request::get(url.clone())).await?;
        answer.success()
    }

    /// One exchange as somebody else composed it: method, headers and body are his.
    pub async fn forward(
        &self,
        trust: &Trust,
        url: &Url,
        mut request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Failure> {
        *request.uri_mut() = url.target().parse().map_err(|_| Failure::Url)?;
        let host = HeaderValue::from_str(url.authority()).map_err(|_| Failure::Url)?;
        request.headers_mut().insert(HOST, host);
        let vaultd = HeaderValue::from_static("vaultd");
        request.headers_mut().insert(USER_AGENT, vaultd);
        let request = request.map(Full::new);
        tokio::time::timeout(DEADLINE, self.carry(trust, url, request))
            .await
            .map_err(|_| Failure::Timeout)?
    }

    async fn exchange(&self, trust: &Trust, request: Request) -> Result<Answer, Failure> {
        let url = request.url.clone();
        let answer = self.carry(trust, &url, head(request)?).await?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: Zeroizing::new(answer.into_body().to_vec()),
        })
    }

    async fn carry(
        &self,
        trust: &Trust,
        url: &Url,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>, Failure> {
        let addresses = tokio::net::lookup_host((url.bare_host(), url.port()))
            .await
            .map_err(|_| Failure::Name)?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        let tcp = TcpStream::connect(&addresses[..])
            .await
            .map_err(|error| Failure::Connect(error.kind().to_string()))?;
        let _ = tcp.set_nodelay(true);
        if !url.is_tls() {
            return talk(tcp, request).await;
        }
        let name = ServerName::try_from(url.bare_host().to_owned()).map_err(|_| Failure::Url)?;
        let tls = TlsConnector::from(self.config(trust)?)
            .connect(name, tcp)
            .await
            .map_err(|error| Failure::Tls(tls_cause(&error)))?;
        talk(tls, request).await
    }

    fn config(&self, trust: &Trust) -> Result<Arc<ClientConfig>, Failure> {
        match (trust, self.system.get()) {
            (Trust::System, Some(config)) => Ok(Arc::clone(config)),
            (Trust::System, None) => {
                let config = trust.config(&TlsRules::default(), &[HTTP])?;
                Ok(Arc::clone(self.system.get_or_init(|| config)))
            }
            (Trust::Only(_), _) => trust.config(&TlsRules::default(), &[HTTP]),
        }
    }
}

/// What rustls says, without what the system's error wraps around it.
fn tls_cause(error: &std::io::Error) -> String {
    match error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>())
    {
        Some(cause) => cause.to_string(),
        None => error.kind().to_string(),
    }
}

async fn talk<S>(
    stream: S,
    request: http::Request<Full<Bytes>>,
) -> Result<http::Response<Bytes>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::Broken)?;
    // Ends with this function.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|_| Failure::Broken)?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_MAX)
        .collect()
        .await
        .map_err(
            |error| match error.is::<http_body_util::LengthLimitError>() {
                true => Failure::TooLarge,
                false => Failure::Broken,
            },
        )?;
    Ok(http::Response::from_parts(parts, body.to_bytes()))
}

fn head(request: Request) -> Result<http::Request<Full<Bytes>>, Failure> {
    let (kind, body) = match request.body {
        Some((kind, body)) => (Some(kind), Bytes::from_owner(body)),
        None => (None, Bytes::new()),
    };
    let mut out = http::Request::new(Full::new(body));
    *out.method_mut() = request.method;
    *out.uri_mut() = request.url.target().parse().map_err(|_| Failure::Url)?;
    let headers = out.headers_mut();
    let host = HeaderValue::from_str(request.url.authority()).map_err(|_| Failure::Url)?;
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static("vaultd"));
    headers.insert(ACCEPT, HeaderValue::from_static(request.accept));
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Some(text) = request.authorization {
        let mut value = HeaderValue::from_str(&text).map_err(|_| Failure::Header)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(out)
}
