//! A key: one row with what it allows and all its versions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::{Random, System};
use zeroize::Zeroizing;

use super::version::{HMAC_KEY, KeyType, Version};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::name;

/// Where the keys are listed.
pub(super) const FOLDER: &str = "keys";
pub(super) const ROTATING: &str = "rotating";

/// Letters, digits, `_`, `-` and `.`; a letter, digit or `_` at both ends. Case matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyName(String);

impl KeyName {
    pub(super) fn parse(text: &str) -> Result<KeyName, Fault> {
        Ok(KeyName(name::check(text, "key")?.to_owned()))
    }

    /// The name in the path of a request.
    pub(super) fn of(ctx: &Ctx<'_>) -> Result<KeyName, Fault> {
        KeyName::parse(ctx.param("name"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn row(&self) -> String {
        format!("{FOLDER}/{}", self.0)
    }

    /// There as long as the key rotates by itself.
    fn rotation_row(&self) -> String {
        format!("{ROTATING}/{}", self.0)
    }
}

/// When a backup was taken or brought back, and the latest version at that time.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Moment {
    pub time: Timestamp,
    pub version: u64,
}

/// A key with all its versions.
#[derive(Serialize, Deserialize)]
pub(super) struct Key {
    pub kind: KeyType,
    pub derived: bool,
    pub convergent: bool,
    /// Once true, forever true; so too with `allow_plaintext_backup`.
    pub exportable: bool,
    pub allow_plaintext_backup: bool,
    pub deletion_allowed: bool,
    /// Seconds; 0 for never. Checked when the key is used, and in the background.
    pub auto_rotate_period: u64,
    /// Bytes; only of keys of type `hmac`.
    pub hmac_size: usize,
    /// From 1.
    pub min_decryption_version: u64,
    /// 0: only the latest version encrypts and signs unless the request names another.
    pub min_encryption_version: u64,
    /// Number of the oldest version that is left.
    pub first: u64,
    pub versions: Vec<Version>,
    pub backed_up: Option<Moment>,
    pub restored: Option<Moment>,
    /// Of a key that was made elsewhere.
    #[serde(default)]
    pub import: Option<Import>,
    /// Out of use until it is restored.
    #[serde(default)]
    pub soft_deleted: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Import {
    /// Whether this engine may add versions of its own.
    pub allow_rotation: bool,
}

impl Key {
    pub(super) async fn load(view: &mut View<'_>, name: &KeyName) -> Result<Option<Key>, Fault> {
        let key: Option<Key> = view.get(&name.row()).await?;
        match key {
            Some(key) if key.versions.is_empty() || key.first == 0 => {
                Err(Fault::Damaged(name.row()))
            }
            key => Ok(key),
        }
    }

    pub(super) async fn store(&self, view: &mut View<'_>, name: &KeyName) -> Result<(), Fault> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.size()));
        serde_json::to_writer(&mut *text, self).map_err(|_| Fault::Internal("serialise a key"))?;
        if text.len() > crate::barrier::VALUE_MAX {
            return Err(Fault::invalid(
                "the key has too many versions: raise its minimum versions and trim it",
            ));
        }
        view.put_bytes(&name.row(), &*text).await?;
        match self.auto_rotate_period {
            0 => Ok(view.delete(&name.rotation_row()).await?),
            _ => Ok(view.put(&name.rotation_row(), &()).await?),
        }
    }

    pub(super) async fn remove(view: &mut View<'_>, name: &KeyName) -> Result<(), Fault> {
        view.delete(&name.row()).await?;
        Ok(view.delete(&name.rotation_row()).await?)
    }

    pub(super) fn check_use(&self) -> Result<(), Fault> {
        match self.soft_deleted {
            true => Err(Fault::invalid(
                "the key is soft-deleted: restore it with keys/NAME/soft-delete-restore",
            )),
            false => Ok(()),
        }
    }

    /// More bytes than the key has as JSON: a buffer that grows would leave key material in freed
    /// memory.
    pub(super) fn size(&self) -> usize {
        let chain = |v: &Version| v.chain.iter().map(|one| one.len() + 8).sum::<usize>();
        let version =
            |v: &Version| 512 + 2 * (v.material.len() + v.hmac.len() + v.public.len() + chain(v));
        1024 + self.versions.iter().map(version).sum::<usize>()
    }

    pub(super) fn latest(&self) -> u64 {
        self.first + self.versions.len() as u64 - 1
    }

    /// Adds a version. RSA is generated off the thread that serves other requests.
    pub(super) async fn rotate(
        &mut self,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<(), Fault> {
        let version = new_version(self.kind, self.hmac_size, now, random).await?;
        self.versions.push(version);
        Ok(())
    }

    /// Rotates if the time has come; true if it did.
    pub(super) async fn rotate_if_due(
        &mut self,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<bool, Fault> {
        let newest = self.versions.last().map(|version| version.created);
        let age = newest.map_or(0, |created| now.duration_since(created).as_secs());
        let due = self.auto_rotate_period > 0
            && u64::try_from(age).is_ok_and(|age| age >= self.auto_rotate_period);
        if due {
            self.rotate(now, random).await?;
        }
        Ok(due)
    }

    pub(super) fn version(&self, number: u64) -> Option<&Version> {
        let at = number.checked_sub(self.first)?;
        self.versions.get(usize::try_from(at).ok()?)
    }

    /// What may be seen of the key: versions from the minimum on.
    pub(super) fn visible(&self) -> impl Iterator<Item = (u64, &Version)> {
        let numbered = (self.first..).zip(&self.versions);
        numbered.filter(|(number, _)| *number >= self.min_decryption_version)
    }

    /// The version that makes something new; 0 asks for the latest. `what` is the act.
    pub(super) fn to_make(&self, asked: i64, what: &str) -> Result<(u64, &Version), Fault> {
        let refuse = |why: &str| {
            Err(Fault::invalid(format!(
                "requested version for {what} {why}"
            )))
        };
        let number = match u64::try_from(asked) {
            Err(_) => return refuse("is negative"),
            Ok(0) => self.latest(),
            Ok(number) if number > self.latest() => {
                return refuse("is higher than the latest key version");
            }
            Ok(number) if number < self.min_encryption_version => {
                return refuse("is less than the minimum encryption key version");
            }
            Ok(number) => number,
        };
        match self.version(number) {
            Some(version) => Ok((number, version)),
            None => refuse("was trimmed"),
        }
    }

    /// The version that made something. `what` is the thing.
    pub(super) fn to_check(&self, number: u64, what: &str) -> Result<&Version, Fault> {
        if number > self.latest() {
            return Err(Fault::invalid(format!(
                "invalid {what}: version is too new"
            )));
        }
        if number < self.min_decryption_version {
            return Err(Fault::invalid(
                "ciphertext or signature version is disallowed by policy (too old)",
            ));
        }
        self.version(number)
            .ok_or_else(|| Fault::invalid(format!("invalid {what}: its key version was trimmed")))
    }
}

/// A new version of material.
pub(super) async fn new_version(
    kind: KeyType,
    hmac_size: usize,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Version, Fault> {
    let size = hmac_size.max(HMAC_KEY);
    if kind.rsa_size().is_none() {
        return Version::generate(kind, size, now, random);
    }
    // The library draws the primes itself; only the HMAC key is drawn here.
    tokio::task::spawn_blocking(move || Version::generate(kind, size, now, &System))
        .await
        .map_err(|_| Fault::Internal("key generation was interrupted"))?
}
