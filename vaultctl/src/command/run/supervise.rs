//! `run` with something left to do when the command has ended: files to remove, output to mask, a
//! token to revoke.
//!
//! Promises: signals for this process reach the command; its exit code is ours, 128 and the number if
//! a signal ended it; what was made for it is gone when we end, whichever way it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::child::{self, Signals};
use super::files::Folder;
use super::mask::{Mask, Masking};
use super::terminal::Terminal;
use super::{Args, Prepared, as_start, inner, prepare};
use crate::command::login;
use crate::error::{Failure, Outcome, plain};
use crate::session::Session;

/// For what the command's own children still print when it has ended.
const REST: Duration = Duration::from_secs(2);

type Variables = BTreeMap<OsString, OsString>;

pub(super) async fn run(mut session: Session, args: &Args) -> Outcome {
    let mut signals = Signals::new()?;
    let prepared = tokio::select! {
        prepared = prepare(&mut session, args) => prepared.map_err(as_start),
        number = signals.next(false) => Err(child::interrupted(number)),
    };
    let session = args.revokes().then_some(session);
    let ended = match prepared {
        Ok(prepared) => supervise(args, prepared, &mut signals).await,
        Err(failure) => Err(failure),
    };
    if let Some(session) = session {
        login::give_back(&session).await;
    }
    ended
}

async fn supervise(args: &Args, prepared: Prepared, signals: &mut Signals) -> Outcome {
    let Prepared {
        mut environment,
        files,
        secrets,
    } = prepared;
    let folder = match files.is_empty() {
        true => None,
        false => {
            let (folder, paths) = Folder::with(&files).map_err(as_start)?;
            for ((name, _), path) in files.iter().zip(paths) {
                environment.replace(name, path.to_string_lossy().into_owned());
            }
            Some(folder)
        }
    };
    let variables = environment.into_vars();
    let ended = match args.mask {
        true => masked(args, &variables, &secrets, signals).await,
        false => {
            let mut child = child::spawn(child::command(&args.command)?.envs(&variables))?;
            Err(wait(&mut child, signals, None).await)
        }
    };
    drop(folder);
    ended
}

/// Until the command ends.
async fn wait(child: &mut Child, signals: &mut Signals, terminal: Option<&Terminal>) -> Failure {
    let mut resized = signal(SignalKind::window_change()).ok();
    let mut resized = async move || match &mut resized {
        Some(resized) => resized.recv().await,
        None => std::future::pending().await,
    };
    loop {
        let number = tokio::select! {
            status = child.wait() => return child::ended(status),
            _ = resized() => {
                terminal.inspect(|terminal| terminal.resize());
                continue;
            }
            // With a terminal of its own it does not see the keys of ours.
            number = signals.next(terminal.is_none()) => number,
        };
        child::send(child, number);
    }
}

async fn masked(
    args: &Args,
    variables: &Variables,
    secrets: &[(String, String)],
    signals: &mut Signals,
) -> Outcome {
    let (mask, short) = Mask::new(secrets);
    if !short.is_empty() {
        eprintln!("warning: too short to be masked: {}", short.join(", "));
    }
    let failed = |error| {
        as_start(plain(format!(
            "cannot pass on what the command prints: {error}"
        )))
    };
    let start = Start::prepare(args, variables).map_err(failed)??;
    let Start {
        mut command,
        terminal,
        output,
        errors,
    } = start;
    let mut child = child::spawn(&mut command)?;
    // Our copies of its ends would keep them open.
    drop(command);
    let mask = Arc::new(mask);
    let output = pass_on(output, std::io::stdout(), mask.clone());
    let errors = errors.map(|errors| pass_on(errors, std::io::stderr(), mask));
    let ended = wait(&mut child, signals, terminal.as_ref()).await;
    let mut passed = vec![output];
    passed.extend(errors);
    let mut trouble = None;
    let patience = Instant::now() + REST;
    for one in passed {
        if let Ok(Ok(Err(error))) = timeout_at(patience, one).await {
            trouble = Some(error);
        }
    }
    drop(terminal);
    Err(match (trouble, ended) {
        // Who reads our output has gone; the command was told so, in its way.
        (Some(error), ended) if error.kind() == ErrorKind::BrokenPipe => ended,
        // 128 and SIGPIPE: because nobody took the rest.
        (Some(error), Failure::Silent(0 | 141)) => {
            plain(format!("cannot pass on what the command prints: {error}"))
        }
        (_, ended) => ended,
    })
}

/// A command whose output comes here.
struct Start {
    command: Command,
    terminal: Option<Terminal>,
    output: File,
    errors: Option<File>,
}

impl Start {
    fn prepare(args: &Args, variables: &Variables) -> std::io::Result<Outcome<Start>> {
        if std::io::stdout().is_terminal() {
            return Start::on_terminal(args, variables);
        }
        let mut command = match child::command(&args.command) {
            Ok(command) => command,
            Err(failure) => return Ok(Err(failure)),
        };
        let (output, theirs) = std::io::pipe()?;
        let (errors, theirs_too) = std::io::pipe()?;
        command.envs(variables).stdout(theirs).stderr(theirs_too);
        Ok(Ok(Start {
            command,
            terminal: None,
            output: std::os::fd::OwnedFd::from(output).into(),
            errors: Some(std::os::fd::OwnedFd::from(errors).into()),
        }))
    }

    /// What is a terminal for us is one for the command.
    fn on_terminal(args: &Args, variables: &Variables) -> std::io::Result<Outcome<Start>> {
        let mut command = match inner::own_program() {
            Ok(command) => Command::from(command),
            Err(failure) => return Ok(Err(failure)),
        };
        command.args(["inner", "own-terminal", "--"]);
        command.args(&args.command).env_clear().envs(variables);
        let (terminal, theirs) = Terminal::open()?;
        if std::io::stdin().is_terminal() {
            command.stdin(theirs.try_clone()?);
        }
        let errors = match std::io::stderr().is_terminal() {
            true => {
                command.stderr(theirs.try_clone()?);
                None
            }
            false => {
                let (errors, theirs) = std::io::pipe()?;
                command.stderr(theirs);
                Some(std::os::fd::OwnedFd::from(errors).into())
            }
        };
        command.stdout(theirs);
        Ok(Ok(Start {
            command,
            output: terminal.output()?,
            terminal: Some(terminal),
            errors,
        }))
    }
}

/// Passes on masked what comes, on a thread of its own; says when it is over.
fn pass_on(
    from: File,
    to: impl Write + Send + 'static,
    mask: Arc<Mask>,
) -> oneshot::Receiver<std::io::Result<()>> {
    let (over, is_over) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody waits any more if this process is about to end.
        let _ = over.send(copy(from, to, &mask));
    });
    is_over
}

fn copy(mut from: File, mut to: impl Write, mask: &Mask) -> std::io::Result<()> {
    let mut masking = Masking::new(mask);
    let mut bytes = zeroize::Zeroizing::new([0; 16 * 1024]);
    loop {
        let count = match from.read(&mut bytes[..]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A terminal whose other side is closed says EIO.
            Err(_) => 0,
        };
        if count == 0 {
            to.write_all(&masking.finish())?;
            return to.flush();
        }
        to.write_all(&masking.pass(&bytes[..count]))?;
        to.flush()?;
    }
}
