//! Orders (RFC 8555, 7.1.3, 7.4): certificates that are asked for, from the asking to the signing.

use http::StatusCode;
use http::header::LOCATION;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::uuid_v4;

use super::account::{Account, is_id};
use super::authorization::{self, Authorization, Status as Proof};
use super::certificate::{self, Certificate};
use super::directory::{Directory, Policy};
use super::identifier::{Asked, Identifier};
use super::jws::Signed;
use super::limits::{self, Limit, OPEN_ORDERS};
use super::problem::{Kind, Outcome, Problem};
use super::{due_id, renewal};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::pki::subject::Subject;

const FOLDER: &str = "acme/order";
/// Those with a challenge that is to be checked.
pub(super) const BUSY: &str = "acme/busy";
/// Those of an account that are open.
const OPEN: &str = "acme/open";
/// Identifiers of one order.
const IDENTIFIERS: usize = 100;
const DAY: i64 = 24 * 3600;
/// Days for which an order can be carried out, and those for which its certificate can be fetched.
const OPEN_DAYS: i64 = 1;
const KEPT_DAYS: i64 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Ready,
    Valid,
    Invalid,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    pub id: String,
    pub account: String,
    /// Of the account.
    pub directory: String,
    pub profile: Option<String>,
    pub authorizations: Vec<Authorization>,
    expires: Timestamp,
    /// Until when the row is kept.
    kept: Timestamp,
    pub replaces: Option<String>,
    pub certificate: Option<Certificate>,
}

