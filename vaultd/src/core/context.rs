//! What an engine or a method sees of the request that it serves.

use std::num::NonZeroUsize;

use jiff::Timestamp;
use vault_crypto::{Prf, Random};

use super::body::Body;
use super::caller::Caller;
use super::fault::Fault;
use super::mount::Mount;
use super::reply::Reply;
use super::request::Request;
use super::route::Params;
use crate::barrier::{View, Window};
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
    /// Private keys of paths, for values that were encrypted elsewhere.
    pub values: &'a Prf,
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

    /// The part of a listing that the caller's `after` and `limit` ask for.
    pub fn window(&self) -> Result<Window, Fault> {
        let limit = self.body().int("limit")?.unwrap_or(0);
        Ok(Window {
            after: self.body().string("after")?,
            limit: usize::try_from(limit).ok().and_then(NonZeroUsize::new),
        })
    }

    /// A directory of the view's, narrowed to that part.
    pub async fn list_in(&self, view: &mut View<'_>, directory: &str) -> Result<Reply, Fault> {
        Reply::list(view.list_within(directory, &self.window()?).await?)
    }

    /// Keys that are at hand, narrowed to that part.
    pub fn list(&self, keys: Vec<String>) -> Result<Reply, Fault> {
        Reply::list(self.page(keys)?)
    }

    pub fn page(&self, keys: Vec<String>) -> Result<Vec<String>, Fault> {
        let window = self.window()?;
        let mut found = window.gather();
        keys.into_iter().for_each(|key| found.add(key));
        Ok(found.sorted())
    }
}
