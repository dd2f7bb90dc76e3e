//! `?help=1`: what can be done at a path, from the route tables.

use serde_json::{Value, json};

use super::authenticate::authenticate;
use super::fault::Fault;
use super::mount::MountTable;
use super::record::Recorder;
use super::reply::Reply;
use super::request::Request;
use super::{Core, dispatch};

/// For whoever has a token; what a path may do is no secret, what is stored there is not told.
pub async fn serve(core: &Core, request: &Request) -> Result<Reply, Fault> {
    let vault = core.gate.enter()?;
    let mounts = vault.mounts.load_full();
    let resolved = dispatch::resolve(&mounts, request);
    let identity = authenticate(&vault, request).await;
    let recorder = Recorder::new(core, &vault, request, &resolved, identity.as_ref().ok());
    recorder.open_without_effect("help", identity.as_ref().err());
    let outcome = match identity {
        Ok(_) => answer(&mounts, request),
        // Every way to fail looks the same, as in the pipeline.
        Err(_) => Err(Fault::BadToken),
    };
    recorder.close(&outcome).await?;
    outcome
}

fn answer(mounts: &MountTable, request: &Request) -> Result<Reply, Fault> {
    let path = request.path.as_str();
    let found =
        dispatch::rows_at(mounts, path).or_else(|| dispatch::rows_at(mounts, &format!("{path}/")));
    let (mount, rows) = found
        .filter(|(_, rows)| !rows.is_empty())
        .ok_or(Fault::Missing)?;
    let mut text = format!("Mount: {} ({})\n", mount.path, mount.kind.type_name());
    for row in rows {
        text.push_str(&format!(
            "\n{:6} {}{}\n    {}\n",
            row.verb.method(),
            mount.path,
            row.pattern,
            row.about
        ));
        if !row.fields.is_empty() && row.fields != "*" {
            text.push_str(&format!("    Fields: {}\n", row.fields.replace(' ', ", ")));
        }
    }
    Ok(Reply::json(json!({"help": text, "see_also": Value::Null, "openapi": Value::Null})).bare())
}
