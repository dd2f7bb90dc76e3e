//! The API of the ldap method as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Login,
    ReadConfig,
    WriteConfig,
    ListUsers,
    ReadUser,
    WriteUser,
    DeleteUser,
    ListGroups,
    ReadGroup,
    WriteGroup,
    DeleteGroup,
}

const CONFIG: &str = "url starttls certificate insecure_tls client_tls_cert client_tls_key tls_min_version \
    tls_max_version connection_timeout request_timeout userdn userattr userfilter binddn bindpass discoverdn upndomain \
    groupdn groupfilter groupattr anonymous_group_search use_token_groups deny_null_bind case_sensitive_names \
    username_as_alias dereference_aliases max_page_size token_policies token_ttl token_max_ttl token_explicit_max_ttl \
    token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "login/{name}", Call::Login, "password", "Log in with a password of the directory").access(Access::Open),
    Row::new(Read, "config", Call::ReadConfig, "", "Read how the directory is asked"),
    Row::new(Write, "config", Call::WriteConfig, CONFIG, "Set how the directory is asked"),
    Row::new(List, "users", Call::ListUsers, "after limit", "List the users with policies of their own"),
    Row::new(Read, "users/{name}", Call::ReadUser, "", "Read a user's policies and groups"),
    Row::new(Write, "users/{name}", Call::WriteUser, "policies groups", "Give a user policies and groups"),
    Row::new(Delete, "users/{name}", Call::DeleteUser, "", "Take a user's policies and groups away"),
    Row::new(List, "groups", Call::ListGroups, "after limit", "List the groups with policies"),
    Row::new(Read, "groups/{name}", Call::ReadGroup, "", "Read a group's policies"),
    Row::new(Write, "groups/{name}", Call::WriteGroup, "policies", "Give a group policies"),
    Row::new(Delete, "groups/{name}", Call::DeleteGroup, "", "Take a group's policies away"),
];
