//! The engine's work between requests: which errands are due, and what is stored of each.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use vault_crypto::Random;

use super::account::{self, Account};
use super::cert::{self, Answer, BUSY, Cert, ChallengeKind, Order, Pair, Stage, Version};
use super::errand::{self, Done, Errand, Outcome, Task};
use super::name::Name;
use super::schedule;
use super::trouble::Trouble;
use crate::barrier::View;
use crate::core::errand::Room;
use crate::core::fault::Fault;

/// Before the authority is asked again whether it is done.
const POLL: SignedDuration = SignedDuration::from_secs(5);
/// An order that takes longer is given up.
const ORDER_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Records that could not be taken away so often are left.
const CLEAN_TRIES: u32 = 8;
/// After a failure to ask for a window: nothing hangs on it.
const ASK_LATER: Duration = Duration::from_secs(3600);

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(now)
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    later(now, SignedDuration::try_from(wait).unwrap_or(POLL))
}

/// What can be done now, about so much. The view's transaction is not to be committed. A certificate
/// that cannot be read is in nobody's way.
pub async fn due(
    now: Timestamp,
    room: &Room<'_>,
    view: &mut View<'_>,
) -> Result<Vec<Errand>, Fault> {
    let mut errands = Vec::new();
    for name in view.list(BUSY).await? {
        if errands.len() >= room.count {
            break;
        }
        let name = Name::parse(&name)?;
        if (room.is_taken)(&cert::row(&name)) {
            continue;
        }
        match of_one(&name, now, view).await {
            Ok(Some(errand)) if !errand.lanes.iter().any(|lane| (room.is_taken)(lane)) => {
                errands.push(errand);
            }
            Ok(_) => {}
            Err(fault) => {
                tracing::warn!(%fault, certificate = name.as_str(), "no errand: will be tried again");
            }
        }
    }
    Ok(errands)
}

async fn of_one(name: &Name, now: Timestamp, view: &mut View<'_>) -> Result<Option<Errand>, Fault> {
    match Cert::find(view, name).await? {
        Some(cert) => super::due::of_one(name, cert, now, view).await,
        None => Ok(None),
    }
}

/// Stores what came of an errand; nothing if the certificate has gone another way meanwhile.
pub async fn settle(
    errand: &Errand,
    done: &Done,
    now: Timestamp,
    random: &dyn Random,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let name = &errand.cert;
    let Some(mut cert) = Cert::find(view, name).await? else {
        return Ok(());
    };
    let is_same = match (errand.task.order(), &cert.order) {
        (Some(then), Some(order)) => then.url == order.url && then.stage == order.stage,
        (None, None) => true,
        // It says that something is missing for the order.
        (None, Some(_)) => matches!(errand.task, Task::Impossible(_)),
        (Some(_), None) => false,
    };
    if !is_same {
        return Ok(());
    }
    let mut step = Step {
        name,
        cert: &mut cert,
        now,
        random,
    };
    match (&errand.task, &done.0) {
        (_, Outcome::Failed(trouble)) => step.failed(&errand.task, trouble, view).await?,
        (Task::Register { account, .. }, Outcome::Registered(made)) => {
            if let Some(mut found) = Account::find(view, account).await?
                && found.id.is_none()
            {
                found.keep(made);
                found.store(view, account).await?;
                view.announce(&account::row(account), "registered", 0);
            }
        }
        (
            Task::Order {
                names,
                key_type,
                profile,
                ..
            },
            Outcome::Ordered(url, pending),
        ) => {
            let cert = &mut *step.cert;
            let is_asked =
                cert.names == *names && cert.key_type == *key_type && cert.profile == *profile;
            if is_asked && cert.wanted {
                view.put(&cert::pending_row(name), pending).await?;
                cert.order = Some(Order {
                    url: url.clone(),
                    stage: Stage::Answer,
                    began: now,
                    answers: Vec::new(),
                    challenge: cert.challenge,
                    dns: cert.dns.clone(),
                    clean_at: now,
                    clean_tries: 0,
                });
            }
        }
        (Task::Answer { .. }, Outcome::Answers(answers)) => step.show(answers, view).await?,
        (Task::Publish { .. }, Outcome::Over) => step.turn(Stage::Validate),
        (Task::Validate { .. }, Outcome::Over) => step.turn(Stage::Finish),
        (_, Outcome::Waiting) => step.wait(view).await?,
        (Task::Finish { .. }, Outcome::Issued(version, pair)) => {
            step.issued(version, pair, view).await?
        }
        (Task::Clean { .. }, Outcome::Over) => step.cert.order = None,
        (Task::Ask { version, .. }, Outcome::Window(window)) if *version == step.cert.current => {
            let cert = &mut *step.cert;
            cert.ask_at = window.map(|(_, again)| after(now, again));
            let window = window.map(|(window, _)| window);
            if window != cert.window {
                cert.window = window;
                cert.plan(now, random);
            }
            cert.wanted |= cert.renew_at.is_some_and(|at| at <= now);
        }
        _ => {}
    }
    cert.store(view, name, now).await
}

