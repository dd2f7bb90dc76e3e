//! `import`: files of values into secrets. First what would be done, then, if confirmed, it is done;
//! what is there already is left alone, so an import that was interrupted is simply run again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use super::{encrypt, kv};
use crate::encrypted_file::EncryptedFile;
use crate::error::{Failure, Outcome, file, local};
use crate::mount::{Located, locate};
use crate::progress::Progress;
use crate::prompt;
use crate::session::Session;
use crate::values_file::{self, Values};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// .env, JSON, YAML, made by `vaultctl encrypt`, SOPS or GPG (Blackbox); or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The secret, or with several files the folder, that they go to: MOUNT/PATH
    #[arg(long, value_name = "PATH")]
    to: Option<String>,
    /// Each top-level object of a file is a secret of its own, below --to
    #[arg(long)]
    split: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// One secret to be written.
struct Item {
    place: Located,
    values: Values,
    state: State,
}

enum State {
    New,
    Same,
    /// With the version that it replaces, and what becomes of its names.
    Changed(u64, Vec<String>),
    /// The token may not read what is there.
    Unknown,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let sources = sources(&args)?;
    let progress = Progress::bar("reading", sources.len() as u64);
    let mut items = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, values) in sources {
        let place = locate(session, None, &path).await?;
        if !seen.insert(place.plain()) {
            return Err(local(
                format!("two files are for {}", place.plain()),
                "rename one, or import them one by one with --to",
            ));
        }
        let state = state(session, &place, &values).await?;
        items.push(Item {
            place,
            values,
            state,
        });
        progress.step();
    }
    drop(progress);
    tell(session, &items)?;
    items.retain(|item| !matches!(item.state, State::Same));
    if args.dry_run || items.is_empty() {
        return Ok(());
    }
    let deed = format!("write {} secrets", items.len());
    prompt::confirm(session.yes, &deed, "yes")?;
    write(session, &items).await
}

/// Every secret's path with its values.
fn sources(args: &Args) -> Outcome<Vec<(String, Values)>> {
    let mut files = Vec::new();
    for path in &args.files {
        match path.is_dir() {
            true => walk(path, path, &mut files)?,
            false => files.push((path.clone(), stem(path))),
        }
    }
    let alone = files.len() == 1 && !args.files[0].is_dir();
    let mut found = Vec::new();
    for (path, name) in files {
        let values = values_file::read(&path)?;
        let below = |to: &str, name: &str| format!("{}/{name}", to.trim_matches('/'));
        match (values, args.to.as_deref()) {
            (Values::Encrypted(encrypted), _) => {
                found.push((
                    encrypted.recipient.path.clone(),
                    Values::Encrypted(encrypted),
                ));
            }
            (Values::Plain(_), None) => {
                return Err(local(
                    format!("where does {} go?", path.display()),
                    "say so: --to MOUNT/PATH",
                ));
            }
            (Values::Plain(values), Some(to)) if args.split => {
                let to = if alone {
                    to.to_owned()
                } else {
                    below(to, &name)
                };
                for (name, value) in values {
                    let Value::Object(values) = value else {
                        return Err(local(
                            format!("{}: {name} is no object", path.display()),
                            "leave --split out: then the file is one secret",
                        ));
                    };
                    found.push((below(&to, &name), Values::Plain(values)));
                }
            }
            (values, Some(to)) if alone => found.push((to.to_owned(), values)),
            (values, Some(to)) => found.push((below(to, &name), values)),
        }
    }
    Ok(found)
}

fn walk(top: &Path, folder: &Path, files: &mut Vec<(PathBuf, String)>) -> Outcome {
    let entries = std::fs::read_dir(folder).map_err(|e| file("read", folder, &e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name().is_some_and(|name| name != ".git") {
            walk(top, &path, files)?;
        } else if path.is_file() {
            let below = path.strip_prefix(top).unwrap_or(&path);
            let name = below.with_file_name(stem(&path)).display().to_string();
            files.push((path, name));
        }
    }
    Ok(())
}

/// A file's name without the endings that say its form.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut name = name.trim_start_matches('.');
    let endings = [
        ".gpg", ".asc", ".pgp", ".vault", ".enc", ".sops", ".json", ".yaml", ".yml", ".env",
    ];
    while let Some(rest) = endings.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = rest;
    }
    name.to_owned()
}

