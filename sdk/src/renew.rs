//! Keeps the token alive in the background, and replaces it when it ends.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

use crate::client::Inner;
use crate::retry::{fraction, random};
use crate::{Client, Error};

/// Between two tries while the server cannot be reached.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// What happened to the token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A new token, valid for this long.
    LoggedIn(Duration),
    /// The same token, valid for this long from now.
    Renewed(Duration),
    /// Neither worked; the old token is valid for this much longer.
    Degraded {
        /// How long the token still lives.
        left: Duration,
        /// Why.
        cause: String,
    },
    /// The token has ended and no new one could be had yet.
    Expired,
}

/// The life of a token, measured from the answer that brought it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) since: Instant,
    pub(crate) ttl: Duration,
    pub(crate) renewable: bool,
}

impl Life {
    fn left(&self, now: Instant) -> Duration {
        (self.since + self.ttl).saturating_duration_since(now)
    }
}

/// Events of one client. Slow readers lose the oldest.
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event, or `None` once the client is gone.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Client {
    /// What happens to the token from now on.
    pub fn events(&self) -> Events {
        Events(self.inner.events.subscribe())
    }

    /// Starts the renewal. It ends with the last clone of the client.
    pub(crate) fn keep_alive(&self) {
        let life = self.inner.life.subscribe();
        tokio::spawn(run(Arc::downgrade(&self.inner), life, self.can_log_in()));
    }

    fn report(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.inner.events.send(event);
    }
}

/// Two thirds of the life, plus or minus a tenth of that, so that clients
/// that started together do not renew together.
fn renew_after(ttl: Duration, random: u64) -> Duration {
    let middle = ttl * 2 / 3;
    middle - middle / 10 + fraction(middle / 5, random)
}

/// The channel closes with the client, which ends this.
async fn run(client: Weak<Inner>, mut lives: watch::Receiver<Option<Life>>, can_log_in: bool) {
    let mut failures = 0;
    loop {
        let life = *lives.borrow_and_update();
        let now = Instant::now();
        let pause = match life {
            None => Duration::MAX,
            Some(life) if life.ttl.is_zero() => Duration::MAX,
            Some(life) if !life.renewable && !can_log_in => life.left(now),
            Some(life) if failures > 0 => pause_after(failures, life.left(now)),
            Some(life) => renew_after(life.ttl, random()).saturating_sub(now - life.since),
        };
        match timeout(pause, lives.changed()).await {
            Ok(Ok(())) => failures = 0,
            Ok(Err(_closed)) => return,
            Err(_elapsed) => {
                let (Some(inner), Some(life)) = (client.upgrade(), life) else {
                    return;
                };
                match (Client { inner }).extend(life, failures).await {
                    Step::Done => failures = 0,
                    Step::TryAgain => failures += 1,
                    Step::GiveUp => return,
                }
            }
        }
    }
}

/// Grows with the failures, but leaves time for another try before the end.
fn pause_after(failures: u32, left: Duration) -> Duration {
    let mut ceiling = SHORTEST_PAUSE
        .saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX))
        .min(LONGEST_PAUSE);
    if !left.is_zero() {
        ceiling = ceiling.min(left / 2).max(SHORTEST_PAUSE);
    }
    SHORTEST_PAUSE + fraction(ceiling - SHORTEST_PAUSE, random())
}

enum Step {
    Done,
    TryAgain,
    GiveUp,
}

impl Client {
    /// Renews, or logs in where that is the only or the better way.
    async fn extend(&self, life: Life, failures: u32) -> Step {
        let now = Instant::now();
        let expired = life.left(now).is_zero();
        let result = if life.renewable && !expired {
            self.renew_or_replace(life).await
        } else if self.can_log_in() {
            self.log_in().await.map(drop)
        } else {
            // Nothing can extend it, so the wait was for its end.
            self.report(Event::Expired);
            return Step::GiveUp;
        };
        match result {
            Ok(()) => Step::Done,
            Err(failure) => self.judge(&failure, life, failures),
        }
    }

    async fn renew_or_replace(&self, life: Life) -> Result<(), Error> {
        let ttl = match self.renew(None).await {
            Ok(grant) => grant.ttl,
            Err(failure) if !failure.is_retryable() && self.can_log_in() => {
                return self.log_in().await.map(drop);
            }
            Err(failure) => return Err(failure),
        };
        // A renewal that brings little means that the longest life is near.
        if self.can_log_in() && ttl < life.ttl / 2 {
            return self.log_in().await.map(drop);
        }
        self.report(Event::Renewed(ttl));
        Ok(())
    }

    fn judge(&self, failure: &Error, life: Life, failures: u32) -> Step {
        let left = life.left(Instant::now());
        if left.is_zero() {
            tracing::error!(error = %failure, "the token has ended");
            self.report(Event::Expired);
        } else {
            tracing::warn!(error = %failure, failures, left = ?left, "the token could not be renewed");
            self.report(Event::Degraded {
                left,
                cause: failure.to_string(),
            });
        }
        // An outage ends some day; with a way to log in, so does this.
        let hopeless = left.is_zero() || !failure.is_retryable();
        match hopeless && !self.can_log_in() {
            true => Step::GiveUp,
            false => Step::TryAgain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renews_between_60_and_74_percent_of_the_life() {
        let ttl = Duration::from_secs(3600);
        assert_eq!(renew_after(ttl, 0), Duration::from_secs(2160));
        assert!(renew_after(ttl, u64::MAX) <= Duration::from_secs(2640));
    }

    #[test]
    fn pauses_during_an_outage_stay_bounded() {
        for failures in 1..100 {
            let pause = pause_after(failures, Duration::ZERO);
            assert!((SHORTEST_PAUSE..=LONGEST_PAUSE).contains(&pause));
            assert!(pause_after(failures, Duration::from_secs(2)) <= Duration::from_secs(1));
        }
    }
}
