//! The command as a child: the signals that are handed on to it, and the code that it ends with.

use std::ffi::OsString;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::{as_start, not_started};
use crate::error::{Failure, Outcome, plain};

/// The command with nothing but these variables.
pub(crate) fn command(words: &[OsString]) -> Outcome<Command> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| as_start(plain("there is no command")))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    Ok(command)
}

pub(crate) fn spawn(command: &mut Command) -> Outcome<Child> {
    command.spawn().map_err(|error| {
        let program = command.as_std().get_program().to_owned();
        not_started(&program, &error)
    })
}

pub(crate) fn send(child: &Child, number: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may have ended already.
        let _ = kill_process(pid, number);
    }
}

/// The command's own code; 128 and the number of the signal that ended it.
pub(crate) fn ended(status: std::io::Result<ExitStatus>) -> Failure {
    use std::os::unix::process::ExitStatusExt;
    let code = match status {
        Err(error) => return plain(format!("cannot wait for the command: {error}")),
        Ok(status) => status
            .code()
            .or_else(|| status.signal().map(|number| 128 + number)),
    };
    Failure::Silent(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Until it ends; signals for this process are its own.
pub(crate) async fn wait(child: &mut Child, signals: &mut Signals) -> Failure {
    loop {
        let number = tokio::select! {
            status = child.wait() => return ended(status),
            number = signals.next(true) => number,
        };
        send(child, number);
    }
}

/// What a signal before the start of the command ends with.
pub(crate) fn interrupted(number: Signal) -> Failure {
    Failure::Silent(u8::try_from(128 + number.as_raw()).unwrap_or(1))
}

/// Those that are handed on.
pub(crate) struct Signals {
    hang_up: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    user1: tokio::signal::unix::Signal,
    user2: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn new() -> Outcome<Signals> {
        let listen = |kind| {
            signal(kind).map_err(|error| plain(format!("cannot listen for signals: {error}")))
        };
        Ok(Signals {
            hang_up: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            quit: listen(SignalKind::quit())?,
            terminate: listen(SignalKind::terminate())?,
            user1: listen(SignalKind::user_defined1())?,
            user2: listen(SignalKind::user_defined2())?,
        })
    }

    /// The next one. With `own_keys`, keys of our terminal reach the command without us.
    pub(crate) async fn next(&mut self, own_keys: bool) -> Signal {
        use std::io::IsTerminal;
        loop {
            let number = self.any().await;
            let from_keys = matches!(number, Signal::INT | Signal::QUIT);
            if !(own_keys && from_keys && std::io::stdin().is_terminal()) {
                return number;
            }
        }
    }

    async fn any(&mut self) -> Signal {
        tokio::select! {
            _ = self.hang_up.recv() => Signal::HUP,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.quit.recv() => Signal::QUIT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.user1.recv() => Signal::USR1,
            _ = self.user2.recv() => Signal::USR2,
        }
    }
}
