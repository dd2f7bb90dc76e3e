//! One request and one answer of the HTTP API.

use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::Value;

use crate::wipe::Wiped;

/// A request: verb, path and what goes with it.
///
/// Paths are plain text without `/v1/`; the client encodes them.
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Wiped>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) anonymous: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) accepted: Vec<u16>,
    pub(crate) namespace: Option<String>,
    pub(crate) repeatable: bool,
}

impl Call {
    fn new(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self {
            repeatable: method == Method::GET,
            method,
            path: path.into(),
            query: Vec::new(),
            body: body.map(Wiped::from),
            headers: Vec::new(),
            anonymous: false,
            timeout: None,
            accepted: Vec::new(),
            namespace: None,
        }
    }

    /// Reads.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None)
    }

    /// Writes. The server treats PUT and POST alike.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PUT, path, Some(body))
    }

    /// Writes.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }

    /// Deletes.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    /// Lists a folder, as `GET` with `list=true`, which passes every proxy.
    pub fn list(path: impl Into<String>) -> Self {
        Self::get(path).query("list", "true")
    }

    /// Changes some fields: JSON merge patch, RFC 7396.
    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PATCH, path, Some(body))
    }

    /// Adds a query parameter, in plain text.
    #[must_use]
    pub fn query(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.query.push((key.into(), value.to_string()));
        self
    }

    /// Asks for a wrapped answer. Takes a [`Duration`] or a text like `"5m"`.
    #[must_use]
    pub fn wrap_ttl(self, ttl: impl Into<Ttl>) -> Self {
        self.header("X-Vault-Wrap-TTL", ttl.into().0)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends no token, and never logs in again because of this call.
    #[must_use]
    pub fn no_token(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Overrides the client's deadline, which covers all attempts.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Statuses from 400 upwards that are an answer and not an error. They
    /// are not retried.
    #[must_use]
    pub fn accept(mut self, statuses: &[u16]) -> Self {
        self.accepted.extend_from_slice(statuses);
        self
    }

    /// Overrides the client's namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Says that doing it twice does no harm, so that a lost answer is
    /// retried. Reads are repeatable already.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// A time as the API takes it: a number of seconds, or a text like `"5m"`.
pub struct Ttl(String);

impl From<Duration> for Ttl {
    fn from(ttl: Duration) -> Self {
        // Below a second would become "0", which means "do not wrap".
        Self(ttl.as_secs().max(1).to_string())
    }
}

impl From<&str> for Ttl {
    fn from(ttl: &str) -> Self {
        Self(ttl.to_owned())
    }
}

impl From<String> for Ttl {
    fn from(ttl: String) -> Self {
        Self(ttl)
    }
}

/// An answer below 400, or one that [`Call::accept`] asked for.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Null` for an empty body; a text when the server did not send JSON.
    pub body: Value,
    /// As sent.
    pub headers: HeaderMap,
}

impl Answer {
    /// The field `data`, or `Null`.
    pub fn data(&self) -> &Value {
        self.body.get("data").unwrap_or(&Value::Null)
    }

    /// Finds the request in the audit log; empty for bare answers.
    pub fn request_id(&self) -> &str {
        self.body
            .get("request_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Hints from the server for people.
    pub fn warnings(&self) -> Vec<&str> {
        self.body
            .get("warnings")
            .and_then(Value::as_array)
            .map(|warnings| warnings.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }
}
