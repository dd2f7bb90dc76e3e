//! Audit devices that are enabled over the API, where the config names a folder for them.
//!
//! Promises: a device writes to a plain file directly in that folder, made with mode 0600, never
//! through a link, never to a file that is not an audit log of ours; there is no way to log a value
//! in clear, nor to put text of a client's before a record. Devices come back with every unseal.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Core;
use super::fault::Fault;
use super::mount::reserved;
use super::retry::committed;
use super::unsealed::Unsealed;
use crate::audit::DeviceConfig;
use crate::barrier::Tx;

const FOLDER: &str = "audit";
const LABEL_MAX: usize = 100;

/// One device, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDevice {
    /// Ends in `/`.
    pub label: String,
    pub description: String,
    /// The name of the file in the folder.
    pub file: String,
    pub options: BTreeMap<String, String>,
    /// Said back as it was given; one node has nothing to replicate.
    #[serde(default)]
    pub local: bool,
}

impl AuditDevice {
    pub fn check_label(label: &str) -> Result<(), Fault> {
        match label.len() <= LABEL_MAX {
            true => Ok(()),
            false => Err(Fault::invalid(
                "the path of an audit device is at most 100 bytes",
            )),
        }
    }
}

/// The name of a file that lies directly in the folder, from the path that a client gave.
pub fn confine(folder: &Path, given: &str) -> Result<String, Fault> {
    let refused = || {
        Fault::invalid(format!(
            "file_path must be a file directly in {:?}, the folder that the server's config allows (audit_folder)",
            folder.display()
        ))
    };
    let given = Path::new(given);
    let inside = match given.is_absolute() {
        true => given.strip_prefix(folder).map_err(|_| refused())?,
        false => given,
    };
    let mut parts = inside
        .components()
        .filter(|part| *part != Component::CurDir);
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) => {
            let name = name
                .to_str()
                .filter(|name| !name.contains(char::is_control));
            name.map(str::to_owned).ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}

/// Labels may have several parts, names of rows only one.
fn row(label: &str) -> String {
    format!("{FOLDER}/{}", hex::encode(label))
}

pub async fn load(tx: &mut Tx, label: &str) -> Result<Option<AuditDevice>, Fault> {
    Ok(tx.view(reserved::SYSTEM).get(&row(label)).await?)
}

pub async fn store(tx: &mut Tx, device: &AuditDevice) -> Result<(), Fault> {
    Ok(tx
        .view(reserved::SYSTEM)
        .put(&row(&device.label), device)
        .await?)
}

pub async fn delete(tx: &mut Tx, label: &str) -> Result<(), Fault> {
    Ok(tx.view(reserved::SYSTEM).delete(&row(label)).await?)
}

pub async fn all(tx: &mut Tx) -> Result<Vec<AuditDevice>, Fault> {
    let mut view = tx.view(reserved::SYSTEM);
    let mut found = Vec::new();
    for name in view.list(FOLDER).await? {
        found.extend(view.get::<AuditDevice>(&format!("{FOLDER}/{name}")).await?);
    }
    found.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(found)
}

/// After the commit. Who asked for a device that does not open is told so, and it is forgotten.
pub async fn open(core: &Core, vault: &Unsealed, device: &AuditDevice) -> Result<(), Fault> {
    let Err(fault) = start(core, device).await else {
        return Ok(());
    };
    committed!(vault, |tx| delete(tx, &device.label).await)?;
    Err(fault)
}

/// At unseal. One that does not open keeps nobody out: the config's devices are there.
pub async fn open_all(core: &Core, vault: &Unsealed) -> Result<(), Fault> {
    for device in all(&mut vault.barrier.begin()).await? {
        if let Err(fault) = start(core, &device).await {
            tracing::error!(device = device.label, %fault, "an audit device is missing");
        }
    }
    Ok(())
}

async fn start(core: &Core, device: &AuditDevice) -> Result<(), Fault> {
    let folder = folder(core)?;
    let path = folder.join(confine(&folder, &device.file)?);
    let opened = core
        .audit
        .add(&device.label, DeviceConfig::Confined { path });
    opened.await.map_err(|error| {
        // The text names the label and what the system says, not what is in the file.
        Fault::invalid(error.to_string())
    })
}

pub fn folder(core: &Core) -> Result<PathBuf, Fault> {
    core.settings.audit_folder.clone().ok_or_else(|| {
        Fault::invalid(
            "audit devices cannot be enabled over the API: add an [[audit]] section to the server's config, \
             or name a folder for them there (audit_folder)",
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_stays_in_its_folder() {
        let folder = Path::new("/var/log/vaultd");
        for inside in [
            "a.log",
            "./a.log",
            "/var/log/vaultd/a.log",
            "/var/log/vaultd//a.log",
        ] {
            assert_eq!(confine(folder, inside).unwrap(), "a.log", "{inside}");
        }
        for outside in [
            "",
            ".",
            "..",
            "../a.log",
            "sub/a.log",
            "sub/../a.log",
            "/var/log/vaultd",
            "/var/log/vaultd/",
            "/var/log/vaultd/../a.log",
            "/var/log/vaultd/sub/a.log",
            "/var/log/vaultd-other/a.log",
            "/var/log/a.log",
            "/etc/passwd",
            "/var/log/vaultd/a\nb",
        ] {
            assert!(confine(folder, outside).is_err(), "{outside:?}");
        }
    }
}
