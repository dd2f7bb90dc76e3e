//! The server's work between requests: checks that are due, and what is stored of each.

use jiff::Timestamp;

use super::account::{self, Account};
use super::authorization::{self, Method};
use super::check::{Check, Failed};
use super::directory::Directory;
use super::order::{self, BUSY, Order};
use super::problem::{Kind, Problem, Refusal};
use super::{FOLDER, certificate, limits};
use crate::barrier::View;
use crate::core::errand::{Means, Room};
use crate::core::fault::Fault;
use crate::outbound::{Guarded, Networks, Resolver};

/// Checks of one mount at a time: who lets them wait must not keep others from theirs, or other engines
/// from their work.
const AT_ONCE: usize = 6;
/// And of one account, so that another one's turn always comes.
const OF_ACCOUNT: usize = 3;

/// One check of one challenge.
pub struct Errand {
    order: String,
    number: usize,
    method: Method,
    deed: Deed,
    /// What must not be touched by two at once.
    pub lanes: Vec<String>,
}

enum Deed {
    /// What it would need is not there.
    Impossible(Problem),
    Check(Box<Plan>),
}

/// A check but for what only the errand has.
struct Plan {
    identifier: super::identifier::Identifier,
    token: String,
    thumbprint: String,
    networks: Networks,
    settings: super::settings::Settings,
}

/// What came of it.
pub struct Done(Result<(), Failed>);

impl Done {
    pub fn failure(&self) -> Option<&str> {
        self.0.as_ref().err().map(|failed| failed.problem.detail())
    }
}

/// What can be done now. The view's transaction is not to be committed.
pub async fn due(
    now: Timestamp,
    room: &Room<'_>,
    view: &mut View<'_>,
) -> Result<Vec<Errand>, Fault> {
    let slots = (0..AT_ONCE).map(|slot| format!("acme/slot/{slot}"));
    let mut slots = slots.filter(|slot| !(room.is_taken)(slot));
    let mut errands: Vec<Errand> = Vec::new();
    for id in view.list(BUSY).await? {
        let Some(order) = Order::get(&id, view).await? else {
            continue;
        };
        for (number, found) in order.authorizations.iter().enumerate() {
            let lane = format!("acme/{}", authorization::id(&id, number));
            let Some(challenge) = found.due(now).filter(|_| !(room.is_taken)(&lane)) else {
                continue;
            };
            let own = (0..OF_ACCOUNT).map(|own| format!("acme/of/{}/{own}", order.account));
            let mut own = own.filter(|own| {
                let is_given = |errand: &Errand| errand.lanes.contains(own);
                !(room.is_taken)(own) && !errands.iter().any(is_given)
            });
            let Some(own) = own.next() else {
                break;
            };
            let (true, Some(slot)) = (errands.len() < room.count, slots.next()) else {
                return Ok(errands);
            };
            let deed = match plan(&order, number, &challenge.token, view).await {
                Ok(plan) => Deed::Check(Box::new(plan)),
                Err(Refusal::Problem(problem)) => Deed::Impossible(problem),
                Err(Refusal::Fault(fault)) => return Err(fault),
            };
            errands.push(Errand {
                order: id.clone(),
                number,
                method: challenge.method,
                deed,
                lanes: vec![lane, slot, own],
            });
        }
    }
    Ok(errands)
}

async fn plan(
    order: &Order,
    number: usize,
    token: &str,
    view: &mut View<'_>,
) -> Result<Plan, Refusal> {
    let directory = Directory::named(&order.directory, view).await?;
    let policy = directory.policy(order.profile.as_deref(), view).await?;
    let account = Account::get(&order.account, view).await?;
    let gone = || Problem::new(Kind::AccountDoesNotExist, "the account is gone");
    let account = account.ok_or_else(gone)?;
    account.may_act(&directory)?;
    Ok(Plan {
        identifier: order.authorizations[number].identifier.clone(),
        token: token.to_owned(),
        thumbprint: account.key()?.thumbprint(),
        networks: Networks {
            allowed: policy.networks,
        },
        settings: directory.settings,
    })
}

impl Errand {
    pub fn path(&self) -> String {
        let id = authorization::id(&self.order, self.number);
        format!("acme/challenge/{id}/{}", self.method.name())
    }

    /// No transaction is open meanwhile.
    pub async fn carry_out(&self, means: &Means<'_>) -> Done {
        let plan = match &self.deed {
            Deed::Check(plan) => plan,
            Deed::Impossible(problem) => {
                return Done(Err(Failed {
                    problem: problem.clone(),
                    again: false,
                }));
            }
        };
        let check = Check {
            method: self.method,
            identifier: plan.identifier.proved(),
            key_authorization: format!("{}.{}", plan.token, plan.thumbprint),
            token: plan.token.clone(),
            guarded: Guarded {
                resolver: Resolver {
                    server: plan.settings.resolver(),
                    random: std::sync::Arc::clone(means.random),
                },
                networks: plan.networks.clone(),
            },
            http_port: plan.settings.http_port,
            tls_port: plan.settings.tls_port,
        };
        Done(check.run().await)
    }
}

/// Stores what came of a check; nothing if it is no longer asked for.
pub async fn settle(
    errand: &Errand,
    done: &Done,
    now: Timestamp,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let Some(mut order) = Order::get(&errand.order, view).await? else {
        return Ok(());
    };
    let Some(found) = order.authorizations.get_mut(errand.number) else {
        return Ok(());
    };
    let again = done.0.as_ref().err().is_some_and(|failed| failed.again);
    let outcome = match &done.0 {
        Ok(()) => Ok(()),
        Err(failed) => Err(failed.problem.clone()),
    };
    let is_final = found.checked(errand.method, &outcome, again, now);
    if is_final && outcome.is_err() {
        let identifier = found.identifier.clone();
        limits::count_failure(&order.account, &identifier, now, view).await?;
    }
    order.store(now, view).await
}

/// The time came that a row of the server's asked to be reminded of.
pub async fn remind(about: &str, now: Timestamp, view: &mut View<'_>) -> Result<(), Fault> {
    let below = about.strip_prefix(FOLDER).unwrap_or_default();
    match below.trim_start_matches('/').split_once('/') {
        Some(("account", id)) => account::remind(id, now, view).await,
        Some(("order", id)) => order::remind(id, now, view).await,
        Some(("issued", serial)) => certificate::Owner::remind(serial, now, view).await,
        _ => Ok(()),
    }
}
