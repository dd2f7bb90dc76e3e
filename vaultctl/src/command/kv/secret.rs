//! Reading one secret.

use serde_json::{Map, Value};
use vault_sdk::Call;

use super::Place;
use crate::error::{Failure, Outcome, remote};
use crate::mount::Located;
use crate::output::{Content, Format, Output, Rows, mask};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Get {
    #[command(flatten)]
    place: Place,
    /// An older version
    #[arg(long)]
    version: Option<u64>,
}

/// One version of a secret.
pub(crate) struct Secret {
    pub(crate) data: Map<String, Value>,
    /// KV v2 only.
    pub(crate) metadata: Option<Value>,
    /// The whole answer.
    pub(crate) body: Value,
}

impl Secret {
    /// The version number; 0 for KV v1.
    pub(crate) fn version(&self) -> u64 {
        self.metadata
            .as_ref()
            .and_then(|m| m["version"].as_u64())
            .unwrap_or(0)
    }
}

/// Reads a secret.
///
/// # Errors
/// A remote failure when nothing is there; a deleted or destroyed version is named as such.
pub(crate) async fn fetch(
    session: &Session,
    place: &Located,
    version: Option<u64>,
) -> Outcome<Secret> {
    // Never wrapped: what is read here may be written back.
    let answer = session.send(call(place, version)?.accept(&[404])).await?;
    let data = answer.data();
    let (values, metadata) = match place.version {
        2 => (
            data.get("data"),
            data.get("metadata").filter(|m| m.is_object()).cloned(),
        ),
        _ => (Some(data), None),
    };
    match values {
        Some(Value::Object(values)) if answer.status != 404 => Ok(Secret {
            data: values.clone(),
            metadata,
            body: answer.body,
        }),
        _ => Err(absent(place, metadata.as_ref(), version)),
    }
}

/// What is there now, to be compared with what is to come.
pub(crate) struct Current {
    pub(crate) values: Map<String, Value>,
    /// 0 in KV version 1.
    pub(crate) version: u64,
}

/// The latest version; `None` if there never was one. A deleted one has no values.
pub(crate) async fn current(session: &Session, place: &Located) -> Outcome<Option<Current>> {
    let answer = session.send(call(place, None)?.accept(&[404])).await?;
    let data = answer.data();
    if place.version != 2 {
        let values = data.as_object().cloned().filter(|_| answer.status != 404);
        return Ok(values.map(|values| Current { values, version: 0 }));
    }
    let values = data["data"].as_object().cloned().unwrap_or_default();
    let version = data["metadata"]["version"].as_u64();
    Ok(version.map(|version| Current { values, version }))
}

fn call(place: &Located, version: Option<u64>) -> Outcome<Call> {
    let call = Call::get(place.data());
    Ok(match version.filter(|v| *v > 0) {
        Some(version) => {
            place.needs_v2()?;
            call.query("version", version)
        }
        None => call,
    })
}

fn absent(place: &Located, metadata: Option<&Value>, version: Option<u64>) -> Failure {
    let name = place.plain();
    let Some(metadata) = metadata else {
        let what = match version {
            Some(version) => format!("{name} has no version {version}"),
            None => format!("no value found at {name}"),
        };
        let folder = name
            .rsplit_once('/')
            .map_or(name.as_str(), |(folder, _)| folder);
        return remote(
            what,
            format!("list what is there: vaultctl kv list {folder}"),
        );
    };
    let number = metadata["version"].as_u64().unwrap_or(0);
    if metadata["destroyed"] == true {
        return remote(
            format!("version {number} of {name} is destroyed"),
            format!("other versions: vaultctl kv metadata get {name}"),
        );
    }
    remote(
        format!("version {number} of {name} is deleted"),
        format!("bring it back: vaultctl kv undelete --versions {number} {name}"),
    )
}

/// One value of a secret.
pub(crate) fn value<'a>(
    data: &'a Map<String, Value>,
    key: &str,
    place: &Located,
) -> Outcome<&'a Value> {
    data.get(key).ok_or_else(|| {
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        remote(
            format!("{} has no key {key}", place.plain()),
            format!("it has: {}", keys.join(", ")),
        )
    })
}

