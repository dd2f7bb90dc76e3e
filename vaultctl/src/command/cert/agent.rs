//! `cert agent`: watches certificates.
//!
//! Promises: each is renewed when a third of its life is left, or the server revoked or replaced it;
//! what is in place was seen to be served, or is what was there before; a server that is away or sealed
//! changes nothing here; what an agent began that was killed, the next one ends. With `--once` the exit
//! code says how it went.

use std::path::PathBuf;

use jiff::Timestamp;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::config::Config;
use super::metrics;
use super::watched::Watched;
use crate::args::Globals;
use crate::argv::Face;
use crate::error::{Failure, Outcome, plain};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to watch; read again at SIGHUP
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Look after each once, and end: for a timer
    #[arg(long)]
    once: bool,
    /// Only say whether the file is right
    #[arg(long)]
    check: bool,
}

struct Agent {
    config: Config,
    session: Session,
    watched: Vec<Watched>,
    /// The token is renewed from now on.
    is_logged_in: bool,
}

pub(crate) async fn run(globals: &Globals, face: Face, args: &Args) -> Outcome {
    let config = Config::read(&args.config)?;
    let mut agent = Agent::new(config, globals, face)?;
    if args.check {
        let names: Vec<&str> = agent.watched.iter().map(|one| one.name.as_str()).collect();
        return agent
            .session
            .out
            .done(&format!("Right: {}", names.join(", ")));
    }
    if args.once {
        return agent.pass().await;
    }
    let mut signals = Signals::new()?;
    loop {
        // Each failure was said, and is tried again.
        let _ = agent.pass().await;
        notify(&[NotifyState::Ready, NotifyState::Status(&agent.summary())]);
        let next = agent.watched.iter().map(|one| one.next).min();
        let next = next.unwrap_or_else(|| Instant::now() + agent.config.check_every);
        tokio::select! {
            () = sleep_until(next) => {}
            is_reload = signals.next() => match is_reload {
                true => agent.reread(args, globals, face),
                false => return Ok(()),
            },
        }
    }
}

impl Agent {
    fn new(config: Config, globals: &Globals, face: Face) -> Outcome<Agent> {
        let session = Session::open_as(globals, face, config.auth.clone())?;
        let watched = config.certificates.iter();
        Ok(Agent {
            watched: watched
                .map(|(name, spec)| Watched::new(name.clone(), spec.clone()))
                .collect(),
            config,
            session,
            is_logged_in: false,
        })
    }

    /// Looks after those whose time has come; the last failure.
    async fn pass(&mut self) -> Outcome {
        if !self.is_logged_in {
            self.is_logged_in = self.session.client.stay_logged_in().await.is_ok();
        }
        let mut failed: Option<Failure> = None;
        for one in &mut self.watched {
            if one.next > Instant::now() {
                continue;
            }
            let (records, every) = (&self.config.records, self.config.check_every);
            if let Err(failure) = one.look_after(&self.session, records, every).await {
                failed = Some(failure);
            }
        }
        if let Err(failure) = self.tell_metrics() {
            eprintln!("warning: {failure}");
        }
        failed.map_or(Ok(()), Err)
    }

    fn tell_metrics(&self) -> Outcome {
        let Some(path) = &self.config.metrics else {
            return Ok(());
        };
        let mut records = Vec::new();
        for one in &self.watched {
            records.push((one.name.clone(), self.config.records.read(&one.name)?));
        }
        metrics::write(path, &records, Timestamp::now())
    }

    /// For `systemctl status`.
    fn summary(&self) -> String {
        let failing = |one: &&Watched| {
            let record = self.config.records.read(&one.name).ok().flatten();
            record.is_none_or(|record| record.failure.is_some())
        };
        let names: Vec<&str> = self
            .watched
            .iter()
            .filter(failing)
            .map(|one| one.name.as_str())
            .collect();
        match names.is_empty() {
            true => format!("{} certificates, all well", self.watched.len()),
            false => format!("failing: {}", names.join(", ")),
        }
    }

    /// A file that is wrong changes nothing.
    fn reread(&mut self, args: &Args, globals: &Globals, face: Face) {
        let read = Config::read(&args.config);
        match read.and_then(|config| Agent::new(config, globals, face)) {
            Ok(agent) => {
                *self = agent;
                eprintln!("the configuration was read again");
            }
            Err(failure) => eprintln!("the configuration stays as it was: {failure}"),
        }
    }
}

/// Those that an agent obeys.
struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Outcome<Signals> {
        let listen = |kind| {
            signal(kind).map_err(|error| plain(format!("cannot listen for signals: {error}")))
        };
        Ok(Signals {
            hang_up: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Whether the next one asks for the configuration to be read again; else it is the end.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.hang_up.recv() => true,
            _ = self.interrupt.recv() => false,
            _ = self.terminate.recv() => false,
        }
    }
}

/// Nothing outside of systemd.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
