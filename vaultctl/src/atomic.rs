//! Files that are replaced in one step, or not at all, several of them together.
//!
//! Promises: a reader sees the old content or the new one; what was put in place is taken back unless
//! it is kept; nothing is left beside the target. Not promised: the last if this process is killed by
//! a signal that cannot be waited for.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, RenameFlags, Uid, fchown, renameat_with};

use crate::error::{Outcome, file, local};

/// How a file is to be, besides its content.
#[derive(Clone, Copy, Default)]
pub(crate) struct Looks {
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
}

/// New content, written beside its target.
pub(crate) struct Fresh {
    target: PathBuf,
    beside: PathBuf,
    /// The old file is beside the target now, if there was one.
    put: Option<Old>,
}

enum Old {
    None,
    Beside,
}

/// Whether the target has this content and these looks already.
pub(crate) fn is_so(target: &Path, content: &[u8], looks: Looks) -> bool {
    let same = |found: u32, wanted: Option<u32>| wanted.is_none_or(|wanted| wanted == found);
    let looks_so = fs::metadata(target).is_ok_and(|found| {
        found.is_file()
            && found.permissions().mode() & 0o7777 == looks.mode
            && same(found.uid(), looks.user)
            && same(found.gid(), looks.group)
    });
    looks_so && fs::read(target).is_ok_and(|found| found == content)
}

/// Replaces one file. `mode` is of permission bits.
pub(crate) fn replace(target: &Path, content: &[u8], mode: u32) -> Outcome {
    let looks = Looks {
        mode,
        ..Looks::default()
    };
    let mut fresh = Fresh::write(target, content, looks)?;
    fresh.put()?;
    fresh.keep();
    Ok(())
}

/// A file that was not there, on the disk, and never seen by others than it is for.
pub(crate) fn write_new(path: &Path, content: &[u8], looks: Looks) -> std::io::Result<()> {
    let mut new = OpenOptions::new();
    let mut new = new.write(true).create_new(true).mode(0o600).open(path)?;
    if looks.user.is_some() || looks.group.is_some() {
        let (user, group) = (
            looks.user.map(Uid::from_raw),
            looks.group.map(Gid::from_raw),
        );
        fchown(&new, user, group)?;
    }
    new.set_permissions(fs::Permissions::from_mode(looks.mode))?;
    new.write_all(content)?;
    new.sync_all()
}

/// Each gets the other's content and looks, in one step.
pub(crate) fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
    Ok(())
}

impl Fresh {
    /// Nothing is seen of it yet.
    pub(crate) fn write(target: &Path, content: &[u8], looks: Looks) -> Outcome<Fresh> {
        // What a link points to is replaced, not the link.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        if target.is_dir() {
            return Err(local(
                format!("{} is a folder", target.display()),
                "name the file in it",
            ));
        }
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|e| local(e.to_string(), "check the system"))?;
        let beside = target.with_file_name(format!(".{name}.{}", hex::encode(random)));
        let fresh = Fresh {
            target,
            beside,
            put: None,
        };
        let written = write_new(&fresh.beside, content, looks);
        written.map_err(|error| file("write", &fresh.target, &error))?;
        Ok(fresh)
    }

    /// Puts it in place of what was there, which it keeps.
    pub(crate) fn put(&mut self) -> Outcome {
        let put = match self.target.exists() {
            true => self.exchange().map(|()| Old::Beside),
            false => fs::rename(&self.beside, &self.target).map(|()| Old::None),
        };
        self.put = Some(put.map_err(|error| file("replace", &self.target, &error))?);
        Ok(())
    }

    fn exchange(&self) -> std::io::Result<()> {
        exchange(&self.beside, &self.target)
    }

    /// There is no way back from here.
    pub(crate) fn keep(mut self) {
        self.put = None;
        if let Some(Ok(folder)) = self.target.parent().map(File::open) {
            // The content is on the disk already; its name follows sooner or later.
            let _ = folder.sync_all();
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let back = match self.put {
            None => Ok(()),
            Some(Old::None) => fs::remove_file(&self.target),
            Some(Old::Beside) => self.exchange(),
        };
        if let Err(error) = back {
            eprintln!(
                "warning: {} is not as it was: {error}",
                self.target.display()
            );
        }
        match fs::remove_file(&self.beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                eprintln!("warning: cannot remove {}: {error}", self.beside.display());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS: Looks = Looks {
        mode: 0o640,
        user: None,
        group: None,
    };

    #[test]
    fn several_files_change_together_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        fs::write(&old, "before").expect("a file");
        let write = |target: &Path| Fresh::write(target, b"after", LOOKS);
        let (Ok(mut first), Ok(mut second)) = (write(&old), write(&new)) else {
            panic!("both can be written");
        };
        assert!(first.put().is_ok() && second.put().is_ok());
        assert!(is_so(&old, b"after", LOOKS) && is_so(&new, b"after", LOOKS));
        drop((first, second));
        assert_eq!(fs::read(&old).ok(), Some(b"before".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).map(Iterator::count).ok(), Some(1));

        let Ok(mut again) = write(&old) else {
            panic!("it can be written");
        };
        assert!(again.put().is_ok());
        again.keep();
        assert!(is_so(&old, b"after", LOOKS));
        assert_eq!(fs::read_dir(dir.path()).map(Iterator::count).ok(), Some(1));
    }
}
