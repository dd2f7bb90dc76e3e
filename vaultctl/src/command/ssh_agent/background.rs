//! An agent in the background: this program once more, which ends with its token or by a signal.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use crate::command::run::inner::own_program;
use crate::error::{Failure, Outcome, plain};

/// Starts it with the same words, and prints what it says once it listens.
pub(super) fn start() -> Outcome {
    let failed = |error| plain(format!("cannot start the agent: {error}"));
    let mut child = own_program()?
        .args(std::env::args_os().skip(1))
        .arg("--foreground")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut said = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut said).map_err(failed)?;
    }
    match child.try_wait().map_err(failed)? {
        None if !said.is_empty() => crate::output::stdout(said.as_bytes()),
        // It has said why.
        _ => {
            let status = child.wait().map_err(failed)?;
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Err(Failure::Silent(code.unwrap_or(1)))
        }
    }
}

/// Says where it listens, as ssh-agent does, and lets go of the terminal if somebody else waits there.
pub(super) fn tell(socket: &Path) -> Outcome {
    let (path, pid) = (socket.display(), std::process::id());
    let lines = format!(
        "SSH_AUTH_SOCK={path}; export SSH_AUTH_SOCK;\nSSH_AGENT_PID={pid}; export SSH_AGENT_PID;\necho Agent pid {pid};\n"
    );
    let told = || -> std::io::Result<()> {
        std::io::stdout().write_all(lines.as_bytes())?;
        std::io::stdout().flush()?;
        if rustix::process::setsid().is_ok() {
            // Who reads our output waits for its end.
            let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
            rustix::stdio::dup2_stdout(&null)?;
            rustix::stdio::dup2_stderr(&null)?;
        }
        Ok(())
    };
    told().map_err(|error| plain(format!("cannot say where the agent is: {error}")))
}
