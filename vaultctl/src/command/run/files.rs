//! `run --file`: values in files that never touch a disk; and a private folder for sockets.
//!
//! Promises: the files are on a file system in memory, mode 0600 in a folder of mode 0700, and are
//! removed when the command has ended, however that or this process ends: a second process waits for
//! the end of this one. If both are killed, the next run removes what they left. Not promised: that
//! memory is never swapped out.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::wanted::single;
use crate::error::{Outcome, file, local};
use crate::reference::Reference;

/// `statfs` of tmpfs and ramfs (Linux, `magic.h`).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

const NAME: &str = "vaultctl-";
/// A folder is locked as long as its run lasts, but not yet in its first moment.
const FIRST_MOMENT: Duration = Duration::from_secs(60);

/// A value that the command wants as a file.
#[derive(Clone)]
pub(crate) struct Wish {
    pub(super) name: String,
    pub(super) reference: Reference,
}

/// `NAME=REF`.
pub(super) fn wish(text: &str) -> Result<Wish, String> {
    let (name, reference) = text
        .split_once('=')
        .ok_or("write NAME=MOUNT/PATH#KEY: the file's path goes into NAME")?;
    let wanted = single(name.to_owned(), reference).map_err(|failure| failure.to_string())?;
    Ok(Wish {
        name: name.to_owned(),
        reference: wanted.reference,
    })
}

/// A folder that ends with this value, or with this process.
pub(crate) struct Folder {
    path: PathBuf,
    /// Says that it is in use.
    _lock: File,
    /// Waits at the other end of a pipe.
    sweeper: Option<Child>,
}

impl Folder {
    /// Writes the files, each under its name; the paths in their order.
    pub(crate) fn with(files: &[(String, String)]) -> Outcome<(Folder, Vec<PathBuf>)> {
        let path = create(places().filter(|place| in_memory(place)));
        let folder = Folder::at(path.ok_or_else(|| {
            local(
                "there is no file system in memory to write files to",
                "mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR to one",
            )
        })?)?;
        let mut paths = Vec::with_capacity(files.len());
        for (name, value) in files {
            paths.push(folder.write(name, value)?);
        }
        Ok((folder, paths))
    }

    /// For what is no secret: on a disk, if there is no file system in memory.
    pub(crate) fn for_sockets() -> Outcome<Folder> {
        let path = create(places().chain([std::env::temp_dir()]));
        Folder::at(path.ok_or_else(|| {
            local(
                "there is no folder to make a socket in",
                "set XDG_RUNTIME_DIR to a folder of yours",
            )
        })?)
    }

    fn at(path: PathBuf) -> Outcome<Folder> {
        let lock = File::open(&path)
            .and_then(|opened| Ok(flock(&opened, FlockOperation::LockShared).map(|()| opened)?))
            .map_err(|error| file("lock", &path, &error))?;
        let mut folder = Folder {
            path,
            _lock: lock,
            sweeper: None,
        };
        folder.sweeper = Some(sweeper(&folder.path)?);
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it, whole at every moment.
    pub(crate) fn replace(&self, path: &Path, content: &str) -> Outcome {
        let new = self.write("new", content)?;
        fs::rename(new, path).map_err(|error| file("write", path, &error))
    }

    /// A file in it; its path.
    fn write(&self, name: &str, content: &str) -> Outcome<PathBuf> {
        let path = self.path.join(name);
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(|error| file("write", &path, &error))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("warning: cannot remove {}: {error}", self.path.display());
        }
        if let Some(sweeper) = &mut self.sweeper {
            drop(sweeper.stdin.take());
            // It finds nothing left to do.
            let _ = sweeper.wait();
        }
    }
}

/// Where a folder is looked for first.
fn places() -> impl Iterator<Item = PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    let runtime = runtime.map(PathBuf::from).into_iter();
    runtime.chain([PathBuf::from("/dev/shm")])
}

fn create(mut places: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    let name = format!("{NAME}{}", hex::encode(random));
    places.find_map(|place| {
        remove_left_over(&place);
        let path = place.join(&name);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.ok().map(|()| path)
    })
}

/// What a run has left that was killed together with its second process.
fn remove_left_over(place: &Path) {
    let own = rustix::process::getuid().as_raw();
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(NAME.as_bytes())
    }) {
        let is_left = || -> std::io::Result<bool> {
            let found = entry.metadata()?;
            let age = found.modified()?.elapsed().unwrap_or_default();
            if !found.is_dir() || found.uid() != own || age < FIRST_MOMENT {
                return Ok(false);
            }
            flock(
                File::open(entry.path())?,
                FlockOperation::NonBlockingLockExclusive,
            )?;
            Ok(true)
        };
        if is_left().unwrap_or(false) {
            // Somebody else may be at it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn in_memory(path: &Path) -> bool {
    let kind = rustix::fs::statfs(path).map(|found| found.f_type);
    kind.is_ok_and(|kind| u64::try_from(kind).is_ok_and(|kind| IN_MEMORY.contains(&kind)))
}

/// In a process group of its own: keys that end the command must not end it.
fn sweeper(folder: &Path) -> Outcome<Child> {
    super::inner::own_program()?
        .args(["inner", "sweep"])
        .arg(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| {
            local(
                format!("cannot start a second process: {error}"),
                "check the limit of processes: ulimit -u",
            )
        })
}

/// Removes the folder once nobody holds the other end of stdin.
pub(super) fn sweep(folder: &Path) -> Outcome {
    // Nothing is ever written to it.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(file("remove", folder, &error))
        }
        _ => Ok(()),
    }
}
