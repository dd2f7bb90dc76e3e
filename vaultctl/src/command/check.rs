//! `check`: whether all that a job refers to may be read by it, without reading any of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vault_sdk::Call;

use super::inject;
use super::run::wanted::Selection;
use crate::error::{Failure, Outcome, local};
use crate::manifest::{Manifest, USUAL};
use crate::mount::locate;
use crate::output::Format;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Also what this template refers to; once for each
    #[arg(long, value_name = "FILE")]
    template: Vec<PathBuf>,
    /// Also what this manifest refers to [default: vault.toml, if nothing else is given]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let paths = paths(&args)?;
    let mut places = Vec::new();
    for path in &paths {
        places.push((path, locate(session, None, path).await));
    }
    let asked = places.iter().filter_map(|(_, place)| place.as_ref().ok());
    let asked: Vec<_> = asked.map(crate::mount::Located::data).collect();
    let answer = match asked.is_empty() {
        true => Value::Null,
        false => {
            let call = Call::post("sys/capabilities-self", json!({ "paths": asked }));
            session.send(call).await?.body
        }
    };
    let mut results = Vec::new();
    for (path, place) in places {
        let refused = match place {
            Err(failure) => Some(failure.to_string()),
            Ok(place) => refusal(&answer[place.data()]),
        };
        results.push((path, refused));
    }
    show(session, &results)?;
    match results.iter().all(|(_, refused)| refused.is_none()) {
        true => Ok(()),
        false => Err(Failure::Silent(2)),
    }
}

/// Why what the token may do there is not enough.
fn refusal(capabilities: &Value) -> Option<String> {
    let names: Vec<_> = capabilities
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let may = names.iter().any(|name| matches!(*name, "read" | "root"));
    (!may).then(|| format!("the token may not read it, only: {}", names.join(", ")))
}

fn show(session: &Session, results: &[(&String, Option<String>)]) -> Outcome {
    if session.out.format != Format::Table {
        let list: Vec<_> = results
            .iter()
            .map(|(path, refused)| json!({"path": path, "readable": refused.is_none(), "reason": refused}))
            .collect();
        return session.out.document(&json!(list));
    }
    let lines: Vec<_> = results
        .iter()
        .map(|(path, refused)| match refused {
            None => format!("ok  {path}"),
            Some(reason) => format!("NO  {path}: {reason}"),
        })
        .collect();
    session.out.line(&lines.join("\n"))
}

fn paths(args: &Args) -> Outcome<BTreeSet<String>> {
    let asked = args.selection.asked(false)?;
    let mut paths: BTreeSet<String> = asked
        .wanted
        .into_iter()
        .map(|wanted| wanted.reference.path)
        .collect();
    for path in &args.template {
        let template = inject::read(path)?;
        paths.extend(
            template
                .references()
                .map(|reference| reference.path.clone()),
        );
    }
    let usual = Some(Path::new(USUAL)).filter(|path| paths.is_empty() && path.exists());
    if let Some(path) = args.manifest.as_deref().or(usual) {
        paths.extend(Manifest::read(path)?.paths().map(str::to_owned));
    }
    match paths.is_empty() {
        false => Ok(paths),
        true => Err(local(
            "there is nothing to check",
            "add -s MOUNT/PATH, --env-file, --template or --manifest FILE",
        )),
    }
}
