//! The client: one address, one token, and the rules for sending.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::login::Grant;
use crate::renew::{Event, Life};
use crate::transport::{Encoded, Transport};
use crate::{Answer, Auth, Builder, Cache, Call, Error, Secret, Startup, retry};

/// A connection to one server. Clones share everything and are cheap.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) transport: Transport,
    pub(crate) namespace: Option<String>,
    pub(crate) token: ArcSwapOption<Secret>,
    pub(crate) auth: Option<Auth>,
    pub(crate) timeout: Duration,
    pub(crate) startup: Startup,
    /// What this host keeps for an outage.
    pub(crate) cache: Option<Cache>,
    /// The server was asked for a batch and has none.
    pub(crate) no_batch: std::sync::atomic::AtomicBool,
    pub(crate) max_retries: u32,
    /// One login at a time; the others wait for its token.
    pub(crate) login: tokio::sync::Mutex<()>,
    /// The life of the token, as far as it is known.
    pub(crate) life: watch::Sender<Option<Life>>,
    pub(crate) events: broadcast::Sender<Event>,
}

impl Client {
    /// Starts from nothing but the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Reads `BAO_*` before `VAULT_*`: `ADDR`, `TOKEN`, `TOKEN_FILE`,
    /// `CACERT`, `CAPATH`, `CACERT_BYTES`, `CLIENT_CERT`, `CLIENT_KEY`,
    /// `SKIP_VERIFY`, `TLS_SERVER_NAME`, `NAMESPACE`, `CLIENT_TIMEOUT`,
    /// `MAX_RETRIES`. Does no network I/O and does not log in.
    pub fn from_env() -> Result<Self, Error> {
        Builder::from_env()?.build()
    }

    /// The server's address, such as `https://127.0.0.1:8200`.
    pub fn addr(&self) -> &str {
        self.inner.transport.addr()
    }

    /// The token that the next call sends.
    pub fn token(&self) -> Option<Secret> {
        self.inner.token.load().as_deref().cloned()
    }

    /// Replaces the token, for all clones.
    pub fn set_token(&self, token: Option<Secret>) {
        self.inner.token.store(token.map(Arc::new));
    }

    /// Sends a call and waits for its answer.
    ///
    /// Retries what can be retried until the deadline. When the server does
    /// not know the token any more and the client can log in, it does so once
    /// and sends the call once more.
    ///
    /// # Errors
    /// Every status from 400 upwards that [`Call::accept`] does not name, and
    /// everything that prevents an answer.
    pub async fn send(&self, call: Call) -> Result<Answer, Error> {
        let deadline = Instant::now() + call.timeout.unwrap_or(self.inner.timeout);
        let encoded = self
            .inner
            .transport
            .encode(&call, self.inner.namespace.as_deref())?;
        let token = match call.anonymous {
            true => None,
            false => self.inner.token.load_full(),
        };
        let first = self
            .persist(&encoded, token.as_deref(), call.repeatable, deadline)
            .await;
        match first {
            Err(Error::InvalidToken { .. }) if !call.anonymous && self.can_log_in() => {
                let login = self.replace_token(token.as_deref());
                let fresh = timeout_at(deadline, login)
                    .await
                    .map_err(|_| Error::Timeout)??;
                self.persist(&encoded, Some(&fresh), call.repeatable, deadline)
                    .await
            }
            other => other,
        }
    }

    async fn persist(
        &self,
        call: &Encoded,
        token: Option<&Secret>,
        repeatable: bool,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        for attempt in 0.. {
            let exchange = self.inner.transport.exchange(call, token);
            let failure = match timeout_at(deadline, exchange).await {
                Err(_) => return Err(Error::Timeout),
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
            };
            let pause = retry::pause(&failure, attempt, retry::random());
            if attempt >= self.inner.max_retries
                || !retry::allowed(&failure, repeatable)
                || Instant::now() + pause >= deadline
            {
                return Err(failure);
            }
            tracing::debug!(path = %call.path, attempt, error = %failure, "sending again");
            sleep(pause).await;
        }
        Err(Error::Timeout)
    }

    pub(crate) fn can_log_in(&self) -> bool {
        self.inner.auth.as_ref().is_some_and(Auth::can_log_in)
    }

    /// Logs in, unless another call has replaced `stale` already.
    async fn replace_token(&self, stale: Option<&Secret>) -> Result<Arc<Secret>, Error> {
        let _one_at_a_time = self.inner.login.lock().await;
        if let Some(current) = self.inner.token.load_full()
            && stale.is_none_or(|stale| stale.expose() != current.expose())
        {
            return Ok(current);
        }
        self.log_in().await.map(|grant| Arc::new(grant.token))
    }

    /// Logs in by a way of one's own, and leaves the client's token as it is:
    /// the answer holds the new one.
    ///
    /// # Errors
    /// As [`Client::send`], and when the evidence cannot be produced.
    pub async fn log_in_with(&self, auth: &Auth) -> Result<Answer, Error> {
        if let Auth::Ssh { mount, role, key } = auth {
            return crate::ssh::log_in(self, mount, role, key).await;
        }
        let call = auth.call()?.ok_or_else(no_login)?;
        self.send_once(&call).await
    }

    /// Without a token, and never logs in.
    pub(crate) async fn send_once(&self, call: &Call) -> Result<Answer, Error> {
        let encoded = self
            .inner
            .transport
            .encode(call, self.inner.namespace.as_deref())?;
        let deadline = Instant::now() + self.inner.timeout;
        self.persist(&encoded, None, false, deadline).await
    }

    /// Logs in and keeps the token.
    pub(crate) async fn log_in(&self) -> Result<Grant, Error> {
        let auth = self.inner.auth.as_ref().ok_or_else(no_login)?;
        let answer = self.log_in_with(auth).await?;
        let grant = Grant::from_answer("login", answer.body)?;
        self.set_token(Some(grant.token.clone()));
        self.inner.life.send_replace(Some(grant.life()));
        // Nobody may be listening.
        let _ = self.inner.events.send(Event::LoggedIn(grant.ttl));
        Ok(grant)
    }
}

fn no_login() -> Error {
    Error::Config("there is no way to log in; set a token or a role id".into())
}
