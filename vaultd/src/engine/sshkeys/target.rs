//! Which versions of a key a target has, and what is to be done about each: a rotation is nothing but
//! a new version that is wanted there, and later an old one that is not.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::place::Place;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Target {
    pub place: Place,
    /// To be forgotten once no version is there.
    pub leaving: bool,
    /// By version.
    pub held: BTreeMap<u64, Held>,
}

/// What is to be done next with a version at a target. Each may be done again after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    /// Put it there, beside the others.
    Publish,
    /// Log in with it.
    Prove,
    /// Nothing: it was proved.
    Keep,
    /// Take it away.
    Remove,
    /// See that it is refused.
    Refuse,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Held {
    pub step: Step,
    pub since: Timestamp,
    /// When it last opened the target.
    pub proved: Option<Timestamp>,
    /// Not before then.
    pub next: Timestamp,
    /// Why the step is not done yet.
    pub failure: Option<Failure>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Failure {
    pub cause: String,
    /// What to do.
    pub hint: String,
    pub at: Timestamp,
    pub tries: u32,
}

/// Why a step failed, and what to do.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub(super) cause: String,
    pub(super) hint: String,
    /// It showed another key than those that are pinned; its fingerprint, as far as that is known.
    pub(super) changed_host: Option<(String, Option<String>)>,
}

impl Trouble {
    pub(super) fn new(cause: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble {
            cause: cause.into(),
            hint: hint.into(),
            changed_host: None,
        }
    }
}

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Step::Publish => "publish",
            Step::Prove => "prove",
            Step::Keep => "proved",
            Step::Remove => "remove",
            Step::Refuse => "refuse",
        }
    }

    /// The target accepts the version, or is about to.
    pub(super) fn is_wanted(self) -> bool {
        matches!(self, Step::Publish | Step::Prove | Step::Keep)
    }
}

impl Held {
    pub(super) fn to(step: Step, now: Timestamp) -> Held {
        Held {
            step,
            since: now,
            proved: None,
            next: now,
            failure: None,
        }
    }

    pub(super) fn turn(&mut self, step: Step, now: Timestamp) {
        if self.step != step {
            *self = Held {
                proved: self.proved,
                ..Held::to(step, now)
            };
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.step != Step::Keep && self.next <= now
    }

    /// True if that is news.
    pub(super) fn failed(&mut self, trouble: &Trouble, now: Timestamp) -> bool {
        let before = self.failure.take();
        let is_news = before
            .as_ref()
            .is_none_or(|before| before.cause != trouble.cause);
        let tries = before.map_or(1, |before| before.tries.saturating_add(1));
        let pause = 1_i64 << tries.saturating_sub(1).min(PAUSE_DOUBLES);
        self.next = now
            .saturating_add(SignedDuration::from_secs(pause))
            .unwrap_or(now);
        self.failure = Some(Failure {
            cause: trouble.cause.clone(),
            hint: trouble.hint.clone(),
            at: now,
            tries,
        });
        is_news
    }
}

/// Up to four minutes between two tries.
const PAUSE_DOUBLES: u32 = 8;

impl Target {
    pub(super) fn new(place: Place) -> Target {
        Target {
            place,
            leaving: false,
            held: BTreeMap::new(),
        }
    }

    /// No version is wanted here any more.
    pub(super) fn empty(&mut self, now: Timestamp) {
        for held in self.held.values_mut() {
            if held.step.is_wanted() {
                held.turn(Step::Remove, now);
            }
        }
    }

    pub(super) fn has_proved(&self, version: u64) -> bool {
        self.held
            .get(&version)
            .is_some_and(|held| held.step == Step::Keep)
    }
}
