//! What is stored of a certificate. All but its keys and chains is one row, so that each step towards
//! a new version is one commit.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_crypto::{KeyKind, Random};

use super::name::{Host, Name};
use super::schedule::{self, Life, Window};
use super::trouble::{Kind, Trouble};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::engine::secret::Secret;

/// Where the certificates are listed.
pub(super) const FOLDER: &str = "certs";
/// Certificates that have work to do.
pub(super) const BUSY: &str = "busy";

/// Between two versions at least.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn row(name: &Name) -> String {
    format!("{FOLDER}/{}", name.as_str())
}

fn busy_row(name: &Name) -> String {
    format!("{BUSY}/{}", name.as_str())
}

pub(super) fn pair_row(name: &Name, version: u64) -> String {
    format!("pairs/{}/{version}", name.as_str())
}

pub(super) fn pending_row(name: &Name) -> String {
    format!("pending/{}", name.as_str())
}

/// What the authority asks for, by the token that it names.
pub(super) fn token_row(token: &str) -> String {
    format!("tokens/{}", hex::encode(token))
}

/// The same by the host that it connects to.
pub(super) fn handshake_row(host: &str) -> String {
    format!("handshakes/{host}")
}

/// How the authority sees that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChallengeKind {
    #[serde(rename = "http-01")]
    Http,
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn,
    #[serde(rename = "dns-01")]
    Dns,
}

impl ChallengeKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            ChallengeKind::Http => "http-01",
            ChallengeKind::TlsAlpn => "tls-alpn-01",
            ChallengeKind::Dns => "dns-01",
        }
    }

    pub(super) fn parse(text: &str) -> Result<ChallengeKind, Fault> {
        match text {
            "http-01" => Ok(ChallengeKind::Http),
            "tls-alpn-01" => Ok(ChallengeKind::TlsAlpn),
            "dns-01" => Ok(ChallengeKind::Dns),
            _ => Err(Fault::invalid(
                "challenge: use http-01, tls-alpn-01 or dns-01",
            )),
        }
    }
}

/// What kind of key the next version has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum KeyType {
    #[serde(rename = "ecdsa-p256")]
    P256,
    #[serde(rename = "ecdsa-p384")]
    P384,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyType {
    const ALL: [(KeyType, &'static str, KeyKind); 5] = [
        (KeyType::P256, "ecdsa-p256", KeyKind::P256),
        (KeyType::P384, "ecdsa-p384", KeyKind::P384),
        (KeyType::Rsa2048, "rsa-2048", KeyKind::Rsa2048),
        (KeyType::Rsa3072, "rsa-3072", KeyKind::Rsa3072),
        (KeyType::Rsa4096, "rsa-4096", KeyKind::Rsa4096),
    ];

    pub(super) fn parse(text: &str) -> Result<KeyType, Fault> {
        let known = KeyType::ALL.into_iter().find(|(_, name, _)| *name == text);
        known.map(|(kind, _, _)| kind).ok_or_else(|| {
            Fault::invalid(
                "unknown key_type: use ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096",
            )
        })
    }

    pub(super) fn kind(self) -> KeyKind {
        let known = KeyType::ALL.into_iter().find(|(own, _, _)| *own == self);
        known.map_or(KeyKind::P256, |(_, _, kind)| kind)
    }

    pub(super) fn name(self) -> &'static str {
        let known = KeyType::ALL.into_iter().find(|(own, _, _)| *own == self);
        known.map_or("", |(_, name, _)| name)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Cert {
    pub account: Name,
    pub names: Vec<Host>,
    pub challenge: ChallengeKind,
    /// How records are written, for dns-01.
    pub dns: Option<Name>,
    pub key_type: KeyType,
    pub profile: Option<String>,
    /// Seconds before the end; `None` is by the certificate's life.
    pub renew_before: Option<u64>,
    pub max_versions: usize,
    pub created: Timestamp,
    /// The version that readers get; 0 if there is none yet.
    pub current: u64,
    /// The newest number that a version ever had.
    pub last: u64,
    pub versions: BTreeMap<u64, Version>,
    /// A new version is to be obtained.
    pub wanted: bool,
    pub order: Option<Order>,
    /// When the authority would like the renewal, as it last said.
    pub window: Option<Window>,
    pub renew_at: Option<Timestamp>,
    /// When to ask for the window; `None` if the authority has none.
    pub ask_at: Option<Timestamp>,
    /// Nothing is done before.
    pub next: Timestamp,
    pub failure: Option<Failed>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    /// `0a:1b:…`
    pub serial: String,
    pub issuer: String,
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub key_type: KeyType,
    pub obtained: Timestamp,
    pub revoked: Option<Timestamp>,
}

/// The key and what vouches for it.
#[derive(Serialize, Deserialize)]
pub(super) struct Pair {
    /// PKCS #8.
    pub key: Secret,
    /// PEM, the certificate first.
    pub chain: String,
}

/// The key of an order, before there is a certificate.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    /// PKCS #8.
    pub key: Secret,
    pub csr: Vec<u8>,
    pub key_type: KeyType,
}

/// An order at the authority, under way.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub url: String,
    pub stage: Stage,
    pub began: Timestamp,
    pub answers: Vec<Answer>,
    /// As it was when the order was made.
    pub challenge: ChallengeKind,
    pub dns: Option<Name>,
    /// Of taking records away: not before, and how often it failed.
    pub clean_at: Timestamp,
    pub clean_tries: u32,
}

