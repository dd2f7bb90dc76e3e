//! The API of the AppRole method as a table.

use crate::core::request::Verb;
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ListRoles,
    ReadRole,
    WriteRole,
    DeleteRole,
    Read(Property),
    Write(Property),
    /// Puts a property back to its default.
    Reset(Property),
    IssueSecretId,
    AcceptSecretId,
    ListAccessors,
    LookupSecretId,
    DestroySecretId,
    LookupAccessor,
    DestroyAccessor,
    Tidy,
    Login,
}

/// What of a role can be read and written on a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    BindSecretId,
    BoundCidrList,
    LocalSecretIds,
    Period,
    Policies,
    RoleId,
    SecretIdBoundCidrs,
    SecretIdNumUses,
    SecretIdTtl,
    TokenBoundCidrs,
    TokenMaxTtl,
    TokenNumUses,
    TokenTtl,
}

impl Property {
    /// The fields of the role that belong to it, separated by spaces; the current name is first.
    pub const fn fields(self) -> &'static str {
        match self {
            Property::BindSecretId => "bind_secret_id",
            Property::BoundCidrList => "bound_cidr_list",
            Property::LocalSecretIds => "local_secret_ids",
            Property::Period => "token_period period",
            Property::Policies => "token_policies policies",
            Property::RoleId => "role_id",
            Property::SecretIdBoundCidrs => "secret_id_bound_cidrs",
            Property::SecretIdNumUses => "secret_id_num_uses",
            Property::SecretIdTtl => "secret_id_ttl",
            Property::TokenBoundCidrs => "token_bound_cidrs",
            Property::TokenMaxTtl => "token_max_ttl",
            Property::TokenNumUses => "token_num_uses",
            Property::TokenTtl => "token_ttl",
        }
    }
}

const ROLE_FIELDS: &str = "role_id bind_secret_id secret_id_bound_cidrs secret_id_num_uses secret_id_ttl \
    local_secret_ids policies period bound_cidr_list token_policies token_ttl token_max_ttl \
    token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_bound_cidrs token_type";
const SECRET_ID_FIELDS: &str = "metadata cidr_list token_bound_cidrs num_uses ttl";
const CUSTOM_FIELDS: &str = "secret_id metadata cidr_list token_bound_cidrs num_uses ttl";

const fn read(pattern: &'static str, property: Property, about: &'static str) -> Row<Call> {
    Row::new(Verb::Read, pattern, Call::Read(property), "", about)
}

const fn write(pattern: &'static str, property: Property, about: &'static str) -> Row<Call> {
    Row::new(
        Verb::Write,
        pattern,
        Call::Write(property),
        property.fields(),
        about,
    )
}

