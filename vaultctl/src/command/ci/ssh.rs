//! `ci ssh -- COMMAND`: a job in which git finds the right key for each repository.
//!
//! Promises: `git`, and what starts `ssh` as `GIT_SSH_COMMAND` or `RSYNC_RSH` says, logs in with the
//! managed key whose target is that host and repository, to hosts whose keys are pinned; where there is
//! none it fails. Nothing is written but sockets and known hosts, in a folder that goes with the job.
//! The configuration of ssh stays in force but for what decides about keys and hosts.
//!
//! Exit codes: as `run`.

mod control;
mod words;
pub(crate) mod wrapper;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use crate::command::run::as_start;
use crate::command::run::child::{self, Signals};
use crate::command::run::environment::Environment;
use crate::command::run::files::Folder;
use crate::command::run::inner::own_program;
use crate::command::ssh_agent::{Source, supervise};
use crate::error::Outcome;
use crate::session::Session;
use control::Control;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// This key, for all hosts that it is for [default: the key whose target fits]
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    #[command(flatten)]
    source: Source,
    /// The command and its arguments: git clone …, or ssh itself
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut signals = Signals::new()?;
    let opened = tokio::select! {
        opened = args.source.open(session) => opened.map_err(as_start),
        number = signals.next(false) => Err(child::interrupted(number)),
    };
    let ended = match opened {
        Ok(()) => serve(session, &args).await,
        Err(failure) => Err(failure),
    };
    args.source.close(session).await;
    ended
}

async fn serve(session: &Session, args: &Args) -> Outcome {
    let folder = Arc::new(Folder::for_sockets().map_err(as_start)?);
    let control = Control::new(session, args, folder.clone());
    let path = folder.path().join("control");
    let serving = control.start(&path).map_err(as_start)?;
    let wrapper = wrapper_words(&path).map_err(as_start)?;
    let mut environment = args.source.environment();
    set(&mut environment, &wrapper);
    let ended = supervise(&words(&args.command, &wrapper), &environment.into_vars()).await;
    serving.abort();
    // With it go the agents, before their folder.
    let _ = serving.await;
    ended
}

/// This program, as the `ssh` of the command.
fn wrapper_words(control: &Path) -> Outcome<Vec<OsString>> {
    let program = own_program()?.get_program().to_owned();
    let control = control.as_os_str().to_owned();
    Ok(vec![
        program,
        "inner".into(),
        "ssh".into(),
        control,
        "--".into(),
    ])
}

fn set(environment: &mut Environment, wrapper: &[OsString]) {
    let wrapper = wrapper.iter().map(|word| quoted(&word.to_string_lossy()));
    let wrapper = wrapper.collect::<Vec<_>>().join(" ");
    for (name, value) in [
        ("GIT_SSH_COMMAND", wrapper.as_str()),
        // By the name of the program git would not know which options it takes.
        ("GIT_SSH_VARIANT", "ssh"),
        ("RSYNC_RSH", &wrapper),
        // Its own SSH knows neither agents of one key nor our known hosts.
        ("CARGO_NET_GIT_FETCH_WITH_CLI", "true"),
    ] {
        environment.set(name.to_owned(), value.to_owned());
    }
}

/// `ssh` itself is started as git would start it.
fn words(command: &[OsString], wrapper: &[OsString]) -> Vec<OsString> {
    match command.split_first() {
        Some((program, rest)) if program == "ssh" => [wrapper, rest].concat(),
        _ => command.to_vec(),
    }
}

/// One word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