/// What is to be done next. Each may be done again after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// Ask what is to be shown, and show it.
    Answer,
    /// Write records, and see that they are visible.
    Publish,
    /// Have the authority look.
    Validate,
    /// Have the certificate made, and fetch it.
    Finish,
    /// Take records away.
    Clean,
}

impl Stage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Answer => "answer",
            Stage::Publish => "publish",
            Stage::Validate => "validate",
            Stage::Finish => "finish",
            Stage::Clean => "clean",
        }
    }
}

/// What the authority is shown for one name.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The name without `*.`; of an address its reverse name.
    pub host: String,
    pub token: String,
    /// For http-01 and tls-alpn-01.
    pub authorization: String,
    /// For dns-01.
    pub record: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Failed {
    pub step: String,
    pub cause: String,
    /// What to do.
    pub hint: String,
    pub at: Timestamp,
    pub tries: u32,
    /// The authority's limit lasts as long.
    pub limited_until: Option<Timestamp>,
}

impl Cert {
    pub(super) async fn find(view: &mut View<'_>, name: &Name) -> Result<Option<Cert>, Fault> {
        Ok(view.get(&row(name)).await?)
    }

    /// The certificate that the path names.
    pub(super) async fn named(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(Name, Cert), Fault> {
        let name = Name::parse(ctx.param("name"))?;
        let cert = Cert::find(view, &name).await?.ok_or(Fault::Missing)?;
        Ok((name, cert))
    }

    pub(super) async fn names(view: &mut View<'_>) -> Result<Vec<Name>, Fault> {
        let names = view.list(FOLDER).await?;
        names.iter().map(|name| Name::parse(name)).collect()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.wanted || self.order.is_some()
    }

    pub(super) fn asks(&self, now: Timestamp) -> bool {
        !self.is_busy() && self.ask_at.is_some_and(|at| at <= now)
    }

    /// With the mark that it has work to do, or the reminder of when it will.
    pub(super) async fn store(
        &self,
        view: &mut View<'_>,
        name: &Name,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let busy = busy_row(name);
        match (self.is_busy() || self.asks(now), view.exists(&busy).await?) {
            (true, false) => view.put(&busy, &true).await?,
            (false, true) => view.delete(&busy).await?,
            _ => {}
        }
        let times = self.renew_at.into_iter().chain(self.ask_at);
        if let Some(at) = times.filter(|at| *at > now).min() {
            let about = format!("{}@{at}", name.as_str());
            let id = vault_crypto::sha256(about.as_bytes());
            let mut short = [0; 16];
            short.copy_from_slice(&id[..16]);
            view.put_due(at, &short, name.as_str()).await?;
        }
        Ok(view.put(&row(name), self).await?)
    }

    pub(super) fn current(&self) -> Option<&Version> {
        self.versions.get(&self.current)
    }

    /// Plans the renewal of the current version: not at once, so that nothing is renewed without end.
    pub(super) fn plan(&mut self, now: Timestamp, random: &dyn Random) {
        let life = self.current().map(|version| Life {
            begins: version.not_before,
            ends: version.not_after,
        });
        let soonest = now.saturating_add(PAUSE).unwrap_or(now);
        self.renew_at = life.map(|life| {
            schedule::renewal(life, self.renew_before, self.window, random).max(soonest)
        });
    }

    /// True if that is news.
    pub(super) fn failed(
        &mut self,
        step: &str,
        trouble: &Trouble,
        now: Timestamp,
        random: &dyn Random,
    ) -> bool {
        let before = self.failure.take();
        let is_news = before
            .as_ref()
            .is_none_or(|before| before.cause != trouble.cause);
        let tries = before.map_or(1, |before| before.tries.saturating_add(1));
        let later = |wait: SignedDuration| now.saturating_add(wait).unwrap_or(now);
        self.next = later(schedule::pause(trouble.kind, tries, random));
        let limit = match trouble.kind {
            Kind::Limited(seconds) => i64::try_from(seconds).ok(),
            _ => None,
        };
        self.failure = Some(Failed {
            step: step.to_owned(),
            cause: trouble.cause.clone(),
            hint: trouble.hint.clone(),
            at: now,
            tries,
            limited_until: limit.map(|seconds| later(SignedDuration::from_secs(seconds))),
        });
        is_news
    }

    /// Tries again at once, unless the authority's limit forbids it.
    pub(super) fn try_now(&mut self, now: Timestamp) {
        let limit = self
            .failure
            .as_ref()
            .and_then(|failed| failed.limited_until);
        self.next = limit.map_or(now, |until| until.max(now));
    }

    /// Takes back what was shown to the authority; records of DNS need an errand of their own.
    pub(super) async fn end_order(
        &mut self,
        view: &mut View<'_>,
        name: &Name,
    ) -> Result<(), Fault> {
        let Some(order) = &mut self.order else {
            return Ok(());
        };
        for answer in &order.answers {
            view.delete(&token_row(&answer.token)).await?;
            view.delete(&handshake_row(&answer.host)).await?;
        }
        view.delete(&pending_row(name)).await?;
        let leaves_records = order.challenge == ChallengeKind::Dns && !order.answers.is_empty();
        match leaves_records {
            true if order.stage == Stage::Clean => {}
            true => {
                order.stage = Stage::Clean;
                order.clean_at = order.began;
            }
            false => self.order = None,
        }
        Ok(())
    }
}
