//! The API of the kubernetes method as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Login,
    ReadConfig,
    WriteConfig,
    ListRoles,
    ReadRole,
    WriteRole,
    DeleteRole,
}

const CONFIG: &str = "kubernetes_host kubernetes_ca_cert token_reviewer_jwt pem_keys issuer \
    disable_iss_validation disable_local_ca_jwt use_annotations_as_alias_metadata";

const ROLE: &str = "bound_service_account_names bound_service_account_namespaces \
    bound_service_account_namespace_selector audience alias_name_source \
    policies ttl max_ttl period num_uses bound_cidrs token_policies token_ttl token_max_ttl \
    token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "login", Call::Login, "role jwt", "Log in with a service account's token").access(Access::Open),
    Row::new(Read, "config", Call::ReadConfig, "", "Read which cluster is asked"),
    Row::new(Write, "config", Call::WriteConfig, CONFIG, "Set which cluster is asked"),
    Row::new(List, "role", Call::ListRoles, "after limit", "List the roles"),
    Row::new(Read, "role/{name}", Call::ReadRole, "", "Read a role"),
    Row::new(Write, "role/{name}", Call::WriteRole, ROLE, "Create or change a role").creates(),
    Row::new(Delete, "role/{name}", Call::DeleteRole, "", "Delete a role"),
];
