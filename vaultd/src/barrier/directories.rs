//! Names of directories, opened and in order: a page of a long listing costs what the page costs.
//!
//! Names are sealed, so their order on the disk means nothing, and the first page needs all of them.
//! What was opened once is kept and follows the commits. Bounded; a directory that is too long for
//! it is read from the disk each time.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::storage::Rev;
use super::tx::{Window, shown};

const BYTES_MAX: usize = 32 << 20;
/// Of one directory: some 80,000 names.
const DIRECTORY_BYTES_MAX: usize = 8 << 20;
/// About what a name takes besides its text.
const ENTRY: usize = 64;
/// About what a directory takes besides its names: who lists what is not there fills no memory.
const DIRECTORY: usize = 256;

type Names = BTreeSet<Box<str>>;

pub struct Directories {
    known: Mutex<Known>,
    /// Every commit up to this revision is in what is kept.
    refreshed: AtomicU64,
    bytes_max: usize,
    directory_bytes_max: usize,
}

#[derive(Default)]
struct Known {
    /// By the common start of a directory's row keys.
    directories: HashMap<Bytes, Directory>,
    bytes: usize,
    /// Number of the newest filling.
    fillings: u64,
}

enum Directory {
    /// Being read, with the changes that come meanwhile.
    Filling {
        number: u64,
        later: Vec<Entry>,
    },
    Open(Open),
    TooLong,
}

struct Open {
    names: Arc<Names>,
    bytes: usize,
    /// Every commit up to this revision is in it; of later ones, those that were told.
    as_of: Rev,
}

struct Entry {
    name: String,
    flags: u8,
    rev: Rev,
}

impl Default for Directories {
    fn default() -> Directories {
        Directories::with_capacity(BYTES_MAX, DIRECTORY_BYTES_MAX)
    }
}

impl Directories {
    fn with_capacity(bytes_max: usize, directory_bytes_max: usize) -> Directories {
        Directories {
            known: Mutex::default(),
            refreshed: AtomicU64::new(0),
            bytes_max,
            directory_bytes_max,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is asked for of a directory that is kept, and a revision up to which it is complete.
    pub fn list(&self, prefix: &[u8], window: &Window) -> Option<(Vec<String>, Rev)> {
        // Before the names: a change in between is then a conflict, not a name that was overlooked.
        let refreshed = self.refreshed();
        let (names, as_of) = match self.known().directories.get(prefix)? {
            Directory::Open(open) => (Arc::clone(&open.names), open.as_of),
            Directory::Filling { .. } | Directory::TooLong => return None,
        };
        let after = match &window.after {
            Some(after) => Bound::Excluded(after.as_str()),
            None => Bound::Unbounded,
        };
        let limit = window.limit.map_or(usize::MAX, std::num::NonZero::get);
        let asked = names.range::<str, _>((after, Bound::Unbounded)).take(limit);
        Some((
            asked.map(|name| name.to_string()).collect(),
            as_of.max(refreshed),
        ))
    }

    /// To be called before the directory is read; `None` if it is not to be kept or somebody else is
    /// at it.
    pub fn fill(&self, prefix: &Bytes) -> Option<Filling<'_>> {
        let mut known = self.known();
        if known.directories.contains_key(prefix) {
            return None;
        }
        known.fillings += 1;
        let number = known.fillings;
        let later = Vec::new();
        let directory = Directory::Filling { number, later };
        known.directories.insert(prefix.clone(), directory);
        Some(Filling {
            directories: self,
            prefix: prefix.clone(),
            number,
            names: Names::new(),
            bytes: DIRECTORY,
        })
    }

    /// Whether changes of this directory are to be told.
    pub fn follows(&self, prefix: &[u8]) -> bool {
        self.known().directories.contains_key(prefix)
    }

    /// A commit put an entry, or deleted it (no flags). In the order of the commits.
    pub fn changed(&self, prefix: &[u8], name: String, flags: u8, rev: Rev) {
        let mut known = self.known();
        match known.directories.get_mut(prefix) {
            Some(Directory::Filling { later, .. }) => later.push(Entry { name, flags, rev }),
            Some(Directory::Open(open)) => {
                let before = open.bytes;
                open.apply(&Entry { name, flags, rev });
                let (after, is_too_long) = (open.bytes, open.bytes > self.directory_bytes_max);
                known.bytes = known.bytes + after - before;
                if is_too_long {
                    known.forget(prefix);
                    let prefix = Bytes::copy_from_slice(prefix);
                    known.directories.insert(prefix, Directory::TooLong);
                }
                known.shrink(self.bytes_max);
            }
            Some(Directory::TooLong) | None => {}
        }
    }

    /// All changes of the commits up to this revision were told.
    pub fn refreshed_to(&self, rev: Rev) {
        self.refreshed.store(rev, Ordering::Release);
    }

    /// Commits up to this revision are in what is kept.
    pub fn refreshed(&self) -> Rev {
        self.refreshed.load(Ordering::Acquire)
    }

    /// Forgets one, or all: they are read again, and so are examined again.
    pub fn forget(&self, prefix: &[u8]) {
        self.known().forget(prefix);
    }

    pub fn clear(&self) {
        let mut known = self.known();
        known.directories.clear();
        known.bytes = 0;
    }
}

impl Known {
    fn forget(&mut self, prefix: &[u8]) {
        if let Some(Directory::Open(open)) = self.directories.remove(prefix) {
            self.bytes -= open.bytes;
        }
    }

    fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            // The map's order is arbitrary, which makes this random eviction.
            let mut open = self.directories.iter();
            let victim = open.find(|(_, directory)| matches!(directory, Directory::Open(_)));
            let Some(victim) = victim.map(|(prefix, _)| prefix.clone()) else {
                return;
            };
            self.forget(&victim);
        }
    }
}

impl Open {
    fn apply(&mut self, entry: &Entry) {
        if entry.rev <= self.as_of {
            return;
        }
        let names = Arc::make_mut(&mut self.names);
        for gone in shown(&entry.name, u8::MAX) {
            if names.remove(gone.as_str()) {
                self.bytes -= ENTRY + gone.len();
            }
        }
        for name in shown(&entry.name, entry.flags) {
            self.bytes += ENTRY + name.len();
            names.insert(name.into());
        }
    }
}

/// A directory that is being read. Dropped before its end, it leaves nothing.
pub struct Filling<'d> {
    directories: &'d Directories,
    prefix: Bytes,
    number: u64,
    names: Names,
    bytes: usize,
}

impl Filling<'_> {
    /// False if that is more than can be kept.
    pub fn add(&mut self, name: &str, flags: u8) -> bool {
        for name in shown(name, flags) {
            self.bytes += ENTRY + name.len();
            self.names.insert(name.into());
        }
        self.bytes <= self.directories.directory_bytes_max
    }

    /// All entries as of a revision that was known before the first was read were added.
    pub fn complete(mut self, as_of: Rev) {
        let mut open = Open {
            names: Arc::new(std::mem::take(&mut self.names)),
            bytes: self.bytes,
            as_of,
        };
        self.end_with(|later| {
            later.iter().for_each(|entry| open.apply(entry));
            Directory::Open(open)
        });
    }

    pub fn too_long(self) {
        self.end_with(|_| Directory::TooLong);
    }

    fn end_with(&self, directory: impl FnOnce(&[Entry]) -> Directory) {
        let mut known = self.directories.known();
        // Not if everything was forgotten meanwhile.
        if let Some(Directory::Filling { number, later }) = known.directories.get(&self.prefix)
            && *number == self.number
        {
            let directory = directory(later);
            if let Directory::Open(open) = &directory {
                known.bytes += open.bytes;
            }
            known.directories.insert(self.prefix.clone(), directory);
            known.shrink(self.directories.bytes_max);
        }
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        let mut known = self.directories.known();
        if let Some(Directory::Filling { number, .. }) = known.directories.get(&self.prefix)
            && *number == self.number
        {
            known.directories.remove(&self.prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    const LEAF: u8 = 1;
    const PREFIX: &[u8] = b"directory";

    fn filled(directories: &Directories, prefix: &'static [u8], names: &[&str], as_of: Rev) {
        let mut filling = directories.fill(&Bytes::from_static(prefix)).unwrap();
        for name in names {
            filling.add(name, LEAF);
        }
        filling.complete(as_of);
    }

    fn names(directories: &Directories, prefix: &[u8]) -> Option<Vec<String>> {
        Some(directories.list(prefix, &Window::default())?.0)
    }

    #[test]
    fn changes_during_a_filling_are_in_it_once() {
        let directories = Directories::default();
        let mut filling = directories.fill(&Bytes::from_static(PREFIX)).unwrap();
        assert!(directories.fill(&Bytes::from_static(PREFIX)).is_none());
        filling.add("deleted", LEAF);
        filling.add("kept", LEAF);
        directories.changed(PREFIX, "known before".to_owned(), LEAF, 7);
        directories.changed(PREFIX, "deleted".to_owned(), 0, 8);
        directories.changed(PREFIX, "new".to_owned(), 3, 9);
        assert_eq!(names(&directories, PREFIX), None);
        filling.complete(7);
        assert_eq!(
            names(&directories, PREFIX).unwrap(),
            ["kept", "new", "new/"]
        );
        directories.changed(PREFIX, "new".to_owned(), 2, 10);
        assert_eq!(names(&directories, PREFIX).unwrap(), ["kept", "new/"]);
    }

    #[test]
    fn a_filling_that_is_dropped_or_overtaken_leaves_nothing() {
        let directories = Directories::default();
        drop(directories.fill(&Bytes::from_static(PREFIX)));
        let overtaken = directories.fill(&Bytes::from_static(PREFIX)).unwrap();
        directories.clear();
        filled(&directories, PREFIX, &["new"], 2);
        overtaken.complete(1);
        assert_eq!(names(&directories, PREFIX).unwrap(), ["new"]);
    }

    #[test]
    fn the_room_is_bounded() {
        let room = |names| DIRECTORY + names * (ENTRY + 1);
        let directories = Directories::with_capacity(room(2) + room(2), room(3));
        filled(&directories, b"one", &["a", "b", "c"], 1);
        filled(&directories, b"two", &["a", "b"], 1);
        let kept = |prefix| names(&directories, prefix).is_some();
        assert_ne!(kept(b"one"), kept(b"two"));
        assert!(directories.known().bytes <= room(3));
        directories.clear();
        filled(&directories, b"one", &["a", "b", "c"], 1);
        directories.changed(b"one", "d".to_owned(), LEAF, 2);
        assert!(!kept(b"one") && directories.follows(b"one"));
        assert_eq!(directories.known().bytes, 0);
        directories.changed(b"one", "d".to_owned(), 0, 3);
        let mut filling = directories.fill(&Bytes::from_static(b"two")).unwrap();
        assert!(["a", "b", "c"].iter().all(|name| filling.add(name, LEAF)));
        assert!(!filling.add("d", LEAF));
        filling.too_long();
        assert!(!kept(b"two") && directories.fill(&Bytes::from_static(b"two")).is_none());
    }
}
