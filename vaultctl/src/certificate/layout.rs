//! Which files a certificate consists of, for whom reads them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::leaf::Pair;
use crate::atomic::Looks;
use crate::error::{Outcome, local};

/// What reads the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// A folder with fullchain.pem and privkey.pem
    Nginx,
    /// One file: chain, then key
    Haproxy,
    /// A folder with cert.pem, chain.pem and privkey.pem
    Separate,
    /// A folder with tls.crt and tls.key, for LoadCredential=
    Systemd,
    /// The same with tls.key encrypted for this host, for LoadCredentialEncrypted=
    SystemdEncrypted,
}

/// A file as it is to be.
pub(crate) struct Content {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) looks: Looks,
}

/// Of certificates, which are no secret.
const PUBLIC: u32 = 0o644;

impl Layout {
    /// The file that has the key in it.
    pub(crate) fn key_path(self, to: &Path) -> PathBuf {
        match self {
            Layout::Haproxy => to.to_owned(),
            Layout::Nginx | Layout::Separate => to.join("privkey.pem"),
            Layout::Systemd | Layout::SystemdEncrypted => to.join("tls.key"),
        }
    }

    /// The file whose first certificate is the leaf.
    pub(crate) fn leaf_path(self, to: &Path) -> PathBuf {
        match self {
            Layout::Haproxy => to.to_owned(),
            Layout::Nginx => to.join("fullchain.pem"),
            Layout::Separate => to.join("cert.pem"),
            Layout::Systemd | Layout::SystemdEncrypted => to.join("tls.crt"),
        }
    }

    /// All files; `looks` are those of what holds the key.
    pub(crate) async fn contents(
        self,
        to: &Path,
        pair: &Pair,
        looks: Looks,
    ) -> Outcome<Vec<Content>> {
        let chain = pair.chain.concat();
        let key = pair.key.trim_end().to_owned() + "\n";
        let key = Zeroizing::new(key);
        let secret = |bytes: Zeroizing<Vec<u8>>| Content {
            path: self.key_path(to),
            bytes,
            looks,
        };
        let public = |path: PathBuf, text: String| Content {
            path,
            bytes: Zeroizing::new(text.into_bytes()),
            looks: Looks {
                mode: PUBLIC,
                ..looks
            },
        };
        let key_bytes = Zeroizing::new(key.as_bytes().to_vec());
        Ok(match self {
            Layout::Haproxy => {
                let both = [chain.as_bytes(), key.as_bytes()].concat();
                vec![secret(Zeroizing::new(both))]
            }
            Layout::Nginx | Layout::Systemd => {
                vec![secret(key_bytes), public(self.leaf_path(to), chain)]
            }
            Layout::SystemdEncrypted => {
                let sealed = encrypt("tls.key", &key).await?;
                vec![secret(sealed), public(self.leaf_path(to), chain)]
            }
            Layout::Separate => {
                let (leaf, above) = pair.chain.split_at(1);
                vec![
                    secret(key_bytes),
                    public(self.leaf_path(to), leaf.concat()),
                    public(to.join("chain.pem"), above.concat()),
                ]
            }
        })
    }
}

/// What only this host can open, by systemd's own program.
async fn encrypt(name: &str, key: &str) -> Outcome<Zeroizing<Vec<u8>>> {
    let failed = |why: String| {
        local(
            format!("systemd-creds does not encrypt the key: {why}"),
            "it needs systemd 250 and root; the layout systemd writes the key as it is",
        )
    };
    let mut child = Command::new("systemd-creds")
        .args(["encrypt", &format!("--name={name}"), "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        let written = stdin.write_all(key.as_bytes()).await;
        written.map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().await;
    let output = output.map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(Zeroizing::new(output.stdout)),
        false => Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}
