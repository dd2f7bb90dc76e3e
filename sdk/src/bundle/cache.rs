//! What a host keeps: bundles, and what it knows of the server whatever the app: the key that signs,
//! the newest epoch, the latest time.
//!
//! Promises: a bundle is used only if it opens with this host's key, is signed by the server that was
//! met first, is of the newest epoch that this host has heard of, and each secret is younger than the
//! server allows; nothing is on the disk in plain. Not promised: that the whole folder, put back from
//! a copy, is noticed beyond what the clock tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use vault_proto::Sensitive;
use vault_proto::bundle::{DOMAIN, Signed, Statement};
use zeroize::Zeroizing;

use super::clock::Moment;
use super::{Fetched, HostKey, Kept, kept, sealed};
use crate::Error;

const STATE: &str = "state";
/// Clocks that are kept in step differ by less.
const SKEW: u64 = 120;

/// A folder of bundles.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    key: HostKey,
    /// Older is not used, whatever the server allows.
    max_stale: Option<Duration>,
}

/// What is known of the server.
#[derive(Default, Serialize, Deserialize)]
struct State {
    public_key: String,
    cluster: String,
    epoch: u64,
    /// Seconds since 1970 that it has been at some time.
    latest: u64,
}

#[derive(Serialize, Deserialize)]
struct Bundle {
    signed: Signed,
    texts: BTreeMap<String, Sensitive<String>>,
    /// Paths where there was nothing.
    absent: BTreeSet<String>,
    saved: Moment,
}

fn refused(why: impl Into<String>) -> Error {
    Error::Cache(why.into())
}

impl Cache {
    /// A folder of this host's, made with mode 0700.
    ///
    /// # Errors
    /// [`Error::Config`] if it cannot be made.
    pub fn new(
        folder: impl Into<PathBuf>,
        key: HostKey,
        max_stale: Option<Duration>,
    ) -> Result<Cache, Error> {
        let folder = folder.into();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&folder)
            .map_err(|cause| Error::Config(format!("cannot make {}: {cause}", folder.display())))?;
        Ok(Cache {
            folder,
            key,
            max_stale,
        })
    }

    /// Keeps what may be kept of it, in the place of what was kept for these paths.
    ///
    /// # Errors
    /// [`Error::Cache`] if it is not signed by the server that was met first, or cannot be written.
    pub fn keep(&self, paths: &[(String, Option<u64>)], fetched: &Fetched) -> Result<(), Error> {
        let statement = self.learn(&fetched.signed)?;
        let may_stay = |path: &str| {
            let entry = statement.secrets.iter().find(|entry| entry.path == path);
            entry.is_some_and(|entry| entry.max_stale > 0)
        };
        let texts = fetched.texts.iter().filter(|(path, _)| may_stay(path));
        let bundle = Bundle {
            signed: fetched.signed.clone(),
            texts: texts
                .map(|(path, text)| (path.clone(), text.clone()))
                .collect(),
            absent: fetched.refused.keys().cloned().collect(),
            saved: Moment::now(),
        };
        let denied = |failure: &Error| !matches!(failure, Error::NotFound { .. });
        if bundle.texts.is_empty() || fetched.refused.values().any(denied) {
            self.forget(paths);
            return Ok(());
        }
        self.store(&name(paths), &bundle)
    }

    /// What is kept for these paths; a path where there was nothing is left out.
    ///
    /// # Errors
    /// [`Error::Cache`] says why it may not be used.
    pub fn load(&self, paths: &[(String, Option<u64>)]) -> Result<BTreeMap<String, Kept>, Error> {
        let name = name(paths);
        let mut state = self.state()?.unwrap_or_default();
        let bundle: Bundle = self
            .fetch(&name)?
            .ok_or_else(|| refused("nothing is kept for these secrets on this host"))?;
        let statement = verified(&bundle.signed, &state)?;
        if statement.epoch < state.epoch {
            self.forget(paths);
            return Err(refused("what was kept is revoked; it is removed"));
        }
        let now = Moment::now();
        if now.unix + SKEW < state.latest {
            return Err(refused(
                "the clock was set back since the secrets were last used; set it right",
            ));
        }
        if now.unix > state.latest {
            state.latest = now.unix;
            self.store(STATE, &state)?;
        }
        let age = now
            .since(&bundle.saved)
            .max(now.unix.saturating_sub(statement.issued));
        for (path, _) in paths {
            if !bundle.absent.contains(path) {
                self.check(path, age, &statement, &bundle)?;
            }
        }
        kept(&statement, &bundle.texts)
    }

    /// Whether one secret may still be used.
    fn check(&self, path: &str, age: u64, by: &Statement, bundle: &Bundle) -> Result<(), Error> {
        let entry = by.secrets.iter().find(|entry| entry.path == path);
        let (Some(entry), Some(text)) = (entry, bundle.texts.get(path)) else {
            return Err(refused(format!(
                "{path} may not be kept: neither its custom metadata nor its engine's config has max_stale"
            )));
        };
        if digest_of(text.expose()) != entry.digest {
            return Err(refused(format!("{path} is not what the server gave")));
        }
        let asked = self.max_stale.map_or(u64::MAX, |limit| limit.as_secs());
        let limit = entry.max_stale.min(asked);
        match age <= limit {
            true => Ok(()),
            false => Err(refused(format!(
                "what was kept of {path} is {age} s old, and may be {limit} s"
            ))),
        }
    }

    /// Removes what is kept for these paths.
    pub fn forget(&self, paths: &[(String, Option<u64>)]) {
        let _ = fs::remove_file(self.path(&name(paths)));
    }

    /// Takes note of the server's newest epoch; the first server that is met is believed, and from then
    /// on no other.
    ///
    /// # Errors
    /// [`Error::Cache`] if another server signed it.
    pub fn learn(&self, signed: &Signed) -> Result<Statement, Error> {
        let mut state = match self.state() {
            // Of before a reboot: without its key nothing kept then can be used either.
            Err(_) if self.key.is_fleeting() => State::default(),
            state => state?.unwrap_or_default(),
        };
        if state.public_key.is_empty() {
            state.public_key.clone_from(&signed.public_key);
            state.cluster = statement(signed)?.cluster;
        }
        let statement = verified(signed, &state)?;
        state.epoch = state.epoch.max(statement.epoch);
        state.latest = state.latest.max(Moment::now().unix);
        self.store(STATE, &state)?;
        Ok(statement)
    }

    #[cfg(test)]
    pub(super) fn note_time(&self, unix: u64) -> Result<(), Error> {
        let mut state = self.state()?.unwrap_or_default();
        state.latest = unix;
        self.store(STATE, &state)
    }

    fn state(&self) -> Result<Option<State>, Error> {
        self.fetch(STATE)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }

    fn fetch<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.path(name);
        let sealed = match fs::read(&path) {
            Ok(sealed) => sealed,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => {
                return Err(refused(format!("cannot read {}: {cause}", path.display())));
            }
        };
        let plain = sealed::open(&self.key, name, &sealed);
        let value = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        value.map(Some).ok_or_else(|| {
            let (path, folder) = (path.display(), self.folder.display());
            refused(match self.key.is_fleeting() {
                true => format!("{path} was altered, or kept before a reboot: its key is gone"),
                false => format!(
                    "{path} was altered, or made with the key of another host; remove {folder} to begin anew"
                ),
            })
        })
    }

    fn store<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let plain = serde_json::to_vec(value).map(Zeroizing::new);
        let plain = plain.map_err(|_| refused("it cannot be written as JSON"))?;
        let bytes = sealed::seal(&self.key, name, &plain)
            .ok_or_else(|| refused("it cannot be encrypted"))?;
        let path = self.path(name);
        sealed::write(&path, &bytes)
            .map_err(|cause| refused(format!("cannot write {}: {cause}", path.display())))
    }
}

