//! Authorizations (RFC 8555, 7.1.4, 7.5): that an account may have certificates for an identifier, and
//! the challenges by which it proves that.

use http::header::{LINK, LOCATION, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::Random;

use super::account::Account;
use super::directory::{Directory, link};
use super::identifier::Identifier;
use super::jws::Signed;
use super::order::Order;
use super::problem::{Outcome, Problem};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::reply::Reply;
use crate::jose;

/// Bytes of a token: at least 128 bits of chance, in base64url (RFC 8555, 8.1).
const TOKEN: usize = 32;
/// Seconds between one check and the next; after the last of them it failed.
const PAUSES: [i64; 3] = [1, 3, 8];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    #[serde(rename = "http-01")]
    Http,
    #[serde(rename = "dns-01")]
    Dns,
    /// RFC 8737.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Method::Http => "http-01",
            Method::Dns => "dns-01",
            Method::TlsAlpn => "tls-alpn-01",
        }
    }

    fn of(identifier: &Identifier) -> &'static [Method] {
        match identifier {
            identifier if identifier.is_wildcard() => &[Method::Dns],
            Identifier::Dns(_) => &[Method::Http, Method::Dns, Method::TlsAlpn],
            Identifier::Ip(_) => &[Method::Http, Method::TlsAlpn],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Processing,
    Valid,
    Invalid,
    Deactivated,
    Expired,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Challenge {
    pub method: Method,
    pub token: String,
    pub status: Status,
    validated: Option<Timestamp>,
    error: Option<Problem>,
    /// Checks that failed.
    failed: usize,
    /// When it is to be checked.
    next: Option<Timestamp>,
}

/// Of bytes: clients decode it and encode it again.
fn token(random: &dyn Random) -> String {
    let mut bytes = [0; TOKEN];
    random.fill(&mut bytes);
    jose::encode(&bytes)
}

/// It is kept with its order.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Authorization {
    pub identifier: Identifier,
    status: Status,
    expires: Timestamp,
    pub challenges: Vec<Challenge>,
}

impl Authorization {
    pub(super) fn new(
        identifier: &Identifier,
        expires: Timestamp,
        random: &dyn Random,
    ) -> Authorization {
        let challenge = |method: &Method| Challenge {
            method: *method,
            token: token(random),
            status: Status::Pending,
            validated: None,
            error: None,
            failed: 0,
            next: None,
        };
        Authorization {
            identifier: identifier.clone(),
            status: Status::Pending,
            expires,
            challenges: Method::of(identifier).iter().map(challenge).collect(),
        }
    }

    pub(super) fn status(&self, now: Timestamp) -> Status {
        match self.status {
            Status::Pending | Status::Valid if self.expires <= now => Status::Expired,
            status => status,
        }
    }

    /// The challenge that the client has answered.
    pub(super) fn processing(&self) -> Option<&Challenge> {
        let mut all = self.challenges.iter();
        all.find(|challenge| {
            self.status == Status::Pending && challenge.status == Status::Processing
        })
    }

    /// The challenge that is to be checked now.
    pub(super) fn due(&self, now: Timestamp) -> Option<&Challenge> {
        self.processing()
            .filter(|challenge| challenge.next.is_none_or(|next| next <= now))
    }

    /// What came of a check; true if that is how it stays. Nothing if it is no longer asked for.
    pub(super) fn checked(
        &mut self,
        method: Method,
        outcome: &Result<(), Problem>,
        again: bool,
        now: Timestamp,
    ) -> bool {
        if self.processing().is_none_or(|found| found.method != method) {
            return false;
        }
        let found = self
            .challenges
            .iter_mut()
            .find(|found| found.method == method);
        let Some(challenge) = found else {
            return false;
        };
        match outcome {
            Ok(()) => {
                challenge.status = Status::Valid;
                challenge.validated = Some(now);
                challenge.error = None;
                self.status = Status::Valid;
                true
            }
            Err(problem) => {
                challenge.error = Some(problem.clone());
                challenge.failed += 1;
                match PAUSES.get(challenge.failed - 1).filter(|_| again) {
                    Some(seconds) => {
                        challenge.next = Some(now + SignedDuration::from_secs(*seconds));
                        false
                    }
                    None => {
                        challenge.status = Status::Invalid;
                        self.status = Status::Invalid;
                        true
                    }
                }
            }
        }
    }

    /// Why it failed.
    pub(super) fn error(&self) -> Option<&Problem> {
        let mut errors = self.challenges.iter().filter_map(|one| one.error.as_ref());
        errors.find(|_| self.status == Status::Invalid)
    }

