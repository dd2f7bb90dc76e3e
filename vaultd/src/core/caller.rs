//! Who is asking: what authentication returns, and what authorisation needs.

use std::sync::Arc;

use super::fault::Fault;
use super::standing::Standing;
use super::token::Token;
use crate::policy::{Acl, PolicyName};

/// Made only by [`super::authenticate`].
#[derive(Clone)]
pub struct Caller {
    /// Keyed fingerprint of the presented token; for a batch token, of its blob.
    pub id: Arc<str>,
    pub token: Arc<Token>,
    pub acl: Arc<Acl>,
    /// Of a token with an entity.
    pub standing: Option<Arc<Standing>>,
    /// This request takes the last use that its token had: the token is gone already.
    pub last_use: bool,
}

impl Caller {
    /// The folder of the caller's cubbyhole.
    pub fn cubbyhole(&self) -> Result<&str, Fault> {
        if self.token.is_batch() {
            return Err(Fault::invalid(
                "cubbyhole operations are only supported by service tokens",
            ));
        }
        Ok(&self.id)
    }

    /// All policies that count: the token's, its entity's, the groups'.
    pub fn policies(&self) -> &[PolicyName] {
        match &self.standing {
            Some(standing) => &standing.policies,
            None => &self.token.policies,
        }
    }

    /// Names of all policies that count: the token's, its entity's, the groups'.
    pub fn policy_names(&self) -> &[String] {
        match &self.standing {
            Some(standing) => &standing.names,
            None => self.token.policy_names(),
        }
    }

    pub fn is_root(&self) -> bool {
        self.acl.is_root()
    }
}
