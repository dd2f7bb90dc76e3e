//! The path of a rule, parsed once into segments.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use super::template::{Piece, Templates, fill};

/// `a/b` is one path, `a/b*` every path that starts so, `+` one whole segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    /// Parts between slashes; without the `*` of a glob.
    pub(super) segments: Vec<Segment>,
    /// Ends in `*`: the last segment is only the start of one.
    pub(super) glob: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Arc<str>),
    Any,
    /// Holds a variable; becomes a literal for one caller.
    Template(Vec<Piece>),
}

/// What is wrong with the path of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    #[error("`+*` is forbidden in a path; use `+/*` for everything below one segment, or `*`")]
    PlusGlob,
    #[error("a template in the path is not closed, or is empty; write {{{{identity.entity.id}}}}")]
    Template,
    #[error("the path has a control character in it")]
    Control,
    #[error("the path is longer than 1024 bytes")]
    TooLong,
}

/// More specific is greater: Vault's order of precedence, field by field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    exact: bool,
    first_wildcard: usize,
    whole: bool,
    fewer: Reverse<usize>,
    length: usize,
    text: Arc<str>,
}

/// Why one pattern counts less than another that covers the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inferior {
    NotExact,
    EarlierWildcard,
    OpenEnd,
    MoreWildcards,
    Shorter,
    EarlierText,
    /// It covers a LIST only without its trailing slash.
    WithoutSlash,
}

impl fmt::Display for Inferior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Inferior::NotExact => "the other one names this very path",
            Inferior::EarlierWildcard => "its first wildcard comes earlier",
            Inferior::OpenEnd => "it ends in `*`, the other one does not",
            Inferior::MoreWildcards => "it has more `+`",
            Inferior::Shorter => "it is shorter",
            Inferior::EarlierText => "it comes earlier in the alphabet",
            Inferior::WithoutSlash => "it covers the folder only without its trailing slash",
        })
    }
}

impl Rank {
    /// What makes it the lesser of the two.
    pub(super) fn inferior_to(&self, other: &Rank) -> Inferior {
        // Two exact ones cover the same path only as a folder with and without its slash.
        if self > other || (self.exact && other.exact) {
            Inferior::WithoutSlash
        } else if self.exact != other.exact {
            Inferior::NotExact
        } else if self.first_wildcard != other.first_wildcard {
            Inferior::EarlierWildcard
        } else if self.whole != other.whole {
            Inferior::OpenEnd
        } else if self.fewer != other.fewer {
            Inferior::MoreWildcards
        } else if self.length != other.length {
            Inferior::Shorter
        } else {
            Inferior::EarlierText
        }
    }
}

impl Pattern {
    const MAX_BYTES: usize = 1024;

    /// Parses the path of a rule. One leading slash is dropped, as Vault does.
    pub fn parse(text: &str) -> Result<Pattern, BadPattern> {
        let text = text.strip_prefix('/').unwrap_or(text);
        // Also bounds the depth of the tree that rules are looked up in.
        if text.len() > Self::MAX_BYTES {
            return Err(BadPattern::TooLong);
        }
        if text.contains(char::is_control) {
            return Err(BadPattern::Control);
        }
        if text.contains("+*") {
            return Err(BadPattern::PlusGlob);
        }
        let mut segments = split(text)?;
        let glob = text.ends_with('*') && drop_star(&mut segments);
        Ok(Pattern {
            text: text.into(),
            segments: segments.into_iter().map(segment).collect(),
            glob,
        })
    }