const fn reset(pattern: &'static str, property: Property, about: &'static str) -> Row<Call> {
    Row::new(Verb::Delete, pattern, Call::Reset(property), "", about)
}

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::Write, "login", Call::Login, "role_id secret_id", "Log in with a role id and a secret id")
        .access(Access::Open),
    Row::new(Verb::List, "role", Call::ListRoles, "after limit", "List the roles"),
    Row::new(Verb::Read, "role/{name}", Call::ReadRole, "", "Read a role"),
    Row::new(Verb::Write, "role/{name}", Call::WriteRole, ROLE_FIELDS, "Create or change a role").creates(),
    Row::new(Verb::Delete, "role/{name}", Call::DeleteRole, "", "Delete a role and its secret ids"),
    read("role/{name}/role-id", Property::RoleId, "Read the role id"),
    write("role/{name}/role-id", Property::RoleId, "Replace the role id"),
    read("role/{name}/policies", Property::Policies, "Read the policies of the role's tokens"),
    write("role/{name}/policies", Property::Policies, "Set the policies of the role's tokens"),
    reset("role/{name}/policies", Property::Policies, "Take all policies from the role"),
    read("role/{name}/bind-secret-id", Property::BindSecretId, "Read whether a login needs a secret id"),
    write("role/{name}/bind-secret-id", Property::BindSecretId, "Set whether a login needs a secret id"),
    reset("role/{name}/bind-secret-id", Property::BindSecretId, "Require a secret id again"),
    read("role/{name}/secret-id-num-uses", Property::SecretIdNumUses, "Read how often a secret id works"),
    write("role/{name}/secret-id-num-uses", Property::SecretIdNumUses, "Set how often a new secret id works"),
    reset("role/{name}/secret-id-num-uses", Property::SecretIdNumUses, "Lift the limit of uses"),
    read("role/{name}/secret-id-ttl", Property::SecretIdTtl, "Read how long a secret id works"),
    write("role/{name}/secret-id-ttl", Property::SecretIdTtl, "Set how long a new secret id works"),
    reset("role/{name}/secret-id-ttl", Property::SecretIdTtl, "Lift the limit of time"),
    read("role/{name}/secret-id-bound-cidrs", Property::SecretIdBoundCidrs, "Read from where logins may come"),
    write("role/{name}/secret-id-bound-cidrs", Property::SecretIdBoundCidrs, "Set from where logins may come"),
    reset("role/{name}/secret-id-bound-cidrs", Property::SecretIdBoundCidrs, "Let logins come from anywhere"),
    read("role/{name}/bound-cidr-list", Property::BoundCidrList, "Old name of secret-id-bound-cidrs"),
    write("role/{name}/bound-cidr-list", Property::BoundCidrList, "Old name of secret-id-bound-cidrs"),
    reset("role/{name}/bound-cidr-list", Property::BoundCidrList, "Old name of secret-id-bound-cidrs"),
    read("role/{name}/token-bound-cidrs", Property::TokenBoundCidrs, "Read from where tokens may be used"),
    write("role/{name}/token-bound-cidrs", Property::TokenBoundCidrs, "Set from where tokens may be used"),
    reset("role/{name}/token-bound-cidrs", Property::TokenBoundCidrs, "Let tokens be used from anywhere"),
    read("role/{name}/token-ttl", Property::TokenTtl, "Read the first lifetime of a token"),
    write("role/{name}/token-ttl", Property::TokenTtl, "Set the first lifetime of a token"),
    reset("role/{name}/token-ttl", Property::TokenTtl, "Use the mount's lifetime"),
    read("role/{name}/token-max-ttl", Property::TokenMaxTtl, "Read the longest lifetime of a token"),
    write("role/{name}/token-max-ttl", Property::TokenMaxTtl, "Set the longest lifetime of a token"),
    reset("role/{name}/token-max-ttl", Property::TokenMaxTtl, "Use the mount's longest lifetime"),
    read("role/{name}/token-num-uses", Property::TokenNumUses, "Read how often a token works"),
    write("role/{name}/token-num-uses", Property::TokenNumUses, "Set how often a token works"),
    reset("role/{name}/token-num-uses", Property::TokenNumUses, "Lift the limit of uses of tokens"),
    read("role/{name}/period", Property::Period, "Read the period of periodic tokens"),
    write("role/{name}/period", Property::Period, "Make tokens periodic"),
    reset("role/{name}/period", Property::Period, "Make tokens end at their longest lifetime"),
    read("role/{name}/local-secret-ids", Property::LocalSecretIds, "Read whether secret ids stay in one cluster"),
    Row::new(Verb::Write, "role/{name}/secret-id", Call::IssueSecretId, SECRET_ID_FIELDS, "Issue a random secret id"),
    Row::new(Verb::List, "role/{name}/secret-id", Call::ListAccessors, "after limit", "List the accessors of secret ids"),
    Row::new(Verb::Write, "role/{name}/custom-secret-id", Call::AcceptSecretId, CUSTOM_FIELDS, "Accept a given secret id"),
    Row::new(Verb::Write, "role/{name}/secret-id/lookup", Call::LookupSecretId, "secret_id", "Read what a secret id allows"),
    Row::new(Verb::Write, "role/{name}/secret-id/destroy", Call::DestroySecretId, "secret_id", "Destroy a secret id"),
    Row::new(Verb::Delete, "role/{name}/secret-id/destroy", Call::DestroySecretId, "secret_id", "Destroy a secret id"),
    Row::new(Verb::Write, "role/{name}/secret-id-accessor/lookup", Call::LookupAccessor, "secret_id_accessor", "Read what the secret id of an accessor allows"),
    Row::new(Verb::Write, "role/{name}/secret-id-accessor/destroy", Call::DestroyAccessor, "secret_id_accessor", "Destroy the secret id of an accessor"),
    Row::new(Verb::Delete, "role/{name}/secret-id-accessor/destroy", Call::DestroyAccessor, "secret_id_accessor", "Destroy the secret id of an accessor"),
    Row::new(Verb::Write, "tidy/secret-id", Call::Tidy, "", "Remove expired secret ids"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::login::TokenParams;

    #[test]
    fn a_role_knows_every_token_field_and_every_property() {
        let known = |field: &str| ROLE_FIELDS.split(' ').any(|name| name == field);
        assert!(TokenParams::FIELDS.into_iter().all(known));
        for row in ROWS {
            if let Call::Write(property) = row.call {
                assert!(property.fields().split(' ').all(known), "{property:?}");
            }
        }
    }

    #[test]
    fn only_login_is_open() {
        for row in ROWS {
            assert_eq!(
                row.access == Access::Open,
                row.call == Call::Login,
                "{}",
                row.pattern
            );
        }
    }
}
