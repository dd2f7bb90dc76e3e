//! What an engine or method answers, before it is put into the envelope.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::audit_device::AuditDevice;
use super::fault::Fault;
use super::lease::Ending;
use super::login::Login;
use super::quota::Reservation;

pub use crate::audit::Kept;

/// The `data` of an answer.
#[derive(Default, Clone)]
pub enum Data {
    #[default]
    None,
    Map(Map<String, Value>),
    /// A JSON object as text: secrets go through without being taken apart.
    Raw(String),
}

/// A lease that comes with the answer. KV v1 reports a duration without a lease id.
#[derive(Default, Clone)]
pub struct LeaseInfo {
    pub id: String,
    pub renewable: bool,
    /// Seconds.
    pub duration: u64,
}

/// What an engine takes back when its time has come, or when the lease is revoked.
#[derive(Clone)]
pub struct Promised {
    /// What the engine knows it by.
    pub about: String,
    pub expires: Timestamp,
}

/// Effects on what lives in memory, after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The mount table changed; this mount's data goes, if any, and the leases that it gave.
    /// Subscribers are told what happened to which path.
    Mounts {
        purge: Option<u64>,
        ending: Option<Ending>,
        told: Vec<(String, &'static str)>,
    },
    Policies,
    /// Some group changed.
    Groups,
    /// Delete these entities, each in its own commit.
    DeleteEntities(Vec<String>),
    /// What web pages may do changed.
    Cors,
    Quotas,
    /// Seal, once this request is over.
    Seal,
    /// Revoke these tokens with all that hangs off them.
    Revoke(Vec<String>),
    /// The same, but their children live on as orphans.
    RevokeOrphan(Vec<String>),
    /// A token was handed in as leaked: its id, if it is one of ours.
    Leaked {
        id: Option<String>,
        asked: Timestamp,
    },
    /// Revoke all leases below a path, and answer before or after.
    EndLeases {
        ending: Ending,
        wait: bool,
    },
    /// Open this audit device; if it cannot be opened, it is as if it had not been asked for.
    AuditEnabled(AuditDevice),
    /// Let go of the audit device with this label.
    AuditDisabled(String),
    /// This login mount is gone: revoke what it issued.
    RevokeMount(u64),
}

/// An answer. `Reply::none()` is 204.
#[derive(Default)]
pub struct Reply {
    /// Overrides the status that follows from the content.
    pub status: Option<u16>,
    pub data: Data,
    /// How `data` is recorded, if it is a text that is given as it is time and again.
    pub recorded: Option<Arc<Kept>>,
    pub warnings: Vec<String>,
    pub lease: LeaseInfo,
    /// Core makes a lease of it.
    pub promised: Option<Promised>,
    /// A proven identity: core issues the token and fills `auth`.
    pub login: Option<Box<Login>>,
    /// The `auth` block, once core has issued or renewed a token.
    pub auth: Option<Box<vault_proto::Auth>>,
    /// Also copy `data` into the top level, where old clients read it.
    pub top_level: bool,
    /// No envelope: `data` is the whole body.
    pub bare: bool,
    /// Not JSON: content type and body.
    pub text: Option<(&'static str, Vec<u8>)>,
    /// Headers of this answer; a content type replaces the usual one.
    pub headers: Vec<(HeaderName, String)>,
    /// Type of the mount that answered.
    pub mount_type: &'static str,
    /// What core does once the transaction is committed.
    pub after: Option<After>,
    /// A place in a budget of leases, until the lease is stored.
    pub place: Option<Reservation>,
    /// Set by core when the answer was wrapped.
    pub wrap_info: Option<Box<vault_proto::WrapInfo>>,
}

impl Reply {
    /// Nothing to say: 204.
    pub fn none() -> Reply {
        Reply::default()
    }

    pub fn map(map: Map<String, Value>) -> Reply {
        Reply {
            data: Data::Map(map),
            ..Reply::default()
        }
    }

    /// Data from a `json!({...})` object.
    pub fn json(value: Value) -> Reply {
        match value {
            Value::Object(map) => Reply::map(map),
            _ => Reply::none(),
        }
    }

    /// Data from any type that serialises to a JSON object, kept as text.
    pub fn of<T: Serialize>(value: &T) -> Result<Reply, Fault> {
        let text = serde_json::to_string(value).map_err(|_| Fault::Internal("serialise reply"))?;
        Ok(Reply {
            data: Data::Raw(text),
            ..Reply::default()
        })
    }

    /// A listing; an empty one is `Fault::Missing`.
    pub fn list(keys: Vec<String>) -> Result<Reply, Fault> {
        if keys.is_empty() {
            return Err(Fault::Missing);
        }
        let mut map = Map::new();
        map.insert("keys".into(), keys.into());
        Ok(Reply::map(map))
    }

    /// A listing with one object for each key.
    pub fn list_with_info(
        keys: Vec<String>,
        info: BTreeMap<String, Value>,
    ) -> Result<Reply, Fault> {
        let mut reply = Reply::list(keys)?;
        if let Data::Map(map) = &mut reply.data {
            map.insert(
                "key_info".into(),
                info.into_iter().collect::<Map<_, _>>().into(),
            );
        }
        Ok(reply)
    }

    pub fn login(login: Login) -> Reply {
        Reply {
            login: Some(Box::new(login)),
            ..Reply::default()
        }
    }

    /// False for what becomes 204.
    pub fn has_content(&self) -> bool {
        !matches!(self.data, Data::None)
            || self.auth.is_some()
            || self.wrap_info.is_some()
            || self.text.is_some()
    }

    /// What the answer tells of is committed.
    #[must_use]
    pub fn stored(mut self) -> Reply {
        if let Some(place) = self.place.take() {
            place.keep();
        }
        self
    }

    #[must_use]
    pub fn warn(mut self, text: impl Into<String>) -> Reply {
        self.warnings.push(text.into());
        self
    }

    #[must_use]
    pub fn status(mut self, status: u16) -> Reply {
        self.status = Some(status);
        self
    }

    /// Also at the top level, for the sys routes where old clients read it.
    #[must_use]
    pub fn top_level(mut self) -> Reply {
        self.top_level = true;
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// Without an envelope.
    #[must_use]
    pub fn bare(mut self) -> Reply {
        self.bare = true;
        self
    }
}