    /// The path as it was written, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_templated(&self) -> bool {
        let template = |s: &Segment| matches!(s, Segment::Template(_));
        self.segments.iter().any(template)
    }

    /// One path and no other.
    pub fn is_exact(&self) -> bool {
        let literal = |s: &Segment| matches!(s, Segment::Literal(_));
        !self.glob && self.segments.iter().all(literal)
    }

    /// The pattern for one caller; `None` if a template has no plain value for it.
    pub(super) fn resolve(&self, vars: &dyn Templates) -> Option<Pattern> {
        if !self.is_templated() {
            return Some(self.clone());
        }
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Template(pieces) => fill(pieces, vars).map(Segment::Literal),
            other => Some(other.clone()),
        });
        let segments = segments.collect::<Option<Vec<_>>>()?;
        let star = if self.glob { "*" } else { "" };
        let text = plain_text(&segments) + star;
        Some(Pattern {
            text: text.into(),
            segments,
            glob: self.glob,
        })
    }

    /// Whether the pattern covers this path. A template covers nothing.
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let last = self.segments.len().saturating_sub(1);
        for (i, segment) in self.segments.iter().enumerate() {
            let Some(part) = parts.next() else {
                return false;
            };
            let fits = match segment {
                Segment::Any => true,
                Segment::Literal(text) if self.glob && i == last => {
                    return part.starts_with(&**text);
                }
                Segment::Literal(text) => part == &**text,
                Segment::Template(_) => false,
            };
            if !fits {
                return false;
            }
        }
        parts.next().is_none()
    }

    /// Whether the pattern covers `prefix` itself or something below it.
    pub(super) fn reaches(&self, prefix: &str) -> bool {
        let mut segments = self.segments.iter().enumerate();
        let last = self.segments.len().saturating_sub(1);
        let prefix = prefix.trim_end_matches('/');
        if prefix.is_empty() {
            return true;
        }
        for part in prefix.split('/') {
            let fits = match segments.next() {
                Some((_, Segment::Any)) => true,
                Some((i, Segment::Literal(text))) if self.glob && i == last => {
                    return part.starts_with(&**text);
                }
                Some((_, Segment::Literal(text))) => part == &**text,
                Some((_, Segment::Template(_))) | None => false,
            };
            if !fits {
                return false;
            }
        }
        true
    }

    pub(super) fn rank(&self) -> Rank {
        let text: Arc<str> = self.text[..self.text.len() - usize::from(self.glob)].into();
        let wild = |s: &&Segment| matches!(s, Segment::Any);
        let before = self.segments.iter().take_while(|s| !wild(s));
        let first = before.map(|s| plain_len(s) + 1).sum::<usize>();
        Rank {
            exact: self.is_exact(),
            // Without a `+` the first wildcard is the `*`, right behind the text.
            first_wildcard: first.min(text.len()),
            whole: !self.glob,
            fewer: Reverse(self.segments.iter().filter(wild).count()),
            length: text.len(),
            text,
        }
    }
}

fn plain_len(segment: &Segment) -> usize {
    match segment {
        Segment::Literal(text) => text.len(),
        Segment::Any => 1,
        Segment::Template(_) => 0,
    }
}

fn plain_text(segments: &[Segment]) -> String {
    let texts = segments.iter().map(|segment| match segment {
        Segment::Literal(text) => &**text,
        Segment::Any => "+",
        Segment::Template(_) => "",
    });
    texts.collect::<Vec<_>>().join("/")
}

/// Slashes inside `{{…}}` do not divide: templates are found first.
fn split(text: &str) -> Result<Vec<Vec<Piece>>, BadPattern> {
    let mut segments = vec![Vec::new()];
    let mut rest = text;
    while let Some(at) = rest.find(['/', '{', '}']) {
        let (before, from) = rest.split_at(at);
        push_text(&mut segments, before);
        rest = if let Some(inner) = from.strip_prefix("{{") {
            let (name, after) = inner.split_once("}}").ok_or(BadPattern::Template)?;
            let name = name.trim();
            if name.is_empty() || name.contains(['{', '}']) {
                return Err(BadPattern::Template);
            }
            push(&mut segments, Piece::Variable(name.into()));
            after
        } else if from.starts_with("}}") {
            return Err(BadPattern::Template);
        } else if let Some(after) = from.strip_prefix('/') {
            segments.push(Vec::new());
            after
        } else {
            let (brace, after) = from.split_at(1);
            push_text(&mut segments, brace);
            after
        };
    }
    push_text(&mut segments, rest);
    Ok(segments)
}

fn push_text(segments: &mut [Vec<Piece>], text: &str) {
    if !text.is_empty() {
        push(segments, Piece::Text(text.into()));
    }
}

fn push(segments: &mut [Vec<Piece>], piece: Piece) {
    if let Some(segment) = segments.last_mut() {
        segment.push(piece);
    }
}

/// Takes the final `*` off; false if it belongs to a template's name.
fn drop_star(segments: &mut [Vec<Piece>]) -> bool {
    let Some(Piece::Text(text)) = segments.last_mut().and_then(|s| s.last_mut()) else {
        return false;
    };
    match text.strip_suffix('*') {
        Some(before) => {
            *text = before.into();
            true
        }
        None => false,
    }
}

fn segment(pieces: Vec<Piece>) -> Segment {
    if pieces.iter().any(|p| matches!(p, Piece::Variable(_))) {
        return Segment::Template(pieces);
    }
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) | Piece::Variable(text) => &**text,
    });
    let text = texts.collect::<String>();
    if text == "+" {
        Segment::Any
    } else {
        Segment::Literal(text.into())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
