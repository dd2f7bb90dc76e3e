//! Files that are put in place together, and can be taken back, also by another process later.
//!
//! Promises: each file is the old one or the new one, whole, with its owner and mode; until it is
//! settled, the old content is beside it. Not promised: that a reader between two renames does not see
//! a new key beside an old certificate; what serves reads both at its reload, after them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vault_crypto::sha256;

use super::layout::Content;
use crate::atomic::{exchange, write_new};
use crate::error::{Outcome, file};

/// A file that is being replaced, as it is noted before anything is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) path: PathBuf,
    /// SHA-256 of the new content.
    new: String,
}

impl Placed {
    /// What a link points to is replaced, not the link.
    pub(crate) fn plan(content: &Content) -> Placed {
        Placed {
            path: fs::canonicalize(&content.path).unwrap_or_else(|_| content.path.clone()),
            new: hex::encode(sha256(&content.bytes)),
        }
    }

    /// The new file first, the old one once they are exchanged.
    fn beside(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.vaultctl"))
    }

    /// Writes the new one beside the old.
    pub(crate) fn write(&self, content: &Content) -> Outcome {
        let beside = self.beside();
        let written = remove(&beside).and_then(|()| {
            if let Some(folder) = beside.parent() {
                fs::create_dir_all(folder)?;
            }
            write_new(&beside, &content.bytes, content.looks)
        });
        written.map_err(|error| file("write", &self.path, &error))
    }

    pub(crate) fn put(&self) -> Outcome {
        let beside = self.beside();
        let put = match self.path.symlink_metadata().is_ok() {
            true => exchange(&beside, &self.path),
            false => fs::rename(&beside, &self.path),
        };
        put.and_then(|()| self.sync())
            .map_err(|error| file("replace", &self.path, &error))
    }

    /// Whether the new content is in place.
    pub(crate) fn is_new(&self) -> bool {
        is(&self.path, &self.new)
    }

    /// The old file is in place again, or none, as before.
    pub(crate) fn take_back(&self) -> Outcome {
        let beside = self.beside();
        let done = match (self.is_new(), beside.symlink_metadata().is_ok()) {
            // What is beside it was not put in place yet, or is the same.
            (false, _) => Ok(()),
            (true, true) if is(&beside, &self.new) => Ok(()),
            (true, true) => fs::rename(&beside, &self.path),
            (true, false) => fs::remove_file(&self.path),
        };
        done.and_then(|()| remove(&beside))
            .and_then(|()| self.sync())
            .map_err(|error| file("put back", &self.path, &error))
    }

    /// The old file goes.
    pub(crate) fn settle(&self) -> Outcome {
        remove(&self.beside()).map_err(|error| file("remove what was beside", &self.path, &error))
    }

    fn sync(&self) -> std::io::Result<()> {
        let folder = self.path.parent().filter(|path| *path != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn is(path: &Path, digest: &str) -> bool {
    fs::read(path).is_ok_and(|found| hex::encode(sha256(&found)) == digest)
}

/// Absent is fine.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::atomic::Looks;

    fn content(path: PathBuf, text: &str) -> Content {
        Content {
            path,
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
            looks: Looks {
                mode: 0o600,
                ..Looks::default()
            },
        }
    }

    #[test]
    fn whatever_was_done_is_taken_back_and_nothing_stays_beside() {
        let dir = tempfile::tempdir().expect("a folder");
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        // Nothing, written, put in place; each may be where a process was killed.
        for steps in 0..3 {
            fs::write(&old, "before").expect("a file");
            let contents = [content(old.clone(), "after"), content(new.clone(), "after")];
            let placed: Vec<Placed> = contents.iter().map(Placed::plan).collect();
            for (placed, content) in placed.iter().zip(&contents) {
                assert!(steps < 1 || placed.write(content).is_ok());
                assert!(steps < 2 || placed.put().is_ok());
                assert_eq!(placed.is_new(), steps == 2);
            }
            assert!(placed.iter().all(|placed| placed.take_back().is_ok()));
            assert_eq!(fs::read(&old).ok(), Some(b"before".to_vec()));
            assert_eq!(fs::read_dir(dir.path()).map(Iterator::count).ok(), Some(1));
        }
    }

    #[test]
    fn what_is_settled_has_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        fs::write(&path, "before").expect("a file");
        let content = content(path.clone(), "after");
        let placed = Placed::plan(&content);
        assert!(placed.write(&content).is_ok() && placed.put().is_ok() && placed.settle().is_ok());
        assert_eq!(fs::read(&path).ok(), Some(b"after".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).map(Iterator::count).ok(), Some(1));
    }
}
