//! What issuers publish: their keys, and where their doors are.
//!
//! Promises: keys are asked for again after five minutes, and at once when a token names a key that
//! is not known (at most every ten seconds); an issuer that does not answer stops no login with a key
//! that was known less than a day ago, also after a restart; many logins at once ask once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::{Place, Source};
use super::published::{self, Documents, Published, key_set};
use crate::core::aside::Aside;
use crate::jose::{Algorithm, Claims, JoseError, Token};
use crate::outbound::{Failure, Outbound, Trust, Url};

/// Seconds. Younger than this, keys are used as they are.
const FRESH: i64 = 300;
/// Younger than this, they are used while new ones are asked for.
const RECENT: i64 = 3600;
/// Younger than this, they are used if the issuer does not answer.
pub(super) const KEPT: i64 = 86_400;
/// Between two questions because of a key that is not known.
const UNKNOWN_EVERY: i64 = 10;
/// After a question that was not answered.
const PAUSE: i64 = 5;
/// Of all mounts, in memory.
const ISSUERS_MAX: usize = 1000;

/// One of a mount's issuers, and the row in which what he publishes is kept. Rows below a folder are
/// kept while there is room.
#[derive(Clone, Copy)]
pub(in crate::auth) struct Signer<'a> {
    pub row: &'a str,
    pub source: &'a Source,
}

/// An issuer's own description (OpenID Connect Discovery 1.0, 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct Provider {
    pub issuer: String,
    pub jwks_uri: Url,
    pub authorization_endpoint: Option<Url>,
    pub token_endpoint: Option<Url>,
    pub userinfo_endpoint: Option<Url>,
    /// RFC 8628, 4.
    pub device_authorization_endpoint: Option<Url>,
}

struct Issuer {
    row: String,
    source: Source,
    published: ArcSwapOption<Published>,
    /// Held while asking.
    asking: tokio::sync::Mutex<Last>,
}

/// The last questions; times in seconds since 1970.
struct Last {
    failed: Option<(Failure, i64)>,
    /// Because of a key that was not known.
    unknown: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Age,
    UnknownKey,
}

/// The issuers of all mounts.
#[derive(Default)]
pub struct Issuers {
    /// By the number of the mount, and the row.
    known: Mutex<HashMap<(u64, String), Arc<Issuer>>>,
}

impl Issuers {
    fn lock(&self) -> MutexGuard<'_, HashMap<(u64, String), Arc<Issuer>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issuer(&self, mount: u64, signer: Signer<'_>) -> Arc<Issuer> {
        let mut known = self.lock();
        let place = (mount, signer.row.to_owned());
        if let Some(issuer) = known.get(&place)
            && issuer.source == *signer.source
        {
            return Arc::clone(issuer);
        }
        if known.len() >= ISSUERS_MAX {
            // What was published is kept in the mount's storage.
            known.clear();
        }
        let issuer = Arc::new(Issuer {
            row: signer.row.to_owned(),
            source: signer.source.clone(),
            published: ArcSwapOption::empty(),
            asking: tokio::sync::Mutex::new(Last {
                failed: None,
                unknown: i64::MIN,
            }),
        });
        known.insert(place, Arc::clone(&issuer));
        issuer
    }

    /// Whether the issuer has answered within a day.
    pub(in crate::auth) async fn knows(
        &self,
        aside: &Aside,
        signer: Signer<'_>,
        now: Timestamp,
    ) -> bool {
        let young = |at: i64| now.as_second().saturating_sub(at) < KEPT;
        let place = (aside.mount(), signer.row.to_owned());
        let issuer = self.lock().get(&place).map(Arc::clone);
        let published = issuer
            .filter(|issuer| issuer.source == *signer.source)
            .and_then(|issuer| issuer.published.load_full());
        match published {
            Some(published) => young(published.at),
            None => {
                let kept = published::recall(aside, signer.row, signer.source).await;
                kept.is_some_and(|kept| young(kept.at))
            }
        }
    }

    /// What an issuer publishes; it is asked unless that is recent.
    pub(super) async fn published(
        &self,
        outbound: &Arc<Outbound>,
        aside: &Aside,
        signer: Signer<'_>,
        now: Timestamp,
    ) -> Result<Arc<Published>, Failure> {
        let issuer = self.issuer(aside.mount(), signer);
        issuer.recent(outbound, aside, now.as_second()).await
    }

    /// What a token says, if one of the issuer's keys signed it; and the issuer.
    pub(in crate::auth) async fn verify(
        &self,
        outbound: &Arc<Outbound>,
        aside: &Aside,
        signer: Signer<'_>,
        token: &Token<'_>,
        allowed: &[Algorithm],
        now: Timestamp,
    ) -> Result<(Claims, Arc<Published>), String> {
        let ask = |failure: Failure| format!("the issuer's keys are not known: {failure}");
        let issuer = self.issuer(aside.mount(), signer);
        let now = now.as_second();
        let published = issuer.recent(outbound, aside, now).await.map_err(ask)?;
        match token.verify(&published.keys, allowed) {
            Err(JoseError::UnknownKey) => {
                let seen = Some(Arc::clone(&published));
                let asked = issuer
                    .ask(outbound, aside, seen, Why::UnknownKey, now)
                    .await;
                // Without an answer the known keys are still the answer.
                let published = asked.unwrap_or(published);
                let claims = token.verify(&published.keys, allowed);
                claims.map(|claims| (claims, published))
            }
            outcome => outcome.map(|claims| (claims, published)),
        }
        .map_err(|error| error.to_string())
    }
}

