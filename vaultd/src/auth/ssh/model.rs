//! What the ssh method stores.

use serde::{Deserialize, Serialize};
use vault_ssh::Key;

use crate::barrier::View;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;

/// A role: whose signatures it takes, and what token they get.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    /// Keys that may log in, as lines of `authorized_keys` without options.
    pub public_keys: Vec<String>,
    /// Keys whose certificates may log in.
    pub trusted_ca_keys: Vec<String>,
    /// Of which a certificate has to name one; `*` takes any that names somebody.
    pub allowed_principals: Vec<String>,
    /// Fingerprints of keys and authorities that may no longer.
    pub revoked_keys: Vec<String>,
    pub token: TokenParams,
}

/// The settings of a mount.
#[derive(Serialize, Deserialize)]
pub(super) struct Config {
    /// Seconds.
    pub challenge_ttl: u64,
    /// Addresses by which clients know this server, of which a signature has to name one; none asks for
    /// none.
    pub origins: Vec<String>,
}

impl Config {
    pub const ROW: &'static str = "config";

    pub(super) async fn load(view: &mut View<'_>) -> Result<Config, Fault> {
        Ok(view.get(Config::ROW).await?.unwrap_or_default())
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            challenge_ttl: 60,
            origins: Vec::new(),
        }
    }
}

/// A short text from a client, without line breaks.
pub(super) struct Text(String);

impl Text {
    const MAX: usize = 1024;

    /// `None` if there is none.
    pub(super) fn given(body: &Body, field: &str) -> Result<Option<Text>, Fault> {
        let text = body.string(field)?.unwrap_or_default();
        let text = text.trim();
        if text.len() > Text::MAX || text.chars().any(char::is_control) {
            return Err(Fault::invalid(format!(
                "{field}: expected one line of at most {} bytes",
                Text::MAX
            )));
        }
        Ok((!text.is_empty()).then(|| Text(text.to_owned())))
    }

    pub(super) fn required(body: &Body, field: &str) -> Result<Text, Fault> {
        Text::given(body, field)?.ok_or_else(|| Fault::invalid(format!("missing {field}")))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lines of keys in one spelling: algorithm and key, without comments.
pub(super) fn parse_keys(body: &Body, field: &str) -> Result<Option<Vec<String>>, Fault> {
    let Some(items) = body.list(field)? else {
        return Ok(None);
    };
    let mut lines = Vec::new();
    for item in items.iter().flat_map(|item| item.lines()) {
        let item = item.trim();
        if item.is_empty() || item.starts_with('#') {
            continue;
        }
        let key = Key::from_line(item).map_err(|_| {
            Fault::invalid(format!(
                "{field}: expected public keys such as \"ssh-ed25519 AAAA… name\"; known are ed25519, ecdsa, rsa and \
                 their security keys"
            ))
        })?;
        if !key.is_strong() {
            return Err(Fault::invalid(format!(
                "{field}: RSA keys need at least 2048 bits"
            )));
        }
        let line = key.line();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    Ok(Some(lines))
}
