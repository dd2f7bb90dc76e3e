//! The API of the ssh method as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Challenge,
    Login,
    ListRoles,
    ReadRole,
    WriteRole,
    DeleteRole,
    ReadConfig,
    WriteConfig,
}

const ROLE: &str = "public_keys trusted_ca_keys allowed_principals revoked_keys token_policies token_ttl token_max_ttl \
    token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "challenge", Call::Challenge, "role", "Get a text to sign").access(Access::Open),
    Row::new(Write, "login", Call::Login, "role challenge origin signature certificate", "Log in with a signature over a challenge").access(Access::Open),
    Row::new(List, "role", Call::ListRoles, "after limit", "List the roles"),
    Row::new(Read, "role/{name}", Call::ReadRole, "", "Read a role"),
    Row::new(Write, "role/{name}", Call::WriteRole, ROLE, "Create or change a role").creates(),
    Row::new(Delete, "role/{name}", Call::DeleteRole, "", "Delete a role"),
    Row::new(Read, "config", Call::ReadConfig, "", "Read the settings of the method"),
    Row::new(Write, "config", Call::WriteConfig, "challenge_ttl origins", "Change the settings of the method"),
];
