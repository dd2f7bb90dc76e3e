//! `vault.lock`: which version of each secret a project works with, so that running it again does the
//! same. Kept beside the manifest; holds no values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::command::run::fetch::Paths;
use crate::error::{Outcome, file, local};

const HEAD: &str = "# Written by `vaultctl lock`; `vaultctl run --locked` reads these versions.\n";

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockFile {
    /// By mount and path.
    pub(crate) secrets: BTreeMap<String, u64>,
}

/// `vault.lock` for `vault.toml`.
pub(crate) fn beside(manifest: &Path) -> PathBuf {
    manifest.with_extension("lock")
}

impl LockFile {
    pub(crate) fn read(path: &Path) -> Outcome<LockFile> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => local(
                format!("there is no {}", path.display()),
                "write it: vaultctl lock",
            ),
            _ => file("read", path, &error),
        })?;
        toml::from_str(&text).map_err(|error| {
            local(
                format!("{}: {}", path.display(), error.message()),
                "write it anew: vaultctl lock",
            )
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Outcome {
        let text =
            toml::to_string(self).map_err(|error| local(error.to_string(), "check the paths"))?;
        atomic::replace(path, format!("{HEAD}{text}").as_bytes(), 0o644)
    }

    /// The versions of these paths; one that is not locked is an error.
    pub(crate) fn pin<'a>(&self, paths: impl Iterator<Item = &'a str>) -> Outcome<Paths> {
        let mut pinned = Paths::new();
        let mut missing = Vec::new();
        for path in paths {
            match self.secrets.get(path) {
                Some(version) => drop(pinned.insert(path.to_owned(), Some(*version))),
                None => missing.push(path),
            }
        }
        match missing.is_empty() {
            true => Ok(pinned),
            false => Err(local(
                format!("the lock file has no version of {}", missing.join(", ")),
                "add them to the manifest, and lock them: vaultctl lock",
            )),
        }
    }
}
