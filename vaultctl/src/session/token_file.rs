//! The file that keeps the token between invocations: `~/.vault-token`, or `BAO_TOKEN_PATH`.
//!
//! Promise: mode 0600 from its first byte, replaced in one step, and never part of an error text.
//! Not promised: protection from programs that run as the same user.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use vault_sdk::Secret;

use super::setting;
use crate::error::{Outcome, file, local};

pub(crate) struct TokenFile(PathBuf);

impl TokenFile {
    /// The place that other Vault clients look at, too.
    pub(crate) fn usual() -> Outcome<Self> {
        if let Some(path) = setting("TOKEN_PATH") {
            return Ok(Self(path.into()));
        }
        let home = std::env::var_os("HOME").filter(|h| !h.is_empty());
        let home = home.ok_or_else(|| {
            local(
                "there is no home directory to keep the token in",
                "set HOME or BAO_TOKEN_PATH",
            )
        })?;
        Ok(Self(Path::new(&home).join(".vault-token")))
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The stored token; `None` when there is no file or it is empty.
    pub(crate) fn load(&self) -> Outcome<Option<Secret>> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(Some(Secret::new(text.trim())).filter(|t| !t.is_empty())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(file("read the token file", &self.0, &e)),
        }
    }

    /// Stores a token.
    pub(crate) fn store(&self, token: &Secret) -> Outcome {
        replace(&self.0, token.expose().as_bytes())
            .map_err(|e| file("store the token in", &self.0, &e))
    }

    /// Removes the stored token, if any.
    pub(crate) fn erase(&self) -> Outcome {
        match fs::remove_file(&self.0) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(file("remove", &self.0, &e)),
            _ => Ok(()),
        }
    }
}

/// Writes a private file beside the target, then renames it over the target.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = create_private(&beside, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Creates a file with mode 0600; an existing one is an error.
pub(crate) fn create_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
