//! What is stored of a managed key. All but its private halves is one row, so that each step of a
//! rotation is one commit; each private half has a row of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::{Random, random_base62};
use vault_ssh::{Key as PublicKey, KeyKind, PrivateKey};

use super::name::Name;
use super::rotation::Rotation;
use super::settings::Settings;
use super::target::Target;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::engine::secret::Secret;

/// Where the keys are listed.
pub(super) const FOLDER: &str = "keys";

pub(super) fn row(name: &Name) -> String {
    format!("{FOLDER}/{}", name.as_str())
}

/// Keys that have work to do.
pub(super) const BUSY: &str = "busy";

pub(super) fn busy_row(name: &Name) -> String {
    format!("{BUSY}/{}", name.as_str())
}

fn private_row(name: &Name, version: u64) -> String {
    format!("private/{}/{version}", name.as_str())
}

/// What kind of key the next version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum KeyType {
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "ecdsa-p256")]
    P256,
    #[serde(rename = "ecdsa-p384")]
    P384,
    #[serde(rename = "ecdsa-p521")]
    P521,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyType {
    const ALL: [KeyType; 7] = [
        KeyType::Ed25519,
        KeyType::P256,
        KeyType::P384,
        KeyType::P521,
        KeyType::Rsa2048,
        KeyType::Rsa3072,
        KeyType::Rsa4096,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            KeyType::Ed25519 => "ed25519",
            KeyType::P256 => "ecdsa-p256",
            KeyType::P384 => "ecdsa-p384",
            KeyType::P521 => "ecdsa-p521",
            KeyType::Rsa2048 => "rsa-2048",
            KeyType::Rsa3072 => "rsa-3072",
            KeyType::Rsa4096 => "rsa-4096",
        }
    }

    pub(super) fn parse(text: &str) -> Result<KeyType, Fault> {
        let known = KeyType::ALL.into_iter().find(|kind| kind.name() == text);
        match (known, text) {
            (Some(kind), _) => Ok(kind),
            (None, "ecdsa") => Ok(KeyType::P256),
            (None, "rsa") => Ok(KeyType::Rsa4096),
            _ => Err(Fault::invalid(
                "unknown key_type: use ed25519, ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, \
                 rsa-3072 or rsa-4096",
            )),
        }
    }

    pub(super) fn kind(self) -> KeyKind {
        match self {
            KeyType::Ed25519 => KeyKind::Ed25519,
            KeyType::P256 => KeyKind::P256,
            KeyType::P384 => KeyKind::P384,
            KeyType::P521 => KeyKind::P521,
            KeyType::Rsa2048 => KeyKind::Rsa2048,
            KeyType::Rsa3072 => KeyKind::Rsa3072,
            KeyType::Rsa4096 => KeyKind::Rsa4096,
        }
    }
}

/// A private half with its public one, before it is a version of a key.
pub struct Pair {
    pub(super) private: Secret,
    /// `ssh-ed25519 AAAA…`
    pub(super) public: String,
    /// It was made elsewhere.
    pub(super) is_foreign: bool,
}

impl Pair {
    /// Slow for RSA.
    pub(super) fn generate(kind: KeyType, random: &dyn Random) -> Result<Pair, Fault> {
        let key = PrivateKey::generate(kind.kind(), random)
            .map_err(|_| Fault::Internal("the library makes no key"))?;
        Pair::of(&key, false)
    }

    pub(super) fn parse(text: &str) -> Result<Pair, Fault> {
        let key = PrivateKey::parse(text)
            .map_err(|error| Fault::invalid(format!("private_key: {error}")))?;
        Pair::of(&key, true)
    }

    fn of(key: &PrivateKey, is_foreign: bool) -> Result<Pair, Fault> {
        let private = key
            .to_pkcs8()
            .map_err(|_| Fault::Internal("the library writes no key"))?;
        Ok(Pair {
            private: Secret::copy(&private),
            public: key.public().line(),
            is_foreign,
        })
    }
}