    fn show(&self, name: &Name<'_>, now: Timestamp) -> Map<String, Value> {
        let status = self.status(now);
        // RFC 8555, 7.1.4: of a decided one only what decided it.
        let decided = matches!(status, Status::Valid | Status::Invalid);
        let shown = self
            .challenges
            .iter()
            .filter(|one| !decided || one.status == status)
            .map(|one| Value::Object(one.show(name)));
        let mut map = Map::new();
        map.insert("identifier".into(), json!(self.identifier.proved()));
        map.insert("status".into(), json!(status));
        map.insert("expires".into(), self.expires.to_string().into());
        map.insert("challenges".into(), shown.collect());
        if self.identifier.is_wildcard() {
            map.insert("wildcard".into(), true.into());
        }
        map
    }
}

/// Where an authorization is found.
struct Name<'n> {
    order: &'n str,
    number: usize,
    directory: &'n Directory,
}

impl Name<'_> {
    fn url(&self) -> String {
        self.directory.url(&format!("authorization/{}", self.id()))
    }

    fn id(&self) -> String {
        id(self.order, self.number)
    }
}

/// How the authorizations of an order are called.
pub(super) fn id(order: &str, number: usize) -> String {
    format!("{order}-{number}")
}

impl Challenge {
    fn url(&self, of: &Name<'_>) -> String {
        let path = format!("challenge/{}/{}", of.id(), self.method.name());
        of.directory.url(&path)
    }

    fn show(&self, of: &Name<'_>) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("type".into(), json!(self.method));
        map.insert("url".into(), self.url(of).into());
        map.insert("status".into(), json!(self.status));
        map.insert("token".into(), self.token.clone().into());
        if let Some(at) = self.validated {
            map.insert("validated".into(), at.to_string().into());
        }
        if let Some(problem) = &self.error {
            map.insert("error".into(), problem.show().into());
        }
        map
    }
}

/// The account's own order, and which of its authorizations is meant.
async fn own(ctx: &Ctx<'_>, account: &Account, view: &mut View<'_>) -> Outcome<(Order, usize)> {
    let missing = || Problem::missing("authorization");
    let name = ctx.param("authorization").rsplit_once('-');
    let (order, number) = name.ok_or_else(missing)?;
    let number: usize = number.parse().map_err(|_| missing())?;
    let found = Order::get(order, view).await?;
    let found = found.filter(|found| found.account == account.id);
    let found = found.filter(|found| number < found.authorizations.len());
    Ok((found.ok_or_else(missing)?, number))
}

#[derive(Deserialize)]
struct Update {
    status: Option<String>,
}

/// Reads it, or gives it up (RFC 8555, 7.5.2).
pub(super) async fn update(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let now = ctx.now();
    let (mut order, number) = own(ctx, signed.account(directory)?, view).await?;
    let found = &mut order.authorizations[number];
    if !signed.is_get() {
        let asked: Update = signed.read()?;
        if asked.status.as_deref() != Some("deactivated") {
            let text = "an authorization can be deactivated, and nothing else";
            return Err(Problem::malformed(text).into());
        }
        if !matches!(found.status(now), Status::Pending | Status::Valid) {
            let text = "the authorization is decided or expired already";
            return Err(Problem::malformed(text).into());
        }
        found.status = Status::Deactivated;
        order.store(now, view).await?;
    }
    let found = &order.authorizations[number];
    let name = Name {
        order: &order.id,
        number,
        directory,
    };
    let reply = Reply::map(found.show(&name, now)).bare();
    Ok(match found.processing() {
        Some(_) => reply.header(RETRY_AFTER, "1"),
        None => reply,
    })
}

/// Reads a challenge, or says that it can be checked (RFC 8555, 7.5.1).
pub(super) async fn challenge(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let now = ctx.now();
    let (mut order, number) = own(ctx, signed.account(directory)?, view).await?;
    let found = &mut order.authorizations[number];
    let method = ctx.param("type");
    let mut all = found.challenges.iter();
    let at = all.position(|one| one.method.name() == method);
    let at = at.ok_or_else(|| Problem::missing("challenge"))?;
    if !signed.is_get() {
        // RFC 8555, 7.5.1: an object, empty but for what old clients add.
        let _: Map<String, Value> = signed.read()?;
        match found.status(now) {
            Status::Pending if found.processing().is_none() => {
                found.challenges[at].status = Status::Processing;
                order.store(now, view).await?;
            }
            Status::Expired => {
                let text = "the authorization is expired: order anew";
                return Err(Problem::malformed(text).into());
            }
            _ => {}
        }
    }
    let name = Name {
        order: &order.id,
        number,
        directory,
    };
    let challenge = &order.authorizations[number].challenges[at];
    let reply = Reply::map(challenge.show(&name))
        .bare()
        .header(LINK, link(&name.url(), "up"))
        .header(LOCATION, challenge.url(&name));
    Ok(match challenge.status {
        Status::Processing => reply.header(RETRY_AFTER, "1"),
        _ => reply,
    })
}
