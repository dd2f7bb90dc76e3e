//! A certificate that this machine keeps: what it is, where it lies, who is told, where it is looked at.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::probe::Probe;
use super::reload::Reload;
use super::request::Wish;
use crate::atomic::Looks;
use crate::error::{Outcome, local};
use crate::manifest::{mode, owner_of};

/// Everything about one certificate.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct Spec {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) wish: Wish,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) reload: Reload,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) probe: Probe,
}

/// Where the files of a certificate are.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct Place {
    /// For whom the files are
    #[arg(long, value_enum)]
    pub(crate) layout: Layout,
    /// Where: a folder, or with haproxy a file
    #[arg(long, value_name = "PATH", value_parser = from_here)]
    pub(crate) to: PathBuf,
    /// Owner of the files: USER, USER:GROUP or :GROUP [default: who runs this]
    #[arg(long, value_name = "OWNER")]
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// Mode of the file with the key [default: 0600]
    #[arg(long, value_name = "MODE")]
    #[serde(default)]
    pub(crate) mode: Option<String>,
}

/// A path that is typed is meant from here, and used again from elsewhere.
pub(crate) fn from_here(text: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(text)
}

impl Spec {
    /// Whether the files and what is in them would be the same; who is told may differ.
    pub(crate) fn is_same(&self, other: &Spec) -> bool {
        let what = |spec: &Spec| serde_json::to_value((&spec.wish, &spec.place)).ok();
        what(self) == what(other)
    }

    /// An error if something of it cannot be carried out.
    pub(crate) fn check(&self) -> Outcome {
        self.reload.check()?;
        if self.reload.haproxy_socket.is_some() && self.place.layout != Layout::Haproxy {
            return Err(local(
                "HAProxy takes a certificate over its socket from one file alone",
                "use --layout haproxy",
            ));
        }
        self.place.looks().map(drop)
    }
}

impl Place {
    /// Of the file with the key.
    pub(crate) fn looks(&self) -> Outcome<Looks> {
        if !self.to.is_absolute() {
            return Err(local(
                format!("{} is no absolute path", self.to.display()),
                "begin it with /: it is used again later, from elsewhere",
            ));
        }
        let text = self.mode.as_deref().unwrap_or("0600");
        let mode = mode(text)?;
        if mode & !0o640 != 0 || mode & 0o400 == 0 {
            return Err(local(
                format!("with mode {text} others could use the key, or nobody"),
                "use 0600, 0640 with --owner :GROUP, or 0400",
            ));
        }
        let owner = self.owner.as_deref().map(owner_of).transpose()?;
        let (user, group) = owner.unwrap_or_default();
        Ok(Looks { mode, user, group })
    }

    /// An error if anybody could put another key in its place, or if there is one that is not `ours`.
    pub(crate) fn check(&self, ours: &[PathBuf], force: bool) -> Outcome {
        let key = self.layout.key_path(&self.to);
        let real = fs::canonicalize(&key).unwrap_or_else(|_| key.clone());
        let folder = key.parent().unwrap_or(Path::new("/"));
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() && found.mode() & 0o1002 == 0o002 => Err(local(
                format!("anyone may write into {}", folder.display()),
                format!("chmod o-w {}", folder.display()),
            )),
            _ if !force && key.exists() && !ours.contains(&real) => Err(local(
                format!("{} is there already, and not of our making", key.display()),
                "give --force to replace it, or another place with --to",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_typed_path_is_meant_from_here() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(from_here("shop").unwrap(), here.join("shop"));
        assert_eq!(from_here("/etc/shop").unwrap(), Path::new("/etc/shop"));
    }
}