/// The statement, if it is signed by the server that is known.
fn verified(signed: &Signed, state: &State) -> Result<Statement, Error> {
    let other = || {
        refused(
            "another server signs now than the one that was met first; if it was replaced on purpose, \
             remove the cache's folder",
        )
    };
    if signed.public_key != state.public_key {
        return Err(other());
    }
    let statement = statement(signed)?;
    match statement.cluster == state.cluster {
        true => Ok(statement),
        false => Err(other()),
    }
}

/// The statement, if it is signed by the key that it comes with.
pub(super) fn statement(signed: &Signed) -> Result<Statement, Error> {
    let decode = |text: &str| STANDARD.decode(text).ok();
    let verifies = decode(&signed.public_key).zip(decode(&signed.signature));
    let message = [DOMAIN, signed.statement.as_bytes()].concat();
    let verifies = verifies.is_some_and(|(key, signature)| {
        let key = UnparsedPublicKey::new(&ED25519, key);
        key.verify(&message, &signature).is_ok()
    });
    let parsed = serde_json::from_str(&signed.statement).ok();
    parsed
        .filter(|_| verifies)
        .ok_or_else(|| refused("the server's signature does not fit"))
}

/// One file for each set of secrets.
fn name(paths: &[(String, Option<u64>)]) -> String {
    let asked: BTreeSet<_> = paths.iter().collect();
    let text = serde_json::to_vec(&asked).unwrap_or_default();
    format!("{}.bundle", &hex(digest(&SHA256, &text).as_ref())[..32])
}

/// Of the values' JSON text, as statements have it.
pub(super) fn digest_of(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
