//! The versioned key-value engine.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vault_proto::kv2::{Keys, Metadata, VersionMetadata};

use crate::typed::{SecretMap, from_value, to_object, to_secrets};
use crate::wipe::Wiped;
use crate::{Call, Client, Error};

/// One mount of the engine. Made by [`Client::kv2`].
pub struct Kv2<'a> {
    client: &'a Client,
    mount: String,
}

/// One version of a secret.
#[derive(Debug, Clone)]
pub struct Kv2Secret {
    /// Values that are not texts are given as JSON, numbers with all their digits.
    pub data: SecretMap,
    /// Counts from 1.
    pub version: u64,
    /// Times and custom metadata.
    pub metadata: VersionMetadata,
}

impl Client {
    /// The versioned key-value engine at this mount.
    pub fn kv2(&self, mount: impl Into<String>) -> Kv2<'_> {
        Kv2 {
            client: self,
            mount: mount.into(),
        }
    }
}

impl Kv2<'_> {
    /// The newest version.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when that version is deleted.
    pub async fn read(&self, path: &str) -> Result<Kv2Secret, Error> {
        self.read_call(Call::get(self.path("data", path))).await
    }

    /// One version, counted from 1.
    pub async fn read_version(&self, path: &str, version: u64) -> Result<Kv2Secret, Error> {
        let call = Call::get(self.path("data", path)).query("version", version);
        self.read_call(call).await
    }

    /// The newest version as a type of your own. Give its secret fields the
    /// type [`crate::Secret`].
    pub async fn read_as<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let path = self.path("data", path);
        let (values, _) = self.read_raw(Call::get(path.clone())).await?;
        from_value(&path, values.take())
    }

    async fn read_call(&self, call: Call) -> Result<Kv2Secret, Error> {
        let path = call.path.clone();
        let (values, metadata) = self.read_raw(call).await?;
        Ok(Kv2Secret {
            data: to_secrets(&path, values.take())?,
            version: metadata.version,
            metadata,
        })
    }

    pub(crate) async fn read_raw(&self, call: Call) -> Result<(Wiped, VersionMetadata), Error> {
        let path = call.path.clone();
        version_of(&path, Wiped::from(self.client.data::<Value>(call).await?))
    }

    /// Writes a new version.
    pub async fn put(&self, path: &str, data: impl Serialize) -> Result<VersionMetadata, Error> {
        let body = json!({ "data": to_object(data)? });
        self.client
            .data(Call::put(self.path("data", path), body))
            .await
    }

    /// Writes a new version if `version` is the newest one; 0 means that the
    /// secret must not exist yet.
    ///
    /// # Errors
    /// [`Error::CasMismatch`] when it is not.
    pub async fn put_cas(
        &self,
        path: &str,
        version: u64,
        data: impl Serialize,
    ) -> Result<VersionMetadata, Error> {
        let body = json!({ "data": to_object(data)?, "options": { "cas": version } });
        self.client
            .data(Call::put(self.path("data", path), body))
            .await
    }

    /// Changes some keys; `null` removes one.
    pub async fn patch(&self, path: &str, data: impl Serialize) -> Result<VersionMetadata, Error> {
        let body = json!({ "data": to_object(data)? });
        self.client
            .data(Call::patch(self.path("data", path), body))
            .await
    }

    /// Deletes the newest version; [`Kv2::undelete`] brings it back.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let call = Call::delete(self.path("data", path));
        self.client.send(call).await.map(drop)
    }

    /// Deletes these versions; [`Kv2::undelete`] brings them back.
    pub async fn delete_versions(&self, path: &str, versions: &[u64]) -> Result<(), Error> {
        self.change("delete", path, versions).await
    }

    /// Brings deleted versions back.
    pub async fn undelete(&self, path: &str, versions: &[u64]) -> Result<(), Error> {
        self.change("undelete", path, versions).await
    }

    /// Removes the values of these versions for good.
    pub async fn destroy(&self, path: &str, versions: &[u64]) -> Result<(), Error> {
        self.change("destroy", path, versions).await
    }

    /// Removes the secret with all its versions for good.
    pub async fn delete_all(&self, path: &str) -> Result<(), Error> {
        let call = Call::delete(self.path("metadata", path));
        self.client.send(call).await.map(drop)
    }

    async fn change(&self, verb: &str, path: &str, versions: &[u64]) -> Result<(), Error> {
        // Named versions: doing it twice changes nothing more.
        let call = Call::put(self.path(verb, path), json!({ "versions": versions })).repeatable();
        self.client.send(call).await.map(drop)
    }

    /// The names in a folder; folders end in `/`. An empty or missing folder
    /// is an empty list.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        crate::kv1::list(self.client, self.path("metadata", folder)).await
    }

    /// What is known of all versions.
    pub async fn metadata(&self, path: &str) -> Result<Metadata, Error> {
        self.client
            .data(Call::get(self.path("metadata", path)))
            .await
    }

    fn path(&self, kind: &str, path: &str) -> String {
        join(&[&self.mount, kind, path])
    }
}

/// The values and the metadata in the data of an answer.
pub(crate) fn version_of(path: &str, mut data: Wiped) -> Result<(Wiped, VersionMetadata), Error> {
    let values = Wiped::from(data.get_mut("data").map(Value::take).unwrap_or_default());
    let metadata = data.get_mut("metadata").map(Value::take);
    Ok((values, from_value(path, metadata.unwrap_or_default())?))
}

/// Joins with single slashes; a slash at the end of the last part stays.
pub(crate) fn join(parts: &[&str]) -> String {
    let last = parts.len().saturating_sub(1);
    let mut joined = String::new();
    for (index, part) in parts.iter().enumerate() {
        let part = part.trim_start_matches('/');
        let part = if index == last {
            part
        } else {
            part.trim_end_matches('/')
        };
        if !joined.is_empty() && !part.is_empty() {
            joined.push('/');
        }
        joined.push_str(part);
    }
    joined
}

/// An empty folder is a 404 on the wire.
pub(crate) fn keys(found: Result<Keys, Error>) -> Result<Vec<String>, Error> {
    match found {
        Ok(keys) => Ok(keys.keys),
        Err(Error::NotFound { .. }) => Ok(Vec::new()),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn paths_are_joined_with_single_slashes() {
        assert_eq!(join(&["secret/", "data", "/a/b"]), "secret/data/a/b");
        assert_eq!(join(&["/secret", "metadata", "a/"]), "secret/metadata/a/");
        assert_eq!(join(&["secret", "metadata", ""]), "secret/metadata");
    }
}