/// A managed key.
#[derive(Serialize, Deserialize)]
pub(super) struct Key {
    /// Of the next version.
    pub key_type: KeyType,
    pub comment: String,
    /// Seconds; `None` is the mount's.
    pub rotation_period: Option<u64>,
    pub grace: Option<u64>,
    pub created: Timestamp,
    /// The version that readers get.
    pub current: u64,
    /// The newest number that a version ever had.
    pub last: u64,
    pub versions: BTreeMap<u64, Version>,
    pub targets: BTreeMap<String, Target>,
    pub rotation: Option<Rotation>,
    pub rotates_at: Option<Timestamp>,
    pub retired: bool,
    /// `rotates_at` is new, and wants its reminder.
    #[serde(skip)]
    pub planned: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub public: String,
    /// It was made elsewhere: people have it who are not known as readers.
    #[serde(default)]
    pub is_foreign: bool,
    /// Names the version at its targets.
    pub marker: String,
    pub created: Timestamp,
}

impl Version {
    pub(super) fn key(&self) -> Result<PublicKey, Fault> {
        PublicKey::from_line(&self.public).map_err(|_| Fault::Internal("a stored public key"))
    }
}

impl Key {
    pub(super) fn new(key_type: KeyType, now: Timestamp) -> Key {
        Key {
            key_type,
            comment: String::new(),
            rotation_period: None,
            grace: None,
            created: now,
            current: 0,
            last: 0,
            versions: BTreeMap::new(),
            targets: BTreeMap::new(),
            rotation: None,
            rotates_at: None,
            retired: false,
            planned: false,
        }
    }

    pub(super) async fn find(view: &mut View<'_>, name: &Name) -> Result<Option<Key>, Fault> {
        Ok(view.get(&row(name)).await?)
    }

    /// The key that the path names.
    pub(super) async fn named(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(Name, Key), Fault> {
        let name = Name::parse(ctx.param("name"))?;
        let key = Key::find(view, &name).await?.ok_or(Fault::Missing)?;
        Ok((name, key))
    }

    /// With the mark that it has work to do, and the reminder of its next rotation.
    pub(super) async fn store(&self, view: &mut View<'_>, name: &Name) -> Result<(), Fault> {
        let busy = busy_row(name);
        match (self.is_busy(), view.exists(&busy).await?) {
            (true, false) => view.put(&busy, &true).await?,
            (false, true) => view.delete(&busy).await?,
            _ => {}
        }
        let version = self.versions.get(&self.current).filter(|_| self.planned);
        if let (Some(at), Some(version)) = (self.rotates_at, version) {
            let id = vault_crypto::sha256(version.marker.as_bytes());
            let mut short = [0; 16];
            short.copy_from_slice(&id[..16]);
            view.put_due(at, &short, name.as_str()).await?;
        }
        Ok(view.put(&row(name), self).await?)
    }

    /// Its number.
    pub(super) async fn add_version(
        &mut self,
        pair: &Pair,
        name: &Name,
        now: Timestamp,
        random: &dyn Random,
        view: &mut View<'_>,
    ) -> Result<u64, Fault> {
        self.last += 1;
        let version = Version {
            public: pair.public.clone(),
            is_foreign: pair.is_foreign,
            marker: random_base62(12, random),
            created: now,
        };
        self.versions.insert(self.last, version);
        view.put(&private_row(name, self.last), &pair.private)
            .await?;
        Ok(self.last)
    }

    pub(super) async fn drop_version(
        &mut self,
        version: u64,
        name: &Name,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        self.versions.remove(&version);
        Ok(view.delete(&private_row(name, version)).await?)
    }

    /// Seconds; 0 is never.
    pub(super) fn rotation_period(&self, settings: &Settings) -> u64 {
        self.rotation_period.unwrap_or(settings.rotation_period)
    }
}

/// The private half of a version.
pub(super) async fn private(
    view: &mut View<'_>,
    name: &Name,
    version: u64,
) -> Result<PrivateKey, Fault> {
    let stored: Option<Secret> = view.get(&private_row(name, version)).await?;
    let stored = stored.ok_or(Fault::Missing)?;
    PrivateKey::from_pkcs8(stored.expose()).map_err(|_| Fault::Internal("a stored private key"))
}
