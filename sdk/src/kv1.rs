//! The key-value engine without versions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kv2::{join, keys};
use crate::typed::{SecretMap, to_object, to_secrets};
use crate::{Call, Client, Error};

/// One mount of the engine. Made by [`Client::kv1`].
pub struct Kv1<'a> {
    client: &'a Client,
    mount: String,
}

impl Client {
    /// The key-value engine without versions at this mount.
    pub fn kv1(&self, mount: impl Into<String>) -> Kv1<'_> {
        Kv1 {
            client: self,
            mount: mount.into(),
        }
    }
}

impl Kv1<'_> {
    /// All keys. Values that are not texts are given as JSON.
    pub async fn read(&self, path: &str) -> Result<SecretMap, Error> {
        let path = self.path(path);
        let data = self.client.data(Call::get(path.clone())).await?;
        to_secrets(&path, data)
    }

    /// All keys as a type of your own. Give its secret fields the type
    /// [`crate::Secret`].
    pub async fn read_as<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.client.data(Call::get(self.path(path))).await
    }

    /// Replaces all keys.
    pub async fn put(&self, path: &str, data: impl Serialize) -> Result<(), Error> {
        // The same values again are the same secret.
        let call = Call::put(self.path(path), to_object(data)?).repeatable();
        self.client.send(call).await.map(drop)
    }

    /// Removes the secret for good.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.client
            .send(Call::delete(self.path(path)))
            .await
            .map(drop)
    }

    /// The names in a folder; folders end in `/`. An empty or missing folder
    /// is an empty list.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        list(self.client, self.path(folder)).await
    }

    fn path(&self, path: &str) -> String {
        join(&[&self.mount, path])
    }
}

pub(crate) async fn list(client: &Client, folder: String) -> Result<Vec<String>, Error> {
    keys(client.data(Call::list(folder)).await)
}
