//! A request after the edge: parsed once, typed, canonical.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use vault_proto::path::ApiPath;
use zeroize::Zeroizing;

use super::body::Body;

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
    pub now: Timestamp,
    /// `?help=1`.
    pub help: bool,
}