pub(super) async fn get(session: &Session, args: Get) -> Outcome {
    let place = args.place.find(session).await?;
    if session.wraps() {
        return session
            .show(call(&place, args.version)?, Content::Open)
            .await;
    }
    let secret = fetch(session, &place, args.version).await?;
    let out = &session.out;
    if out.field.is_some() {
        return out.rows(&fields(&secret), Content::Stored);
    }
    if out.format != Format::Table {
        return print_document(out, secret, place.version);
    }
    out.warnings(&secret.body);
    out.line(tables(out, &place, &secret).trim_end())?;
    if out.hides(Content::Stored) {
        eprintln!("note: values are masked on a terminal; --reveal shows them");
    }
    Ok(())
}

/// What `--field` may name: the values, and as in Vault `data` and `metadata`.
fn fields(secret: &Secret) -> Rows {
    let mut rows: Rows = secret.data.clone().into_iter().collect();
    let extra = [
        ("data", Some(Value::Object(secret.data.clone()))),
        ("metadata", secret.metadata.clone()),
    ];
    for (name, value) in extra {
        if let Some(value) = value.filter(|_| !secret.data.contains_key(name)) {
            rows.push((name.to_owned(), value));
        }
    }
    rows
}

fn print_document(out: &Output, mut secret: Secret, version: u8) -> Outcome {
    if out.hides(Content::Stored) {
        let values = if version == 2 {
            &mut secret.body["data"]["data"]
        } else {
            &mut secret.body["data"]
        };
        *values = mask(values);
    }
    out.warnings(&secret.body);
    out.document(&secret.body)
}

fn tables(out: &Output, place: &Located, secret: &Secret) -> String {
    let data: Rows = secret.data.clone().into_iter().collect();
    let data = out.table(&data, Content::Stored);
    let Some(Value::Object(metadata)) = &secret.metadata else {
        return format!("{}\n{data}", heading("Data", &data));
    };
    let metadata: Rows = metadata.clone().into_iter().collect();
    let metadata = out.table(&metadata, Content::Open);
    let path = if out.compat {
        place.data()
    } else {
        place.plain()
    };
    format!(
        "{}\n{path}\n\n{}\n{metadata}\n{}\n{data}",
        heading("Secret Path", &path),
        heading("Metadata", &metadata),
        heading("Data", &data)
    )
}

/// A title as wide as what stands below it.
pub(super) fn heading(title: &str, below: &str) -> String {
    let width = below
        .lines()
        .map(|l| l.chars().count())
        .max()
        .unwrap_or(0)
        .max(title.len() + 4);
    let room = width - title.len() - 2;
    format!(
        "{} {title} {}",
        "=".repeat(room / 2),
        "=".repeat(room - room / 2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn place() -> Located {
        Located {
            mount: "secret/".into(),
            version: 2,
            rest: "app".into(),
        }
    }

    #[test]
    fn a_deleted_version_says_how_to_bring_it_back() {
        let failure = absent(
            &place(),
            Some(&json!({"version": 3, "destroyed": false})),
            None,
        );
        assert_eq!(failure.to_string(), "version 3 of secret/app is deleted");
        assert!(
            failure.json()["next"]
                .as_str()
                .is_some_and(|n| n.contains("undelete --versions 3 secret/app"))
        );
        assert_eq!(failure.code(), 2);
    }

    #[test]
    fn a_missing_key_names_the_others_and_no_value() {
        let data = json!({"user": "u1", "password": "hunter2"});
        let failure = value(data.as_object().unwrap_or(&Map::new()), "pasword", &place())
            .err()
            .map(|f| f.json().to_string());
        let text = failure.unwrap_or_default();
        assert!(text.contains("password") && text.contains("user") && !text.contains("hunter2"));
    }

    #[test]
    fn headings_are_as_wide_as_their_table() {
        assert_eq!(heading("Data", "Key    Value"), "=== Data ===");
        assert_eq!(heading("Metadata", "x"), "= Metadata =");
    }
}
