//! The API of the userpass method as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Login,
    ListUsers,
    ReadUser,
    WriteUser,
    DeleteUser,
    SetPassword,
    SetPolicies,
}

const USER: &str = "password policies ttl max_ttl bound_cidrs token_policies token_ttl token_max_ttl \
    token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "login/{name}", Call::Login, "password", "Log in with a password").access(Access::Open),
    Row::new(List, "users", Call::ListUsers, "after limit", "List the users"),
    Row::new(Read, "users/{name}", Call::ReadUser, "", "Read a user"),
    Row::new(Write, "users/{name}", Call::WriteUser, USER, "Create or change a user").creates(),
    Row::new(Delete, "users/{name}", Call::DeleteUser, "", "Delete a user"),
    Row::new(Write, "users/{name}/password", Call::SetPassword, "password", "Set a user's password"),
    Row::new(Write, "users/{name}/policies", Call::SetPolicies, "policies token_policies", "Set the policies of a user's tokens"),
];
