//! Secrets that a host keeps, so that its apps can start while the server is sealed or away: fetched
//! with a signed statement for how long each may be used, and kept encrypted.

mod cache;
mod clock;
mod host_key;
mod sealed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use vault_proto::Sensitive;
use vault_proto::bundle::Signed;

use crate::wipe::Wiped;
use crate::{Call, Client, Error, batch};

pub use cache::Cache;
pub use host_key::HostKey;

/// One secret of a bundle.
pub struct Kept {
    /// An object.
    pub(crate) values: Wiped,
    /// 0 where there are none.
    pub(crate) version: u64,
}

/// What the server gave: values with its statement, and paths that have none.
pub struct Fetched {
    pub(crate) signed: Signed,
    /// JSON texts by path, as the statement has their digests.
    pub(crate) texts: BTreeMap<String, Sensitive<String>>,
    /// Why a path has no values.
    pub(crate) refused: BTreeMap<String, Error>,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Outcome>,
    secrets: BTreeMap<String, Sensitive<String>>,
    #[serde(flatten)]
    signed: Signed,
}

#[derive(Deserialize)]
struct Outcome {
    path: String,
    status: u16,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    request_id: String,
}

impl Client {
    /// Reads secrets, named by mount and path, with a statement that lets a host keep them.
    ///
    /// # Errors
    /// As [`Client::send`]; a server that makes no bundles answers [`Error::Denied`],
    /// [`Error::NotFound`] or [`Error::Api`].
    pub async fn bundle(&self, paths: &[(String, Option<u64>)]) -> Result<Fetched, Error> {
        let asked: Vec<Value> = paths
            .iter()
            .map(|(path, version)| json!({"path": path, "version": version}))
            .collect();
        let call = Call::post("sys/bundle", json!({ "paths": asked })).repeatable();
        let odd = |cause: &str| Error::Decode {
            path: "sys/bundle".to_owned(),
            cause: cause.to_owned(),
        };
        let answer: Answer = self.data(call).await?;
        if answer.results.len() != paths.len() {
            return Err(odd("it has another number of results"));
        }
        let mut fetched = Fetched {
            signed: answer.signed,
            texts: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        let mut texts = answer.secrets;
        for ((path, _), outcome) in paths.iter().zip(answer.results) {
            match texts.remove(path) {
                Some(text) => drop(fetched.texts.insert(path.clone(), text)),
                None => drop(fetched.refused.insert(path.clone(), failure(outcome))),
            }
        }
        Ok(fetched)
    }

    /// The epoch of bundles, signed. Needs no token.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn bundle_epoch(&self) -> Result<Signed, Error> {
        self.data(Call::get("sys/bundle/epoch").no_token()).await
    }
}

/// Without values in spite of its status it holds none that can be kept.
fn failure(outcome: Outcome) -> Error {
    let status = match outcome.status {
        ..400 => 404,
        status => status,
    };
    batch::failure(outcome.path, status, outcome.errors, outcome.request_id)
}

impl Fetched {
    /// The values of each path, or why it has none.
    pub fn read(&self) -> Result<BTreeMap<String, Kept>, Error> {
        let statement = cache::statement(&self.signed)?;
        kept(&statement, &self.texts)
    }

    /// Why a path has no values.
    pub fn refused(&self) -> &BTreeMap<String, Error> {
        &self.refused
    }
}

fn kept(
    statement: &vault_proto::bundle::Statement,
    texts: &BTreeMap<String, Sensitive<String>>,
) -> Result<BTreeMap<String, Kept>, Error> {
    let mut kept = BTreeMap::new();
    for (path, text) in texts {
        let values: Value = serde_json::from_str(text.expose()).map_err(|_| Error::Decode {
            path: path.clone(),
            cause: "the values are no JSON".to_owned(),
        })?;
        let entry = statement.secrets.iter().find(|entry| entry.path == *path);
        let version = entry.map_or(0, |entry| entry.version);
        let values = Wiped::from(values);
        kept.insert(path.clone(), Kept { values, version });
    }
    Ok(kept)
}

impl Kept {
    /// The values, an object.
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// 0 where there are none.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Hands the values on; the receiver wipes them.
    pub fn into_values(self) -> Value {
        self.values.take()
    }
}
