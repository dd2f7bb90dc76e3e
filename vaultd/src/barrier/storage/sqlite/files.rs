//! The data directory: private, used by one process, and known to have held data.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::super::StoreError;

const DATABASE: &str = "vaultd.db";
const LOCK: &str = "vaultd.lock";
const USED: &[u8; 21] = b"vaultd.db holds data\n";
/// Bytes of a database with anything in it: one page.
const SMALLEST: u64 = 4096;

/// While it lives, no other process opens the directory.
pub(super) struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    pub(super) fn open(path: &Path) -> Result<DataDir, StoreError> {
        make_private(path).map_err(|error| failed("cannot use the data directory", &error))?;
        let lock = private_file(&path.join(LOCK))
            .map_err(|error| failed("cannot open the lock file", &error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::Locked),
            Err(error) => return Err(failed("cannot lock the data directory", &error.into())),
        }
        let dir = DataDir {
            path: path.to_owned(),
            lock,
        };
        dir.prepare_database()?;
        Ok(dir)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Of the database, in bytes.
    pub(super) fn size(&self) -> u64 {
        std::fs::metadata(self.database()).map_or(0, |meta| meta.len())
    }

    /// SQLite takes a nearly empty file for a new database and deletes the log beside it; and it
    /// gives log and index the mode that the database has. Both are settled before it sees the files.
    fn prepare_database(&self) -> Result<(), StoreError> {
        if self.size() < SMALLEST && self.was_used()? {
            return Err(missing());
        }
        private_file(&self.database())
            .map(drop)
            .map_err(|error| failed("cannot open the database", &error))?;
        for log in ["vaultd.db-wal", "vaultd.db-shm"] {
            match std::fs::set_permissions(self.path.join(log), Permissions::from_mode(0o600)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("cannot make the write-ahead log private", &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn was_used(&self) -> Result<bool, StoreError> {
        let mut mark = [0; USED.len()];
        let read = self.lock.read_at(&mut mark, 0);
        let length = read.map_err(|error| failed("cannot read the lock file", &error))?;
        Ok(mark[..length] == *USED)
    }

    /// From now on an absent database is an error. First the names of the new files must be durable.
    pub(super) fn mark_used(&self) -> Result<(), StoreError> {
        if self.was_used()? {
            return Ok(());
        }
        let mark = || -> io::Result<()> {
            let path = self.path.canonicalize()?;
            sync_dir(&path)?;
            path.parent().map_or(Ok(()), sync_dir)?;
            self.lock.write_all_at(USED, 0)?;
            self.lock.sync_all()
        };
        mark().map_err(|error| failed("cannot make the data directory durable", &error))
    }
}

pub(super) fn missing() -> StoreError {
    StoreError::Corrupt(format!(
        "{DATABASE} is missing or cut off; restore it, or remove {LOCK} to start without data"
    ))
}

fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0
        && let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(0o700))
    {
        // Volumes of container platforms belong to somebody else; the files are private anyway.
        tracing::warn!(%error, "others may list the data directory, and its mode cannot be changed");
    }
    Ok(())
}

/// Opens or makes a file that only its owner can use, whatever the umask.
fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn failed(what: &str, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Io(format!("{what}: {error}")),
    }
}
