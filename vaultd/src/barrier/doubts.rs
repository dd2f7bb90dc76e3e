//! What verification found wrong and reads must not believe from then on.

use std::collections::HashSet;

use bytes::Bytes;

use super::names;
use super::presence::bucket;

/// Empty while the store is whole. A doubted row is neither read nor replaced: a new row in its place
/// would hide that the old one was not ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Put back from an older copy, or one of several of which one was.
    rows: HashSet<Bytes>,
    /// Rows of these buckets are missing.
    buckets: HashSet<usize>,
    /// Directories of which an entry is missing.
    directories: HashSet<Bytes>,
    /// Something is missing that nothing names: any directory may have had it.
    unnamed: bool,
}

impl Doubts {
    pub(super) fn is_empty(&self) -> bool {
        *self == Doubts::default()
    }

    pub(super) fn row(&self, key: &[u8]) -> bool {
        self.rows.contains(key)
    }

    /// Whether the row may only seem absent.
    pub(super) fn absence(&self, key: &[u8]) -> bool {
        self.buckets.contains(&bucket(key))
    }

    /// Whether entries of a directory may be missing.
    pub(super) fn directory(&self, prefix: &[u8]) -> bool {
        self.unnamed || self.directories.contains(prefix)
    }

    pub(super) fn add_row(&mut self, key: Bytes) {
        self.rows.insert(key);
    }

    pub(super) fn add_bucket(&mut self, bucket: usize) {
        self.buckets.insert(bucket);
    }

    pub(super) fn add_missing(&mut self, key: &Bytes) {
        if let Some(prefix) = names::directory_of(key) {
            self.directories.insert(prefix);
        }
    }

    pub(super) fn add_unnamed(&mut self) {
        self.unnamed = true;
    }
}
