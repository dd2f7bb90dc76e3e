//! The way from one version to the next, as stored. A key is moved on by [`Key::advance`], which looks at
//! its targets and readers and never outside; what is done outside is one [`super::errand`] after another.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::readers::{Reader, Readers};
use super::settings::Settings;
use super::target::{Held, Step};

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Rotation {
    /// Goes in the end.
    pub old: u64,
    /// Stays; 0 until it is made.
    pub new: u64,
    pub stage: Stage,
    pub began: Timestamp,
    /// When readers were given the new version.
    pub switched: Option<Timestamp>,
    /// Nobody is waited for.
    pub emergency: bool,
    /// It was rolled back: the new version is the one from before.
    pub is_back: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// The new version is to be made.
    Planned,
    /// It is put to every target and proved there.
    Publishing,
    /// Readers get it; the old one is good until they have it.
    Draining,
    /// The old one is taken away, and shown to be refused.
    Removing,
}

impl Stage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Planned => "planned",
            Stage::Publishing => "publishing",
            Stage::Draining => "draining",
            Stage::Removing => "removing",
        }
    }
}

/// What happened, for subscribers: a word, and the version that it is about.
pub(super) type News = Vec<(&'static str, u64)>;

/// What decides whether readers are still waited for.
pub(super) struct Waiting<'a> {
    pub readers: &'a Readers,
    pub settings: &'a Settings,
    pub now: Timestamp,
}

fn later(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

impl Rotation {
    pub(super) fn planned(old: u64, emergency: bool, now: Timestamp) -> Rotation {
        Rotation {
            old,
            new: 0,
            stage: Stage::Planned,
            began: now,
            switched: None,
            emergency,
            is_back: false,
        }
    }
}

impl Key {
    /// When the old version goes whoever still has it.
    pub(super) fn drain_ends(&self, settings: &Settings) -> Option<Timestamp> {
        let switched = self.rotation.as_ref()?.switched?;
        Some(later(switched, self.grace.unwrap_or(settings.grace)))
    }

    fn is_drained(&self, rotation: &Rotation, waiting: &Waiting<'_>) -> bool {
        let (Some(switched), Some(end)) = (rotation.switched, self.drain_ends(waiting.settings))
        else {
            return false;
        };
        let readers = &waiting.readers.seen;
        let old = self.versions.get(&rotation.old);
        let is_foreign = old.is_some_and(|old| old.is_foreign);
        let has_it = |reader: &Reader| reader.version == rotation.old;
        let nobody_has_it = !is_foreign && !readers.values().any(has_it);
        let none_on_the_way =
            readers.is_empty() || waiting.now >= later(switched, waiting.settings.linger);
        rotation.emergency || waiting.now >= end || nobody_has_it && none_on_the_way
    }

    /// Goes on as far as targets, readers and time allow. Versions that are nowhere any more are
    /// returned, to be dropped.
    pub(super) fn advance(&mut self, waiting: &Waiting<'_>) -> (News, Vec<u64>) {
        let (mut news, now) = (News::new(), waiting.now);
        while let Some(mut rotation) = self.rotation.clone() {
            let staying = || self.targets.values().filter(|target| !target.leaving);
            match rotation.stage {
                Stage::Publishing if staying().all(|target| target.has_proved(rotation.new)) => {
                    rotation.stage = Stage::Draining;
                    rotation.switched = Some(now);
                    self.current = rotation.new;
                    news.push(("switched", rotation.new));
                }
                Stage::Draining if self.is_drained(&rotation, waiting) => {
                    rotation.stage = Stage::Removing;
                    self.unwant(rotation.old, now);
                }
                Stage::Removing if self.is_nowhere(rotation.old) => {
                    let word = if rotation.is_back {
                        "rolled-back"
                    } else {
                        "rotated"
                    };
                    news.push((word, rotation.new));
                    self.rotation = None;
                    self.plan(waiting.settings, now);
                    continue;
                }
                _ => break,
            }
            self.rotation = Some(rotation);
        }
        let gone = |target: &super::target::Target| target.leaving && target.held.is_empty();
        self.targets.retain(|_, target| !gone(target));
        let in_use = |version: &u64| {
            let rotation = self.rotation.as_ref();
            let rotates = rotation.is_some_and(|r| [r.old, r.new].contains(version));
            rotates || *version == self.current && !self.retired
        };
        let dropped: Vec<u64> = self.versions.keys().copied().collect();
        let dropped = dropped
            .into_iter()
            .filter(|version| !in_use(version) && self.is_nowhere(*version));
        let dropped: Vec<u64> = dropped.collect();
        if self.retired && !dropped.is_empty() && dropped.len() == self.versions.len() {
            news.push(("retired", self.current));
        }
        (news, dropped)
    }

    fn is_nowhere(&self, version: u64) -> bool {
        let targets = self.targets.values();
        targets
            .into_iter()
            .all(|target| !target.held.contains_key(&version))
    }

    /// No target is to have this version any more.
    pub(super) fn unwant(&mut self, version: u64, now: Timestamp) {
        for target in self.targets.values_mut() {
            if let Some(held) = target.held.get_mut(&version)
                && held.step.is_wanted()
            {
                held.turn(Step::Remove, now);
            }
        }
    }

    /// Every target is to have this version.
    pub(super) fn want(&mut self, version: u64, now: Timestamp) {
        for target in self.targets.values_mut().filter(|target| !target.leaving) {
            let held = target.held.entry(version);
            held.or_insert_with(|| Held::to(Step::Publish, now));
        }
    }

    /// The next rotation, from now on.
    pub(super) fn plan(&mut self, settings: &Settings, now: Timestamp) {
        let period = self.rotation_period(settings);
        self.rotates_at = (period > 0 && !self.retired).then(|| later(now, period));
        self.planned = true;
    }

    /// Something is under way, or failed.
    pub(super) fn is_busy(&self) -> bool {
        let mut held = self
            .targets
            .values()
            .flat_map(|target| target.held.values());
        self.rotation.is_some() || held.any(|held| held.step != Step::Keep)
    }

    /// What failed is tried again at once.
    pub(super) fn try_now(&mut self, now: Timestamp) {
        for held in self.targets.values_mut().flat_map(|t| t.held.values_mut()) {
            held.next = now;
        }
    }
}