impl Issuer {
    /// What is in memory, or was kept before a restart.
    async fn known(&self, aside: &Aside, now: i64) -> Option<Arc<Published>> {
        if let Some(known) = self.published.load_full() {
            return Some(known);
        }
        let _asking = self.asking.lock().await;
        if let Some(known) = self.published.load_full() {
            return Some(known);
        }
        let mut kept = published::recall(aside, &self.row, &self.source)
            .await?
            .read()
            .ok()?;
        // A clock that was wrong makes nothing younger than it is.
        kept.at = kept.at.min(now);
        let kept = Arc::new(kept);
        self.published.store(Some(Arc::clone(&kept)));
        Some(kept)
    }

    async fn recent(
        self: &Arc<Issuer>,
        outbound: &Arc<Outbound>,
        aside: &Aside,
        now: i64,
    ) -> Result<Arc<Published>, Failure> {
        let Some(known) = self.known(aside, now).await else {
            return self.ask(outbound, aside, None, Why::Age, now).await;
        };
        let seen = Some(Arc::clone(&known));
        match now.saturating_sub(known.at) {
            age if age < FRESH => Ok(known),
            age if age < RECENT => {
                // Unless somebody does already.
                if self.asking.try_lock().is_err() {
                    return Ok(known);
                }
                let (issuer, outbound) = (Arc::clone(self), Arc::clone(outbound));
                let aside = aside.clone();
                tokio::spawn(async move {
                    let asked = issuer.ask(&outbound, &aside, seen, Why::Age, now);
                    asked.await.map(drop)
                });
                Ok(known)
            }
            age => match self.ask(outbound, aside, seen, Why::Age, now).await {
                Err(failure) if age < KEPT => {
                    tracing::warn!(%failure, "an issuer does not answer: its last known keys are used");
                    Ok(known)
                }
                outcome => outcome,
            },
        }
    }

