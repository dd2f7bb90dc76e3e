//! Ways to get a token.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vault_proto::approle::LoginRequest;
use vault_proto::{Envelope, Sensitive};

use crate::renew::Life;
use crate::{Call, Error, Secret, SshKey};

/// How the client logs in, and logs in again when its token ends.
#[derive(Clone)]
pub enum Auth {
    /// A token that was given; it can be renewed but not replaced.
    Token(Secret),
    /// Role id and secret id.
    AppRole {
        /// Mostly `approle`.
        mount: String,
        /// Names the role.
        role_id: String,
        /// Proves it.
        secret_id: SecretId,
    },
    /// The client certificate of [`crate::Builder::client_cert`].
    Cert {
        /// Mostly `cert`.
        mount: String,
        /// The role; without one the server takes the first that accepts the
        /// certificate.
        role: Option<String>,
    },
    /// An SSH key or certificate.
    Ssh {
        /// Mostly `ssh`.
        mount: String,
        /// Names the role.
        role: String,
        /// Proves it.
        key: SshKey,
    },
}

/// Where the secret id comes from.
#[derive(Clone)]
pub enum SecretId {
    /// The role needs none.
    None,
    /// In memory.
    Text(Secret),
    /// Read again at every login, so that it can be replaced on disk.
    File(PathBuf),
}

impl Auth {
    /// AppRole at its usual mount, with the secret id in memory.
    pub fn app_role(role_id: impl Into<String>, secret_id: impl Into<Secret>) -> Self {
        Self::AppRole {
            mount: "approle".into(),
            role_id: role_id.into(),
            secret_id: SecretId::Text(secret_id.into()),
        }
    }

    /// AppRole at its usual mount, with the secret id in a file.
    pub fn app_role_file(role_id: impl Into<String>, secret_id: impl Into<PathBuf>) -> Self {
        Self::AppRole {
            mount: "approle".into(),
            role_id: role_id.into(),
            secret_id: SecretId::File(secret_id.into()),
        }
    }

    pub(crate) fn can_log_in(&self) -> bool {
        !matches!(self, Self::Token(_))
    }

    /// The login request, or `None` when this method has none or more than one.
    pub(crate) fn call(&self) -> Result<Option<Call>, Error> {
        let (mount, body) = match self {
            Self::Token(_) | Self::Ssh { .. } => return Ok(None),
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let body = LoginRequest {
                    role_id: role_id.clone(),
                    secret_id: secret_id
                        .read()?
                        .map(|secret| Sensitive::new(secret.expose().to_owned())),
                };
                let body = serde_json::to_value(body)
                    .map_err(|_| Error::Config("the login cannot be written as JSON".into()))?;
                (mount, body)
            }
            Self::Cert { mount, role } => (mount, json!({ "name": role })),
        };
        Ok(Some(
            Call::put(format!("auth/{mount}/login"), body).no_token(),
        ))
    }
}

impl SecretId {
    fn read(&self) -> Result<Option<Secret>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Text(secret) => Ok(Some(secret.clone())),
            Self::File(path) => read_secret_file(path, "secret id").map(Some),
        }
    }
}

/// Reads a one-line secret; the line end does not belong to it.
pub(crate) fn read_secret_file(path: &std::path::Path, what: &str) -> Result<Secret, Error> {
    let text = std::fs::read_to_string(path)
        .map(Secret::new)
        .map_err(|cause| {
            Error::Config(format!(
                "cannot read the {what} file {}: {cause}",
                path.display()
            ))
        })?;
    let line = text.expose().trim();
    if line.is_empty() {
        return Err(Error::Config(format!(
            "the {what} file {} is empty",
            path.display()
        )));
    }
    Ok(Secret::new(line))
}

/// A token with its life, as login and renewal answer it.
pub(crate) struct Grant {
    pub(crate) token: Secret,
    pub(crate) ttl: Duration,
    pub(crate) renewable: bool,
}

impl Grant {
    /// Counted from now, which is a little later than on the server: the
    /// margin before expiry is far larger than an answer's way.
    pub(crate) fn life(&self) -> Life {
        Life {
            since: Instant::now(),
            ttl: self.ttl,
            renewable: self.renewable,
        }
    }

    pub(crate) fn from_answer(path: &str, body: Value) -> Result<Self, Error> {
        let auth = serde_json::from_value::<Envelope<Value>>(body)
            .ok()
            .and_then(|envelope| envelope.auth)
            .ok_or_else(|| Error::Decode {
                path: path.to_owned(),
                cause: "it holds no token".into(),
            })?;
        Ok(Self {
            ttl: Duration::from_secs(auth.lease_duration),
            renewable: auth.renewable,
            token: Secret::new(auth.client_token.into_inner()),
        })
    }
}
