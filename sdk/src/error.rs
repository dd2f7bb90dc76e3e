//! What can go wrong between an app and the server.
//!
//! No variant holds a request body, a token or a secret value. `errors` are
//! the server's own short texts.

use std::time::Duration;

use vault_proto::PathError;

use crate::problem::Problem;

/// Every failure of this crate. Match with a wildcard: more may come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server runs but has no keys in memory.
    #[error("the server is sealed")]
    Sealed,
    /// The server has never been initialised.
    #[error("the server is not initialised")]
    Uninitialized,
    /// The token is valid, but its policies do not allow this.
    #[error("permission denied on {path}")]
    Denied {
        /// What was asked for.
        path: String,
        /// The server's texts.
        errors: Vec<String>,
        /// Explains the refusal (`vaultctl why ID`), where the server tells it.
        request_id: Option<String>,
    },
    /// The token is missing, unknown, expired or revoked.
    #[error("the server does not accept the token (asked for {path})")]
    InvalidToken {
        /// What was asked for.
        path: String,
    },
    /// Nothing there.
    #[error("nothing found at {path}")]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// A write named a version that is no longer current.
    #[error("the secret was changed by someone else in the meantime")]
    CasMismatch,
    /// Too many requests.
    #[error("the server asks to slow down")]
    RateLimited {
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
    /// Any other refusal.
    #[error("{path}: the server answered {status}{}", join(errors))]
    Api {
        /// HTTP status.
        status: u16,
        /// The server's texts; may be empty.
        errors: Vec<String>,
        /// What was asked for.
        path: String,
        /// Finds the request in the audit log.
        request_id: Option<String>,
    },
    /// No connection could be made, so nothing was sent.
    #[error("cannot connect to {addr}: {cause}")]
    Connect {
        /// The server's address.
        addr: String,
        /// The reason, from the operating system.
        cause: String,
    },
    /// The connection broke before the answer; a write may have happened.
    #[error("the connection to {addr} broke before the answer: {cause}")]
    Broken {
        /// The server's address.
        addr: String,
        /// The reason.
        cause: String,
    },
    /// The server's certificate, or ours, was not accepted.
    #[error("TLS with {addr} failed: {cause}")]
    Tls {
        /// The server's address.
        addr: String,
        /// The reason.
        cause: String,
    },
    /// No answer within the deadline; a write may have happened.
    #[error("no answer within the deadline")]
    Timeout,
    /// The answer does not have the expected shape.
    #[error("the answer to {path} is not what was expected: {cause}")]
    Decode {
        /// What was asked for.
        path: String,
        /// What was wrong, without the content.
        cause: String,
    },
    /// The path cannot be sent.
    #[error("{0}")]
    Path(#[from] PathError),
    /// The client is configured wrongly.
    #[error("{0}")]
    Config(String),
    /// What this host keeps for an outage may not be used; the reason.
    #[error("{0}")]
    Cache(String),
    /// Some secrets could not be loaded; all of them are listed.
    #[error("{}", crate::problem::describe(.0))]
    Load(Vec<Problem>),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing
    /// anything but the state of the server.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Sealed
            | Self::Uninitialized
            | Self::RateLimited { .. }
            | Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Timeout => true,
            Self::Api { status, .. } => *status == 412 || (*status >= 500 && *status != 501),
            Self::Load(problems) => problems.iter().all(Problem::is_retryable),
            _ => false,
        }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::Sealed => "ask the operators to unseal it (vaultctl operator unseal)",
            Self::Uninitialized => "initialise it once (vaultctl operator init)",
            Self::Denied { .. } => {
                "ask for a policy that allows this path (vaultctl token capabilities PATH shows yours)"
            }
            Self::InvalidToken { .. } => "log in again (vaultctl login), or set VAULT_TOKEN",
            Self::NotFound { .. } => "check the path and the mount (vaultctl secrets list)",
            Self::CasMismatch => "read it again and repeat the change on the current version",
            Self::RateLimited { .. } => "wait, then try again with fewer requests",
            Self::Connect { .. } => "check VAULT_ADDR and that the server is running",
            Self::Broken { .. } | Self::Timeout => {
                "check whether a write took effect, then try again"
            }
            Self::Tls { .. } => {
                "set VAULT_CACERT to the server's CA file, and use a name that is in its certificate"
            }
            Self::Decode { .. } => {
                "check that VAULT_ADDR is the server itself and not another program"
            }
            Self::Load(_) => {
                "store what is missing (vaultctl kv put), and ask for a policy for what is denied"
            }
            _ => return None,
        })
    }

    /// The HTTP status, where the server answered.
    pub fn status(&self) -> Option<u16> {
        Some(match self {
            Self::Sealed => 503,
            Self::Uninitialized => 501,
            Self::Denied { .. } | Self::InvalidToken { .. } => 403,
            Self::NotFound { .. } => 404,
            Self::CasMismatch => 400,
            Self::RateLimited { .. } => 429,
            Self::Api { status, .. } => *status,
            _ => return None,
        })
    }
}

fn join(errors: &[String]) -> String {
    match errors {
        [] => String::new(),
        _ => format!(": {}", errors.join("; ")),
    }
}
