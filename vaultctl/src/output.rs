//! What goes to stdout: tables, JSON, YAML or one field.
//!
//! Promise: on a terminal, values of secrets are masked unless `--reveal` asks for them, and text
//! that came from a server cannot move the cursor or change the title. Into a pipe or a file goes
//! the raw value. Not promised: that the terminal's own scroll-back forgets what was revealed.

mod table;
mod yaml;

use std::io::{IsTerminal, Write};

use serde_json::{Map, Value, json};

use crate::error::{Failure, Outcome, local, plain};

pub(crate) use table::{Rows, auth_rows, columns, show};
pub(crate) use yaml::write as yaml;

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    #[value(alias = "pretty")]
    Table,
    Json,
    #[value(alias = "yml")]
    Yaml,
}

/// Whether an answer is something a bystander must not read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Stored values: masked on a terminal.
    Stored,
    /// Configuration, or something that is shown only once.
    Open,
}

/// How this invocation prints.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) field: Option<String>,
    pub(crate) reveal: bool,
    /// Print as Vault's own CLI does: nothing masked, Go's notation for nested values.
    pub(crate) compat: bool,
    pub(crate) tty: bool,
}

impl Output {
    pub(crate) fn new(format: Format, field: Option<String>, reveal: bool, compat: bool) -> Self {
        Self {
            format,
            field,
            reveal,
            compat,
            tty: std::io::stdout().is_terminal(),
        }
    }

    pub(crate) fn hides(&self, content: Content) -> bool {
        content == Content::Stored && self.tty && !self.reveal && !self.compat
    }

    /// One line of plain text, made safe for a terminal.
    pub(crate) fn line(&self, text: &str) -> Outcome {
        self.raw(text, true)
    }

    /// Text as it is; a line end is added only for a reader at a terminal, or when asked for.
    fn raw(&self, text: &str, line_end: bool) -> Outcome {
        let text = if self.tty {
            clean(text)
        } else {
            text.to_owned()
        };
        let end = if line_end { "\n" } else { "" };
        stdout(format!("{text}{end}").as_bytes())
    }

    /// One value, alone: what `--field` and `get REF` print.
    pub(crate) fn value(&self, value: &Value, content: Content) -> Outcome {
        match self.format {
            Format::Json => return self.raw(&pretty(&self.veiled(value, content)), true),
            Format::Yaml => return self.raw(&yaml(&self.veiled(value, content)), false),
            Format::Table => {}
        }
        if self.hides(content) {
            eprintln!("note: masked on a terminal; --reveal shows it");
        }
        match self.veiled(value, content) {
            Value::String(text) => self.raw(&text, self.tty),
            other => self.raw(&other.to_string(), self.tty),
        }
    }

    /// A whole answer: the envelope in JSON and YAML, its rows in a table, or one field of it.
    pub(crate) fn answer(&self, body: &Value, content: Content) -> Outcome {
        self.warnings(body);
        if self.field.is_some() || self.format == Format::Table {
            return self.rows(&table::envelope_rows(body), content);
        }
        let mut body = body.clone();
        if let Some(data) = body.get_mut("data") {
            *data = self.veiled(data, content);
        }
        self.document(&body)
    }

    /// A document in JSON or YAML; a table shows its top level.
    pub(crate) fn document(&self, document: &Value) -> Outcome {
        match self.format {
            Format::Json => self.raw(&pretty(document), true),
            Format::Yaml => self.raw(&yaml(document), false),
            Format::Table => match document {
                Value::Object(map) => {
                    self.rows(&map.clone().into_iter().collect::<Rows>(), Content::Open)
                }
                other => self.line(&show(other, self.compat)),
            },
        }
    }

    /// `Key  Value` rows, or the one that `--field` names.
    pub(crate) fn rows(&self, rows: &Rows, content: Content) -> Outcome {
        if let Some(field) = &self.field {
            let value = rows
                .iter()
                .find(|(key, _)| key == field)
                .map(|(_, value)| value);
            let value = value.ok_or_else(|| missing_field(field, rows))?;
            return self.value(value, content);
        }
        match self.format {
            Format::Table => self.line(self.table(rows, content).trim_end()),
            _ => {
                self.document(&self.veiled(&Value::Object(rows.iter().cloned().collect()), content))
            }
        }
    }

