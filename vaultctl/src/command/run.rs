//! `run -s REF… -- COMMAND`: starts a command with secrets in its environment.
//!
//! Promises: without `--watch` the command replaces this process (execve), so its signals, exit code and terminal
//! are its own and no second process keeps the secrets; names that change what other programs
//! load or run are refused; the token does not reach the command unless `--keep-token`.
//! Not promised: that the command keeps its environment to itself; on Linux, processes of the
//! same user can read it.
//!
//! Exit codes: the command's own; 125 when it was not started, 126 when it cannot be executed,
//! 127 when it was not found.

mod dotenv;
mod environment;
mod fetch;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value};

use super::key_value;
use crate::error::{Failure, Outcome, local, plain};
use crate::reference::Reference;
use crate::session::Session;
use environment::{Conflict, Environment};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// MOUNT/PATH (all its keys), MOUNT/PATH#KEY, or NAME=MOUNT/PATH#KEY; once for each
    #[arg(short, long = "secret", value_name = "REF")]
    secret: Vec<String>,
    /// Put this before every name
    #[arg(long, default_value = "")]
    prefix: String,
    /// Write every name in capitals
    #[arg(long)]
    upper: bool,
    /// Only these keys
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    only: Vec<String>,
    /// Call this key so; once for each
    #[arg(long, value_name = "KEY=NAME", value_parser = key_value)]
    map: Vec<(String, String)>,
    /// Also set these variables; values like vault://MOUNT/PATH#KEY are looked up
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
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
    /// Stay, and restart the command when a secret changes, or send it a signal: signal:HUP
    #[arg(
        long,
        value_name = "restart|signal:NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "restart"
    )]
    watch: Option<watch::Watch>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A wanted secret: a whole path, or one key under a chosen name.
struct Wanted {
    name: Option<String>,
    reference: Reference,
}

