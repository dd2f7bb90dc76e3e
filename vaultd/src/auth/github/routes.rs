//! The API of the github method as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Teams,
    Users,
}

impl Whose {
    pub(super) fn folder(self) -> &'static str {
        match self {
            Whose::Teams => "team",
            Whose::Users => "user",
        }
    }
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Login,
    ReadConfig,
    WriteConfig,
    ListMaps(Whose),
    ReadMap(Whose),
    WriteMap(Whose),
    DeleteMap(Whose),
}

const CONFIG: &str = "organization organization_id base_url \
    policies ttl max_ttl period num_uses bound_cidrs token_policies token_ttl token_max_ttl \
    token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "login", Call::Login, "token", "Log in with a GitHub token").access(Access::Open),
    Row::new(Read, "config", Call::ReadConfig, "", "Read which organisation may log in"),
    Row::new(Write, "config", Call::WriteConfig, CONFIG, "Set which organisation may log in"),
    Row::new(List, "map/teams", Call::ListMaps(Whose::Teams), "after limit", "List the teams with policies"),
    Row::new(Read, "map/teams/{name}", Call::ReadMap(Whose::Teams), "", "Read a team's policies"),
    Row::new(Write, "map/teams/{name}", Call::WriteMap(Whose::Teams), "value", "Set a team's policies"),
    Row::new(Delete, "map/teams/{name}", Call::DeleteMap(Whose::Teams), "", "Forget a team's policies"),
    Row::new(List, "map/users", Call::ListMaps(Whose::Users), "after limit", "List the users with policies"),
    Row::new(Read, "map/users/{name}", Call::ReadMap(Whose::Users), "", "Read a user's policies"),
    Row::new(Write, "map/users/{name}", Call::WriteMap(Whose::Users), "value", "Set a user's policies"),
    Row::new(Delete, "map/users/{name}", Call::DeleteMap(Whose::Users), "", "Forget a user's policies"),
];
