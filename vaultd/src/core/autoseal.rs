//! Unsealing through another server's transit engine.
//!
//! The other server sees a random key, never the root key, which is sealed under that key in the
//! store. Whoever has a copy of the store and may decrypt with the transit key can open it; the
//! recovery shares open it too, so that the loss of the other server loses nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_crypto::{Key, Random, SecretVec};
use vault_sdk::{Call, Client, Error, Secret};
use zeroize::Zeroizing;

use super::Core;
use super::fault::Fault;
use super::operator;
use crate::barrier::SealRecord;

/// What `seal-status` shows.
pub const KIND: &str = "transit";
/// Shares are not enough to wait for: one call, with its retries.
const CALL: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_millis(200);
/// Between two tries while the other server is down or sealed.
const LONGEST: Duration = Duration::from_secs(5);
/// Where a person has to do something first.
const REFUSED: Duration = Duration::from_secs(15);

/// As configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransitSettings {
    pub address: String,
    pub token: Option<Hidden>,
    pub token_file: Option<PathBuf>,
    pub key_name: String,
    pub mount_path: String,
    pub namespace: Option<String>,
    pub ca_cert: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub server_name: Option<String>,
    pub skip_verify: bool,
    pub disable_renewal: bool,
}

/// A token that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub Zeroizing<String>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The other server.
pub struct Transit {
    client: Client,
    mount: String,
    key: String,
    renews: bool,
}

impl Transit {
    /// Reads files, sends nothing.
    ///
    /// # Errors
    /// Which setting is wrong.
    pub fn new(settings: &TransitSettings) -> anyhow::Result<Transit> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|cause| anyhow::anyhow!("cannot read {}: {cause}", path.display()))
        };
        let mut builder = Client::builder()
            .addr(&settings.address)
            .timeout(CALL)
            .max_retries(0)
            .skip_verify(settings.skip_verify)
            .user_agent("vaultd-seal");
        if let Some(token) = &settings.token {
            builder = builder.token(Secret::new(token.0.as_str()));
        }
        if let Some(file) = &settings.token_file {
            builder = builder.token_file(file);
        }
        if let Some(file) = &settings.ca_cert {
            builder = builder.ca_cert_file(file);
        }
        if let Some(name) = &settings.server_name {
            builder = builder.tls_server_name(name);
        }
        if let Some(namespace) = &settings.namespace {
            builder = builder.namespace(namespace);
        }
        if let (Some(cert), Some(key)) = (&settings.client_cert, &settings.client_key) {
            let key = Zeroizing::new(read(key)?);
            let key = Secret::new(String::from_utf8_lossy(&key).into_owned());
            builder = builder.client_cert(read(cert)?, key);
        }
        Ok(Transit {
            client: builder.build()?,
            mount: settings.mount_path.trim_matches('/').to_owned(),
            key: settings.key_name.clone(),
            renews: !settings.disable_renewal,
        })
    }

    /// A new key, and the same as the other server encrypted it.
    async fn make(&self, random: &dyn Random) -> Result<(Key<32>, String), Error> {
        let key = Key::<32>::generate(random);
        let text = Zeroizing::new(STANDARD.encode(key.expose()));
        let path = format!("{}/encrypt/{}", self.mount, self.key);
        let body = json!({"plaintext": text.as_str()});
        let answer = self.client.send(Call::put(&path, body)).await?;
        match answer.data()["ciphertext"].as_str() {
            Some(sealed) => Ok((key, sealed.to_owned())),
            None => Err(undecoded(path, "it holds no ciphertext")),
        }
    }

    async fn reveal(&self, sealed: &str) -> Result<SecretVec, Error> {
        let path = format!("{}/decrypt/{}", self.mount, self.key);
        let call = Call::put(&path, json!({"ciphertext": sealed})).repeatable();
        let mut answer = self.client.send(call).await?;
        let taken = answer
            .body
            .get_mut("data")
            .map(|data| data["plaintext"].take());
        match taken {
            Some(Value::String(text)) => STANDARD
                .decode(Zeroizing::new(text).as_bytes())
                .map(Zeroizing::new)
                .map_err(|_| undecoded(path, "the plaintext is not base64")),
            _ => Err(undecoded(path, "it holds no plaintext")),
        }
    }

    /// Seals the root key under a new key of the other server's, in the record.
    pub async fn close(
        &self,
        record: &mut SealRecord,
        root: &Key<32>,
        random: &dyn Random,
    ) -> Result<(), Fault> {
        let made = self.make(random).await;
        let (key, sealed) = made.map_err(|error| {
            Fault::invalid(format!("the transit server does not encrypt: {error}"))
        })?;
        record.close_by(KIND, sealed, key.expose(), root, random);
        Ok(())
    }

    /// Sees to it that the token does not end. Returns when there is nothing to renew.
    async fn keep_token(&self) {
        loop {
            let pause = match self.client.renew_self(None).await {
                Ok(ttl) if ttl.is_zero() => return,
                Ok(ttl) => ttl * 2 / 3,
                Err(error) if error.is_retryable() => LONGEST,
                Err(error) => {
                    tracing::warn!(%error, "the transit seal's token cannot be renewed: once it ends, this server cannot unseal itself");
                    return;
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

fn undecoded(path: String, cause: &str) -> Error {
    Error::Decode {
        path,
        cause: cause.to_owned(),
    }
}

/// Unseals now and, if that fails, until it is done. What is sealed by hand later stays sealed.
pub fn start(core: &Arc<Core>) {
    if core.transit.is_none() {
        return;
    }
    let renewing = Arc::downgrade(core);
    tokio::spawn(async move {
        let Some(core) = renewing.upgrade() else {
            return;
        };
        if let Some(transit) = core.transit.as_ref().filter(|transit| transit.renews) {
            transit.keep_token().await;
        }
    });
    tokio::spawn(unseal(Arc::clone(core)));
}

async fn unseal(core: Arc<Core>) {
    let mut pause = SHORTEST;
    while !core.gate.is_open() {
        let next = match try_unseal(&core).await {
            Ok(Step::Open) => return,
            // Nothing to open yet, or operators have to migrate it first.
            Ok(Step::Wait) => SHORTEST,
            Err(Refusal::Later(cause)) => {
                tracing::warn!(cause, pause = ?pause, "not unsealed yet: will be tried again");
                pause = (pause * 2).min(LONGEST);
                pause
            }
            Err(Refusal::Person(cause)) => {
                tracing::error!(
                    cause,
                    "not unsealed: see to the transit server's key and token, or unseal with the recovery shares"
                );
                REFUSED
            }
        };
        tokio::time::sleep(next).await;
    }
}

enum Step {
    Open,
    Wait,
}

enum Refusal {
    Later(String),
    Person(String),
}

async fn try_unseal(core: &Core) -> Result<Step, Refusal> {
    let storage = |fault: Fault| Refusal::Later(fault.to_string());
    let Some(record) = operator::record(core).await.map_err(storage)? else {
        return Ok(Step::Wait);
    };
    let (Some(transit), Some(sealed)) = (&core.transit, record.closed_by(KIND)) else {
        return Ok(Step::Wait);
    };
    let key = transit.reveal(sealed).await.map_err(|error| {
        let cause = match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        match error.is_retryable() {
            true => Refusal::Later(cause),
            false => Refusal::Person(cause),
        }
    })?;
    let root = record
        .open_by(KIND, &key)
        .map_err(|error| Refusal::Person(error.to_string()))?;
    drop(key);
    let opened = operator::open_by_itself(core, &record, root).await;
    opened.map_err(storage).map(|()| Step::Open)
}