pub(crate) async fn run(session: Session, args: Args) -> Outcome {
    if let Some(how) = args.watch {
        return watch::run(&session, &args, how).await;
    }
    let environment = prepare(&session, &args).await.map_err(as_start)?;
    drop(session);
    Err(start(&args.command, environment))
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

async fn prepare(session: &Session, args: &Args) -> Outcome<Environment> {
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
    if wanted.is_empty() && literals.is_empty() {
        return Err(local(
            "no secret was asked for",
            "add -s MOUNT/PATH, --env-file FILE or --resolve-env",
        ));
    }
    let secrets = fetch::all(session, &wanted).await?;
    check_keys(args, &wanted, &secrets)?;
    let mut environment = Environment::new(inherited, args.on_conflict, args.allow_name.clone());
    environment.forget_conflicts_with(&resolved_names);
    if !args.keep_token {
        environment.strip_tokens();
    }
    for (name, value) in literals {
        environment.set(name, value);
    }
    for (wanted, data) in wanted.iter().zip(&secrets) {
        for (name, value) in named_values(args, wanted, data)? {
            environment.set(name, value);
        }
    }
    environment.check()?;
    Ok(environment)
}

/// What the arguments, files and variables ask for.
struct Asked {
    wanted: Vec<Wanted>,
    literals: Vec<(String, String)>,
    resolved_names: BTreeSet<String>,
}

fn asked(args: &Args) -> Outcome<Asked> {
    let mut wanted = args
        .secret
        .iter()
        .map(|text| wanted(text))
        .collect::<Outcome<Vec<_>>>()?;
    let mut literals = Vec::new();
    for path in &args.env_file {
        for (name, value) in dotenv::read(path)? {
            if Reference::is_marked(&value) {
                wanted.push(single(name, &value)?);
            } else {
                literals.push((name, value));
            }
        }
    }
    let mut resolved_names = BTreeSet::new();
    if args.resolve_env {
        // What is not UTF-8 is no reference of ours.
        let texts =
            std::env::vars_os().filter_map(|(k, v)| k.into_string().ok().zip(v.into_string().ok()));
        for (name, value) in texts.filter(|(_, value)| Reference::is_marked(value)) {
            resolved_names.insert(name.clone());
            wanted.push(single(name, &value)?);
        }
    }
    Ok(Asked {
        wanted,
        literals,
        resolved_names,
    })
}

/// Everything that the command depends on.
fn references(args: &Args) -> Outcome<Vec<Reference>> {
    let asked = asked(args)?;
    Ok(asked.wanted.into_iter().map(|w| w.reference).collect())
}

fn wanted(text: &str) -> Outcome<Wanted> {
    match text.split_once('=') {
        // `NAME=REF`; a key may hold a `=`, a name may not hold what paths have.
        Some((name, reference)) if !name.contains(['/', '#', ':']) => {
            single(name.to_owned(), reference)
        }
        _ => Ok(Wanted {
            name: None,
            reference: text.parse()?,
        }),
    }
}

fn single(name: String, text: &str) -> Outcome<Wanted> {
    let reference: Reference = text.parse()?;
    if reference.key.is_none() {
        return Err(local(
            format!("{name} needs one value, and {reference} is a whole secret"),
            format!("write {name}={reference}#KEY"),
        ));
    }
    Ok(Wanted {
        name: Some(name),
        reference,
    })
}

/// `--only` and `--map` name keys; one that no whole secret has is a slip of the pen.
fn check_keys(args: &Args, wanted: &[Wanted], secrets: &[Map<String, Value>]) -> Outcome {
    let whole = || {
        wanted
            .iter()
            .zip(secrets)
            .filter(|(w, _)| w.name.is_none())
            .map(|(_, data)| data)
    };
    let named = args.only.iter().chain(args.map.iter().map(|(key, _)| key));
    let lost: Vec<&str> = named
        .filter(|key| !whole().any(|data| data.contains_key(*key)))
        .map(String::as_str)
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let keys: BTreeSet<&str> = whole()
        .flat_map(|data| data.keys().map(String::as_str))
        .collect();
    let keys: Vec<_> = keys.into_iter().collect();
    Err(local(
        format!("no secret has the key {}", lost.join(", ")),
        format!("there are: {}", keys.join(", ")),
    ))
}

/// The variables that one wanted secret becomes.
fn named_values(
    args: &Args,
    wanted: &Wanted,
    data: &Map<String, Value>,
) -> Outcome<Vec<(String, String)>> {
    let keys: Vec<&String> = match &wanted.reference.key {
        Some(key) => {
            let (key, _) = data.get_key_value(key).ok_or_else(|| {
                let keys: Vec<_> = data.keys().map(String::as_str).collect();
                local(
                    format!("{} has no key {key}", wanted.reference.path),
                    format!("it has: {}", keys.join(", ")),
                )
            })?;
            vec![key]
        }
        None => data
            .keys()
            .filter(|key| args.only.is_empty() || args.only.contains(key))
            .collect(),
    };
    Ok(keys
        .into_iter()
        .map(|key| (name_of(args, wanted, key), environment::text(&data[key])))
        .collect())
}

/// A name is the key itself; it changes only where an option says so.
fn name_of(args: &Args, wanted: &Wanted, key: &str) -> String {
    if let Some(name) = &wanted.name {
        return name.clone();
    }
    let mapped = args
        .map
        .iter()
        .find(|(from, _)| from == key)
        .map(|(_, to)| to.clone());
    mapped.unwrap_or_else(|| {
        let name = format!("{}{key}", args.prefix);
        if args.upper {
            name.to_ascii_uppercase()
        } else {
            name
        }
    })
}

/// Replaces this process; only a failure comes back.
fn start(words: &[OsString], environment: Environment) -> Failure {
    let Some((program, arguments)) = words.split_first() else {
        return as_start(plain("there is no command"));
    };
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment.into_vars())
        .exec();
    not_started(program, &error)
}

fn not_started(program: &OsString, error: &std::io::Error) -> Failure {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_the_reference_and_needs_one_key() {
        let read = |t: &str| wanted(t).ok().map(|w| (w.name, w.reference.to_string()));
        assert_eq!(
            read("DB=secret/app#pw"),
            Some((Some("DB".into()), "secret/app#pw".into()))
        );
        assert_eq!(
            read("secret/app#a=b"),
            Some((None, "secret/app#a=b".into()))
        );
        assert_eq!(
            read("vault://secret/app"),
            Some((None, "secret/app".into()))
        );
        assert_eq!(read("DB=secret/app"), None);
    }
}
