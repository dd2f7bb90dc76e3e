//! One operator's share of the unseal key, in a file wrapped by that operator's passphrase.
//!
//! Promises: the share is encrypted under Argon2id of the passphrase; everything else in the file
//! is authenticated with it, so a file whose owner, set or index was edited does not open; a file
//! never replaces another one; mode 0600. Not promised: protection against a weak passphrase once
//! the file is stolen, or against whoever watches the terminal.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use vault_crypto::{Aad, AnyShare, Cost, Random, Wrapped};
use zeroize::Zeroizing;

use crate::error::{Outcome, file, local};
use crate::session::create_private;

const FORMAT: &str = "vaultd-share-1";
/// A share file is small; a large one is something else.
const MAX_SIZE: u64 = 64 * 1024;

/// A share file as it lies on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareFile {
    format: String,
    operator: String,
    set: String,
    index: u8,
    threshold: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    kdf: Kdf,
    wrapped: String,
}

/// How the passphrase is stretched; for readers, the binding copy is inside `wrapped`.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    memory_kib: u32,
    passes: u8,
    lanes: u8,
}

impl Kdf {
    fn of(cost: Cost) -> Self {
        Self {
            name: "argon2id".into(),
            memory_kib: cost.memory_kib(),
            passes: cost.passes(),
            lanes: cost.lanes(),
        }
    }
}

/// An operator's name, fit to be part of a file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator(String);

