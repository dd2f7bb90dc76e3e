//! Everything that can be set before the first request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;

use crate::client::Inner;
use crate::login::read_secret_file;
use crate::tls::{self, Identity, Trust};
use crate::transport::Transport;
use crate::{Auth, Cache, Client, Error, Secret};

const DEFAULT_ADDR: &str = "https://127.0.0.1:8200";

/// What to do when the server cannot answer yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Startup {
    /// Give up at once.
    #[default]
    FailFast,
    /// Wait this long for a server that is down, sealed, uninitialised or
    /// in standby. A wrong login still fails at once.
    WaitForUnseal(Duration),
    /// With a [`Cache`]: if the server does not answer, [`Client::load`] takes what this host keeps,
    /// as long as the server allowed; only without that it waits this long. systemd is told that
    /// starting takes longer.
    CacheThenWait(Duration),
}

/// Collects the settings of a [`Client`].
pub struct Builder {
    addr: String,
    token: Option<Secret>,
    token_file: Option<PathBuf>,
    ca_pem: Vec<u8>,
    ca_folder: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    client_cert: Option<(Vec<u8>, Secret)>,
    tls_server_name: Option<String>,
    skip_verify: bool,
    namespace: Option<String>,
    timeout: Duration,
    max_retries: u32,
    auth: Option<Auth>,
    pub(crate) startup: Startup,
    cache: Option<Cache>,
    user_agent: String,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            addr: DEFAULT_ADDR.into(),
            token: None,
            token_file: None,
            ca_pem: Vec::new(),
            ca_folder: None,
            ca_file: None,
            client_cert: None,
            tls_server_name: None,
            skip_verify: false,
            namespace: None,
            timeout: Duration::from_secs(30),
            max_retries: 2,
            auth: None,
            startup: Startup::default(),
            cache: None,
            user_agent: concat!("vault-sdk/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

impl Builder {
    /// Default `https://127.0.0.1:8200`. Plain `http://` is not encrypted.
    #[must_use]
    pub fn addr(mut self, addr: impl Into<String>) -> Self {
        self.addr = addr.into();
        self
    }

    /// A token that was made elsewhere.
    #[must_use]
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// A file with a token, read by [`Builder::build`].
    #[must_use]
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Trust only the authorities of this PEM file.
    #[must_use]
    pub fn ca_cert_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Trust only the authorities of the PEM files of this folder.
    #[must_use]
    pub fn ca_folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_folder = Some(path.into());
        self
    }

    /// Trust only the authorities of this PEM text.
    #[must_use]
    pub fn ca_cert_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = pem.into();
        self
    }

    /// The client's own certificate chain and key, both PEM.
    #[must_use]
    pub fn client_cert(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Secret>) -> Self {
        self.client_cert = Some((chain.into(), key.into()));
        self
    }

    /// The name that the server's certificate must carry, when it is not the
    /// one in the address.
    #[must_use]
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls_server_name = Some(name.into());
        self
    }

    /// Accept any certificate. Anybody on the way can then read everything.
    #[must_use]
    pub fn skip_verify(mut self, skip: bool) -> Self {
        self.skip_verify = skip;
        self
    }

    /// Whether any certificate of the server would be accepted.
    pub fn skips_verify(&self) -> bool {
        self.skip_verify
    }

    /// Sent with every call.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The deadline of one call with all its retries. Default 30 s.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How often a failed call is sent again. Default 2.
    #[must_use]
    pub fn max_retries(mut self, count: u32) -> Self {
        self.max_retries = count;
        self
    }

    /// How to log in. A role id wins over a token that is set as well.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// What to do when the server cannot answer yet. Default: fail at once.
    #[must_use]
    pub fn startup(mut self, startup: Startup) -> Self {
        self.startup = startup;
        self
    }

    /// Keeps what [`Client::load`] reads on this host, for an outage.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Names the app in the server's logs.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Makes the client. Reads files, does no network I/O, does not log in.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is wrong.
    pub fn build(self) -> Result<Client, Error> {
        let addr = parse_addr(&self.addr)?;
        let tls = self.tls(addr.starts_with("https:"))?;
        let server_name = match self.tls_server_name {
            None => None,
            Some(name) => Some(ServerName::try_from(name).map_err(|_| {
                Error::Config("the TLS server name is not a DNS name or IP address".into())
            })?),
        };
        let user_agent = HeaderValue::from_str(&self.user_agent).map_err(|_| {
            Error::Config("the user agent holds characters that no header can".into())
        })?;
        let token = match (&self.token, &self.auth, &self.token_file) {
            (Some(token), _, _) | (None, Some(Auth::Token(token)), _) => Some(token.clone()),
            (None, _, Some(path)) => Some(read_secret_file(path, "token")?),
            (None, _, None) => None,
        };
        Ok(Client {
            inner: Arc::new(Inner {
                transport: Transport::new(addr, tls, server_name, user_agent),
                namespace: self.namespace.filter(|name| !name.is_empty()),
                token: ArcSwapOption::from_pointee(token),
                auth: self.auth,
                timeout: self.timeout,
                startup: self.startup,
                cache: self.cache,
                no_batch: false.into(),
                max_retries: self.max_retries,
                login: tokio::sync::Mutex::new(()),
                life: tokio::sync::watch::Sender::new(None),
                events: tokio::sync::broadcast::Sender::new(16),
            }),
        })
    }

    fn tls(&self, needed: bool) -> Result<rustls::ClientConfig, Error> {
        let mut authorities = Vec::new();
        if !self.ca_pem.is_empty() {
            authorities.extend(tls::certificates(&self.ca_pem, "the CA text")?);
        }
        if let Some(path) = &self.ca_file {
            let what = format!("the CA file {}", path.display());
            authorities.extend(tls::certificates(&read_file(path, &what)?, &what)?);
        }
        if let Some(folder) = &self.ca_folder {
            authorities.extend(tls::certificates_of_folder(folder)?);
        }
        let trust = if self.skip_verify {
            Trust::Anything
        } else if !authorities.is_empty() || !needed {
            Trust::Only(authorities)
        } else {
            Trust::System
        };
        let identity = match &self.client_cert {
            None => None,
            Some((chain, key)) => Some(Identity::from_pem(chain, key.expose().as_bytes())?),
        };
        tls::client_config(trust, identity)
    }
}

pub(crate) fn read_file(path: &Path, what: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|cause| Error::Config(format!("cannot read {what}: {cause}")))
}

/// Scheme and authority only; the API is always under `/v1/`.
fn parse_addr(text: &str) -> Result<String, Error> {
    let wrong = |why: &str| Err(Error::Config(format!("the address of the server {why}")));
    let Ok(uri) = text.trim().parse::<Uri>() else {
        return wrong("is not a URL; write it like https://vault.example.com:8200");
    };
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return wrong("must begin with https:// (or http:// for development)");
    }
    let Some(authority) = uri.authority() else {
        return wrong("names no host");
    };
    if authority.as_str().contains('@') {
        return wrong("must not hold a user or password");
    }
    let base = uri.path().trim_end_matches('/');
    Ok(format!(
        "{}://{authority}{base}",
        uri.scheme_str().unwrap_or("https")
    ))
}
