//! A request after the edge: parsed once, typed, canonical.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use vault_proto::path::ApiPath;
use zeroize::Zeroizing;

use super::body::Body;
use super::fault::Fault;
use super::quota::Standing;

/// What the client asked for. POST and PUT are one verb; LIST is also `GET ?list=true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    Read,
    Write,
    Patch,
    Delete,
    List,
}

impl Verb {
    pub const ALL: [Verb; 5] = [
        Verb::Read,
        Verb::Write,
        Verb::Patch,
        Verb::Delete,
        Verb::List,
    ];

    /// The HTTP method that stands for this verb in help and OpenAPI.
    pub fn method(self) -> &'static str {
        match self {
            Verb::Read => "GET",
            Verb::Write => "POST",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::List => "LIST",
        }
    }
}

/// The certificates that the client showed in the TLS handshake, its own first. That it holds the key
/// of its own was proved there; whether anybody vouches for it was not asked.
#[derive(Clone)]
pub struct ClientChain(Arc<[CertificateDer<'static>]>);

impl ClientChain {
    /// `None` if there is no certificate.
    pub fn new(certificates: &[CertificateDer<'_>]) -> Option<ClientChain> {
        let owned = certificates.iter().map(|one| one.clone().into_owned());
        (!certificates.is_empty()).then(|| ClientChain(owned.collect()))
    }

    pub fn own(&self) -> &CertificateDer<'static> {
        &self.0[0]
    }

    /// What may lead from the client's own certificate to an authority.
    pub fn others(&self) -> &[CertificateDer<'static>] {
        &self.0[1..]
    }
}

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    pub address: IpAddr,
    pub chain: Option<ClientChain>,
}

/// One request. Holds secrets: not `Debug`.
pub struct Request {
    /// UUID, shown to the client and in the audit log.
    pub id: String,
    pub verb: Verb,
    /// Canonical, without `/v1/`; a LIST path always ends in `/`.
    pub path: ApiPath,
    pub body: Body,
    /// The presented token.
    pub token: Option<Zeroizing<String>>,
    /// `X-Vault-Wrap-TTL`.
    pub wrap_ttl: Option<Duration>,
    pub remote: IpAddr,
    /// `None` without TLS, or if the client showed no certificate.
    pub client_chain: Option<ClientChain>,
    pub now: Timestamp,
    /// `?help=1`.
    pub help: bool,
    /// Only the head of the answer is wanted.
    pub head: bool,
    /// Of the body: in lower case, without parameters.
    pub content_type: String,
    /// What a rate limit leaves to the caller, for the answer's headers.
    pub standing: OnceLock<Standing>,
}

impl Request {
    /// What the server does by itself, in the form in which it is audited.
    ///
    /// # Errors
    /// If the path is not canonical.
    pub fn of_the_server(path: &str, id: String, now: Timestamp) -> Result<Request, Fault> {
        Ok(Request {
            id,
            verb: Verb::Write,
            path: ApiPath::parse(path).map_err(|_| Fault::Internal("a path of our own"))?,
            body: Body::default(),
            token: None,
            wrap_ttl: None,
            remote: IpAddr::from(std::net::Ipv4Addr::LOCALHOST),
            now,
            help: false,
            head: false,
            content_type: String::new(),
            standing: Default::default(),
            client_chain: Default::default(),
        })
    }
}