/// One step of one certificate.
struct Step<'s> {
    name: &'s Name,
    cert: &'s mut Cert,
    now: Timestamp,
    random: &'s dyn Random,
}

impl Step<'_> {
    fn turn(&mut self, stage: Stage) {
        if let Some(order) = &mut self.cert.order {
            order.stage = stage;
        }
    }

    async fn failed(
        &mut self,
        task: &Task,
        trouble: &Trouble,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        let cert = &mut *self.cert;
        if let Task::Ask { .. } = task {
            cert.ask_at = Some(after(self.now, ASK_LATER));
            return Ok(());
        }
        if let (Task::Clean { .. }, Some(order)) = (task, &mut cert.order) {
            order.clean_tries += 1;
            let pause = schedule::pause(trouble.kind, order.clean_tries, self.random);
            order.clean_at = later(self.now, pause);
            if order.clean_tries >= CLEAN_TRIES {
                let (name, cause) = (self.name.as_str(), &trouble.cause);
                tracing::warn!(
                    certificate = name,
                    cause,
                    "records of a proof are left in the DNS"
                );
                cert.order = None;
            }
            return Ok(());
        }
        if cert.failed(task.name(), trouble, self.now, self.random) {
            view.announce(&cert::row(self.name), "failed", cert.current);
        }
        match trouble.ends_order {
            true => self.give_up(view).await,
            false => Ok(()),
        }
    }

    /// Ends the order; the pause that is set already is for the next one, not for taking records away.
    async fn give_up(&mut self, view: &mut View<'_>) -> Result<(), Fault> {
        self.cert.end_order(view, self.name).await
    }

    /// The answers are there once this is committed.
    async fn show(&mut self, answers: &[Answer], view: &mut View<'_>) -> Result<(), Fault> {
        let Some(order) = &mut self.cert.order else {
            return Ok(());
        };
        for answer in answers {
            match order.challenge {
                ChallengeKind::Http => {
                    view.put(&cert::token_row(&answer.token), &answer.authorization)
                        .await?;
                }
                ChallengeKind::TlsAlpn => {
                    view.put(&cert::handshake_row(&answer.host), &answer.authorization)
                        .await?;
                }
                ChallengeKind::Dns => {}
            }
        }
        order.stage = errand::after_answers(order.challenge, answers);
        order.answers = answers.to_vec();
        Ok(())
    }

    async fn wait(&mut self, view: &mut View<'_>) -> Result<(), Fault> {
        let began = self
            .cert
            .order
            .as_ref()
            .map_or(self.now, |order| order.began);
        self.cert.next = later(self.now, POLL);
        if self.now.duration_since(began) > ORDER_MAX {
            let trouble = Trouble::passing(
                "the authority did not decide within a day",
                "nothing: a new order is made",
            );
            self.cert
                .failed("validate", &trouble, self.now, self.random);
            self.give_up(view).await?;
        }
        Ok(())
    }

    /// A new version, which readers get from now on.
    async fn issued(
        &mut self,
        version: &Version,
        pair: &Pair,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        let (name, now, cert) = (self.name, self.now, &mut *self.cert);
        cert.last += 1;
        cert.current = cert.last;
        view.put(&cert::pair_row(name, cert.last), pair).await?;
        cert.versions.insert(cert.last, version.clone());
        while cert.versions.len() > cert.max_versions {
            let Some((oldest, _)) = cert.versions.pop_first() else {
                break;
            };
            view.delete(&cert::pair_row(name, oldest)).await?;
        }
        cert.wanted = false;
        cert.failure = None;
        cert.window = None;
        cert.ask_at = Some(now);
        cert.next = now;
        cert.end_order(view, name).await?;
        cert.plan(now, self.random);
        view.announce(&cert::row(name), "obtained", cert.current);
        Ok(())
    }
}

/// The time of a renewal has come, or of a question for when it should.
pub async fn remind(about: &str, now: Timestamp, view: &mut View<'_>) -> Result<(), Fault> {
    let name = Name::parse(about)?;
    let Some(mut cert) = Cert::find(view, &name).await? else {
        return Ok(());
    };
    // A reminder of a plan that was changed since says nothing.
    if cert.renew_at.is_some_and(|at| at <= now) && !cert.is_busy() {
        cert.wanted = true;
        cert.next = now;
    }
    cert.store(view, &name, now).await
}
