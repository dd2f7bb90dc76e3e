//! The HCL 1 subset that policies and server configuration files are written in.
//!
//! Promises: never panics, reads in linear time, bounds size and depth, knows the
//! position of every key and value, refuses an attribute that is given twice, and
//! keeps the text it refuses out of its errors. A text that starts with `{` is
//! JSON (RFC 8259) and gives the same tree.
//! Not a promise: expressions, functions and `${…}` are plain characters here.

mod format;
mod json;
mod lex;
mod number;
mod read;

#[cfg(test)]
mod tests;

pub use format::format;

use std::fmt;

use thiserror::Error;

/// Longest text that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of blocks, objects and lists.
pub const MAX_DEPTH: usize = 64;

/// Where something starts: line and column, both from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

impl Position {
    pub const START: Position = Position { line: 1, column: 1 };

    /// An error at this position.
    pub(crate) fn refuse(self, message: impl Into<String>) -> HclError {
        HclError {
            line: self.line,
            column: self.column,
            message: message.into(),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is not HCL (or JSON), and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct HclError {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

/// The entries of a file, a block or an object, in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub entries: Vec<Entry>,
}

/// `key = value`, or `key "label" … { … }`.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Name,
    /// Labels of a block; always empty for an attribute.
    pub labels: Vec<Name>,
    pub form: Form,
    /// Always an object when the form is a block.
    pub value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Attribute,
    Block,
}

/// A key or a label.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: String,
    pub position: Position,
}

#[derive(Clone, Debug)]
pub struct Value {
    pub kind: Kind,
    pub position: Position,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// Only in JSON.
    Null,
    Bool(bool),
    Integer(i64),
    /// Always finite.
    Float(f64),
    String(String),
    List(Vec<Value>),
    Object(Body),
}

impl Body {
    /// All entries with this key, in order.
    pub fn all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |e| e.key.text == key)
    }

    /// The first entry with this key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.all(key).next()
    }
}

impl Value {
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_integer(&self) -> Option<i64> {
        match self.kind {
            Kind::Integer(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::List(values) => Some(values),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Body> {
        match &self.kind {
            Kind::Object(body) => Some(body),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The same value as JSON. A label becomes a key one level down; of blocks
    /// that repeat, the last one is kept.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.kind {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::from(*value),
            Kind::Integer(value) => Json::from(*value),
            Kind::Float(value) => Json::from(*value),
            Kind::String(text) => Json::from(text.as_str()),
            Kind::List(values) => values.iter().map(Value::to_json).collect(),
            Kind::Object(body) => body.entries.iter().map(Entry::to_json).collect(),
        }
    }
}

impl Entry {
    fn to_json(&self) -> (String, serde_json::Value) {
        let inner = self
            .labels
            .iter()
            .rev()
            .fold(self.value.to_json(), |value, label| {
                serde_json::Value::from(serde_json::Map::from_iter([(label.text.clone(), value)]))
            });
        (self.key.text.clone(), inner)
    }
}

/// Reads HCL, or JSON when the first character that is not blank is `{`.
pub fn parse(text: &str) -> Result<Body, HclError> {
    let dialect = lex::Dialect::of(text);
    let tokens = lex::tokens(text, dialect)?;
    match dialect {
        lex::Dialect::Hcl => read::body(&tokens),
        lex::Dialect::Json => json::body(&tokens),
    }
}
