//! What an engine that works outside is given. The work itself is a state machine in storage:
//! `errands` reads what is due, carries it out without a transaction, and has its outcome stored.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use vault_crypto::Random;

use crate::outbound::Outbound;

/// What else is under way.
pub struct Room<'a> {
    /// Errands that may begin.
    pub count: usize,
    /// Whether a lane is somebody's.
    pub is_taken: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

/// What an errand may use.
pub struct Means<'a> {
    pub outbound: &'a Arc<Outbound>,
    pub random: &'a Arc<dyn Random>,
    /// Programs that the config names.
    pub hooks: &'a BTreeMap<String, PathBuf>,
    pub now: Timestamp,
}
