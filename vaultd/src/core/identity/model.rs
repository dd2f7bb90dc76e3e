//! What is stored: entities with their aliases, and groups.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::{Random, random_base62, uuid_v4};

use super::name::Name;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::login::parse_policies;
use crate::policy::PolicyName;

/// Someone or something that logs in, by whichever methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    pub id: String,
    pub name: Name,
    pub metadata: BTreeMap<String, String>,
    pub policies: Vec<PolicyName>,
    /// Its tokens are refused.
    pub disabled: bool,
    /// At most one for each mount.
    pub aliases: Vec<EntityAlias>,
    /// Ids of entities that became part of this one; they still lead here.
    pub merged: Vec<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// How one login mount names an entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntityAlias {
    pub id: String,
    pub name: String,
    /// The mount's. An accessor is never used again, so a new mount at an old path is a stranger.
    pub accessor: String,
    /// What the method said at the last login.
    pub metadata: BTreeMap<String, String>,
    /// What an operator said.
    pub custom_metadata: BTreeMap<String, String>,
    /// Groups that the method vouched for at the last login.
    pub groups: Vec<String>,
    /// Entities that had it before.
    pub merged_from: Vec<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// Its members are listed.
    Internal,
    /// Its members are those for whom a login method vouches.
    External,
}

impl GroupKind {
    pub fn as_str(self) -> &'static str {
        match self {
            GroupKind::Internal => "internal",
            GroupKind::External => "external",
        }
    }

    pub fn parse(text: &str) -> Result<GroupKind, Fault> {
        match text {
            "internal" => Ok(GroupKind::Internal),
            "external" => Ok(GroupKind::External),
            _ => Err(Fault::invalid(
                "invalid group type: use internal or external",
            )),
        }
    }
}

/// Entities and groups that share policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub id: String,
    pub name: Name,
    pub kind: GroupKind,
    pub metadata: BTreeMap<String, String>,
    pub policies: Vec<PolicyName>,
    /// Ids of direct members. Some may be gone or merged by now: who reads them asks.
    pub entities: Vec<String>,
    pub groups: Vec<String>,
    pub alias: Option<GroupAlias>,
    pub modify_index: u64,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// How a login mount names an external group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupAlias {
    pub id: String,
    pub name: String,
    pub accessor: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// A name for what was given none.
pub fn made_up_name(prefix: &str, random: &dyn Random) -> Result<Name, Fault> {
    Name::parse(&format!(
        "{prefix}_{}",
        random_base62(10, random).to_lowercase()
    ))
}

impl Entity {
    pub fn new(name: Name, random: &dyn Random, now: Timestamp) -> Entity {
        Entity {
            id: uuid_v4(random),
            name,
            metadata: BTreeMap::new(),
            policies: Vec::new(),
            disabled: false,
            aliases: Vec::new(),
            merged: Vec::new(),
            created: now,
            updated: now,
        }
    }

    pub fn alias_of(&self, accessor: &str) -> Option<&EntityAlias> {
        self.aliases.iter().find(|alias| alias.accessor == accessor)
    }
}

impl EntityAlias {
    pub fn new(name: String, accessor: &str, random: &dyn Random, now: Timestamp) -> EntityAlias {
        EntityAlias {
            id: uuid_v4(random),
            name,
            accessor: accessor.to_owned(),
            metadata: BTreeMap::new(),
            custom_metadata: BTreeMap::new(),
            groups: Vec::new(),
            merged_from: Vec::new(),
            created: now,
            updated: now,
        }
    }
}

impl Group {
    pub fn new(name: Name, kind: GroupKind, random: &dyn Random, now: Timestamp) -> Group {
        Group {
            id: uuid_v4(random),
            name,
            kind,
            metadata: BTreeMap::new(),
            policies: Vec::new(),
            entities: Vec::new(),
            groups: Vec::new(),
            alias: None,
            modify_index: 0,
            created: now,
            updated: now,
        }
    }
}

/// Policies of an entity or group; `root` in any spelling is refused.
pub fn policies(body: &Body) -> Result<Option<Vec<PolicyName>>, Fault> {
    let Some(names) = body.list("policies")? else {
        return Ok(None);
    };
    let names = parse_policies(&names)?;
    match names.iter().any(PolicyName::is_root) {
        true => Err(Fault::invalid("policies cannot contain root")),
        false => Ok(Some(names)),
    }
}

const PAIRS_MAX: usize = 64;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 512;

/// Metadata: an object of strings, or `key=value` as a text or a list of them, as the CLI sends it.
pub fn metadata(body: &Body, field: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
    let pairs = match body.value(field) {
        Some(serde_json::Value::String(text)) if !text.trim_start().starts_with('{') => {
            split_pairs(text.split(',').map(str::to_owned), field)?
        }
        Some(serde_json::Value::Array(_)) => {
            split_pairs(body.list(field)?.unwrap_or_default().into_iter(), field)?
        }
        _ => match body.strings(field)? {
            Some(pairs) => pairs,
            None => return Ok(None),
        },
    };
    let fits = |(key, value): (&String, &String)| {
        (1..=KEY_MAX).contains(&key.len()) && value.len() <= VALUE_MAX
    };
    if pairs.len() > PAIRS_MAX || !pairs.iter().all(fits) {
        return Err(Fault::invalid(format!(
            "{field:?} is too large: at most {PAIRS_MAX} keys of {KEY_MAX} bytes, values of {VALUE_MAX}"
        )));
    }
    Ok(Some(pairs))
}

fn split_pairs(
    items: impl Iterator<Item = String>,
    field: &str,
) -> Result<BTreeMap<String, String>, Fault> {
    items
        .filter(|item| !item.trim().is_empty())
        .map(|item| {
            let pair = item.split_once('=');
            pair.map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
                .ok_or_else(|| Fault::invalid(format!("{field:?} must be an object or key=value")))
        })
        .collect()
}
