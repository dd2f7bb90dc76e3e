//! The API of the gcp method as a table.

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
    EditServiceAccounts,
    EditLabels,
}

const CONFIG: &str = "credentials iam_alias iam_metadata gce_alias gce_metadata custom_endpoint \
    google_certs_endpoint service_account_email identity_token_audience identity_token_ttl";

const ROLE: &str = "type bound_service_accounts service_accounts bound_projects project_id \
    add_group_aliases max_jwt_exp allow_gce_inference bound_zones bound_zone bound_regions bound_region \
    bound_instance_groups bound_instance_group bound_labels \
    policies ttl max_ttl period num_uses bound_cidrs token_policies token_ttl token_max_ttl \
    token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "login", Call::Login, "role jwt", "Log in with a token that Google or a service account signed").access(Access::Open),
    Row::new(Read, "config", Call::ReadConfig, "", "Read how Google is asked"),
    Row::new(Write, "config", Call::WriteConfig, CONFIG, "Set how Google is asked"),
    Row::new(List, "role", Call::ListRoles, "after limit", "List the roles"),
    Row::new(List, "roles", Call::ListRoles, "after limit", "List the roles"),
    Row::new(Read, "role/{name}", Call::ReadRole, "", "Read a role"),
    Row::new(Write, "role/{name}", Call::WriteRole, ROLE, "Create or change a role").creates(),
    Row::new(Delete, "role/{name}", Call::DeleteRole, "", "Delete a role"),
    Row::new(Write, "role/{name}/service-accounts", Call::EditServiceAccounts, "add remove", "Add service accounts to an iam role, or remove some"),
    Row::new(Write, "role/{name}/labels", Call::EditLabels, "add remove", "Add labels to a gce role, or remove some"),
];
