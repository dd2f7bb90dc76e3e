//! Tokens of HCL to the tree.

use std::collections::HashMap;

use super::lex::{Lexeme, Token, Tokens};
use super::{Body, Entry, Form, HclError, Kind, MAX_DEPTH, Name, Position, Value};

pub(super) fn body(tokens: &Tokens) -> Result<Body, HclError> {
    let mut reader = Reader::new(tokens);
    let body = reader.entries(0)?;
    match reader.next() {
        None => Ok(body),
        Some(token) => Err(token.position.refuse("`}` closes nothing; remove it")),
    }
}

/// The tokens that mean something, one after the other.
pub(super) struct Reader<'a> {
    tokens: std::iter::Peekable<std::slice::Iter<'a, Token>>,
    end: Position,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tokens: &'a Tokens) -> Self {
        Reader {
            tokens: tokens.all.iter().peekable(),
            end: tokens.end,
        }
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        self.tokens.by_ref().find(|t| t.lexeme != Lexeme::Comment)
    }

    pub(super) fn peek(&mut self) -> Option<&'a Token> {
        while self
            .tokens
            .next_if(|t| t.lexeme == Lexeme::Comment)
            .is_some()
        {}
        self.tokens.peek().copied()
    }

    pub(super) fn skip_if(&mut self, lexeme: &Lexeme) -> bool {
        let found = self.peek().is_some_and(|t| t.lexeme == *lexeme);
        if found {
            self.next();
        }
        found
    }

    /// The next token, or an error that says what is missing.
    pub(super) fn need(&mut self, what: &str) -> Result<&'a Token, HclError> {
        let end = self.end;
        self.next()
            .ok_or_else(|| end.refuse(format!("the text ends here; expected {what}")))
    }

    /// Entries up to the `}` (not taken) or the end of the text.
    fn entries(&mut self, depth: usize) -> Result<Body, HclError> {
        let mut body = Body::default();
        let mut seen = HashMap::new();
        while let Some(token) = self.peek() {
            if token.lexeme == Lexeme::CloseBrace {
                break;
            }
            let entry = self.entry(depth)?;
            let attribute = entry.form == Form::Attribute;
            // Blocks may repeat; an attribute that is given twice hides one of the two.
            match seen.insert(entry.key.text.clone(), attribute) {
                Some(was_attribute) if attribute || was_attribute => {
                    return Err(entry
                        .key
                        .position
                        .refuse("this key is given twice; keep one"));
                }
                _ => body.entries.push(entry),
            }
            self.skip_if(&Lexeme::Comma);
        }
        Ok(body)
    }

    fn entry(&mut self, depth: usize) -> Result<Entry, HclError> {
        let key = name(self.need("a key")?)?;
        let mut labels = Vec::new();
        loop {
            let token = self.need("`=` or `{`")?;
            match &token.lexeme {
                Lexeme::Equals if labels.is_empty() => {
                    let value = self.value(depth)?;
                    return Ok(Entry {
                        key,
                        labels,
                        form: Form::Attribute,
                        value,
                    });
                }
                Lexeme::OpenBrace => {
                    let value = self.object(token.position, depth)?;
                    return Ok(Entry {
                        key,
                        labels,
                        form: Form::Block,
                        value,
                    });
                }
                Lexeme::Word(_) | Lexeme::Text(_) => labels.push(name(token)?),
                Lexeme::Colon => {
                    return Err(token
                        .position
                        .refuse("`:` is JSON; write `=` between a key and its value"));
                }
                _ if !labels.is_empty() => {
                    return Err(token.position.refuse(format!(
                        "expected `{{` after the labels of a block, found {}",
                        token.lexeme.sort()
                    )));
                }
                other => {
                    return Err(token.position.refuse(format!(
                        "expected `=` or `{{` after a key, found {}",
                        other.sort()
                    )));
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, HclError> {
        let token = self.need("a value")?;
        let position = token.position;
        let kind = match &token.lexeme {
            Lexeme::Text(text) | Lexeme::Heredoc(text) => Kind::String(text.clone()),
            Lexeme::Number(number) => (*number).into(),
            Lexeme::Word(word) if word == "true" => Kind::Bool(true),
            Lexeme::Word(word) if word == "false" => Kind::Bool(false),
            Lexeme::Word(_) => {
                return Err(position.refuse("a bare word is no value; put it in quotes"));
            }
            Lexeme::OpenBracket => Kind::List(self.list(position, depth)?),
            Lexeme::OpenBrace => return self.object(position, depth),
            other => {
                return Err(position.refuse(format!("expected a value, found {}", other.sort())));
            }
        };
        Ok(Value { kind, position })
    }

    /// After `{`.
    fn object(&mut self, position: Position, depth: usize) -> Result<Value, HclError> {
        let body = self.entries(deeper(position, depth)?)?;
        self.need("`}`")?;
        Ok(Value {
            kind: Kind::Object(body),
            position,
        })
    }

    /// After `[`.
    fn list(&mut self, position: Position, depth: usize) -> Result<Vec<Value>, HclError> {
        let depth = deeper(position, depth)?;
        let mut values = Vec::new();
        loop {
            if self.skip_if(&Lexeme::CloseBracket) {
                return Ok(values);
            }
            values.push(self.value(depth)?);
            let token = self.need("`,` or `]`")?;
            match token.lexeme {
                Lexeme::CloseBracket => return Ok(values),
                Lexeme::Comma => {}
                ref other => {
                    return Err(token.position.refuse(format!(
                        "expected `,` or `]` in a list, found {}",
                        other.sort()
                    )));
                }
            }
        }
    }
}

pub(super) fn deeper(position: Position, depth: usize) -> Result<usize, HclError> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(position.refuse("nested deeper than 64 levels"))
    }
}

fn name(token: &Token) -> Result<Name, HclError> {
    match &token.lexeme {
        Lexeme::Word(text) | Lexeme::Text(text) => Ok(Name {
            text: text.clone(),
            position: token.position,
        }),
        other => Err(token
            .position
            .refuse(format!("expected a key, found {}", other.sort()))),
    }
}
