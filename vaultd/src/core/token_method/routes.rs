//! The API of `auth/token/` as a table.

use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Create,
    CreateOrphan,
    CreateWithRole,
    Lookup,
    LookupSelf,
    LookupAccessor,
    Renew,
    RenewSelf,
    RenewAccessor,
    Revoke,
    RevokeSelf,
    RevokeAccessor,
    RevokeOrphan,
    Accessors,
    Tidy,
    RoleList,
    RoleRead,
    RoleWrite,
    RoleDelete,
}

const CREATE: &str = "id role_name policies meta no_parent no_default_policy renewable ttl lease explicit_max_ttl display_name num_uses period type entity_alias token";
const ROLE: &str = "allowed_policies disallowed_policies allowed_policies_glob disallowed_policies_glob orphan period renewable explicit_max_ttl path_suffix bound_cidrs allowed_entity_aliases token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";

#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "create", Call::Create, CREATE, "Create a child of the calling token"),
    Row::new(Write, "create-orphan", Call::CreateOrphan, CREATE, "Create a token without a parent"),
    Row::new(Write, "create/{role}", Call::CreateWithRole, CREATE, "Create a token as a role says"),
    Row::new(Read, "lookup-self", Call::LookupSelf, "token", "Look up the calling token"),
    Row::new(Write, "lookup-self", Call::LookupSelf, "token", "Look up the calling token"),
    Row::new(Write, "lookup", Call::Lookup, "token", "Look up a token"),
    Row::new(Read, "lookup", Call::Lookup, "token", "Look up a token"),
    Row::new(Write, "lookup-accessor", Call::LookupAccessor, "accessor", "Look up a token by its accessor"),
    Row::new(Write, "renew-self", Call::RenewSelf, "token increment", "Renew the calling token"),
    Row::new(Write, "renew", Call::Renew, "token increment", "Renew a token"),
    Row::new(Write, "renew-accessor", Call::RenewAccessor, "accessor increment", "Renew a token by its accessor"),
    Row::new(Write, "revoke-self", Call::RevokeSelf, "token", "Revoke the calling token and its children"),
    Row::new(Write, "revoke", Call::Revoke, "token", "Revoke a token and its children"),
    Row::new(Write, "revoke-accessor", Call::RevokeAccessor, "accessor", "Revoke a token by its accessor"),
    Row::new(Write, "revoke-orphan", Call::RevokeOrphan, "token", "Revoke a token; its children live on")
        .access(Access::Sudo),
    Row::new(List, "accessors", Call::Accessors, "", "List the accessors of all tokens").access(Access::Sudo),
    Row::new(Write, "tidy", Call::Tidy, "", "Clear away leftovers"),
    Row::new(List, "roles", Call::RoleList, "", "List roles"),
    Row::new(Read, "roles/{role}", Call::RoleRead, "", "Read a role"),
    Row::new(Write, "roles/{role}", Call::RoleWrite, ROLE, "Create or update a role"),
    Row::new(Delete, "roles/{role}", Call::RoleDelete, "", "Delete a role"),
];
