//! Managed SSH keys, for an app that connects to hosts itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use crate::kv2::join;
use crate::{Call, Client, Error, Secret};

/// One mount of the engine `sshkeys`. Made by [`Client::ssh_keys`].
pub struct SshKeys<'a> {
    client: &'a Client,
    mount: String,
}

/// One version of a key.
#[derive(Clone, Debug, Deserialize)]
pub struct ManagedKey {
    /// In OpenSSH's format.
    pub private_key: Secret,
    /// `ssh-ed25519 AAAA… comment`
    pub public_key: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// Grows with each rotation.
    pub version: u64,
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

#[derive(Deserialize)]
struct Host {
    lines: Vec<String>,
}

impl Client {
    /// The engine of managed SSH keys at this mount, usually `sshkeys`.
    pub fn ssh_keys(&self, mount: impl Into<String>) -> SshKeys<'_> {
        SshKeys {
            client: self,
            mount: mount.into(),
        }
    }
}

impl SshKeys<'_> {
    /// The current key. Read it before each connection: a rotation waits until
    /// everybody who has read the key has read the new one.
    ///
    /// # Errors
    /// As for [`Client::send`].
    pub async fn read(&self, name: &str) -> Result<ManagedKey, Error> {
        self.client.data(Call::get(self.path("creds", name))).await
    }

    /// Has the server sign a login (RFC 4252, 7), so that the private half
    /// never leaves it. The signature is in SSH's form: algorithm and bytes.
    ///
    /// # Errors
    /// As for [`Client::send`]; a 400 if it is no login with that key.
    pub async fn sign(&self, name: &str, login: &[u8]) -> Result<Vec<u8>, Error> {
        let path = self.path("sign", name);
        let body = json!({ "data": STANDARD.encode(login) });
        let call = Call::post(path.clone(), body).repeatable();
        let signed: Signed = self.client.data(call).await?;
        STANDARD
            .decode(signed.signature)
            .map_err(|_| Error::Decode {
                path,
                cause: "the signature is not in base64".into(),
            })
    }

    /// Lines of known_hosts for a host: `github.com`, `[127.0.0.1]:2222`.
    ///
    /// # Errors
    /// As for [`Client::send`]; [`Error::NotFound`] if nothing is pinned.
    pub async fn known_hosts(&self, host: &str) -> Result<Vec<String>, Error> {
        let call = Call::get(self.path("known-hosts", host));
        Ok(self.client.data::<Host>(call).await?.lines)
    }

    fn path(&self, what: &str, name: &str) -> String {
        join(&[&self.mount, what, name])
    }
}
