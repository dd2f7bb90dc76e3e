//! Finds the most specific wildcard rule for a path, by segments.
//!
//! Every rule has an id, and a greater id is more specific; so the answer is the
//! greatest id among the rules that match. A look-up walks the path once and
//! branches only where a `+` rule exists.

use std::collections::HashMap;
use std::sync::Arc;

use super::pattern::{Pattern, Segment};

#[derive(Debug, Default)]
pub(super) struct Tree {
    literal: HashMap<Arc<str>, Tree>,
    any: Option<Box<Tree>>,
    /// The rule that ends with this node.
    here: Option<u32>,
    /// The rules whose last, unfinished segment begins below this node.
    globs: Starts,
}

impl Tree {
    /// Add in the order of ids, and call [`Tree::finish`] once at the end.
    pub(super) fn add(&mut self, pattern: &Pattern, id: u32) {
        let (segments, start) = match pattern.segments.split_last() {
            Some((Segment::Literal(start), before)) if pattern.glob => (before, Some(start)),
            _ => (&pattern.segments[..], None),
        };
        let node = segments.iter().fold(self, |node, segment| match segment {
            Segment::Literal(text) => node.literal.entry(text.clone()).or_default(),
            Segment::Any => node.any.get_or_insert_default(),
            // Resolved or dropped before a tree is built.
            Segment::Template(_) => node,
        });
        match start {
            Some(start) => node.globs.0.push(Start {
                text: start.clone(),
                id,
                shorter: None,
            }),
            None => node.here = Some(id),
        }
    }

    pub(super) fn finish(&mut self) {
        self.globs.finish();
        self.literal.values_mut().for_each(Tree::finish);
        self.any.iter_mut().for_each(|node| node.finish());
    }

    /// The most specific rule that covers a path.
    pub(super) fn best(&self, path: &str) -> Option<u32> {
        let (segment, rest) = match path.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (path, None),
        };
        let below = |node: &Tree| match rest {
            Some(rest) => node.best(rest),
            None => node.here,
        };
        let literal = self.literal.get(segment).and_then(below);
        let any = self.any.as_deref().and_then(below);
        self.globs.longest(segment).max(literal).max(any)
    }
}

/// Starts of segments, sorted. The longest one that a segment begins with is the
/// last that does not sort behind it, or one of that one's own starts.
#[derive(Debug, Default)]
struct Starts(Vec<Start>);

#[derive(Debug)]
struct Start {
    text: Arc<str>,
    id: u32,
    /// The longest other start that this one begins with.
    shorter: Option<usize>,
}

impl Starts {
    fn finish(&mut self) {
        self.0.sort_by(|a, b| a.text.cmp(&b.text));
        let mut open: Vec<usize> = Vec::new();
        for i in 0..self.0.len() {
            while let Some(&last) = open.last()
                && !self.0[i].text.starts_with(&*self.0[last].text)
            {
                open.pop();
            }
            self.0[i].shorter = open.last().copied();
            open.push(i);
        }
    }

    fn longest(&self, segment: &str) -> Option<u32> {
        let behind = self.0.partition_point(|start| &*start.text <= segment);
        let mut at = behind.checked_sub(1);
        while let Some(start) = at.and_then(|i| self.0.get(i)) {
            if segment.starts_with(&*start.text) {
                return Some(start.id);
            }
            at = start.shorter;
        }
        None
    }
}
