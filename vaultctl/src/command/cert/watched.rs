//! One certificate of the agent: when it is looked at again, and what is done then.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::certificate::install;
use crate::certificate::record::{Entry, Record, Records};
use crate::certificate::spec::Spec;
use crate::error::{Failure, Outcome};
use crate::session::Session;

/// After the first failure; doubled with each other one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Between two looks, also at what ends in no time.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// While the server is away or sealed.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// After certificates that nobody served: each try asks for another one.
const LONGEST_UNSERVED: Duration = Duration::from_secs(3600);

pub(super) struct Watched {
    pub(super) name: String,
    spec: Spec,
    pub(super) next: Instant,
    tries: u32,
    /// So much of the last third is not waited for, so that not all machines come at once; in 256ths of
    /// a tenth of it.
    hurry: u8,
}

impl Watched {
    pub(super) fn new(name: String, spec: Spec) -> Watched {
        let mut hurry = [0];
        // Without it all is well, too.
        let _ = getrandom::fill(&mut hurry);
        Watched {
            name,
            spec,
            next: Instant::now(),
            tries: 0,
            hurry: hurry[0],
        }
    }

    /// Looks after it, and says what was done or went wrong.
    pub(super) async fn look_after(
        &mut self,
        session: &Session,
        records: &Records,
        check_every: Duration,
    ) -> Outcome {
        let name = self.name.clone();
        let done = self.step(session, records).await;
        match &done {
            Ok(record) => {
                self.tries = 0;
                let due = self.due(record).map_or(check_every, until);
                self.next = Instant::now() + due.min(check_every).max(SHORTEST_PAUSE);
            }
            Err(failure) => {
                self.tries += 1;
                let longest = match failure {
                    Failure::NotServed { .. } => LONGEST_UNSERVED,
                    _ => LONGEST_PAUSE,
                };
                let pause = FIRST_PAUSE.saturating_mul(1 << (self.tries - 1).min(16));
                let pause = pause.min(longest);
                // A quarter more or less.
                let pause = pause * 3 / 4 + pause / 2 * u32::from(self.hurry) / 256;
                self.next = Instant::now() + pause;
                eprintln!("{name}: {failure}; again in {} s", pause.as_secs());
            }
        }
        done.map(drop)
    }

    /// A third of the life is left, or soon will be.
    fn due(&self, record: &Record) -> Option<Timestamp> {
        let (due, end) = (record.due()?, record.installed.as_ref()?.not_after);
        let third = end.as_second() - due.as_second();
        let early = third * i64::from(self.hurry) / 2_560;
        Timestamp::from_second(due.as_second() - early).ok()
    }

    async fn step(&self, session: &Session, records: &Records) -> Outcome<Record> {
        let mut entry = records.open(&self.name, Some(self.spec.clone()))?;
        match self.carry_out(session, &mut entry).await {
            Ok(()) => {
                if entry.record.failure.take().is_some() || entry.before.is_some() {
                    entry.save()?;
                }
                Ok(entry.record)
            }
            Err(failure) => {
                entry.failed(&failure.to_string());
                Err(failure)
            }
        }
    }

    async fn carry_out(&self, session: &Session, entry: &mut Entry) -> Outcome {
        if let Some(leaf) = install::keep(session, entry).await? {
            eprintln!(
                "{}: {} is in place until {}",
                self.name, leaf.serial, leaf.not_after
            );
            return Ok(());
        }
        let is_early = self
            .due(&entry.record)
            .is_some_and(|due| due <= Timestamp::now());
        let another = entry
            .before
            .as_ref()
            .is_some_and(|before| !before.is_same(&self.spec));
        if another || is_early {
            let leaf = install::renew(session, entry, false).await?;
            eprintln!(
                "{}: {} is in place until {}",
                self.name, leaf.serial, leaf.not_after
            );
            return Ok(());
        }
        install::see(entry).await
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