impl std::str::FromStr for Operator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if text.is_empty()
            || text.len() > 64
            || text.starts_with(['.', '-'])
            || !text.chars().all(fits)
        {
            return Err(
                "an operator's name has 1 to 64 of a-z A-Z 0-9 - _ . @ and starts with none of . -"
                    .into(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Operator {
    /// The file that holds this operator's share.
    pub(crate) fn file(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.share", self.0))
    }
}

impl ShareFile {
    /// Wraps one share as the server handed it out (base64 of its bytes).
    pub(crate) fn wrap(
        operator: &Operator,
        share: &str,
        cluster: Option<String>,
        passphrase: &str,
        cost: Cost,
        random: &dyn Random,
    ) -> Outcome<Self> {
        let unusable = || {
            local(
                "the server handed out a share that is not one of vaultd",
                "use plain shares: leave out --operator",
            )
        };
        let bytes = Zeroizing::new(STANDARD.decode(share).map_err(|_| unusable())?);
        let Ok(AnyShare::Tagged(parsed)) = vault_crypto::Share::parse(&bytes) else {
            return Err(unusable());
        };
        let mut file = Self {
            format: FORMAT.into(),
            operator: operator.to_string(),
            set: hex::encode(parsed.set().as_bytes()),
            index: parsed.index(),
            threshold: parsed.threshold(),
            cluster,
            kdf: Kdf::of(cost),
            wrapped: String::new(),
        };
        let wrapped = vault_crypto::wrap(
            passphrase.as_bytes(),
            file.context().as_bytes(),
            &bytes,
            cost,
            random,
        )
        .map_err(|e| {
            local(
                format!("cannot stretch the passphrase: {e}"),
                "free some memory and try again",
            )
        })?;
        file.wrapped = STANDARD.encode(wrapped.to_bytes());
        Ok(file)
    }

    /// Opens the share; the answer is base64, as the server takes it.
    pub(crate) fn open(&self, passphrase: &str) -> Outcome<Zeroizing<String>> {
        let damaged = || {
            local(
                format!("{} is damaged", self.name()),
                "use another copy of the file",
            )
        };
        let bytes = STANDARD.decode(&self.wrapped).map_err(|_| damaged())?;
        let wrapped = Wrapped::from_bytes(&bytes).map_err(|_| damaged())?;
        if Kdf::of(wrapped.cost()) != self.kdf {
            return Err(damaged());
        }
        let share =
            vault_crypto::unwrap_secret(&wrapped, passphrase.as_bytes(), self.context().as_bytes())
                .map_err(|_| {
                    local(
                        format!(
                            "{} does not open: wrong passphrase, or the file was changed",
                            self.name()
                        ),
                        "type the passphrase again",
                    )
                })?;
        Ok(Zeroizing::new(STANDARD.encode(&*share)))
    }

    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let not_ours = || {
            local(
                format!("{} is not a share file", path.display()),
                "give the file that operator init wrote, NAME.share",
            )
        };
        let size = std::fs::metadata(path)
            .map_err(|e| file("read", path, &e))?
            .len();
        if size > MAX_SIZE {
            return Err(not_ours());
        }
        let bytes = std::fs::read(path).map_err(|e| file("read", path, &e))?;
        let parsed: Self = serde_json::from_slice(&bytes).map_err(|_| not_ours())?;
        let sound = parsed.format == FORMAT
            && parsed.operator.parse::<Operator>().is_ok()
            && hex::decode(&parsed.set).is_ok();
        if sound { Ok(parsed) } else { Err(not_ours()) }
    }

    /// Writes a new file; an existing one is never touched.
    pub(crate) fn write(&self, path: &Path) -> Outcome {
        let mut text =
            serde_json::to_string_pretty(self).map_err(|e| crate::error::plain(e.to_string()))?;
        text.push('\n');
        create_private(path, text.as_bytes()).map_err(|e| file("write", path, &e))
    }

    pub(crate) fn operator(&self) -> &str {
        &self.operator
    }

    /// How people call this share.
    pub(crate) fn name(&self) -> String {
        let set: String = self.set.chars().take(4).collect();
        format!("share {} of set {set} ({})", self.index, self.operator)
    }

    /// Everything beside the secret, bound to it.
    fn context(&self) -> Aad {
        Aad::new(FORMAT)
            .field(self.operator.as_bytes())
            .field(self.set.as_bytes())
            .u64(self.index.into())
            .u64(self.threshold.into())
            .field(self.cluster.as_deref().unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]

    use super::*;
    use vault_crypto::Seeded;

    const PASSPHRASE: &str = "correct horse battery";

    fn shares(random: &Seeded) -> Vec<String> {
        let (_, shares) = vault_crypto::split(&[7; 32], 2, 3, random).unwrap();
        shares
            .iter()
            .map(|s| STANDARD.encode(&*s.to_bytes()))
            .collect()
    }

    fn wrapped() -> (String, ShareFile) {
        let random = Seeded::new(1);
        let share = shares(&random).remove(1);
        let cheap = Cost::parse(64, 1, 1).unwrap();
        let file = ShareFile::wrap(
            &"bob".parse().unwrap(),
            &share,
            Some("c".into()),
            PASSPHRASE,
            cheap,
            &random,
        )
        .unwrap();
        (share, file)
    }

    #[test]
    fn the_passphrase_opens_the_same_share() {
        let (share, file) = wrapped();
        assert_eq!(*file.open(PASSPHRASE).unwrap(), share);
        assert!(file.name().starts_with("share 2 of set "));
    }

    #[test]
    fn a_wrong_passphrase_does_not_open() {
        assert!(wrapped().1.open("correct horse batterx").is_err());
    }

    #[test]
    fn every_edited_field_keeps_the_file_shut() {
        type Edit = fn(&mut ShareFile);
        let edits: [(&str, Edit); 6] = [
            ("operator", |f| f.operator = "eve".into()),
            ("set", |f| f.set = "00".repeat(8)),
            ("index", |f| f.index += 1),
            ("threshold", |f| f.threshold += 1),
            ("cluster", |f| f.cluster = None),
            ("kdf", |f| f.kdf.passes += 1),
        ];
        for (field, edit) in edits {
            let mut file = wrapped().1;
            edit(&mut file);
            assert!(file.open(PASSPHRASE).is_err(), "{field}");
        }
    }

    #[test]
    fn the_file_never_holds_the_share_and_never_replaces_another() {
        let (share, file) = wrapped();
        let directory = tempfile::tempdir().unwrap();
        let path = Operator("bob".into()).file(directory.path());
        file.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&share));
        assert_eq!(
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777,
            0o600
        );
        assert!(file.write(&path).is_err());
        assert_eq!(
            *ShareFile::read(&path).unwrap().open(PASSPHRASE).unwrap(),
            share
        );
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        for name in [
            "",
            "..",
            ".x",
            "a/b",
            "../x",
            "a\0b",
            "-rf",
            "a b",
            &"x".repeat(65),
        ] {
            assert!(name.parse::<Operator>().is_err(), "{name:?}");
        }
        assert!("alice@example.org".parse::<Operator>().is_ok());
    }
}
