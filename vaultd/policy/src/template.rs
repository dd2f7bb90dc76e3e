//! `{{identity.…}}` in paths: found while the path is parsed, filled in as a piece
//! of one segment. A value can therefore never add a segment or a wildcard.

use std::sync::Arc;

/// Knows the values of template variables for one caller.
pub trait Templates {
    /// The value of a variable such as `identity.entity.id`; `None` if the caller has none.
    fn resolve(&self, variable: &str) -> Option<String>;
}

/// A caller without an identity: no variable has a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTemplates;

impl Templates for NoTemplates {
    fn resolve(&self, _variable: &str) -> Option<String> {
        None
    }
}

/// Part of a segment that holds a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Arc<str>),
    Variable(Arc<str>),
}

/// One whole segment, or `None` if a value is missing or could change the shape of
/// the path: here, after URL decoding, or in a client that decodes once more.
pub(super) fn fill(pieces: &[Piece], vars: &dyn Templates) -> Option<Arc<str>> {
    let mut segment = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => segment.push_str(text),
            Piece::Variable(name) => segment.push_str(&vars.resolve(name).filter(|v| is_plain(v))?),
        }
    }
    Some(segment.into())
}

/// No value is a `.`, so no segment that is made with it is one, or a `..`.
fn is_plain(value: &str) -> bool {
    let shapes = |c: char| c.is_control() || matches!(c, '/' | '*' | '+' | '%' | '\\' | '{' | '}');
    !value.is_empty() && value != "." && value != ".." && !value.contains(shapes)
}
