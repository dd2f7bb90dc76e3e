//! The API of the cert method as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Login,
    ListRoles,
    ReadRole,
    WriteRole,
    DeleteRole,
    ReadConfig,
    WriteConfig,
    ListCrls,
    ReadCrl,
    WriteCrl,
    DeleteCrl,
}

const ROLE: &str = "certificate display_name allowed_names allowed_common_names allowed_dns_sans allowed_email_sans \
    allowed_uri_sans allowed_organizational_units allowed_organization_units required_extensions \
    allowed_metadata_extensions ocsp_enabled ocsp_ca_certificates ocsp_servers_override ocsp_fail_open \
    ocsp_query_all_servers ocsp_max_retries ocsp_this_update_max_age policies lease ttl max_ttl period \
    bound_cidrs token_policies token_ttl token_max_ttl token_explicit_max_ttl token_period token_num_uses \
    token_no_default_policy token_bound_cidrs token_type";

const CONFIG: &str = "disable_binding enable_identity_alias_metadata enable_metadata_on_failures ocsp_cache_size \
    role_cache_size";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "login", Call::Login, "name", "Log in with the client certificate of the connection").access(Access::Open),
    Row::new(List, "certs", Call::ListRoles, "after limit", "List the roles"),
    Row::new(Read, "certs/{name}", Call::ReadRole, "", "Read a role"),
    Row::new(Write, "certs/{name}", Call::WriteRole, ROLE, "Create or change a role").creates(),
    Row::new(Delete, "certs/{name}", Call::DeleteRole, "", "Delete a role"),
    Row::new(Read, "config", Call::ReadConfig, "", "Read the settings of the method"),
    Row::new(Write, "config", Call::WriteConfig, CONFIG, "Change the settings of the method"),
    Row::new(List, "crls", Call::ListCrls, "after limit", "List the revocation lists"),
    Row::new(Read, "crls/{name}", Call::ReadCrl, "", "Read the serial numbers of a revocation list"),
    Row::new(Write, "crls/{name}", Call::WriteCrl, "crl url", "Store a revocation list"),
    Row::new(Delete, "crls/{name}", Call::DeleteCrl, "", "Delete a revocation list"),
];
