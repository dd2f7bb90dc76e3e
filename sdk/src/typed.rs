//! From the JSON of an answer to a type, without leaking the JSON in errors.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::wipe::Wiped;
use crate::{Answer, Call, Client, Error, Secret};

/// Secrets by key.
pub type SecretMap = BTreeMap<String, Secret>;

impl Client {
    /// Sends a call and reads its `data`.
    pub(crate) async fn data<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let path = call.path.clone();
        let answer = self.send(call).await?;
        from_value(&path, take_data(answer))
    }

    /// Sends a call and reads its bare body.
    pub(crate) async fn bare<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let path = call.path.clone();
        let answer = self.send(call).await?;
        from_value(&path, answer.body)
    }
}

/// Moves `data` out of an answer, so that no second copy is left.
pub(crate) fn take_data(mut answer: Answer) -> Value {
    answer
        .body
        .get_mut("data")
        .map(Value::take)
        .unwrap_or_default()
}

pub(crate) fn from_value<T: DeserializeOwned>(path: &str, value: Value) -> Result<T, Error> {
    let value = Wiped::from(value);
    T::deserialize(&*value).map_err(|failure| Error::Decode {
        path: path.to_owned(),
        cause: harmless(&failure),
    })
}

/// serde quotes values in most of its texts. Only those about names pass.
pub(crate) fn harmless(failure: &serde_json::Error) -> String {
    let text = failure.to_string();
    if text.starts_with("missing field") || text.starts_with("duplicate field") {
        text
    } else {
        "a field has another type than expected".into()
    }
}

/// Texts are moved; other values become their JSON.
pub(crate) fn to_secret(value: Value) -> Secret {
    match value {
        Value::String(text) => Secret::new(text),
        other => Secret::new(other.to_string()),
    }
}

pub(crate) fn to_secrets(path: &str, value: Value) -> Result<SecretMap, Error> {
    match value {
        Value::Object(fields) => Ok(fields
            .into_iter()
            .map(|(key, value)| (key, to_secret(value)))
            .collect()),
        _ => Err(Error::Decode {
            path: path.to_owned(),
            cause: "the secret is not a set of keys and values".into(),
        }),
    }
}

/// What a write takes: anything that serialises to a JSON object.
pub(crate) fn to_object(data: impl serde::Serialize) -> Result<Value, Error> {
    match serde_json::to_value(data) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(other) => {
            drop(Wiped::from(other));
            Err(Error::Config(
                "a secret must be a set of keys and values".into(),
            ))
        }
        Err(_) => Err(Error::Config("the secret cannot be written as JSON".into())),
    }
}
