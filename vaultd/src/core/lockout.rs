//! After a number of wrong passwords a name is locked for a while, whether there is such a user or
//! not, and then even the right password is refused.
//!
//! Promises: names are counted in their canonical spelling; attempts that run at the same time count
//! before they fail, so that no number of parallel guesses gets further than guesses one by one; a
//! lock outlives a restart (`locked`). Does not promise: that a restart keeps the counts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::token::plus;

const NAMES_MAX: usize = 100_000;

/// When a mount locks a name. Durations in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockoutRules {
    /// Wrong passwords in a row that lock a name.
    pub threshold: u32,
    /// How long it stays locked.
    pub duration: u64,
    /// The quiet time after which the count starts anew.
    pub counter_reset: u64,
    pub disable: bool,
}

impl Default for LockoutRules {
    fn default() -> LockoutRules {
        LockoutRules {
            threshold: 5,
            duration: 900,
            counter_reset: 900,
            disable: false,
        }
    }
}

/// A mount's number and a name.
pub type Key = (u64, String);

/// What is to be stored, or no longer, with the end of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Locked(Key, Timestamp),
    Unlocked(Key, Timestamp),
}

#[derive(Clone, Copy, Default)]
struct Tries {
    failed: u32,
    running: u32,
    locked_until: Option<Timestamp>,
    /// When the count starts anew.
    fresh_at: Timestamp,
}

impl Tries {
    fn over(&self, now: Timestamp) -> bool {
        self.running == 0 && !self.locked(now) && self.fresh_at <= now
    }

    fn locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|end| now < end)
    }

    /// The end of a lock that was stored and is over.
    fn renew(&mut self, now: Timestamp) -> Option<Timestamp> {
        let was_locked = self.locked_until.is_some_and(|end| end <= now);
        if was_locked || self.fresh_at <= now {
            self.failed = 0;
            return self.locked_until.take();
        }
        None
    }
}

/// Failed attempts by mount and name.
#[derive(Default)]
pub struct Lockouts {
    names: Mutex<HashMap<Key, Tries>>,
    /// Not stored yet.
    changes: Mutex<Vec<Change>>,
}

/// An attempt under way. Dropped without an outcome, it counts for nothing.
pub struct Attempt<'l> {
    lockouts: &'l Lockouts,
    key: Key,
    rules: LockoutRules,
    now: Timestamp,
}

impl Lockouts {
    fn names(&self) -> MutexGuard<'_, HashMap<Key, Tries>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Change) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push(change);
    }

    /// What was locked and unlocked since the last time, in order.
    pub fn take_changes(&self) -> Vec<Change> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *changes)
    }

    /// A lock of before a restart.
    pub fn restore(&self, key: Key, until: Timestamp) {
        let mut names = self.names();
        let tries = names.entry(key).or_default();
        tries.fresh_at = tries.fresh_at.max(until);
        tries.locked_until = tries.locked_until.max(Some(until));
    }

    /// Begins an attempt; `name` must be canonical. 403 if the name is locked, 429 if as many
    /// attempts as may still fail are under way.
    pub fn begin(
        &self,
        mount: u64,
        name: &str,
        rules: LockoutRules,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Fault> {
        self.admit((mount, name.to_owned()), rules, now, rules.threshold)
    }

    /// The same with any number of attempts at a time, for secrets too long to be guessed.
    pub fn begin_any(
        &self,
        mount: u64,
        name: &str,
        rules: LockoutRules,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Fault> {
        self.admit((mount, name.to_owned()), rules, now, u32::MAX)
    }

    fn admit(
        &self,
        key: Key,
        rules: LockoutRules,
        now: Timestamp,
        most: u32,
    ) -> Result<Attempt<'_>, Fault> {
        // Made only when it is admitted: dropping one ends an attempt.
        let attempt = |key| Attempt {
            lockouts: self,
            key,
            rules,
            now,
        };
        if rules.disable {
            return Ok(attempt(key));
        }
        let mut names = self.names();
        if names.len() >= NAMES_MAX && !names.contains_key(&key) {
            names.retain(|_, tries| !tries.over(now));
            if names.len() >= NAMES_MAX {
                return Err(Fault::Limited { retry_after: 60 });
            }
        }
        let tries = names.entry(key.clone()).or_default();
        if tries.locked(now) {
            return Err(Fault::Forbidden("permission denied".to_owned()));
        }
        if tries.running == 0
            && let Some(end) = tries.renew(now)
        {
            self.change(Change::Unlocked(key.clone(), end));
        }
        if tries.failed.saturating_add(tries.running) >= most {
            return Err(Fault::Limited { retry_after: 1 });
        }
        tries.running += 1;
        Ok(attempt(key))
    }

    /// Names that are locked now, sorted.
    pub fn locked(&self, now: Timestamp) -> Vec<Key> {
        let names = self.names();
        let locked = names.iter().filter(|(_, tries)| tries.locked(now));
        let mut locked: Vec<Key> = locked.map(|(key, _)| key.clone()).collect();
        locked.sort();
        locked
    }

    /// Forgets the failures of a name.
    pub fn unlock(&self, mount: u64, name: &str) {
        let key = (mount, name.to_owned());
        let mut names = self.names();
        let Some(tries) = names.get_mut(&key) else {
            return;
        };
        tries.failed = 0;
        if let Some(end) = tries.locked_until.take() {
            self.change(Change::Unlocked(key.clone(), end));
        }
        if tries.running == 0 {
            names.remove(&key);
        }
    }
}

