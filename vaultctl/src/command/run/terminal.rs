//! A terminal of the command's own between it and ours, so that it prints as it would to a person
//! while what it prints is masked.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// Our side. While it exists, keys go to the command as they are; then the terminal is as it was.
pub(super) struct Terminal {
    master: OwnedFd,
    before: Option<Termios>,
}

impl Terminal {
    /// Both sides; the second one is for the command.
    pub(super) fn open() -> std::io::Result<(Terminal, OwnedFd)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(ptsname(&master, Vec::new())?, flags, Mode::empty())?;
        if let Ok(settings) = tcgetattr(std::io::stdout()) {
            tcsetattr(&slave, OptionalActions::Now, &settings)?;
        }
        let mut terminal = Terminal {
            master,
            before: None,
        };
        terminal.resize();
        if std::io::stdin().is_terminal() {
            let before = tcgetattr(std::io::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)?;
            terminal.before = Some(before);
            terminal.pass_keys()?;
        }
        Ok((terminal, slave))
    }

    /// Gives the command's terminal the size of ours.
    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(std::io::stdout()) {
            // It may be gone already.
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// What the command prints.
    pub(super) fn output(&self) -> std::io::Result<File> {
        Ok(self.master.try_clone()?.into())
    }

    /// Ends with this process: nothing else wakes who waits for a key.
    fn pass_keys(&self) -> std::io::Result<()> {
        let mut master = File::from(self.master.try_clone()?);
        std::thread::spawn(move || {
            let mut keys = [0; 1024];
            while let Ok(count @ 1..) = std::io::stdin().lock().read(&mut keys) {
                if master.write_all(&keys[..count]).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
        }
    }
}