    /// Asks the issuer, unless somebody else got an answer since the caller saw what he has `seen`.
    async fn ask(
        &self,
        outbound: &Outbound,
        aside: &Aside,
        seen: Option<Arc<Published>>,
        why: Why,
        now: i64,
    ) -> Result<Arc<Published>, Failure> {
        let mut last = self.asking.lock().await;
        let known = self.published.load_full();
        let first = known.is_none();
        if let Some(known) = known
            && !seen.is_some_and(|seen| Arc::ptr_eq(&seen, &known))
        {
            return Ok(known);
        }
        if why == Why::UnknownKey {
            if now.saturating_sub(last.unknown) < UNKNOWN_EVERY {
                return Err(Failure::Answer("it was asked a moment ago"));
            }
            last.unknown = now;
        }
        if let Some((failure, at)) = &last.failed
            && now.saturating_sub(*at) < PAUSE
        {
            return Err(failure.clone());
        }
        match self.fetch(outbound, aside, first, now).await {
            Ok(published) => {
                last.failed = None;
                self.published.store(Some(Arc::clone(&published)));
                Ok(published)
            }
            Err(failure) => {
                last.failed = Some((failure.clone(), now));
                Err(failure)
            }
        }
    }

    async fn fetch(
        &self,
        outbound: &Outbound,
        aside: &Aside,
        first: bool,
        now: i64,
    ) -> Result<Arc<Published>, Failure> {
        let (key_sets, provider) = fetch(outbound, &self.source, first).await?;
        let documents = Documents {
            source: self.source.clone(),
            provider,
            key_sets,
            at: now,
        };
        let published = Arc::new(documents.read()?);
        published::keep(aside, &self.row, &documents).await;
        Ok(published)
    }
}

/// All that the source publishes: sets of keys. The `first` time a part will do: one of several issuers
/// that is down stops no login with the keys of another. Later it would forget keys that are known.
async fn fetch(
    outbound: &Outbound,
    source: &Source,
    first: bool,
) -> Result<(Vec<String>, Option<Provider>), Failure> {
    match source {
        Source::Discovery(place) => {
            let provider = discover(outbound, place).await?;
            let keys = Place {
                url: provider.jwks_uri.clone(),
                ca_pem: place.ca_pem.clone(),
            };
            Ok((vec![jwks(outbound, &keys).await?], Some(provider)))
        }
        Source::Jwks(place) => Ok((vec![jwks(outbound, place).await?], None)),
        Source::Pairs(places) => {
            let (mut all, mut missing) = (Vec::new(), None);
            for place in places {
                match jwks(outbound, place).await {
                    Ok(keys) => all.push(keys),
                    Err(failure) if first => missing = Some(failure),
                    Err(failure) => return Err(failure),
                }
            }
            match missing.filter(|_| all.is_empty()) {
                Some(failure) => Err(failure),
                None => Ok((all, None)),
            }
        }
        Source::Keys(_) => Ok((Vec::new(), None)),
    }
}

/// A JWK set, as it came.
pub(super) async fn jwks(outbound: &Outbound, place: &Place) -> Result<String, Failure> {
    let body = outbound
        .get(&Trust::from_pem(&place.ca_pem)?, &place.url)
        .await?;
    key_set(&body)?;
    String::from_utf8(body.to_vec()).map_err(|_| Failure::Answer("expected a JWK set"))
}

/// The issuer's description, which must be its own: it names the address that it was got from.
pub(super) async fn discover(outbound: &Outbound, place: &Place) -> Result<Provider, Failure> {
    let url = place.url.join(".well-known/openid-configuration")?;
    let body = outbound.get(&Trust::from_pem(&place.ca_pem)?, &url).await?;
    let provider: Provider = serde_json::from_slice(&body)
        .map_err(|_| Failure::Answer("expected an OpenID provider's configuration"))?;
    if provider.issuer != place.url.as_str() {
        return Err(Failure::Answer("its issuer is not oidc_discovery_url"));
    }
    let weaker = |url: &Url| place.url.is_tls() && !url.is_tls();
    let doors = [
        &provider.token_endpoint,
        &provider.userinfo_endpoint,
        &provider.device_authorization_endpoint,
    ];
    if weaker(&provider.jwks_uri) || doors.into_iter().flatten().any(weaker) {
        return Err(Failure::Answer("it leads from https to http"));
    }
    Ok(provider)
}

#[cfg(test)]
mod tests;
