//! Work outside that is due, of whichever engine.

use jiff::Timestamp;
use vault_crypto::Random;

use crate::barrier::View;
use crate::core::errand::{Means, Room};
use crate::core::fault::Fault;
use crate::core::mount::Kind;
use crate::engine::{acme, pki, sshkeys};

/// One thing to do outside.
pub enum Errand {
    Acme(Box<acme::Errand>),
    SshKeys(sshkeys::Errand),
    Pki(pki::Errand),
}

/// What came of it.
pub enum Done {
    Acme(Box<acme::Done>),
    SshKeys(sshkeys::Done),
    Pki(pki::Done),
}

/// Engines without work outside have none.
pub async fn due(
    kind: Kind,
    now: Timestamp,
    room: &Room<'_>,
    view: &mut View<'_>,
) -> Result<Vec<Errand>, Fault> {
    match kind {
        Kind::Acme => {
            let due = acme::due(now, room, view).await?;
            Ok(due.into_iter().map(Box::new).map(Errand::Acme).collect())
        }
        Kind::SshKeys => {
            let due = sshkeys::due(now, room, view).await?;
            Ok(due.into_iter().map(Errand::SshKeys).collect())
        }
        Kind::Pki => {
            let due = pki::due(now, room, view).await?;
            Ok(due.into_iter().map(Errand::Pki).collect())
        }
        _ => Ok(Vec::new()),
    }
}

impl Errand {
    /// What must not be touched by two at once, within the mount.
    pub fn lanes(&self) -> &[String] {
        match self {
            Errand::Acme(errand) => &errand.lanes,
            Errand::SshKeys(errand) => &errand.lanes,
            Errand::Pki(errand) => &errand.lanes,
        }
    }

    /// What it is about, for records.
    pub fn path(&self) -> String {
        match self {
            Errand::Acme(errand) => errand.path(),
            Errand::SshKeys(errand) => errand.path(),
            Errand::Pki(errand) => errand.path(),
        }
    }

    /// Somebody else sees it.
    pub fn is_outside(&self) -> bool {
        match self {
            Errand::Acme(errand) => errand.is_outside(),
            Errand::SshKeys(errand) => errand.is_outside(),
            Errand::Pki(_) => true,
        }
    }

    /// No transaction is open meanwhile.
    pub async fn carry_out(&self, means: &Means<'_>) -> Result<Done, Fault> {
        match self {
            Errand::Acme(errand) => {
                let done = Box::pin(errand.carry_out(means)).await?;
                Ok(Done::Acme(Box::new(done)))
            }
            Errand::SshKeys(errand) => errand.carry_out(means).await.map(Done::SshKeys),
            Errand::Pki(errand) => Ok(Done::Pki(errand.carry_out(means).await)),
        }
    }

    /// Stores what came of it. It may run several times.
    pub async fn settle(
        &self,
        done: &Done,
        now: Timestamp,
        random: &dyn Random,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        match (self, done) {
            (Errand::Acme(errand), Done::Acme(done)) => {
                Box::pin(acme::settle(errand, done, now, random, view)).await
            }
            (Errand::SshKeys(errand), Done::SshKeys(done)) => {
                sshkeys::settle(errand, done, now, random, view).await
            }
            (Errand::Pki(errand), Done::Pki(done)) => pki::settle(errand, done, now, view).await,
            _ => Err(Fault::Internal("an errand's outcome is another engine's")),
        }
    }
}

impl Done {
    /// Why it failed, in words that hold nothing secret.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Done::Acme(done) => done.failure(),
            Done::SshKeys(done) => done.failure(),
            Done::Pki(done) => done.failure(),
        }
    }
}
