//! What an engine or a method sees of the request that it serves.

use jiff::Timestamp;
use vault_crypto::{Prf, Random};

use super::body::Body;
use super::caller::Caller;
use super::fault::Fault;
use super::mount::Mount;
use super::reply::Reply;
use super::request::Request;
use super::route::Params;
use crate::policy::Capability;

/// Everything but the data, which is in the view.
pub struct Ctx<'a> {
    pub request: &'a Request,
    pub params: &'a Params,
    /// What was asked of the policies: create and update are told apart by the engine's own check.
    pub operation: Capability,
    /// `None` on routes that need no token.
    pub caller: Option<&'a Caller>,
    pub mount: &'a Mount,
    pub random: &'a dyn Random,
    /// Keyed fingerprints of values that must be found again but never stored (secret ids).
    pub prf: &'a Prf,
}

impl Ctx<'_> {
    pub fn now(&self) -> Timestamp {
        self.request.now
    }

    pub fn body(&self) -> &Body {
        &self.request.body
    }

    pub fn param(&self, name: &str) -> &str {
        self.params.get(name)
    }

    /// A listing narrowed by the caller's `after` and `limit`. Keys must be sorted.
    pub fn list(&self, keys: Vec<String>) -> Result<Reply, Fault> {
        Reply::list(self.page(keys)?)
    }

    pub fn page(&self, mut keys: Vec<String>) -> Result<Vec<String>, Fault> {
        if let Some(after) = self.body().string("after")? {
            keys.retain(|key| *key > after);
        }
        if let Some(limit) = self.body().int("limit")?
            && limit > 0
        {
            keys.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(keys)
    }
}
