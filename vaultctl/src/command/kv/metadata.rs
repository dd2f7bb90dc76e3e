//! `kv metadata get|put|patch|delete`.

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use super::{Place, secret};
use crate::command::key_value;
use crate::error::{Outcome, local};
use crate::output::{Content, Format, Rows};
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Versions, limits and custom metadata
    Get(Place),
    /// Set limits and custom metadata; what is not given is reset
    Put(Set),
    /// Set some limits and custom metadata; the rest stays
    Patch(Set),
    /// Erase a secret, all versions, for good
    Delete(Place),
}

#[derive(clap::Args)]
pub(crate) struct Set {
    #[command(flatten)]
    place: Place,
    /// Keep this many versions; 0: as the mount says
    #[arg(long)]
    max_versions: Option<u64>,
    /// Refuse writes that do not name the newest version
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    cas_required: Option<bool>,
    /// Delete versions this long after they were written
    #[arg(long, value_name = "DURATION")]
    delete_version_after: Option<String>,
    /// Custom metadata; once for each
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    custom_metadata: Vec<(String, String)>,
    /// Remove this custom metadata (patch only)
    #[arg(long, value_name = "KEY")]
    remove_custom_metadata: Vec<String>,
}

pub(super) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::Get(place) => get(session, place).await,
        Command::Put(set) => {
            let place = set.place.find(session).await?;
            place.needs_v2()?;
            let done = format!("Data written to: {}", place.plain());
            session
                .act(Call::put(place.v2("metadata"), body(&set)), &done)
                .await
        }
        Command::Patch(set) => {
            let place = set.place.find(session).await?;
            place.needs_v2()?;
            let body = body(&set);
            if body.as_object().is_none_or(Map::is_empty) {
                return Err(local(
                    "there is nothing to change",
                    "vaultctl kv metadata patch --help lists what can be set",
                ));
            }
            let done = format!("Data written to: {}", place.plain());
            session
                .act(Call::patch(place.v2("metadata"), body), &done)
                .await
        }
        Command::Delete(place) => {
            let place = place.find(session).await?;
            place.needs_v2()?;
            let name = place.plain();
            if !session.face.is_compat() {
                prompt::confirm(
                    session.yes,
                    &format!("erase {name} with all its versions"),
                    &name,
                )?;
            }
            session
                .act(
                    Call::delete(place.v2("metadata")),
                    &format!("Data deleted (if it existed) at: {name}"),
                )
                .await
        }
    }
}

fn body(set: &Set) -> Value {
    let mut body = Map::new();
    if let Some(count) = set.max_versions {
        body.insert("max_versions".into(), count.into());
    }
    if let Some(required) = set.cas_required {
        body.insert("cas_required".into(), required.into());
    }
    if let Some(after) = &set.delete_version_after {
        body.insert("delete_version_after".into(), after.clone().into());
    }
    let mut custom: Map<String, Value> = set
        .custom_metadata
        .iter()
        .map(|(k, v)| (k.clone(), json!(v)))
        .collect();
    custom.extend(
        set.remove_custom_metadata
            .iter()
            .map(|k| (k.clone(), Value::Null)),
    );
    if !custom.is_empty() {
        body.insert("custom_metadata".into(), Value::Object(custom));
    }
    Value::Object(body)
}

async fn get(session: &Session, place: Place) -> Outcome {
    let place = place.find(session).await?;
    place.needs_v2()?;
    let answer = session
        .send_wrapping(Call::get(place.v2("metadata")))
        .await?;
    let out = &session.out;
    if out.format != Format::Table || out.field.is_some() {
        return out.answer(&answer.body, Content::Open);
    }
    let mut rows: Rows = answer
        .data()
        .as_object()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let versions = rows
        .iter()
        .position(|(k, _)| k == "versions")
        .map(|i| rows.remove(i).1);
    let table = out.table(&rows, Content::Open);
    out.line(&format!("{}\n{table}", secret::heading("Metadata", &table)))?;
    let mut versions: Vec<_> = versions
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .collect();
    versions.sort_by_key(|(number, _)| number.parse::<u64>().unwrap_or(0));
    for (number, version) in versions {
        let rows: Rows = version
            .as_object()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .collect();
        let table = out.table(&rows, Content::Open);
        out.line(&format!(
            "{}\n{table}",
            secret::heading(&format!("Version {number}"), &table)
        ))?;
    }
    Ok(())
}
