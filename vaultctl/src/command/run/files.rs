//! `run --file`: values in files that never touch a disk.
//!
//! Promises: the files are on a file system in memory, mode 0600 in a folder of mode 0700, and are
//! removed when the command has ended, however that or this process ends: a second process waits for
//! the end of this one. Not promised: that memory is never swapped out.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::wanted::single;
use crate::error::{Outcome, file, local};
use crate::reference::Reference;

/// `statfs` of tmpfs and ramfs (Linux, `magic.h`).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

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
pub(super) struct Folder {
    path: PathBuf,
    /// Waits at the other end of a pipe.
    sweeper: Option<Child>,
}

impl Folder {
    /// Writes the files, each under its name; the paths in their order.
    pub(super) fn with(files: &[(String, String)]) -> Outcome<(Folder, Vec<PathBuf>)> {
        let mut folder = Folder {
            path: create()?,
            sweeper: None,
        };
        folder.sweeper = Some(sweeper(&folder.path)?);
        let mut paths = Vec::with_capacity(files.len());
        for (name, value) in files {
            let path = folder.path.join(name);
            let written = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(value.as_bytes()));
            written.map_err(|error| file("write", &path, &error))?;
            paths.push(path);
        }
        Ok((folder, paths))
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

fn create() -> Outcome<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    let places = runtime
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("/dev/shm")]);
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|e| local(e.to_string(), "check the system"))?;
    let name = format!("vaultctl-{}", hex::encode(random));
    let created = places.filter(|place| in_memory(place)).find_map(|place| {
        let path = place.join(&name);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.ok().map(|()| path)
    });
    created.ok_or_else(|| {
        local(
            "there is no file system in memory to write files to",
            "mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR to one",
        )
    })
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
