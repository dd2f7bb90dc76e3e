//! What was committed lately and may be told, in the order of the commits. Bounded: who comes too late
//! is told so, and never gets a list with a gap.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

const BYTES_MAX: usize = 16 << 20;
/// About what an entry takes besides its path.
const ENTRY: usize = 96;

/// One change of one path. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Number of the mount.
    pub mount: u64,
    pub path: String,
    /// What was done, in the engine's word.
    pub what: &'static str,
    /// The newest version after it; 0 where there are none.
    pub version: u64,
}

/// Changes from some number on are no longer known.
#[derive(Debug, PartialEq, Eq)]
pub struct TooOld;

/// One for each unsealing.
pub struct Feed {
    recent: Mutex<Recent>,
    newest: watch::Sender<u64>,
}

struct Recent {
    changes: VecDeque<Change>,
    /// Number of the newest; the first is 1.
    newest: u64,
    bytes: usize,
    bytes_max: usize,
}

impl Default for Feed {
    fn default() -> Feed {
        Feed::with_capacity(BYTES_MAX)
    }
}

impl Feed {
    fn with_capacity(bytes_max: usize) -> Feed {
        Feed {
            recent: Mutex::new(Recent {
                changes: VecDeque::new(),
                newest: 0,
                bytes: 0,
                bytes_max,
            }),
            newest: watch::Sender::new(0),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the committer only, in its order, before it answers.
    pub(super) fn publish(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut recent = self.recent();
        for change in changes {
            recent.newest += 1;
            recent.bytes += ENTRY + change.path.len();
            recent.changes.push_back(change);
        }
        while recent.bytes > recent.bytes_max
            && let Some(oldest) = recent.changes.pop_front()
        {
            recent.bytes -= ENTRY + oldest.path.len();
        }
        self.newest.send_replace(recent.newest);
    }

    pub fn newest(&self) -> u64 {
        self.recent().newest
    }

    /// The changes behind a number, oldest first, at most so many, each with its own number.
    ///
    /// # Errors
    /// Some of them are no longer known, or the number was never given out.
    pub fn after(&self, number: u64, most: usize) -> Result<Vec<(u64, Change)>, TooOld> {
        let recent = self.recent();
        let known = recent.changes.len() as u64;
        let missing = recent.newest - known;
        let skip = number.checked_sub(missing).ok_or(TooOld)?;
        if number > recent.newest {
            return Err(TooOld);
        }
        let skip = usize::try_from(skip).map_err(|_| TooOld)?;
        let changes = recent.changes.iter().skip(skip).take(most).cloned();
        Ok((number + 1..).zip(changes).collect())
    }

    /// Returns when there is a change behind this number.
    pub async fn wait_past(&self, number: u64) {
        let mut newest = self.newest.subscribe();
        // The sender lives as long as the feed: this cannot fail.
        let _ = newest.wait_for(|newest| *newest > number).await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    fn change(version: u64) -> Change {
        Change {
            mount: 100,
            path: "a".to_owned(),
            what: "write",
            version,
        }
    }

    #[test]
    fn every_change_comes_once_in_order_or_the_reader_is_told() {
        let feed = Feed::with_capacity(3 * (ENTRY + 1));
        assert_eq!(feed.after(0, 10).unwrap(), []);
        assert_eq!(feed.after(1, 10), Err(TooOld));
        feed.publish(vec![change(1), change(2)]);
        feed.publish(vec![change(3)]);
        assert_eq!(feed.after(0, 2).unwrap(), [(1, change(1)), (2, change(2))]);
        assert_eq!(feed.after(2, 2).unwrap(), [(3, change(3))]);
        feed.publish(vec![change(4)]);
        assert_eq!(feed.after(0, 10), Err(TooOld));
        let numbers: Vec<u64> = feed.after(1, 10).unwrap().iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [2, 3, 4]);
        assert_eq!(feed.after(4, 10).unwrap(), []);
    }

    #[tokio::test]
    async fn a_waiter_wakes_for_what_came_before_it_waited() {
        let feed = Feed::default();
        feed.publish(vec![change(1)]);
        feed.wait_past(0).await;
        let waiting = feed.wait_past(1);
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("nothing came"),
            () = std::future::ready(()) => {}
        }
        feed.publish(vec![change(2)]);
        waiting.await;
    }
}
