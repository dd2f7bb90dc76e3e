//! `run -s REF… -- COMMAND`: starts a command with secrets in its environment.
//!
//! Promises: the command replaces this process (execve), so its signals, exit code and terminal are
//! its own and no second process keeps the secrets; only with `--file`, `--mask`, `--revoke-on-exit`
//! and `--watch` this process stays and hands signals on. Names that change what other programs
//! load or run are refused; the token does not reach the command unless `--keep-token`.
//! Not promised: that the command keeps its environment to itself; on Linux, processes of the
//! same user can read it.
//!
//! Exit codes: the command's own; 125 when it was not started, 126 when it cannot be executed,
//! 127 when it was not found.

pub(crate) mod child;
pub(crate) mod dotenv;
pub(crate) mod environment;
pub(crate) mod fetch;
pub(crate) mod files;
pub(crate) mod inner;
pub(crate) mod kept;
mod mask;
mod supervise;
mod terminal;
mod versions;
pub(crate) mod wanted;
mod watch;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::command::login;
use crate::command::login::job::{self, Evidence};
use crate::error::{Failure, Outcome, local, plain};
use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::session::Session;
use environment::{Conflict, Environment};
use files::Wish;
use wanted::{Asked, Selection};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Write this value to a file in memory, and put its path into NAME; gone when the command ends
    #[arg(long, value_name = "NAME=REF", value_parser = files::wish)]
    file: Vec<Wish>,
    /// Log in as this role with the CI job's identity token, for this run alone
    #[arg(long, value_name = "ROLE")]
    ci_role: Option<String>,
    /// Where the jwt method is mounted
    #[arg(long, default_value = "jwt", value_name = "PATH")]
    ci_path: String,
    #[command(flatten)]
    evidence: Evidence,
    /// Also the [secrets] of this file: NAME = "MOUNT/PATH#KEY"
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The versions in the lock file beside the manifest [default: vault.toml], not the newest
    #[arg(long)]
    locked: bool,
    /// Write here which versions the command was given, signed by the server
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Look up values like vault://… in the environment, too
    #[arg(long)]
    resolve_env: bool,
    /// Set this name although it changes how programs run; once for each
    #[arg(long, value_name = "NAME")]
    allow_name: Vec<String>,
    /// Let the command have the token
    #[arg(long, alias = "pass-token")]
    keep_token: bool,
    /// Start from an empty environment
    #[arg(long)]
    pristine: bool,
    /// What to do about a name that is set already
    #[arg(long, value_enum, default_value_t = Conflict::Override)]
    on_conflict: Conflict,
    /// Show *** instead of secrets in what the command prints, also in base64, URL- and JSON-escaped
    #[arg(long)]
    mask: bool,
    /// Revoke the token when the command ends
    #[arg(long)]
    revoke_on_exit: bool,
    /// Stay, and restart the command when a secret changes, or send it a signal: signal:HUP
    #[arg(
        long,
        value_name = "restart|signal:NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "restart",
        conflicts_with_all = ["file", "mask", "revoke_on_exit", "ci_role", "locked", "receipt"]
    )]
    watch: Option<watch::Watch>,
    #[command(flatten)]
    kept: kept::Keep,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Args {
    /// Whether something is left to do when the command has ended.
    fn stays(&self) -> bool {
        let token = self.revoke_on_exit || (self.ci_role.is_some() && self.keep_token);
        self.mask || token || !self.file.is_empty()
    }

    /// Whether the token is of no use any more once the command has ended.
    fn revokes(&self) -> bool {
        self.revoke_on_exit || self.ci_role.is_some()
    }
}

pub(crate) async fn run(mut session: Session, args: Args) -> Outcome {
    args.kept
        .wait_for_unseal(&session)
        .await
        .map_err(as_start)?;
    if let Some(how) = args.watch {
        return watch::run(&session, &args, how).await;
    }
    if args.stays() {
        return supervise::run(session, &args).await;
    }
    let prepared = prepare(&mut session, &args).await.map_err(as_start);
    if args.revokes() {
        // The command does not get it: its work is done.
        login::give_back(&session).await;
    }
    let prepared = prepared?;
    drop(session);
    Err(start(&args.command, prepared.environment.into_vars()))
}

