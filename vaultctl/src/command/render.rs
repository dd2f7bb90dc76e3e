//! `render`: the files of a manifest, all of them or none, and the commands that take them up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::process::Command;

use super::run::{child::Signals, environment, fetch};
use crate::atomic::{Fresh, is_so};
use crate::error::{Outcome, local};
use crate::manifest::{Manifest, Rendered, USUAL};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to render: its [[file]] entries have path, template or value, mode, owner, reload
    #[arg(long, default_value = USUAL, value_name = "FILE")]
    manifest: PathBuf,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let manifest = Manifest::read(&args.manifest)?;
    if manifest.files.is_empty() {
        return Err(local(
            format!("{} has no [[file]]", args.manifest.display()),
            "add one: path, and value = \"MOUNT/PATH#KEY\" or template = \"FILE\"",
        ));
    }
    let references = manifest
        .files
        .iter()
        .flat_map(|file| file.template.references());
    let paths: BTreeMap<_, _> = references.map(|r| (r.path.clone(), None)).collect();
    let read = fetch::all(session, &paths).await?;
    // From here on a signal waits until no half is left.
    let _signals = Signals::new()?;
    let mut fresh = Vec::new();
    for file in &manifest.files {
        let text = file.template.fill(|reference| {
            let value = reference.value_in(&read[&reference.path].data)?;
            Ok(environment::text(value))
        })?;
        if !is_so(&file.path, text.as_bytes(), file.looks) {
            let written = Fresh::write(&file.path, text.as_bytes(), file.looks)?;
            fresh.push((file, written));
        }
    }
    for (_, written) in &mut fresh {
        written.put()?;
    }
    let changed: Vec<&Rendered> = fresh.iter().map(|(file, _)| *file).collect();
    reload(&changed).await?;
    for (_, written) in fresh {
        written.keep();
    }
    let names: Vec<_> = changed
        .iter()
        .map(|f| f.path.display().to_string())
        .collect();
    match names.is_empty() {
        true => session.out.done("All files are as they should be."),
        false => session.out.done(&format!("Written: {}", names.join(", "))),
    }
}

/// Each command once.
async fn reload(changed: &[&Rendered]) -> Outcome {
    let mut done: Vec<&[String]> = Vec::new();
    for file in changed {
        let Some((program, arguments)) = file.reload.split_first() else {
            continue;
        };
        if done.contains(&&file.reload[..]) {
            continue;
        }
        let status = Command::new(program).args(arguments).status().await;
        let failed = match status {
            Ok(status) if status.success() => None,
            Ok(status) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = failed {
            return Err(local(
                format!("{} failed: {why}", file.reload.join(" ")),
                "the files are as they were; run it again when that is mended",
            ));
        }
        done.push(&file.reload);
    }
    Ok(())
}
