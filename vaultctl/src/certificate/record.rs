//! What this machine knows of the certificates that it keeps: one file for each, in one folder.
//!
//! Promises: two processes do not work on one certificate at a time; what was begun is noted before it
//! is done. Holds no key.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::files::Placed;
use super::leaf::Leaf;
use super::spec::Spec;
use crate::atomic;
use crate::error::{Failure, Outcome, file, local, plain};

/// Of one certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) spec: Spec,
    /// What is in place and was seen to be served.
    #[serde(default)]
    pub(crate) installed: Option<Leaf>,
    #[serde(default)]
    pub(crate) installed_at: Option<Timestamp>,
    /// Files that were written by us, and may be replaced.
    #[serde(default)]
    pub(crate) files: Vec<PathBuf>,
    /// What was begun and is not done.
    #[serde(default)]
    pub(crate) unfinished: Option<Unfinished>,
    /// Why the last try came to nothing.
    #[serde(default)]
    pub(crate) failure: Option<Said>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    pub(crate) leaf: Leaf,
    pub(crate) files: Vec<Placed>,
    /// What was so before, if it is not the same.
    #[serde(default)]
    pub(crate) spec: Option<Spec>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) at: Timestamp,
    pub(crate) what: String,
    /// In a row.
    pub(crate) tries: u32,
}

impl Record {
    /// When a third of the life that it has here is left. What the server renews is due when it was.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let leaf = self.installed.as_ref().filter(|_| !self.spec.wish.acme)?;
        let since = self
            .installed_at
            .unwrap_or(leaf.not_before)
            .max(leaf.not_before);
        let life = leaf.not_after.as_second() - since.as_second();
        let due = Timestamp::from_second(leaf.not_after.as_second() - life / 3);
        Some(due.unwrap_or(leaf.not_after))
    }

    /// Whether it is time for another one.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let is_late = self.due().is_some_and(|due| due <= now);
        self.unfinished.is_some() || self.installed.is_none() || is_late
    }
}

/// The folder of all of them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Records {
    /// Where this machine notes its certificates
    /// [default: /var/lib/vaultctl/certificates, or below ~/.local/state]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

/// One of them, which nobody else changes meanwhile.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) record: Record,
    /// What it was installed as, if that is to change.
    pub(crate) before: Option<Spec>,
    path: PathBuf,
    _lock: File,
}

impl Records {
    /// In this folder, or the usual one.
    pub(crate) fn at(state: Option<PathBuf>) -> Records {
        Records { state }
    }

    pub(crate) fn folder(&self) -> Outcome<PathBuf> {
        if let Some(folder) = &self.state {
            return Ok(folder.clone());
        }
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/vaultctl/certificates".into());
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let state = set("XDG_STATE_HOME").map(PathBuf::from);
        let state = state.or_else(|| Some(Path::new(&set("HOME")?).join(".local/state")));
        let state = state.ok_or_else(|| local("there is no home directory", "give --state"))?;
        Ok(state.join("vaultctl/certificates"))
    }

    /// All that there are.
    pub(crate) fn names(&self) -> Outcome<Vec<String>> {
        let folder = self.folder()?;
        let found = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(|error| file("read", &folder, &error))?,
        };
        let names = found.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let names = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()));
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        Ok(names)
    }

    /// What is noted of one; nothing is locked.
    pub(crate) fn read(&self, name: &str) -> Outcome<Option<Record>> {
        read(&self.path(name, "json")?)
    }

    /// Takes one for changing. A new one has this specification; one that is there gets it.
    pub(crate) fn open(&self, name: &str, spec: Option<Spec>) -> Outcome<Entry> {
        let path = self.path(name, "json")?;
        if spec.is_none() && !path.exists() {
            return Err(self.unknown(name)?);
        }
        let lock = self.lock(name)?;
        let mut before = None;
        let record = match (read(&path)?, spec) {
            (Some(found), None) => found,
            (Some(mut found), Some(spec)) => {
                let was = std::mem::replace(&mut found.spec, spec);
                before = found.installed.is_some().then_some(was);
                found
            }
            (None, Some(spec)) => Record {
                spec,
                installed: None,
                installed_at: None,
                files: Vec::new(),
                unfinished: None,
                failure: None,
            },
            (None, None) => return Err(self.unknown(name)?),
        };
        Ok(Entry {
            name: name.to_owned(),
            record,
            before,
            path,
            _lock: lock,
        })
    }

    /// What is said of a name that nothing is noted of.
    fn unknown(&self, name: &str) -> Outcome<Failure> {
        let next = match self.names()?.join(", ").as_str() {
            "" => "there is none yet: vaultctl pki install --help".to_owned(),
            names => format!("there are: {names}"),
        };
        let what = format!("no certificate {name} is kept here");
        Ok(local(what, next))
    }

    fn path(&self, name: &str, end: &str) -> Outcome<PathBuf> {
        let bad = name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']);
        match bad {
            true => Err(local(
                format!("{name:?} cannot be the name of a certificate here"),
                "use letters, digits, dots, - and _",
            )),
            false => Ok(self.folder()?.join(format!("{name}.{end}"))),
        }
    }

    fn lock(&self, name: &str) -> Outcome<File> {
        let path = self.path(name, "lock")?;
        let folder = self.folder()?;
        fs::create_dir_all(&folder).map_err(|error| file("create", &folder, &error))?;
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let lock = opened.map_err(|error| file("write", &path, &error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(lock),
            Err(_) => Err(local(
                format!("another vaultctl works on {name} now"),
                "try again when it is done",
            )),
        }
    }
}

fn read(path: &Path) -> Outcome<Option<Record>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", path, &error)),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            local(
                format!("{} cannot be understood: {error}", path.display()),
                "move it away, and install the certificate again with --force",
            )
        }),
    }
}

impl Entry {
    pub(crate) fn save(&self) -> Outcome {
        let text = serde_json::to_vec_pretty(&self.record);
        let text = text.map_err(|error| plain(error.to_string()))?;
        atomic::replace(&self.path, &text, 0o600)
    }

    /// Nothing of it is noted any more; its files stay.
    pub(crate) fn forget(self) -> Outcome {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(file("remove", &self.path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Notes a failure, which changes nothing else.
    pub(crate) fn failed(&mut self, what: &str) {
        let before = self.record.failure.as_ref().map_or(0, |said| said.tries);
        self.record.failure = Some(Said {
            at: Timestamp::now(),
            what: what.to_owned(),
            tries: before.saturating_add(1),
        });
        if let Err(failure) = self.save() {
            eprintln!("warning: {failure}");
        }
    }
}
