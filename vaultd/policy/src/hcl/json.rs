//! Tokens of JSON (RFC 8259) to the same tree. A key that is given twice is refused.

use std::collections::HashSet;

use super::lex::{Lexeme, Tokens};
use super::read::{Reader, deeper};
use super::{Body, Entry, Form, HclError, Kind, Name, Position, Value};

pub(super) fn body(tokens: &Tokens) -> Result<Body, HclError> {
    let mut reader = Reader::new(tokens);
    let open = reader.need("`{`")?;
    let body = object(&mut reader, open.position, 0)?;
    match reader.next() {
        None => Ok(body),
        Some(token) => Err(token
            .position
            .refuse("the JSON object ended before this; remove it")),
    }
}

fn value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, HclError> {
    let token = reader.need("a value")?;
    let position = token.position;
    let kind = match &token.lexeme {
        Lexeme::Text(text) => Kind::String(text.clone()),
        Lexeme::Number(number) => (*number).into(),
        Lexeme::Word(word) => match word.as_str() {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => return Err(position.refuse("a bare word is no JSON value; put it in quotes")),
        },
        Lexeme::OpenBrace => Kind::Object(object(reader, position, depth)?),
        Lexeme::OpenBracket => Kind::List(list(reader, position, depth)?),
        other => return Err(position.refuse(format!("expected a value, found {}", other.sort()))),
    };
    Ok(Value { kind, position })
}

/// After `{`.
fn object(reader: &mut Reader<'_>, position: Position, depth: usize) -> Result<Body, HclError> {
    let depth = deeper(position, depth)?;
    let mut body = Body::default();
    let mut seen = HashSet::new();
    if reader.skip_if(&Lexeme::CloseBrace) {
        return Ok(body);
    }
    loop {
        let key = reader.need("a key")?;
        let Lexeme::Text(text) = &key.lexeme else {
            return Err(key.position.refuse(format!(
                "expected a key in quotes, found {}",
                key.lexeme.sort()
            )));
        };
        if !seen.insert(text.as_str()) {
            return Err(key.position.refuse("this key is given twice; keep one"));
        }
        expect(reader, "`:`", |l| *l == Lexeme::Colon)?;
        body.entries.push(Entry {
            key: Name {
                text: text.clone(),
                position: key.position,
            },
            labels: Vec::new(),
            form: Form::Attribute,
            value: value(reader, depth)?,
        });
        let close = expect(reader, "`,` or `}`", |l| {
            matches!(l, Lexeme::Comma | Lexeme::CloseBrace)
        })?;
        if *close == Lexeme::CloseBrace {
            return Ok(body);
        }
    }
}

/// After `[`.
fn list(reader: &mut Reader<'_>, position: Position, depth: usize) -> Result<Vec<Value>, HclError> {
    let depth = deeper(position, depth)?;
    let mut values = Vec::new();
    if reader.skip_if(&Lexeme::CloseBracket) {
        return Ok(values);
    }
    loop {
        values.push(value(reader, depth)?);
        let close = expect(reader, "`,` or `]`", |l| {
            matches!(l, Lexeme::Comma | Lexeme::CloseBracket)
        })?;
        if *close == Lexeme::CloseBracket {
            return Ok(values);
        }
    }
}

fn expect<'a>(
    reader: &mut Reader<'a>,
    what: &str,
    wanted: impl Fn(&Lexeme) -> bool,
) -> Result<&'a Lexeme, HclError> {
    let token = reader.need(what)?;
    if wanted(&token.lexeme) {
        Ok(&token.lexeme)
    } else {
        Err(token
            .position
            .refuse(format!("expected {what}, found {}", token.lexeme.sort())))
    }
}
