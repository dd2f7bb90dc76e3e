//! What `run` starts this program again for. Not for people.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command as Process;

use super::{as_start, files, start};
use crate::error::{Outcome, plain};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Remove a folder when stdin ends
    Sweep { folder: PathBuf },
    /// Become ssh, with the agent that the process at the socket opens
    Ssh {
        control: PathBuf,
        #[arg(last = true)]
        words: Vec<OsString>,
    },
    /// Take the terminal at stdout as one's own, and become a command
    OwnTerminal {
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

pub(crate) fn run(command: Command) -> Outcome {
    match command {
        Command::Sweep { folder } => files::sweep(&folder),
        Command::Ssh { control, words } => crate::command::ci::ssh::wrapper::run(&control, &words),
        Command::OwnTerminal { command } => {
            let taken = rustix::process::setsid()
                .and_then(|_| rustix::process::ioctl_tiocsctty(std::io::stdout()));
            taken.map_err(|error| as_start(plain(format!("cannot take the terminal: {error}"))))?;
            Err(start(&command, std::env::vars_os().collect()))
        }
    }
}

pub(crate) fn own_program() -> Outcome<Process> {
    let program = std::env::current_exe()
        .map_err(|error| plain(format!("cannot find this program again: {error}")))?;
    Ok(Process::new(program))
}
