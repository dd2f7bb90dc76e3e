//! How keys stand, as tables.

use serde_json::{Map, Value};

use crate::error::Outcome;
use crate::output::{Format, Output, columns};

/// A field as people read it.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// To the second.
fn time(value: &Value) -> String {
    let text = word(value);
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn heading(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(super) fn status(out: &Output, data: &Value) -> Outcome {
    if out.format != Format::Table || out.field.is_some() {
        return out.answer(
            &serde_json::json!({ "data": data }),
            crate::output::Content::Open,
        );
    }
    let mut text = format!("{}: {}\n", word(&data["name"]), summary(data));
    let mut lines = vec![heading(&["Target", "Place", "Version", "Step", "Since"])];
    for (id, target) in fields(&data["targets"]) {
        for (version, held) in fields(&target["versions"]) {
            lines.push(vec![
                id.clone(),
                place(target),
                version.clone(),
                word(&held["step"]),
                time(&held["since"]),
            ]);
        }
    }
    if lines.len() > 1 {
        text += &format!("\n{}", columns(&lines));
    }
    let mut lines = vec![heading(&["Reader", "Version", "Last read"])];
    for reader in data["readers"].as_array().into_iter().flatten() {
        lines.push(vec![
            word(&reader["name"]),
            word(&reader["version"]),
            time(&reader["last_read"]),
        ]);
    }
    if lines.len() > 1 {
        text += &format!("\n{}", columns(&lines));
    }
    for failure in failures(data) {
        text += &format!("\n{failure}");
    }
    out.line(text.trim_end())
}

/// `rotating: version 2 beside 1, draining until …, waits for ci`
pub(super) fn summary(data: &Value) -> String {
    let mut text = format!(
        "{}, version {}",
        word(&data["state"]),
        word(&data["current_version"])
    );
    let rotation = &data["rotation"];
    if rotation.is_object() {
        let new = match rotation["new_version"].as_u64() {
            None | Some(0) => "a new version".to_owned(),
            Some(new) => new.to_string(),
        };
        text += &format!(
            "; {}: {} follows {}",
            word(&rotation["stage"]),
            new,
            word(&rotation["old_version"])
        );
        if rotation["stage"] == "draining" {
            text += &format!(", until {} at the latest", time(&rotation["drain_ends"]));
            let waits = rotation["waits_for"].as_array().into_iter().flatten();
            let waits: Vec<_> = waits.map(word).collect();
            if !waits.is_empty() {
                text += &format!(", waits for {}", waits.join(", "));
            }
        }
    }
    if data["next_rotation"].is_string() {
        text += &format!("; rotates next {}", time(&data["next_rotation"]));
    }
    text
}

fn place(target: &Value) -> String {
    let field = |name: &str| word(&target[name]);
    match target["kind"].as_str() {
        Some("repository") => {
            let access = match target["read_only"] == true {
                true => "read",
                false => "write",
            };
            format!("{} at {} ({access})", field("repository"), field("forge"))
        }
        Some("server") => format!("{} on {}", field("user"), field("server")),
        _ => format!("{} on {} (command)", field("user"), field("host")),
    }
}

/// What is wrong where, and what to do about it.
pub(super) fn failures(data: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (id, target) in fields(&data["targets"]) {
        for (version, held) in fields(&target["versions"]) {
            let failure = &held["failure"];
            if failure.is_object() {
                let tried = match failure["tries"].as_u64() {
                    Some(1) => "once".to_owned(),
                    _ => format!("{} times", word(&failure["tries"])),
                };
                found.push(format!(
                    "{id}: version {version} cannot {}: {}\n  next: {}\n  tried {tried}, again {}",
                    deed(&word(&held["step"])),
                    word(&failure["cause"]),
                    word(&failure["what_to_do"]),
                    time(&failure["next_try"]),
                ));
            }
        }
    }
    found
}

fn deed(step: &str) -> &str {
    match step {
        "publish" => "be put there",
        "prove" => "log in",
        "remove" => "be taken away",
        "refuse" => "be shown to be refused",
        other => other,
    }
}

pub(super) fn board(out: &Output, data: &Value) -> Outcome {
    if out.format != Format::Table || out.field.is_some() {
        return out.answer(
            &serde_json::json!({ "data": data }),
            crate::output::Content::Open,
        );
    }
    let names = [
        "Key",
        "State",
        "Version",
        "Used at",
        "Last reader",
        "Rotates next",
    ];
    let mut lines = vec![heading(&names)];
    let mut problems = Vec::new();
    for (name, key) in fields(&data["keys"]) {
        let used = key["used_at"].as_array().into_iter().flatten();
        let used: Vec<_> = used.map(word).collect();
        let reader = &key["last_reader"];
        let last = match reader.is_object() {
            true => format!("{} {}", word(&reader["name"]), time(&reader["last_read"])),
            false => "-".to_owned(),
        };
        lines.push(vec![
            name.clone(),
            word(&key["state"]),
            word(&key["current_version"]),
            short(&used),
            last,
            time(&key["next_rotation"]),
        ]);
        for failure in key["failures"].as_array().into_iter().flatten() {
            problems.push(format!(
                "{name} at {}: {}\n  next: {}",
                word(&failure["target"]),
                word(&failure["cause"]),
                word(&failure["what_to_do"])
            ));
        }
    }
    let mut text = columns(&lines);
    for problem in problems {
        text += &format!("\n{problem}");
    }
    out.line(text.trim_end())
}

fn short(places: &[String]) -> String {
    match places {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_summary_says_what_is_waited_for_and_a_failure_what_to_do() {
        let data = json!({
            "state": "rotating", "current_version": 2, "next_rotation": null,
            "rotation": {
                "stage": "draining", "old_version": 1, "new_version": 2,
                "drain_ends": "2026-01-01T00:00:00.5Z", "waits_for": ["ci"],
            },
            "targets": {"a": {"kind": "server", "versions": {"2": {
                "step": "prove",
                "failure": {"cause": "c", "what_to_do": "w", "tries": 3, "next_try": "t"},
            }}}},
        });
        assert_eq!(
            summary(&data),
            "rotating, version 2; draining: 2 follows 1, until 2026-01-01T00:00:00Z at the latest, waits for ci"
        );
        assert_eq!(
            failures(&data),
            ["a: version 2 cannot log in: c\n  next: w\n  tried 3 times, again t"]
        );
    }
}