    /// The text of a two-column table.
    pub(crate) fn table(&self, rows: &Rows, content: Content) -> String {
        let mut lines = vec![
            vec!["Key".to_owned(), "Value".to_owned()],
            vec!["---".into(), "-----".into()],
        ];
        for (key, value) in rows {
            let value = self.veiled(value, content);
            lines.push(vec![
                self.name(key),
                table::show_keyed(key, &value, self.compat),
            ]);
        }
        columns(&lines)
    }

    /// A name that stays on its line and cannot move the cursor.
    fn name(&self, name: &str) -> String {
        if self.tty {
            clean(&name.replace('\n', "\\n"))
        } else {
            name.to_owned()
        }
    }

    /// Names, one on each line.
    pub(crate) fn names(&self, names: &[String]) -> Outcome {
        let shown = || {
            names
                .iter()
                .map(|name| self.name(name))
                .collect::<Vec<_>>()
                .join("\n")
        };
        match self.format {
            Format::Table if self.compat => self.line(&format!("Keys\n----\n{}", shown())),
            Format::Table if names.is_empty() => Ok(()),
            Format::Table => self.line(&shown()),
            _ => self.document(&json!(names)),
        }
    }

    /// Says that something was done. JSON and YAML readers get nothing unless there is data.
    pub(crate) fn done(&self, text: &str) -> Outcome {
        match self.format {
            Format::Table if self.compat => self.line(&format!("Success! {text}")),
            Format::Table => self.line(text),
            _ => Ok(()),
        }
    }

    /// Server warnings, to stderr.
    pub(crate) fn warnings(&self, body: &Value) {
        for warning in body
            .get("warnings")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            eprintln!("warning: {}", clean(&show(warning, false)));
        }
    }

    /// The value with every leaf masked, if this terminal must not show it.
    pub(crate) fn veiled(&self, value: &Value, content: Content) -> Value {
        if self.hides(content) {
            mask(value)
        } else {
            value.clone()
        }
    }
}

/// Writes to stdout; a reader that has gone away (`| head`) ends the program quietly.
pub(crate) fn stdout(bytes: &[u8]) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Silent(1)),
        other => other.map_err(|e| plain(format!("cannot write to stdout: {e}"))),
    }
}

fn missing_field(field: &str, rows: &Rows) -> Failure {
    let names: Vec<_> = rows.iter().map(|(k, _)| k.as_str()).collect();
    let next = if names.is_empty() {
        "there are no fields".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    local(format!("there is no field {field}"), next)
}

pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The mask of a value: its size, nothing of its content.
pub(crate) fn mask(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(k, v)| (k.clone(), mask(v)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(mask).collect()),
        Value::Null => Value::Null,
        Value::String(text) => masked(text.len()),
        other => masked(other.to_string().len()),
    }
}

fn masked(bytes: usize) -> Value {
    Value::String(format!(
        "•••• ({bytes} byte{})",
        if bytes == 1 { "" } else { "s" }
    ))
}

/// Removes what a terminal would obey: control characters but line end and tab, and the
/// direction overrides that make text read as something else.
pub(crate) fn clean(text: &str) -> String {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|c| !obeyed(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(tty: bool, reveal: bool, compat: bool) -> Output {
        Output {
            format: Format::Table,
            field: None,
            reveal,
            compat,
            tty,
        }
    }

    #[test]
    fn stored_values_are_masked_only_on_a_terminal_without_reveal() {
        let shown = |o: Output| !o.hides(Content::Stored);
        assert!(!shown(output(true, false, false)));
        assert!(shown(output(true, true, false)));
        assert!(shown(output(false, false, false)));
        assert!(shown(output(true, false, true)));
        assert!(!output(true, false, false).hides(Content::Open));
    }

    #[test]
    fn a_mask_tells_the_size_and_nothing_else() {
        let got = mask(&json!({"a": "hunter2", "b": [1, {"c": true}], "n": null}));
        assert_eq!(
            got,
            json!({"a": "•••• (7 bytes)", "b": ["•••• (1 byte)", {"c": "•••• (4 bytes)"}], "n": null})
        );
        assert!(!got.to_string().contains("hunter2"));
    }

    #[test]
    fn terminal_controls_are_removed_and_text_stays() {
        assert_eq!(
            clean("a\u{1b}[2Jb\u{7}\u{9b}c\r\n\td\u{202e}é"),
            "a[2Jbc\n\tdé"
        );
    }
}
