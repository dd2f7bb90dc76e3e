//! Text to tokens, for both dialects. Comments are tokens too: the formatter keeps them.

use std::ops::Range;

use super::number::{Number, number};
use super::{HclError, MAX_BYTES, Position};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Hcl,
    Json,
}

impl Dialect {
    pub(super) fn of(text: &str) -> Dialect {
        match text
            .trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
            .starts_with('{')
        {
            true => Dialect::Json,
            false => Dialect::Hcl,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme {
    Word(String),
    Text(String),
    Heredoc(String),
    Number(Number),
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    Equals,
    Comma,
    Colon,
    Comment,
}

impl Lexeme {
    /// Names the sort of the token, never its content.
    pub(super) fn sort(&self) -> &'static str {
        match self {
            Lexeme::Word(_) => "a word",
            Lexeme::Text(_) | Lexeme::Heredoc(_) => "a string",
            Lexeme::Number(_) => "a number",
            Lexeme::OpenBrace => "`{`",
            Lexeme::CloseBrace => "`}`",
            Lexeme::OpenBracket => "`[`",
            Lexeme::CloseBracket => "`]`",
            Lexeme::Equals => "`=`",
            Lexeme::Comma => "`,`",
            Lexeme::Colon => "`:`",
            Lexeme::Comment => "a comment",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) lexeme: Lexeme,
    pub(super) position: Position,
    pub(super) span: Range<usize>,
}

pub(super) struct Tokens {
    pub(super) all: Vec<Token>,
    /// Where the text ends, for errors about what is missing there.
    pub(super) end: Position,
}

pub(super) fn tokens(text: &str, dialect: Dialect) -> Result<Tokens, HclError> {
    if text.len() > MAX_BYTES {
        return Err(Position::START.refuse("the text is longer than 1 MiB; split it"));
    }
    let mut lexer = Lexer::new(text, dialect);
    let mut all = Vec::new();
    while let Some(token) = lexer.token()? {
        all.push(token);
    }
    Ok(Tokens {
        all,
        end: lexer.position,
    })
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    position: Position,
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, dialect: Dialect) -> Self {
        Lexer {
            text,
            // A byte order mark is no character of the text.
            at: if text.starts_with('\u{feff}') { 3 } else { 0 },
            position: Position::START,
            dialect,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += 1;
        }
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
        &self.text[start..self.at]
    }

    fn token(&mut self) -> Result<Option<Token>, HclError> {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        let (start, position) = (self.at, self.position);
        let Some(c) = self.peek() else {
            return Ok(None);
        };
        let lexeme = match c {
            '"' => Lexeme::Text(self.string(position)?),
            '-' | '0'..='9' => self.number(position)?,
            c if c.is_alphabetic() || c == '_' => Lexeme::Word(self.take_while(is_word).to_owned()),
            '#' | '/' if self.dialect == Dialect::Hcl => self.comment(position)?,
            '<' if self.dialect == Dialect::Hcl => Lexeme::Heredoc(self.heredoc(position)?),
            _ => {
                self.next();
                mark(c).ok_or_else(|| {
                    position.refuse("this character has no meaning here; quote it as a string")
                })?
            }
        };
        Ok(Some(Token {
            lexeme,
            position,
            span: start..self.at,
        }))
    }

    fn number(&mut self, position: Position) -> Result<Lexeme, HclError> {
        let text =
            self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-'));
        number(text, self.dialect)
            .map(Lexeme::Number)
            .ok_or_else(|| {
                position.refuse("this is not a number that can be read; quote it if it is a string")
            })
    }

    fn comment(&mut self, position: Position) -> Result<Lexeme, HclError> {
        if self.rest().starts_with("/*") {
            let Some(length) = self.rest()[2..].find("*/") else {
                return Err(position.refuse("the comment is not closed; add `*/`"));
            };
            let end = self.at + length + 4;
            while self.at < end {
                self.next();
            }
        } else if self.rest().starts_with('#') || self.rest().starts_with("//") {
            self.take_while(|c| c != '\n');
        } else {
            return Err(position.refuse("a comment starts with `#`, `//` or `/*`"));
        }
        Ok(Lexeme::Comment)
    }

    fn string(&mut self, start: Position) -> Result<String, HclError> {
        self.next();
        let mut out = String::new();
        loop {
            let position = self.position;
            match self.next() {
                Some('"') => return Ok(out),
                Some('\\') => out.push(self.escape(position)?),
                None | Some('\n') => {
                    return Err(start.refuse("the string is not closed on its line; add `\"`"));
                }
                Some(c) if c.is_control() && (c != '\t' || self.dialect == Dialect::Json) => {
                    return Err(
                        position.refuse("control character in a string; write it as \\uXXXX")
                    );
                }
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self, position: Position) -> Result<char, HclError> {
        let refuse = || position.refuse("unknown escape in a string; write `\\\\` for a backslash");
        let hcl = self.dialect == Dialect::Hcl;
        Ok(match self.next().ok_or_else(refuse)? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            c @ ('"' | '\\') => c,
            '/' if !hcl => '/',
            'a' if hcl => '\u{7}',
            'v' if hcl => '\u{b}',
            // Bytes above 0x7f would not be UTF-8.
            'x' if hcl => match self.hex(2).and_then(char::from_u32) {
                Some(c) if c.is_ascii() => c,
                _ => return Err(refuse()),
            },
            'U' if hcl => self.hex(8).and_then(char::from_u32).ok_or_else(refuse)?,
            'u' => self.utf16().ok_or_else(refuse)?,
            _ => return Err(refuse()),
        })
    }

    /// `XXXX` of `\uXXXX`; in JSON a surrogate pair is one character (RFC 8259 §7).
    fn utf16(&mut self) -> Option<char> {
        let first = self.hex(4)?;
        if self.dialect == Dialect::Hcl || !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if self.next()? != '\\' || self.next()? != 'u' {
            return None;
        }
        let second = self
            .hex(4)?
            .checked_sub(0xdc00)
            .filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        (0..digits).try_fold(0u32, |value, _| {
            let digit = self.peek()?.to_digit(16)?;
            self.next();
            Some(value << 4 | digit)
        })
    }

    /// `<<WORD` or `<<-WORD`, lines, and a line with `WORD` alone.
    fn heredoc(&mut self, start: Position) -> Result<String, HclError> {
        let refuse = |why: &str| start.refuse(why);
        if !self.rest().starts_with("<<") {
            return Err(refuse("a multi-line string starts with `<<EOF`"));
        }
        self.next();
        self.next();
        let indented = self.peek() == Some('-');
        if indented {
            self.next();
        }
        let marker = self.take_while(is_word);
        self.take_while(|c| c == '\r');
        if marker.is_empty() || self.next() != Some('\n') {
            return Err(refuse(
                "a multi-line string starts with `<<EOF` at the end of its line",
            ));
        }
        let mut lines = Vec::new();
        loop {
            let line = self.take_while(|c| c != '\n');
            if line.trim() == marker {
                let margin = line.find(marker).unwrap_or(0);
                return Ok(join(&lines, if indented { &line[..margin] } else { "" }));
            }
            if self.next().is_none() {
                return Err(refuse(
                    "the multi-line string is not closed; end it with its marker alone on a line",
                ));
            }
            lines.push(line);
        }
    }
}

/// Takes the margin of the closing marker off every line, if all lines have it.
fn join(lines: &[&str], margin: &str) -> String {
    let margin = if lines.iter().all(|line| line.starts_with(margin)) {
        margin.len()
    } else {
        0
    };
    lines
        .iter()
        .flat_map(|line| [&line[margin..], "\n"])
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn mark(c: char) -> Option<Lexeme> {
    Some(match c {
        '{' => Lexeme::OpenBrace,
        '}' => Lexeme::CloseBrace,
        '[' => Lexeme::OpenBracket,
        ']' => Lexeme::CloseBracket,
        '=' => Lexeme::Equals,
        ',' => Lexeme::Comma,
        ':' => Lexeme::Colon,
        _ => return None,
    })
}
