//! What a rule can grant, and sets of it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Sorted as `sys/capabilities` shows them: by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    Create,
    Delete,
    Deny,
    List,
    Patch,
    Read,
    Recover,
    Scan,
    Subscribe,
    Sudo,
    Update,
}

impl Capability {
    pub const ALL: [Capability; 11] = [
        Capability::Create,
        Capability::Delete,
        Capability::Deny,
        Capability::List,
        Capability::Patch,
        Capability::Read,
        Capability::Recover,
        Capability::Scan,
        Capability::Subscribe,
        Capability::Sudo,
        Capability::Update,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Capability::Create => "create",
            Capability::Delete => "delete",
            Capability::Deny => "deny",
            Capability::List => "list",
            Capability::Patch => "patch",
            Capability::Read => "read",
            Capability::Recover => "recover",
            Capability::Scan => "scan",
            Capability::Subscribe => "subscribe",
            Capability::Sudo => "sudo",
            Capability::Update => "update",
        }
    }

    /// LIST and SCAN ask for a directory: their paths end in `/`.
    pub(super) const fn lists(self) -> bool {
        matches!(self, Capability::List | Capability::Scan)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown capability; use create, read, update, patch, delete, list, scan, sudo, recover, subscribe or deny"
)]
pub struct UnknownCapability;

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let found = Capability::ALL.into_iter().find(|c| c.as_str() == text);
        found.ok_or(UnknownCapability)
    }
}

/// A set of capabilities. Deny is always alone in it: it takes the place of all others.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CapabilitySet(u16);

impl CapabilitySet {
    pub const EMPTY: CapabilitySet = CapabilitySet(0);
    pub const DENY: CapabilitySet = CapabilitySet(Capability::Deny.bit());

    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        self.union(CapabilitySet(capability.bit()))
    }

    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        let both = CapabilitySet(self.0 | other.0);
        if both.contains(Capability::Deny) {
            Self::DENY
        } else {
            both
        }
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether anything is granted at all.
    pub const fn grants(self) -> bool {
        !self.is_empty() && !self.contains(Capability::Deny)
    }

    /// In the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL
            .into_iter()
            .filter(move |c| self.contains(*c))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(all: I) -> Self {
        all.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