/// What the command is to get.
struct Prepared {
    environment: Environment,
    /// Names of variables, and what the files hold that they are to point to.
    files: Vec<(String, String)>,
    /// Everything that was read for it, under the names that it has there.
    secrets: Vec<(String, String)>,
}

/// The exit codes of docker, timeout and env: 125 means "not started".
pub(crate) fn as_start(failure: Failure) -> Failure {
    match failure {
        Failure::Local { what, next } | Failure::Remote { what, next } => Failure::Start {
            code: 125,
            what,
            next,
        },
        other => Failure::Start {
            code: 125,
            next: other.json()["next"].as_str().map(str::to_owned),
            what: other.to_string(),
        },
    }
}

/// Logs in if that is asked for, then reads.
async fn prepare(session: &mut Session, args: &Args) -> Outcome<Prepared> {
    if let Some(role) = &args.ci_role {
        job::become_job(session, &args.ci_path, role, &args.evidence).await?;
    }
    read(session, args).await
}

async fn read(session: &Session, args: &Args) -> Outcome<Prepared> {
    let inherited = if args.pristine {
        BTreeMap::new()
    } else {
        std::env::vars_os().collect()
    };
    let Asked {
        wanted,
        literals,
        resolved_names,
    } = asked(args)?;
    if wanted.is_empty() && literals.is_empty() && args.file.is_empty() {
        return Err(local(
            "no secret was asked for",
            "add -s MOUNT/PATH, --file NAME=REF, --manifest FILE, --env-file FILE or --resolve-env",
        ));
    }
    let references = wanted.iter().map(|w| &w.reference);
    let references = references.chain(args.file.iter().map(|wish| &wish.reference));
    let read = versions::read(session, args, references).await?;
    let data = |reference: &Reference| &read[&reference.path].data;
    let secrets: Vec<_> = wanted.iter().map(|w| data(&w.reference)).collect();
    args.selection.check_keys(&wanted, &secrets)?;

    let mut environment = Environment::new(inherited, args.on_conflict, args.allow_name.clone());
    environment.forget_conflicts_with(&resolved_names);
    match session.client.token() {
        Some(token) if args.keep_token && args.ci_role.is_some() => {
            environment.hand_over(token.expose(), session.client.addr());
        }
        _ if args.keep_token => {}
        _ => environment.strip_tokens(args.evidence.id_token_env.as_deref()),
    }
    for (name, value) in literals {
        environment.set(name, value);
    }
    let mut all = Vec::new();
    for (wanted, data) in wanted.iter().zip(secrets) {
        all.extend(args.selection.named_values(wanted, data)?);
    }
    for (name, value) in &all {
        environment.set(name.clone(), value.clone());
    }
    let mut files = Vec::new();
    for wish in &args.file {
        let value = environment::text(wish.reference.value_in(data(&wish.reference))?);
        environment.set(wish.name.clone(), String::new());
        files.push((wish.name.clone(), value));
    }
    environment.check()?;
    all.extend(files.iter().cloned());
    Ok(Prepared {
        environment,
        files,
        secrets: all,
    })
}

fn asked(args: &Args) -> Outcome<Asked> {
    let mut asked = args.selection.asked(args.resolve_env)?;
    if let Some(manifest) = versions::manifest(args) {
        asked.wanted.extend(Manifest::read(manifest)?.secrets);
    }
    Ok(asked)
}

/// Everything that the command depends on.
fn references(args: &Args) -> Outcome<Vec<Reference>> {
    Ok(asked(args)?
        .wanted
        .into_iter()
        .map(|w| w.reference)
        .collect())
}

/// Replaces this process; only a failure comes back.
fn start(words: &[OsString], variables: BTreeMap<OsString, OsString>) -> Failure {
    let Some((program, arguments)) = words.split_first() else {
        return as_start(plain("there is no command"));
    };
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .exec();
    not_started(program, &error)
}

fn not_started(program: &OsStr, error: &std::io::Error) -> Failure {
    let (code, next) = match error.kind() {
        std::io::ErrorKind::NotFound => (127, "check the name and PATH"),
        _ => (126, "check that it is a program and may be executed"),
    };
    Failure::Start {
        code,
        what: format!("cannot start {}: {error}", program.to_string_lossy()),
        next: Some(next.into()),
    }
}