impl Attempt<'_> {
    pub fn failed(self) {
        if self.rules.disable {
            return;
        }
        let mut names = self.lockouts.names();
        if let Some(tries) = names.get_mut(&self.key) {
            tries.failed = tries.failed.saturating_add(1);
            tries.fresh_at = plus(self.now, self.rules.counter_reset);
            if tries.failed >= self.rules.threshold && !tries.locked(self.now) {
                let end = plus(self.now, self.rules.duration);
                tries.locked_until = Some(end);
                self.lockouts.change(Change::Locked(self.key.clone(), end));
            }
        }
    }

    pub fn succeeded(self) {
        self.lockouts.unlock(self.key.0, &self.key.1);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.rules.disable {
            return;
        }
        let mut names = self.lockouts.names();
        if let Some(tries) = names.get_mut(&self.key) {
            tries.running = tries.running.saturating_sub(1);
            if tries.running == 0 && tries.failed == 0 {
                names.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use jiff::SignedDuration;

    fn begin(lockouts: &Lockouts, minutes: i64) -> Result<Attempt<'_>, Fault> {
        lockouts.begin(1, "alice", LockoutRules::default(), at(minutes))
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn fail(lockouts: &Lockouts, times: u32, minutes: i64) {
        for _ in 0..times {
            begin(lockouts, minutes).unwrap().failed();
        }
    }

    fn refused(lockouts: &Lockouts, minutes: i64) -> bool {
        matches!(begin(lockouts, minutes), Err(Fault::Forbidden(_)))
    }

    #[test]
    fn the_fifth_failure_locks_for_fifteen_minutes() {
        let lockouts = Lockouts::default();
        fail(&lockouts, 4, 0);
        assert!(!refused(&lockouts, 0));
        fail(&lockouts, 1, 0);
        assert!(refused(&lockouts, 14));
        assert_eq!(lockouts.locked(at(14)), [(1, "alice".to_owned())]);
        assert!(
            lockouts
                .begin(2, "alice", LockoutRules::default(), at(0))
                .is_ok()
        );
        assert!(!refused(&lockouts, 15));
        fail(&lockouts, 4, 15);
        assert!(!refused(&lockouts, 15));
    }

    #[test]
    fn success_or_an_operator_forgets_failures() {
        let lockouts = Lockouts::default();
        fail(&lockouts, 4, 0);
        begin(&lockouts, 0).unwrap().succeeded();
        fail(&lockouts, 4, 0);
        assert!(!refused(&lockouts, 0));
        fail(&lockouts, 1, 0);
        lockouts.unlock(1, "alice");
        assert!(!refused(&lockouts, 0));
        assert!(lockouts.names().is_empty());
    }

    #[test]
    fn attempts_at_once_are_no_more_than_attempts_in_turn() {
        let lockouts = Lockouts::default();
        let begun: Vec<_> = (0..100).filter_map(|_| begin(&lockouts, 0).ok()).collect();
        assert_eq!(begun.len(), 5);
        begun.into_iter().for_each(Attempt::failed);
        assert!(refused(&lockouts, 0));
    }

    #[test]
    fn locks_are_told_once_and_restored_ones_hold() {
        let lockouts = Lockouts::default();
        fail(&lockouts, 5, 0);
        let key = (1, "alice".to_owned());
        let locked = Change::Locked(key.clone(), at(15));
        assert_eq!(lockouts.take_changes(), [locked]);
        assert!(lockouts.take_changes().is_empty());
        let restarted = Lockouts::default();
        restarted.restore(key.clone(), at(15));
        assert!(refused(&restarted, 14));
        assert!(!refused(&restarted, 15));
        let over = [Change::Unlocked(key.clone(), at(15))];
        assert_eq!(restarted.take_changes(), over);
        lockouts.unlock(1, "alice");
        assert_eq!(lockouts.take_changes(), over);
        assert!(lockouts.names().is_empty());
    }

    #[test]
    fn long_secrets_may_be_tried_many_at_a_time_but_not_wrongly() {
        let lockouts = Lockouts::default();
        let begin = || lockouts.begin_any(1, "role", LockoutRules::default(), at(0));
        let attempts: Vec<_> = (0..20).map(|_| begin().unwrap()).collect();
        attempts.into_iter().for_each(Attempt::failed);
        assert!(matches!(begin(), Err(Fault::Forbidden(_))));
        assert_eq!(lockouts.take_changes().len(), 1);
    }

    #[test]
    fn a_mount_has_rules_of_its_own() {
        let lockouts = Lockouts::default();
        let strict = LockoutRules {
            threshold: 2,
            duration: 60,
            counter_reset: 600,
            disable: false,
        };
        let begin = |rules, minutes| lockouts.begin(1, "alice", rules, at(minutes));
        begin(strict, 0).unwrap().failed();
        // Not yet quiet for long enough.
        begin(strict, 9).unwrap().failed();
        assert!(begin(strict, 9).is_err());
        // The lock is over before the count would be.
        begin(strict, 10).unwrap().failed();
        begin(strict, 21).unwrap().failed();
        assert!(begin(strict, 21).is_ok(), "quiet for ten minutes");
        let off = LockoutRules {
            disable: true,
            ..strict
        };
        for _ in 0..10 {
            begin(off, 30).unwrap().failed();
        }
        assert!(lockouts.locked(at(30)).is_empty());
    }
}
