//! `kv put` and `kv patch`.

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use super::{Place, secret};
use crate::error::{Failure, Outcome, local};
use crate::input::{self, Process};
use crate::mount::Located;
use crate::output::{Content, Format, Rows};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Put {
    #[command(flatten)]
    place: Place,
    /// k=v, k=@file, k=- (stdin), k (asks, hidden), - or @file.json
    values: Vec<String>,
    /// Write only if this is the newest version; 0: only if there is none
    #[arg(long)]
    cas: Option<u64>,
}

#[derive(clap::Args)]
pub(crate) struct Patch {
    #[command(flatten)]
    place: Place,
    /// k=v, k=@file, k=- (stdin), k (asks, hidden), - or @file.json; a JSON null removes a key
    values: Vec<String>,
    /// Write only if this is the newest version
    #[arg(long)]
    cas: Option<u64>,
    /// How: patch on the server, or read and write here (rw)
    #[arg(long, value_parser = ["patch", "rw"])]
    method: Option<String>,
    /// Remove these keys
    #[arg(long = "remove-data", alias = "remove", value_name = "KEY")]
    remove: Vec<String>,
}

pub(super) async fn put(session: &Session, args: Put) -> Outcome {
    let values = read_values(&args.values)?;
    let place = args.place.find(session).await?;
    if args.cas.is_some() {
        place.needs_v2()?;
    }
    let answer = store(session, &place, values, args.cas).await?;
    tell(session, &place, answer)
}

pub(super) async fn patch(session: &Session, args: Patch) -> Outcome {
    let mut changes = if args.values.is_empty() && !args.remove.is_empty() {
        Map::new()
    } else {
        read_values(&args.values)?
    };
    changes.extend(args.remove.iter().map(|key| (key.clone(), Value::Null)));
    let place = args.place.find(session).await?;
    place.needs_v2()?;
    let on_server = args.method.as_deref() != Some("rw");
    let answer = if on_server {
        let mut body = json!({ "data": changes });
        if let Some(cas) = args.cas {
            body["options"] = json!({ "cas": cas });
        }
        session
            .send_wrapping(Call::patch(place.data(), body))
            .await?
            .body
    } else {
        let current = secret::fetch(session, &place, None).await?;
        let version = args.cas.unwrap_or_else(|| current.version());
        store(
            session,
            &place,
            merged(current.data, changes),
            Some(version),
        )
        .await?
    };
    tell(session, &place, answer)
}

/// Top-level merge: null removes.
fn merged(mut data: Map<String, Value>, changes: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in changes {
        if value.is_null() {
            data.remove(&key);
        } else {
            data.insert(key, value);
        }
    }
    data
}

/// Writes all values; the answer's body.
pub(super) async fn store(
    session: &Session,
    place: &Located,
    data: Map<String, Value>,
    cas: Option<u64>,
) -> Outcome<Value> {
    let body = match (place.version, cas) {
        (2, Some(cas)) => json!({ "data": data, "options": { "cas": cas } }),
        (2, None) => json!({ "data": data, "options": {} }),
        _ => Value::Object(data),
    };
    match session.send_wrapping(Call::put(place.data(), body)).await {
        Ok(answer) => Ok(answer.body),
        Err(Failure::Call(e)) if matches!(*e, vault_sdk::Error::CasMismatch) => {
            Err(crate::error::remote(
                format!(
                    "{} is no longer at the version that was expected",
                    place.plain()
                ),
                format!("look at it again: vaultctl kv get {}", place.plain()),
            ))
        }
        Err(other) => Err(other),
    }
}

/// Prints what the server says about the new version.
pub(super) fn tell(session: &Session, place: &Located, body: Value) -> Outcome {
    let out = &session.out;
    let Value::Object(data) = &body["data"] else {
        return if body.is_null() {
            out.done(&format!("Data written to: {}", place.plain()))
        } else {
            out.answer(&body, Content::Open)
        };
    };
    let rows: Rows = data.clone().into_iter().collect();
    if out.field.is_some() || out.format != Format::Table {
        return out.answer(&body, Content::Open);
    }
    out.warnings(&body);
    let path = if out.compat {
        place.data()
    } else {
        place.plain()
    };
    let table = out.table(&rows, Content::Open);
    out.line(
        format!(
            "{}\n{path}\n\n{}\n{table}",
            secret::heading("Secret Path", &path),
            secret::heading("Metadata", &table)
        )
        .trim_end(),
    )
}

fn read_values(arguments: &[String]) -> Outcome<Map<String, Value>> {
    if arguments.is_empty() {
        return Err(local(
            "there is nothing to write",
            "give values as k=v, k=@file, k=-, or a bare k to be asked",
        ));
    }
    input::warn_about_argv(arguments);
    input::object(arguments, &mut Process::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_removes_and_the_rest_stays() {
        let object = |v: Value| v.as_object().cloned().unwrap_or_default();
        let got = merged(
            object(json!({"a": 1, "b": 2})),
            object(json!({"a": null, "c": 3})),
        );
        assert_eq!(Value::Object(got), json!({"b": 2, "c": 3}));
    }
}
