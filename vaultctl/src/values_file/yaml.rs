//! YAML as values: what is not clearly a number, truth or nothing stays the text that it is, so that
//! `pin: 0123` and `version: 1.10` lose no character.

use std::collections::HashMap;

use serde_json::{Map, Value};
use yaml_rust2::parser::{Event, EventReceiver, Parser};
use yaml_rust2::scanner::TScalarStyle;

/// Aliases may repeat what they name; no more than this comes of it.
const NODES_MAX: usize = 100_000;

/// One mapping.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let mut builder = Builder::default();
    Parser::new_from_str(text)
        .load(&mut builder, true)
        .map_err(|error| format!("line {}: no YAML", error.marker().line()))?;
    match (
        builder.problem,
        builder.documents.pop(),
        builder.documents.is_empty(),
    ) {
        (Some(problem), ..) => Err(problem.to_owned()),
        (None, Some(Value::Object(map)), true) => Ok(map),
        (None, None, _) => Ok(Map::new()),
        (None, _, false) => Err("more than one YAML document".to_owned()),
        (None, ..) => Err("no YAML mapping".to_owned()),
    }
}

/// A collection that is not finished yet.
enum Open {
    List(Vec<Value>, usize),
    /// The key waits for its value.
    Map(Map<String, Value>, Option<String>, usize),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Value, usize)>,
    documents: Vec<Value>,
    nodes: usize,
    problem: Option<&'static str>,
}

impl EventReceiver for Builder {
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = match style {
                    TScalarStyle::Plain => plain(text),
                    _ => Value::String(text),
                };
                self.add(value, anchor, 1);
            }
            Event::SequenceStart(anchor, _) => self.open.push(Open::List(Vec::new(), anchor)),
            Event::MappingStart(anchor, _) => {
                self.open.push(Open::Map(Map::new(), None, anchor));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(list, anchor)) => self.add(Value::Array(list), anchor, 1),
                Some(Open::Map(map, _, anchor)) => self.add(Value::Object(map), anchor, 1),
                None => {}
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((value, size)) if self.nodes + size <= NODES_MAX => {
                    let (value, size) = (value.clone(), *size);
                    self.add(value, 0, size);
                }
                Some(_) => self.problem = Some("aliases repeat too much"),
                None => self.problem = Some("an alias names nothing before it"),
            },
            _ => {}
        }
    }
}

impl Builder {
    fn add(&mut self, value: Value, anchor: usize, size: usize) {
        self.nodes += size;
        if anchor > 0 {
            let size = count(&value);
            self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut() {
            None => self.documents.push(value),
            Some(Open::List(list, _)) => list.push(value),
            Some(Open::Map(map, key, _)) => match key.take() {
                Some(key) => {
                    if map.insert(key, value).is_some() {
                        self.problem = Some("a key is there twice");
                    }
                }
                None => match value {
                    Value::String(text) => *key = Some(text),
                    Value::Object(_) | Value::Array(_) => {
                        self.problem = Some("a key is no text");
                    }
                    other => *key = Some(other.to_string()),
                },
            },
        }
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Only what is written as JSON would write it is more than text.
fn plain(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => number.into(),
            _ => Value::String(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_come_as_they_are_written() {
        let text = "a: 1\nb: 0123\nc: 1.10\nd: \"x: y\"\ne: yes\nf: true\ng: ~\nh: |\n  one\n  two\ni:\n  - x\n  - {k: v}\nj: &n deep\nk: *n\n";
        let expected = json!({
            "a": 1, "b": "0123", "c": "1.10", "d": "x: y", "e": "yes", "f": true, "g": null,
            "h": "one\ntwo\n", "i": ["x", {"k": "v"}], "j": "deep", "k": "deep"
        });
        assert_eq!(parse(text).map(Value::Object), Ok(expected));
        assert_eq!(parse(""), Ok(Map::new()));
    }

    #[test]
    fn what_is_no_single_mapping_is_refused() {
        for text in [
            "- a\n",
            "a: 1\n---\nb: 2\n",
            "a: [",
            "a: 1\na: 2\n",
            "a: *b\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let alias = format!("*a{}", n - 1);
            bomb += &format!("a{n}: &a{n} [{}]\n", vec![alias; 10].join(", "));
        }
        assert!(parse(&bomb).is_err());
    }
}
