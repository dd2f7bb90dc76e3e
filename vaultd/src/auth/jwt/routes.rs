//! The API of the jwt method as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Login,
    AuthUrl,
    Callback,
    Poll,
    ReadConfig,
    WriteConfig,
    ListRoles,
    ReadRole,
    WriteRole,
    DeleteRole,
}

const CONFIG: &str = "oidc_discovery_url oidc_discovery_ca_pem oidc_client_id oidc_client_secret \
    oidc_response_mode oidc_response_types jwks_url jwks_ca_pem jwks_pairs jwt_validation_pubkeys \
    bound_issuer jwt_supported_algs default_role provider_config namespace_in_state";

const ROLE: &str = "role_type bound_audiences bound_subject bound_claims bound_claims_type \
    claim_mappings user_claim user_claim_json_pointer groups_claim expiration_leeway \
    not_before_leeway clock_skew_leeway allowed_redirect_uris oidc_scopes verbose_oidc_logging max_age callback_mode \
    poll_interval refuse_replay \
    policies ttl max_ttl period num_uses bound_cidrs token_policies token_ttl token_max_ttl \
    token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "login", Call::Login, "role jwt", "Log in with a signed token").access(Access::Open),
    Row::new(Write, "oidc/auth_url", Call::AuthUrl, "role redirect_uri client_nonce", "Where to log in with a browser").access(Access::Open),
    Row::new(Read, "oidc/callback", Call::Callback, "state code nonce client_nonce error error_description", "Log in with what the provider answered").access(Access::Open),
    Row::new(Write, "oidc/callback", Call::Callback, "state code nonce client_nonce error error_description", "Log in with what the provider answered, as a form").access(Access::Open),
    Row::new(Write, "oidc/poll", Call::Poll, "state client_nonce", "Log in if the person has agreed elsewhere").access(Access::Open),
    Row::new(Read, "config", Call::ReadConfig, "", "Read where the keys come from"),
    Row::new(Write, "config", Call::WriteConfig, CONFIG, "Set where the keys come from"),
    Row::new(List, "role", Call::ListRoles, "after limit", "List the roles"),
    Row::new(Read, "role/{name}", Call::ReadRole, "", "Read a role"),
    Row::new(Write, "role/{name}", Call::WriteRole, ROLE, "Create or change a role").creates(),
    Row::new(Delete, "role/{name}", Call::DeleteRole, "", "Delete a role"),
];