fn row(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

fn busy_row(id: &str) -> String {
    format!("{BUSY}/{id}")
}

fn open_row(account: &str, id: &str) -> String {
    format!("{OPEN}/{account}/{id}")
}

fn days(from: Timestamp, days: i64) -> Timestamp {
    from.saturating_add(SignedDuration::from_secs(days * DAY))
        .unwrap_or(Timestamp::MAX)
}

impl Order {
    pub(super) async fn get(id: &str, view: &mut View<'_>) -> Result<Option<Order>, Fault> {
        match is_id(id) {
            true => Ok(view.get(&row(id)).await?),
            false => Ok(None),
        }
    }

    /// The account's own.
    pub(super) async fn own(
        ctx: &Ctx<'_>,
        account: &Account,
        view: &mut View<'_>,
    ) -> Outcome<Order> {
        let found = Order::get(ctx.param("order"), view).await?;
        let found = found.filter(|found| found.account == account.id);
        Ok(found.ok_or_else(|| Problem::missing("order"))?)
    }

    pub(super) fn identifiers(&self) -> Vec<Identifier> {
        let all = self.authorizations.iter();
        all.map(|found| found.identifier.clone()).collect()
    }

    /// What follows from its authorizations, and why it failed.
    pub(super) fn status(&self, now: Timestamp) -> (Status, Option<Problem>) {
        if self.certificate.is_some() {
            return (Status::Valid, None);
        }
        if self.expires <= now {
            let text = "the order is expired: order anew";
            return (Status::Invalid, Some(Problem::malformed(text)));
        }
        let (mut pending, mut failures) = (false, Vec::new());
        for found in &self.authorizations {
            match found.status(now) {
                Proof::Valid => {}
                Proof::Pending | Proof::Processing => pending = true,
                Proof::Invalid | Proof::Deactivated | Proof::Expired => {
                    let given_up = || {
                        let text = "its authorization was given up or is expired";
                        Problem::new(Kind::Unauthorized, text)
                    };
                    let problem = found.error().cloned().unwrap_or_else(given_up);
                    failures.push((found.identifier.proved(), problem.status(403)));
                }
            }
        }
        match (failures.is_empty(), pending) {
            (false, _) => (Status::Invalid, Some(Problem::of_parts(failures))),
            (true, true) => (Status::Pending, None),
            (true, false) => (Status::Ready, None),
        }
    }

    /// With the marks that it is open, and that it has work to do.
    pub(super) async fn store(&self, now: Timestamp, view: &mut View<'_>) -> Result<(), Fault> {
        view.put(&row(&self.id), self).await?;
        let status = self.status(now).0;
        let mut proofs = self.authorizations.iter();
        let is_busy = status == Status::Pending && proofs.any(|found| found.processing().is_some());
        let is_open = matches!(status, Status::Pending | Status::Ready);
        let marks = [
            (busy_row(&self.id), is_busy),
            (open_row(&self.account, &self.id), is_open),
        ];
        for (row, wanted) in marks {
            match (wanted, view.exists(&row).await?) {
                (true, false) => view.put(&row, &()).await?,
                (false, true) => view.delete(&row).await?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn url(&self, directory: &Directory) -> String {
        directory.url(&format!("order/{}", self.id))
    }

    pub(super) fn show(&self, directory: &Directory, now: Timestamp) -> Reply {
        let (status, problem) = self.status(now);
        let url = self.url(directory);
        let numbers = 0..self.authorizations.len();
        let proofs = numbers.map(|number| authorization::id(&self.id, number));
        let proofs = proofs.map(|id| directory.url(&format!("authorization/{id}")).into());
        let mut map = Map::new();
        map.insert("status".into(), json!(status));
        map.insert("expires".into(), self.expires.to_string().into());
        map.insert("identifiers".into(), json!(self.identifiers()));
        map.insert(
            "authorizations".into(),
            proofs.collect::<Vec<Value>>().into(),
        );
        map.insert("finalize".into(), format!("{url}/finalize").into());
        if self.certificate.is_some() {
            map.insert("certificate".into(), format!("{url}/cert").into());
        }
        if let Some(problem) = problem {
            map.insert("error".into(), problem.show().into());
        }
        for (name, value) in [("profile", &self.profile), ("replaces", &self.replaces)] {
            if let Some(value) = value {
                map.insert(name.into(), value.clone().into());
            }
        }
        Reply::map(map).bare().header(LOCATION, url)
    }

    /// The certificate is signed: it can be fetched for some days.
    pub(super) async fn carried_out(
        &mut self,
        certificate: Certificate,
        ctx: &Ctx<'_>,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        self.certificate = Some(certificate);
        self.kept = days(ctx.now(), KEPT_DAYS);
        self.store(ctx.now(), view).await?;
        let about = row(&self.id);
        Ok(view.put_due(self.kept, &due_id(ctx.random), &about).await?)
    }
}

/// It may be time to forget an order.
pub(super) async fn remind(id: &str, now: Timestamp, view: &mut View<'_>) -> Result<(), Fault> {
    let Some(order) = Order::get(id, view).await? else {
        return Ok(());
    };
    if now < order.kept {
        return Ok(());
    }
    view.delete(&busy_row(&order.id)).await?;
    view.delete(&open_row(&order.account, &order.id)).await?;
    Ok(view.delete(&row(&order.id)).await?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New {
    identifiers: Vec<Asked>,
    not_before: Option<String>,
    not_after: Option<String>,
    profile: Option<String>,
    replaces: Option<String>,
}

impl New {
    fn identifiers(&self) -> Outcome<Vec<Identifier>> {
        if self.identifiers.is_empty() || self.identifiers.len() > IDENTIFIERS {
            let text = format!("an order has 1 to {IDENTIFIERS} identifiers");
            return Err(Problem::malformed(text).into());
        }
        let mut found = Vec::new();
        for asked in &self.identifiers {
            let identifier = asked.parse()?;
            if !found.contains(&identifier) {
                found.push(identifier);
            }
        }
        Ok(found)
    }
}

/// Refuses what no certificate of this role could have, name by name.
pub(super) fn allowed(identifiers: &[Identifier], policy: &Policy) -> Outcome<()> {
    let mut refused = Vec::new();
    for identifier in identifiers {
        let subject = Subject {
            names: vec![identifier.alt_name()],
            ..Subject::default()
        };
        let outcome = subject.limits().and_then(|()| subject.check(&policy.role));
        match outcome {
            Ok(()) => {}
            Err(Fault::Invalid(text)) => {
                let problem = Problem::new(Kind::RejectedIdentifier, text);
                refused.push((identifier.clone(), problem));
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Problem::of_parts(refused).into()),
    }
}

pub(super) async fn new(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let account = signed.account(directory)?;
    let asked: New = signed.read()?;
    if asked.not_before.is_some() || asked.not_after.is_some() {
        let text = "notBefore and notAfter cannot be asked for: the directory decides";
        return Err(Problem::malformed(text).into());
    }
    let identifiers = asked.identifiers()?;
    let policy = directory.policy(asked.profile.as_deref(), view).await?;
    allowed(&identifiers, &policy)?;
    if let Some(replaces) = &asked.replaces {
        renewal::replaceable(replaces, account, view).await?;
    }
    let now = ctx.now();
    Limit::NewOrders.check(&account.id, now, view).await?;
    limits::check_failures(&account.id, &identifiers, now, view).await?;
    let open = view.list(&format!("{OPEN}/{}", account.id)).await?;
    if open.len() >= OPEN_ORDERS {
        let text = "too many orders of this account are open";
        return Err(limits::limited(text, 60).into());
    }
    Limit::NewOrders.count(&account.id, now, view).await?;
    let proof = |identifier| Authorization::new(identifier, days(now, OPEN_DAYS), ctx.random);
    let order = Order {
        id: uuid_v4(ctx.random),
        account: account.id.clone(),
        directory: directory.id(),
        profile: asked.profile,
        authorizations: identifiers.iter().map(proof).collect(),
        expires: days(now, OPEN_DAYS),
        kept: days(now, OPEN_DAYS),
        replaces: asked.replaces,
        certificate: None,
    };
    order.store(now, view).await?;
    let about = row(&order.id);
    view.put_due(order.kept, &due_id(ctx.random), &about)
        .await?;
    account.clone().used(now, view).await?;
    Ok(order
        .show(directory, now)
        .status(StatusCode::CREATED.as_u16()))
}

pub(super) async fn read(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let order = Order::own(ctx, signed.account(directory)?, view).await?;
    signed.must_be_get()?;
    Ok(order.show(directory, ctx.now()))
}

/// RFC 8555, 7.1.2.1: those that are open.
pub(super) async fn list(
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let account = signed.account(directory)?;
    signed.must_be_get()?;
    let open = view.list(&format!("{OPEN}/{}", account.id)).await?;
    let urls: Vec<String> = open
        .iter()
        .map(|id| directory.url(&format!("order/{id}")))
        .collect();
    Ok(Reply::json(json!({ "orders": urls })).bare())
}

/// The certificate and one of its chains.
pub(super) async fn certificate(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let order = Order::own(ctx, signed.account(directory)?, view).await?;
    signed.must_be_get()?;
    let Some(certificate) = &order.certificate else {
        let text = "the order has no certificate yet";
        return Err(Problem::new(Kind::OrderNotReady, text).into());
    };
    let at = format!("{}/cert", order.url(directory));
    certificate::give(certificate, ctx.param("chain"), &at)
}
