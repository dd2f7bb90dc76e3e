//! Why a step failed, and what to do.

use std::error::Error as _;

use instant_acme::{Error, Problem};

use crate::outbound::Failure;

/// A failure as people see it: nothing secret is in it.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub(super) cause: String,
    pub(super) hint: String,
    pub(super) kind: Kind,
    /// The order is over: another one has to be made.
    pub(super) ends_order: bool,
}

/// How soon it makes sense to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// At once: a nonce was used up.
    Nonce,
    /// Soon: a network that was down, a server that was busy.
    Passing,
    /// Later: somebody has to change something.
    Refused,
    /// Not before so many seconds.
    Limited(u64),
}

/// Characters of an authority's text that are shown.
const TEXT_MAX: usize = 400;
const DEFAULT_LIMIT: u64 = 3600;

impl Trouble {
    pub(super) fn passing(cause: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble {
            cause: cause.into(),
            hint: hint.into(),
            kind: Kind::Passing,
            ends_order: false,
        }
    }

    pub(super) fn refused(cause: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble {
            kind: Kind::Refused,
            ..Trouble::passing(cause, hint)
        }
    }

    #[must_use]
    pub(super) fn of_order(self) -> Trouble {
        Trouble {
            ends_order: true,
            ..self
        }
    }

    /// What the authority answered; `retry_after` is what its last answer said, in seconds.
    pub(super) fn of_problem(problem: &Problem, retry_after: Option<u64>) -> Trouble {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let word = kind.rsplit(':').next().unwrap_or_default();
        let mut said = problem.detail.clone().unwrap_or_default();
        for sub in &problem.subproblems {
            said = format!("{said}; {sub}");
        }
        let cause = format!("the authority answers {}: {}", shown(word), shown(&said));
        let limited = Kind::Limited(retry_after.unwrap_or(DEFAULT_LIMIT));
        let (hint, kind, ends_order) = match word {
            "rateLimited" => (
                "nothing: it is tried again when the authority allows it",
                limited,
                false,
            ),
            "badNonce" => ("nothing: it is tried again soon", Kind::Nonce, false),
            "serverInternal" => ("nothing: it is tried again soon", Kind::Passing, false),
            "externalAccountRequired" => (
                "set eab_kid and eab_hmac_key of the account, as the authority gives them out",
                Kind::Refused,
                false,
            ),
            "accountDoesNotExist" => (
                "write the account with its directory again: it is registered anew then",
                Kind::Refused,
                true,
            ),
            "userActionRequired" => (
                "the authority has new terms: read them where it says, then renew",
                Kind::Refused,
                false,
            ),
            "invalidContact" | "unsupportedContact" => (
                "set contact of the account to an address that the authority takes",
                Kind::Refused,
                false,
            ),
            "caa" => (
                "let the CAA record of the name allow this authority",
                Kind::Refused,
                true,
            ),
            "dns" => (
                "check the name's DNS records as the authority sees them, from outside",
                Kind::Refused,
                true,
            ),
            "connection" | "tls" => (
                "see that the authority reaches this server from outside: for http-01 port 80 at [acme] \
                 http_listen, for tls-alpn-01 port 443 at a TLS listener",
                Kind::Refused,
                true,
            ),
            "incorrectResponse" | "unauthorized" => (
                "see that the name leads to this server, for dns-01 that the record is visible from outside; \
                 and that no other server or cache answers for it",
                Kind::Refused,
                true,
            ),
            "rejectedIdentifier" | "unsupportedIdentifier" => (
                "the authority gives no certificate for this name: take it out, or use another authority",
                Kind::Refused,
                true,
            ),
            "invalidProfile" => (
                "set profile to one that the authority's directory names, or to none",
                Kind::Refused,
                true,
            ),
            "badCSR" | "badPublicKey" => (
                "set key_type to one that the authority takes",
                Kind::Refused,
                true,
            ),
            _ => (
                "see the authority's documents for this error, then renew",
                Kind::Refused,
                true,
            ),
        };
        Trouble {
            cause,
            hint: hint.to_owned(),
            kind,
            ends_order,
        }
    }

    pub(super) fn of(error: &Error, status: Option<u16>, retry_after: Option<u64>) -> Trouble {
        let reach = "check the directory of the account, and that this server reaches it";
        match error {
            Error::Api(problem) => Trouble::of_problem(problem, retry_after),
            Error::Other(inner) => match inner.downcast_ref::<Failure>() {
                Some(failure) => {
                    let hint = match failure {
                        Failure::Tls(_) => {
                            "set ca_cert of the account, if the authority is not a public one"
                        }
                        _ => reach,
                    };
                    Trouble::passing(format!("asking the authority: {failure}"), hint)
                }
                None => Trouble::passing(
                    format!("asking the authority: {}", shown(&error.to_string())),
                    reach,
                ),
            },
            Error::Json(_) => Trouble {
                kind: retry_after.map_or(Kind::Passing, Kind::Limited),
                ..Trouble::passing(
                    match status {
                        Some(status) => format!(
                            "the authority answers with status {status}, and not as RFC 8555 says"
                        ),
                        None => "the authority does not answer as RFC 8555 says".to_owned(),
                    },
                    reach,
                )
            },
            Error::Timeout(_) => Trouble::passing(
                "the authority is not done yet",
                "nothing: it is asked again soon",
            ),
            Error::Unsupported(what) => {
                Trouble::refused(format!("the authority does not support {what}"), reach)
            }
            other => {
                let source = other.source().map(ToString::to_string).unwrap_or_default();
                Trouble::passing(
                    format!(
                        "asking the authority: {} {}",
                        shown(&other.to_string()),
                        shown(&source)
                    ),
                    reach,
                )
            }
        }
    }
}

/// Text of others: one line, not endless.
pub(super) fn shown(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_rate_limit_says_how_long() {
        let limited =
            problem(r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#);
        assert_eq!(
            Trouble::of_problem(&limited, Some(77)).kind,
            Kind::Limited(77)
        );
        assert_eq!(
            Trouble::of_problem(&limited, None).kind,
            Kind::Limited(3600)
        );
    }

    #[test]
    fn an_authoritys_text_is_one_line_of_bounded_length() {
        let long = format!(
            r#"{{"type":"x:caa","detail":"a\nb\u001b[31m{}"}}"#,
            "y".repeat(5000)
        );
        let trouble = Trouble::of_problem(&problem(&long), None);
        assert!(trouble.cause.len() < 600 && !trouble.cause.contains(char::is_control));
        assert!(trouble.hint.contains("CAA"));
    }
}
