//! `run --watch`: the command stays a child, and is restarted or signalled when its secrets change.
//!
//! Promises: signals for this process reach the command; its exit code is ours; while the server
//! cannot be reached, or a secret is missing, the command runs on as it is. Not promised: that a
//! signalled command sees new values in its environment, which nobody can change from outside; that
//! the token outlives its longest life: it is renewed for as long as the server agrees.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::time::{sleep, timeout};
use vault_sdk::{Event, Events};

use super::child::{self, Signals};
use super::{Args, as_start, read};
use crate::error::{Outcome, plain};
use crate::reference::Reference;
use crate::session::Session;

/// For one question about changes.
const WAIT: Duration = Duration::from_secs(30);
/// How often all is read if the server has no events.
const POLL: Duration = Duration::from_secs(30);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// What to do when a secret changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Watch {
    Restart,
    Signal(Signal),
}

impl FromStr for Watch {
    type Err = String;

    fn from_str(text: &str) -> Result<Watch, String> {
        if text == "restart" {
            return Ok(Watch::Restart);
        }
        let name = text.strip_prefix("signal:").unwrap_or_default();
        match name.strip_prefix("SIG").unwrap_or(name) {
            "HUP" => Ok(Watch::Signal(Signal::HUP)),
            "USR1" => Ok(Watch::Signal(Signal::USR1)),
            "USR2" => Ok(Watch::Signal(Signal::USR2)),
            "INT" => Ok(Watch::Signal(Signal::INT)),
            "TERM" => Ok(Watch::Signal(Signal::TERM)),
            _ => Err("write restart, or signal:HUP (USR1, USR2, INT, TERM)".to_owned()),
        }
    }
}

type Variables = BTreeMap<OsString, OsString>;

pub(super) async fn run(session: &Session, args: &Args, watch: Watch) -> Outcome {
    if let Err(failure) = session.client.stay_logged_in().await {
        eprintln!("warning: the token will not be renewed: {failure}");
    }
    tokio::spawn(warn_of_the_end(session.client.events()));
    // Before the first reading, so that no change is between the two.
    let mut cursor = session.client.changes_cursor().await.ok();
    let mut variables = variables(session, args).await.map_err(as_start)?;
    let references = super::references(args)?;
    let mut signals = Signals::new()?;
    let mut child = start(args, &variables)?;
    loop {
        let fresh = tokio::select! {
            status = child.wait() => return Err(child::ended(status)),
            number = signals.next(true) => {
                child::send(&child, number);
                continue;
            }
            fresh = changed(session, args, &references, &mut cursor, &variables) => fresh,
        };
        variables = fresh;
        match watch {
            Watch::Signal(number) => {
                eprintln!("run: the secrets changed: the command gets a signal");
                child::send(&child, number);
            }
            Watch::Restart => {
                eprintln!("run: the secrets changed: the command is restarted");
                stop(&mut child).await?;
                child = start(args, &variables)?;
            }
        }
    }
}

async fn variables(session: &Session, args: &Args) -> Outcome<Variables> {
    Ok(read(session, args).await?.environment.into_vars())
}

/// Once the token is gone, nothing is heard of changes any more.
async fn warn_of_the_end(mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            Event::Degraded { cause, .. } => {
                eprintln!("warning: the token could not be renewed: {cause}");
            }
            Event::Expired => eprintln!("warning: the token has ended: changes are not heard of"),
            _ => {}
        }
    }
}

/// Waits until the variables are other ones.
async fn changed(
    session: &Session,
    args: &Args,
    references: &[Reference],
    cursor: &mut Option<String>,
    known: &Variables,
) -> Variables {
    loop {
        if let Err(failure) = told(session, references, cursor).await {
            eprintln!("warning: changes are not heard of: {failure}");
            sleep(PAUSE).await;
            *cursor = session.client.changes_cursor().await.ok();
        }
        match variables(session, args).await {
            Ok(fresh) if fresh != *known => return fresh,
            Ok(_) => {}
            Err(failure) => {
                eprintln!("warning: the command keeps what it has: {failure}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Returns when one of the secrets may have changed.
async fn told(
    session: &Session,
    references: &[Reference],
    cursor: &mut Option<String>,
) -> Result<(), vault_sdk::Error> {
    let Some(at) = cursor.as_mut() else {
        sleep(POLL).await;
        return Ok(());
    };
    loop {
        let changes = session.client.changes(at, WAIT).await?;
        *at = changes.cursor;
        let ours = |event: &vault_sdk::Change| {
            references
                .iter()
                .any(|reference| event.concerns(&reference.path))
        };
        if changes.events.iter().any(ours) {
            return Ok(());
        }
    }
}

fn start(args: &Args, variables: &Variables) -> Outcome<Child> {
    child::spawn(child::command(&args.command)?.envs(variables))
}

async fn stop(child: &mut Child) -> Outcome {
    child::send(child, Signal::TERM);
    if timeout(GRACE, child.wait()).await.is_err() {
        eprintln!("run: the command does not end: it is killed");
        let killed = child.kill().await;
        return killed.map_err(|error| plain(format!("cannot end the command: {error}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_a_restart_or_a_signal() {
        assert_eq!("restart".parse(), Ok(Watch::Restart));
        assert_eq!("signal:HUP".parse(), Ok(Watch::Signal(Signal::HUP)));
        assert_eq!("signal:SIGUSR1".parse(), Ok(Watch::Signal(Signal::USR1)));
        for wrong in ["", "signal", "signal:KILL", "HUP"] {
            assert!(wrong.parse::<Watch>().is_err(), "{wrong}");
        }
    }
}
