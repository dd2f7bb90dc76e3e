//! One canonical layout: two blanks of indent, an entry on each line, comments kept.
//!
//! Works on tokens, so whatever the layout does not touch is copied as it stands.

use super::lex::{self, Dialect, Lexeme, Token};
use super::{HclError, parse};

/// The text in canonical layout, with the same meaning.
///
/// # Errors
/// Whatever [`parse`] refuses.
pub fn format(text: &str) -> Result<String, HclError> {
    parse(text)?;
    let dialect = Dialect::of(text);
    let tokens = lex::tokens(text, dialect)?;
    let mut layout = Layout::new(text, dialect);
    for (i, token) in tokens.all.iter().enumerate() {
        layout.token(token, &tokens.all[i + 1..]);
    }
    layout.out.push('\n');
    Ok(layout.out)
}

/// What stands between two tokens.
#[derive(Clone, Copy, PartialEq)]
enum Gap {
    None,
    Blank,
    Line,
}

struct Layout<'a> {
    text: &'a str,
    json: bool,
    out: String,
    open: Vec<Open>,
    gap: Gap,
    /// After `=` or `:`: the next token is a value, not a key.
    value_next: bool,
    /// After a comment or a multi-line string: the line must end, whatever follows.
    must_break: bool,
    /// Where the last token that was written ends, in the original.
    line: u32,
}

#[derive(Clone, Copy)]
struct Open {
    brace: bool,
    /// One element on each line.
    tall: bool,
}

impl<'a> Layout<'a> {
    fn new(text: &'a str, dialect: Dialect) -> Self {
        Layout {
            text,
            json: dialect == Dialect::Json,
            out: String::new(),
            open: Vec::new(),
            gap: Gap::None,
            value_next: false,
            must_break: false,
            line: 0,
        }
    }

    fn token(&mut self, token: &Token, following: &[Token]) {
        // Between the entries of an HCL object a comma says nothing.
        if token.lexeme == Lexeme::Comma && self.in_brace() && !self.json {
            return;
        }
        let raw = &self.text[token.span.clone()];
        let lines = token.position.line.saturating_sub(self.line);
        let breaks = raw.bytes().filter(|b| *b == b'\n').count();
        self.line = token.position.line + breaks as u32;
        match &token.lexeme {
            Lexeme::Comment => return self.comment(raw, lines),
            Lexeme::CloseBrace | Lexeme::CloseBracket => return self.close(raw),
            Lexeme::Comma | Lexeme::Colon => self.gap = Gap::None,
            _ => {}
        }
        self.space(lines);
        self.out.push_str(raw);
        self.must_break = matches!(token.lexeme, Lexeme::Heredoc(_));
        self.gap = self.gap_after(token, following);
    }

    fn gap_after(&mut self, token: &Token, following: &[Token]) -> Gap {
        match &token.lexeme {
            Lexeme::OpenBrace | Lexeme::OpenBracket => {
                let brace = token.lexeme == Lexeme::OpenBrace;
                let tall = is_tall(token, brace, following);
                self.open.push(Open { brace, tall });
                self.value_next = false;
                if tall { Gap::Line } else { Gap::None }
            }
            Lexeme::Comma if self.open.last().is_some_and(|o| o.tall) => Gap::Line,
            Lexeme::Comma => Gap::Blank,
            Lexeme::Equals | Lexeme::Colon => {
                self.value_next = true;
                Gap::Blank
            }
            _ => self.ended(),
        }
    }

    /// The gap after a whole value, or after one word of a key.
    fn ended(&mut self) -> Gap {
        let value = std::mem::take(&mut self.value_next);
        match self.open.last() {
            Some(Open {
                brace: false,
                tall: true,
            }) => Gap::Line,
            Some(Open {
                brace: false,
                tall: false,
            }) => Gap::None,
            _ if value => Gap::Line,
            _ => Gap::Blank,
        }
    }

    fn close(&mut self, raw: &str) {
        let tall = self.open.pop().is_some_and(|o| o.tall);
        self.gap = if tall { Gap::Line } else { Gap::None };
        self.space(0);
        self.out.push_str(raw);
        self.value_next = true;
        self.gap = self.ended();
    }

    /// A comment stays on its line, behind what it explains, or gets its own.
    fn comment(&mut self, raw: &str, lines: u32) {
        if lines == 0 && !self.out.is_empty() {
            self.out.push(' ');
        } else {
            self.must_break = true;
            self.space(lines);
        }
        self.out.push_str(raw.trim_end());
        self.must_break = true;
    }

    /// Writes the pending gap; one empty line of the original is kept.
    fn space(&mut self, lines: u32) {
        let must_break = std::mem::take(&mut self.must_break);
        match std::mem::replace(&mut self.gap, Gap::None) {
            _ if self.out.is_empty() => {}
            Gap::None if !must_break => {}
            Gap::Blank if !must_break => self.out.push(' '),
            _ => {
                self.out.push('\n');
                if lines > 1 && !self.out.ends_with("{\n") && !self.out.ends_with("[\n") {
                    self.out.push('\n');
                }
                let depth = self.open.iter().filter(|o| o.tall).count();
                self.out.push_str(&"  ".repeat(depth));
            }
        }
    }

    fn in_brace(&self) -> bool {
        self.open.last().is_none_or(|o| o.brace)
    }
}

/// Braces are tall unless empty; a list is if it was written so.
fn is_tall(open: &Token, brace: bool, following: &[Token]) -> bool {
    let first = following.iter().find(|t| t.lexeme != Lexeme::Comment);
    let commented = following
        .first()
        .is_some_and(|t| t.lexeme == Lexeme::Comment);
    let empty = first.is_none_or(|t| matches!(t.lexeme, Lexeme::CloseBrace | Lexeme::CloseBracket));
    let broken = first.is_some_and(|t| t.position.line > open.position.line);
    commented || (!empty && (brace || broken))
}
