//! One line, taken apart.

use crate::chain::Link;

/// A longer line is not one of ours.
pub const MAX_LINE: usize = 64 << 20;

/// `,"chain":"` + 64 hex + `"}`.
const TAIL: usize = 10 + 64 + 2;

/// A line without its newline. Parsing does not check the chain.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// What the chain covers: everything before `,"chain"`.
    pub body: &'a [u8],
    /// The line's own fields, without the closing brace.
    pub fields: &'a [u8],
    /// Position in the chain, from 1.
    pub seq: u64,
    /// The chain value that the line claims.
    pub link: Link,
}

/// The text does not end as every line of an audit file does.
#[derive(Debug, thiserror::Error)]
#[error("not a line of an audit file")]
pub struct NotALine;

impl<'a> Line<'a> {
    /// Takes a line apart; `text` has no newline.
    pub fn parse(text: &'a [u8]) -> Result<Line<'a>, NotALine> {
        let cut = text.len().checked_sub(TAIL).ok_or(NotALine)?;
        let (body, tail) = text.split_at(cut);
        let link = tail
            .strip_prefix(b",\"chain\":\"")
            .and_then(|t| t.strip_suffix(b"\"}"))
            .and_then(Link::parse)
            .ok_or(NotALine)?;
        let digits = body.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (rest, digits) = body.split_at(body.len() - digits);
        let fields = rest.strip_suffix(b",\"seq\":").ok_or(NotALine)?;
        if !fields.starts_with(b"{\"") || digits.starts_with(b"0") {
            return Err(NotALine);
        }
        let seq = std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse().ok())
            .ok_or(NotALine)?;
        Ok(Line {
            body,
            fields,
            seq,
            link,
        })
    }

    /// Is this the line that follows `previous`?
    pub fn follows(&self, previous: Link) -> bool {
        previous.after(self.body) == self.link
    }
}
