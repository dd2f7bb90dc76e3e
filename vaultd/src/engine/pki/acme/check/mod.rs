//! Checking a challenge: whether who holds the account's key has put what is expected where only the
//! owner of the identifier can.

mod http;
mod tls;

use std::time::Duration;

use super::authorization::Method;
use super::identifier::Identifier;
use super::problem::{Kind, Problem};
use crate::jose;
use crate::outbound::{Guarded, Unreachable, Unresolved};

/// For one check, redirects included.
const DEADLINE: Duration = Duration::from_secs(10);

/// All that one check needs.
pub(super) struct Check {
    pub method: Method,
    pub identifier: Identifier,
    /// The token and the thumbprint of the account's key (RFC 8555, 8.1).
    pub key_authorization: String,
    pub token: String,
    pub guarded: Guarded,
    pub http_port: u16,
    pub tls_port: u16,
}

/// Why a check failed.
pub(super) struct Failed {
    pub problem: Problem,
    /// A later one may succeed.
    pub again: bool,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Failed {
        Failed {
            problem,
            again: true,
        }
    }
}

impl From<Unreachable> for Failed {
    fn from(error: Unreachable) -> Failed {
        let kind = match error {
            Unreachable::Unresolved(_) => Kind::Dns,
            Unreachable::Forbidden => Kind::RejectedIdentifier,
            Unreachable::Refused => Kind::Connection,
        };
        let again = !matches!(
            error,
            Unreachable::Forbidden | Unreachable::Unresolved(Unresolved::Name)
        );
        let text = match error {
            Unreachable::Forbidden => {
                "an address of the host is in a network that is not to be reached from here: an operator may allow it with acme_allowed_networks of the role"
                    .to_owned()
            }
            error => error.to_string(),
        };
        Failed {
            problem: Problem::new(kind, text),
            again,
        }
    }
}

fn incorrect(text: &str) -> Failed {
    Problem::new(Kind::IncorrectResponse, text).into()
}

impl Check {
    pub(super) async fn run(&self) -> Result<(), Failed> {
        let work = async {
            match self.method {
                Method::Http => http::check(self).await,
                Method::Dns => self.dns().await,
                Method::TlsAlpn => tls::check(self).await,
            }
        };
        let late = || Problem::new(Kind::Connection, "no answer in time");
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late().into()),
        }
    }

    fn digest(&self) -> [u8; 32] {
        vault_crypto::sha256(self.key_authorization.as_bytes())
    }

    /// RFC 8555, 8.4.
    async fn dns(&self) -> Result<(), Failed> {
        let name = format!("_acme-challenge.{}", self.identifier.proved().text());
        let texts = self.guarded.resolver.texts(&name).await;
        let texts = texts.map_err(|error| Problem::new(Kind::Dns, error.to_string()))?;
        let expected = jose::encode(&self.digest());
        match texts.iter().any(|text| text == expected.as_bytes()) {
            true => Ok(()),
            false if texts.is_empty() => {
                let text = "there is no TXT record at _acme-challenge of the name";
                Err(Problem::new(Kind::Dns, text).into())
            }
            false => Err(incorrect(
                "no TXT record at _acme-challenge of the name is the expected one",
            )),
        }
    }
}
