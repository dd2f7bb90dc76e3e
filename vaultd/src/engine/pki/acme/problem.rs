//! What is told to a client that is refused (RFC 8555, 6.7; RFC 7807). No text holds what it sent.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::barrier::BarrierError;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::jose::JoseError;

use super::identifier::Identifier;

/// The kinds, as they are registered (RFC 8555, 9.7.4; RFC 9773, 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    AccountDoesNotExist,
    AlreadyReplaced,
    AlreadyRevoked,
    BadCSR,
    BadNonce,
    BadPublicKey,
    BadRevocationReason,
    BadSignatureAlgorithm,
    Compound,
    Connection,
    Dns,
    ExternalAccountRequired,
    IncorrectResponse,
    InvalidContact,
    InvalidProfile,
    Malformed,
    OrderNotReady,
    RateLimited,
    RejectedIdentifier,
    ServerInternal,
    Tls,
    Unauthorized,
    UnsupportedContact,
    UnsupportedIdentifier,
}

impl Kind {
    fn status(self) -> u16 {
        match self {
            Kind::Unauthorized | Kind::ExternalAccountRequired => 401,
            Kind::OrderNotReady | Kind::RejectedIdentifier => 403,
            Kind::AlreadyReplaced => 409,
            Kind::RateLimited => 429,
            Kind::ServerInternal => 500,
            _ => 400,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    pub kind: Kind,
    detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<(Identifier, Problem)>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<i64>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            detail: detail.into(),
            status: None,
            parts: Vec::new(),
            retry_after: None,
        }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(Kind::Malformed, detail)
    }

    /// There is no such thing, or it is another account's: nobody learns which.
    pub(super) fn missing(what: &str) -> Problem {
        Problem::malformed(format!("this account has no such {what}")).status(404)
    }

    pub(super) fn status(mut self, status: u16) -> Problem {
        self.status = Some(status);
        self
    }

    pub(super) fn retry_after(mut self, seconds: i64) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    /// One for several identifiers.
    pub(super) fn of_parts(mut parts: Vec<(Identifier, Problem)>) -> Problem {
        let first = parts.first().map(|(_, problem)| problem.clone());
        match first {
            Some(only) if parts.len() == 1 => only,
            Some(first) => {
                let same = parts.iter().all(|(_, problem)| problem.kind == first.kind);
                let kind = if same { first.kind } else { Kind::Compound };
                let text = "several identifiers are refused: see the subproblems";
                let mut whole = Problem::new(kind, text);
                whole.parts.append(&mut parts);
                whole
            }
            None => Problem::new(Kind::ServerInternal, "nothing is wrong"),
        }
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let name = serde_json::to_value(self.kind).unwrap_or_default();
        let name = name.as_str().unwrap_or("serverInternal");
        let urn = format!("urn:ietf:params:acme:error:{name}");
        map.insert("type".into(), urn.into());
        map.insert("detail".into(), self.detail.clone().into());
        let status = self.status.unwrap_or(self.kind.status());
        map.insert("status".into(), status.into());
        if self.kind == Kind::BadSignatureAlgorithm {
            map.insert("algorithms".into(), json!(super::jws::NAMES));
        }
        if !self.parts.is_empty() {
            let parts = self.parts.iter().map(|(identifier, problem)| {
                let mut map = problem.show();
                map.remove("status");
                map.insert("identifier".into(), json!(identifier));
                map
            });
            map.insert("subproblems".into(), parts.collect());
        }
        map
    }

    pub(super) fn reply(&self) -> Reply {
        let reply = Reply::map(self.show())
            .bare()
            .status(self.status.unwrap_or(self.kind.status()))
            .header(CONTENT_TYPE, "application/problem+json");
        match self.retry_after {
            Some(seconds) => reply.header(RETRY_AFTER, seconds.to_string()),
            None => reply,
        }
    }
}

/// Why there is no success: a problem of the client's, which is answered and committed as any answer is,
/// or a fault that is core's.
pub(super) enum Refusal {
    Problem(Problem),
    Fault(Fault),
}

pub(super) type Outcome<T> = Result<T, Refusal>;

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Problem(problem)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::Invalid(text) => Refusal::Problem(Problem::malformed(text)),
            fault => Refusal::Fault(fault),
        }
    }
}

impl From<BarrierError> for Refusal {
    fn from(error: BarrierError) -> Refusal {
        Refusal::from(Fault::from(error))
    }
}

impl From<JoseError> for Refusal {
    fn from(error: JoseError) -> Refusal {
        let kind = match error {
            JoseError::Algorithm => Kind::BadSignatureAlgorithm,
            JoseError::Key(_) => Kind::BadPublicKey,
            JoseError::Malformed(_) | JoseError::UnknownKey | JoseError::Signature => {
                Kind::Malformed
            }
        };
        let text = match error {
            JoseError::Signature => "the signature is not of the key that is named".to_owned(),
            error => error.to_string(),
        };
        Refusal::Problem(Problem::new(kind, text))
    }
}

impl Refusal {
    /// A request that makes no sense, told as a problem of this kind.
    pub(super) fn into_kind(self, kind: Kind) -> Refusal {
        match self {
            Refusal::Problem(problem) if problem.kind == Kind::Malformed => {
                Refusal::Problem(Problem::new(kind, problem.detail))
            }
            other => other,
        }
    }
}
