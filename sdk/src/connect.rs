//! From settings to a client that is logged in.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::notify;
use crate::renew::Life;
use crate::retry::{fraction, random};
use crate::{Builder, Client, Error, Startup};

/// Between two looks at a server that is not ready: short enough to start
/// soon after the unseal, long enough for a thousand waiting apps.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// Longer than one try and its pause.
const MORE_TIME: Duration = Duration::from_secs(60);
const WAIT_SPREAD: Duration = Duration::from_millis(1000);

impl Client {
    /// Everything from the environment: the settings of [`Client::from_env`]
    /// and the login of [`Builder::login_from_env`].
    pub async fn connect_from_env(startup: Startup) -> Result<Self, Error> {
        Builder::from_env()?
            .login_from_env()
            .startup(startup)
            .connect()
            .await
    }

    /// One try: log in, or see that the given token is good, or at least
    /// that the server answers.
    async fn establish(&self) -> Result<(), Error> {
        if self.can_log_in() {
            return self.log_in().await.map(drop);
        }
        if self.token().is_some() {
            return self.adopt_token().await;
        }
        self.is_open().await
    }

    /// Whether the server answers and is unsealed.
    async fn is_open(&self) -> Result<(), Error> {
        let health = self.sys().health().await?;
        match (health.initialized, health.sealed) {
            (false, _) => Err(Error::Uninitialized),
            (true, true) => Err(Error::Sealed),
            (true, false) => Ok(()),
        }
    }

    /// Waits until the server answers and is unsealed, as [`Startup::WaitForUnseal`] does; needs no
    /// token.
    ///
    /// # Errors
    /// The last reason for waiting.
    pub async fn wait_for_unseal(&self, limit: Duration) -> Result<(), Error> {
        wait(self, Instant::now() + limit, Goal::Open).await
    }

    /// Renews the token in the background as long as the client lives, for a client that
    /// [`Builder::build`] gave. [`Builder::connect`] does it by itself.
    ///
    /// # Errors
    /// The token is not accepted, or the server cannot be asked about it.
    pub async fn stay_logged_in(&self) -> Result<(), Error> {
        self.establish().await?;
        self.keep_alive();
        Ok(())
    }

    async fn adopt_token(&self) -> Result<(), Error> {
        match self.lookup_self().await {
            Ok(token) => {
                self.inner.life.send_replace(Some(Life {
                    since: Instant::now(),
                    ttl: Duration::from_secs(token.ttl),
                    renewable: token.renewable,
                }));
                Ok(())
            }
            // A good token that may not look at itself is used as it is.
            Err(Error::Denied { .. }) => {
                tracing::warn!("the token may not look itself up, so it is not renewed");
                Ok(())
            }
            Err(other) => Err(other),
        }
    }
}

impl Builder {
    /// Makes the client, logs in, and starts the renewal.
    ///
    /// # Errors
    /// What [`Builder::build`] gives; the failure of the login; or, when
    /// [`Startup`] says to wait, the last reason for waiting.
    pub async fn connect(self) -> Result<Client, Error> {
        let startup = self.startup;
        let client = self.build()?;
        match startup {
            Startup::FailFast => client.establish().await?,
            Startup::WaitForUnseal(limit) => {
                wait(&client, Instant::now() + limit, Goal::LoggedIn).await?
            }
            // Loading decides whether to wait; it logs in when the server is back.
            Startup::CacheThenWait(limit) if client.inner.cache.is_some() => {
                if let Err(failure) = client.establish().await {
                    if !is_worth_waiting(&failure) {
                        return Err(failure);
                    }
                    tracing::warn!(reason = %failure, patience = ?limit, "the server does not answer");
                }
            }
            Startup::CacheThenWait(limit) => {
                wait(&client, Instant::now() + limit, Goal::LoggedIn).await?
            }
        }
        client.keep_alive();
        Ok(client)
    }
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Goal {
    Open,
    LoggedIn,
}

async fn wait(client: &Client, deadline: Instant, goal: Goal) -> Result<(), Error> {
    let attempt = || async {
        match goal {
            Goal::Open => client.is_open().await,
            Goal::LoggedIn => client.establish().await,
        }
    };
    let mut last = Error::Timeout;
    while let Ok(result) = timeout_at(deadline, attempt()).await {
        match result {
            Err(failure) if is_worth_waiting(&failure) => last = failure,
            decided => return decided,
        }
        tracing::info!(reason = %last, addr = client.addr(), "waiting for the server");
        let pause = pause();
        if Instant::now() + pause >= deadline {
            break;
        }
        tell_waiting();
        sleep(pause).await;
    }
    Err(last)
}

/// Between two tries.
pub(crate) fn pause() -> Duration {
    SHORTEST_WAIT + fraction(WAIT_SPREAD, random())
}

/// To systemd: enough for the next try to fail, and to say so again.
pub(crate) fn tell_waiting() {
    notify::still_waiting(MORE_TIME);
}

/// Standby answers with these; the rest is the server being away.
fn is_worth_waiting(failure: &Error) -> bool {
    failure.is_retryable() || matches!(failure.status(), Some(429 | 472 | 473))
}