async fn state(session: &Session, place: &Located, values: &Values) -> Outcome<State> {
    if matches!(values, Values::Encrypted(_)) {
        place.needs_v2()?;
    }
    let current = match kv::current(session, place).await {
        Ok(Some(current)) => current,
        Ok(None) => return Ok(State::New),
        Err(Failure::Call(error)) if matches!(*error, vault_sdk::Error::Denied { .. }) => {
            return Ok(State::Unknown);
        }
        Err(failure) => return Err(failure),
    };
    let given = match values {
        Values::Plain(values) => values.clone(),
        Values::Encrypted(file) => match encrypt::opened(session, file).await {
            Ok(values) => values,
            Err(Failure::Call(error)) if matches!(*error, vault_sdk::Error::Denied { .. }) => {
                return Ok(State::Unknown);
            }
            Err(failure) => return Err(failure),
        },
    };
    let version = current.version;
    Ok(match compare(&current.values, &given) {
        changes if changes.is_empty() => State::Same,
        changes => State::Changed(version, changes),
    })
}

/// `+name`, `~name`, `-name`.
fn compare(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &&String| match (old.get(*name), new.get(*name)) {
        (None, _) => Some(format!("+{name}")),
        (_, None) => Some(format!("-{name}")),
        (old, new) if old != new => Some(format!("~{name}")),
        _ => None,
    };
    names.iter().filter_map(change).collect()
}

fn tell(session: &Session, items: &[Item]) -> Outcome {
    for item in items {
        let path = item.place.plain();
        let line = match &item.state {
            State::New => format!("new      {path}  {}", names(&item.values).join(" ")),
            State::Same => format!("same     {path}"),
            State::Changed(_, changes) => format!("changed  {path}  {}", changes.join(" ")),
            State::Unknown => format!(
                "unknown  {path}: you may not read what is there; it is written if it differs"
            ),
        };
        session.out.line(&line)?;
    }
    Ok(())
}

fn names(values: &Values) -> Vec<String> {
    let values = match values {
        Values::Plain(values) => values,
        Values::Encrypted(EncryptedFile { values, .. }) => values,
    };
    values.keys().map(|name| format!("+{name}")).collect()
}

async fn write(session: &Session, items: &[Item]) -> Outcome {
    let progress = Progress::bar("writing", items.len() as u64);
    for (done, item) in items.iter().enumerate() {
        let call = match item.place.version {
            2 => Call::post(item.place.data(), body(item)),
            _ => match &item.values {
                Values::Plain(values) => Call::post(item.place.data(), json!(values)),
                Values::Encrypted(_) => return item.place.needs_v2(),
            },
        };
        if let Err(failure) = session.send(call).await {
            return Err(Failure::Remote {
                what: format!("{}: {failure}", item.place.plain()),
                next: Some(format!(
                    "{done} of {} are written; run it again to go on with the rest",
                    items.len()
                )),
            });
        }
        progress.step();
    }
    drop(progress);
    session
        .out
        .done(&format!("{} secrets written", items.len()))
}

/// Written only over what was looked at, and not again if it is there.
fn body(item: &Item) -> Value {
    let mut options = json!({"unless_same": true});
    match item.state {
        State::New => options["cas"] = 0.into(),
        State::Changed(version, _) => options["cas"] = version.into(),
        State::Same | State::Unknown => {}
    }
    match &item.values {
        Values::Plain(values) => json!({"data": values, "options": options}),
        Values::Encrypted(file) => {
            options["encrypted"] = true.into();
            json!({"data": file.values, "options": options})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_lose_their_endings() {
        for (path, name) in [
            ("a/web.env", "web"),
            (".env", "env"),
            ("db.yaml.gpg", "db"),
            ("app.enc.json", "app"),
            ("v1.2.json", "v1.2"),
        ] {
            assert_eq!(stem(Path::new(path)), name);
        }
    }
}
