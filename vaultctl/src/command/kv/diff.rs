//! `kv diff`: what changed from one version to another.

use serde_json::{Map, Value, json};

use super::{Place, secret};
use crate::error::{Outcome, local};
use crate::output::{Content, Format, columns, show};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    place: Place,
    /// The older version; without it the one before the newer
    from: Option<u64>,
    /// The newer version; without it the newest
    to: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Change<'a> {
    Added(&'a Value),
    Removed(&'a Value),
    Changed(&'a Value, &'a Value),
}

pub(super) async fn diff(session: &Session, args: Diff) -> Outcome {
    let place = args.place.find(session).await?;
    place.needs_v2()?;
    let new = secret::fetch(session, &place, args.to).await?;
    let from = args.from.unwrap_or_else(|| new.version().saturating_sub(1));
    if from == 0 {
        return Err(local(
            "there is no older version to compare with",
            "give two version numbers",
        ));
    }
    let old = secret::fetch(session, &place, Some(from)).await?;
    let changes = compare(&old.data, &new.data);
    if session.out.format != Format::Table {
        return session.out.document(&document(session, &changes));
    }
    if changes.is_empty() {
        return session.out.line(&format!(
            "Versions {from} and {} hold the same.",
            new.version()
        ));
    }
    // Whoever compares versions looks over somebody's shoulder more often than not, so values
    // stay hidden here even in a pipe.
    let text = |value: &Value| {
        if session.out.reveal {
            show(value, false)
        } else {
            show(&crate::output::mask(value), false)
        }
    };
    let lines: Vec<Vec<String>> = changes
        .iter()
        .map(|(key, change)| match change {
            Change::Added(new) => vec!["+".into(), (*key).to_owned(), text(new)],
            Change::Removed(old) => vec!["-".into(), (*key).to_owned(), text(old)],
            Change::Changed(old, new) => vec![
                "~".into(),
                (*key).to_owned(),
                format!("{} -> {}", text(old), text(new)),
            ],
        })
        .collect();
    session.out.line(columns(&lines).trim_end())
}

fn compare<'a>(
    old: &'a Map<String, Value>,
    new: &'a Map<String, Value>,
) -> Vec<(&'a str, Change<'a>)> {
    let mut changes: Vec<_> = Vec::new();
    for (key, before) in old {
        match new.get(key) {
            None => changes.push((key.as_str(), Change::Removed(before))),
            Some(after) if after != before => {
                changes.push((key.as_str(), Change::Changed(before, after)))
            }
            Some(_) => {}
        }
    }
    let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
    changes.extend(added.map(|(key, value)| (key.as_str(), Change::Added(value))));
    changes.sort_by_key(|(key, _)| *key);
    changes
}

fn document(session: &Session, changes: &[(&str, Change<'_>)]) -> Value {
    let show = |v: &Value| session.out.veiled(v, Content::Stored);
    let entry = |(key, change): &(&str, Change<'_>)| match change {
        Change::Added(new) => json!({"key": key, "change": "added", "new": show(new)}),
        Change::Removed(old) => json!({"key": key, "change": "removed", "old": show(old)}),
        Change::Changed(old, new) => {
            json!({"key": key, "change": "changed", "old": show(old), "new": show(new)})
        }
    };
    changes.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_removed_and_changed_keys_are_told_apart() {
        let old = json!({"a": 1, "b": 2, "c": 3});
        let new = json!({"b": 2, "c": 4, "d": 5});
        let empty = Map::new();
        let got = compare(
            old.as_object().unwrap_or(&empty),
            new.as_object().unwrap_or(&empty),
        );
        let want = vec![
            ("a", Change::Removed(&old["a"])),
            ("c", Change::Changed(&old["c"], &new["c"])),
            ("d", Change::Added(&new["d"])),
        ];
        assert_eq!(got, want);
    }
}
