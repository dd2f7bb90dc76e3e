//! The key that binds what is kept to this host.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
use zeroize::Zeroizing;

use crate::Error;

/// The name of systemd's credential.
const CREDENTIAL: &str = "vaultd-bundle-key";
/// Fewer bytes are no key.
const LENGTH_MIN: usize = 32;
const MACHINE_ID: &str = "/etc/machine-id";

/// A key of this host's. Wiped; never printed.
pub struct HostKey {
    bytes: Zeroizing<[u8; 32]>,
    /// Whether it may be another one after a reboot.
    is_fleeting: bool,
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKey(..)")
    }
}

impl HostKey {
    /// From systemd: the credential `vaultd-bundle-key` in `$CREDENTIALS_DIRECTORY`, at least 32
    /// random bytes. `LoadCredentialEncrypted=` binds it to the machine's TPM or to its own key.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, or it is too short.
    pub fn from_credentials() -> Result<HostKey, Error> {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty());
        let folder = folder.ok_or_else(|| {
            Error::Config(format!(
                "there is no key for the cache: give the service LoadCredentialEncrypted={CREDENTIAL}"
            ))
        })?;
        let path = PathBuf::from(folder).join(CREDENTIAL);
        let bytes = fs::read(&path).map_err(|cause| {
            Error::Config(format!("cannot read the credential {CREDENTIAL}: {cause}"))
        })?;
        HostKey::new(&Zeroizing::new(bytes))
    }

    /// From a file of mode 0600, which is made if it is not there. Weaker than a credential: whoever
    /// copies the disk has the key too.
    ///
    /// # Errors
    /// [`Error::Config`] if it cannot be read or made, is too short, or others may read it.
    pub fn from_file(path: &Path) -> Result<HostKey, Error> {
        let wrong =
            |why: String| Error::Config(format!("the cache's key {}: {why}", path.display()));
        let mut bytes = Zeroizing::new(vec![0; LENGTH_MIN]);
        getrandom::fill(&mut bytes).map_err(|_| wrong("there is no randomness".to_owned()))?;
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        match made {
            Ok(mut file) => {
                let written = file.write_all(&bytes).and_then(|()| file.sync_all());
                written.map_err(|cause| wrong(format!("cannot be written: {cause}")))?;
            }
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                let about = fs::metadata(path).map_err(|cause| wrong(cause.to_string()))?;
                if about.mode() & 0o077 != 0 {
                    return Err(wrong("others may read it; chmod 600 it".to_owned()));
                }
                bytes = fs::read(path)
                    .map_err(|cause| wrong(format!("cannot be read: {cause}")))?
                    .into();
            }
            Err(cause) => return Err(wrong(format!("cannot be made: {cause}"))),
        }
        HostKey::new(&bytes)
    }

    /// From the kernel: a key of this name in the user keyring (user-keyring(7)), made if it is not
    /// there. It is never on a disk, and is gone after a reboot, with all that was kept under it.
    ///
    /// # Errors
    /// [`Error::Config`] if the kernel has no keyring for this process; some containers have none.
    pub fn from_keyring(name: &str) -> Result<HostKey, Error> {
        let wrong = |cause: KeyError| {
            Error::Config(format!(
                "the kernel's keyring does not give a key for the cache: {cause}"
            ))
        };
        let user = KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(wrong)?;
        // A service's session may know nothing of its user's keyring: only whose process has a link
        // to it may read there.
        let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true).map_err(wrong)?;
        own.link_keyring(user).map_err(wrong)?;
        let found = match user.search(name) {
            // One that was invalidated or timed out is found until the kernel has cleared it away.
            Err(KeyError::KeyDoesNotExist | KeyError::KeyRevoked | KeyError::KeyExpired) => {
                let mut bytes = Zeroizing::new([0; LENGTH_MIN]);
                getrandom::fill(&mut *bytes)
                    .map_err(|_| Error::Config("there is no randomness".into()))?;
                user.add_key(name, &*bytes)
            }
            found => found,
        };
        let bytes = found.and_then(|key| key.read_to_vec()).map_err(wrong)?;
        Ok(HostKey {
            is_fleeting: true,
            ..HostKey::new(&Zeroizing::new(bytes))?
        })
    }

    /// Bound to the machine's id too: a copied key alone opens nothing elsewhere.
    fn new(bytes: &[u8]) -> Result<HostKey, Error> {
        if bytes.len() < LENGTH_MIN {
            return Err(Error::Config(format!(
                "the cache's key is too short: at least {LENGTH_MIN} random bytes are needed"
            )));
        }
        let machine = fs::read(MACHINE_ID).unwrap_or_default();
        let mut key = Zeroizing::new([0; 32]);
        let prk = Salt::new(HKDF_SHA256, machine.trim_ascii()).extract(bytes);
        prk.expand(&[b"vaultd/bundle/host/v1"], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *key))
            .map_err(|_| Error::Config("the cache's key cannot be derived".into()))?;
        Ok(HostKey {
            bytes: key,
            is_fleeting: false,
        })
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Whether it may be another one after a reboot.
    pub(super) fn is_fleeting(&self) -> bool {
        self.is_fleeting
    }
}
