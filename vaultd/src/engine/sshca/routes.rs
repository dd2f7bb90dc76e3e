//! The API of the SSH CA as a table.

use crate::core::request::Verb;
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ReadCa,
    WriteCa,
    DeleteCa,
    PublicKey,
    PublicKeys,
    ListIssuers,
    Import,
    ReadIssuer,
    WriteIssuer,
    DeleteIssuer,
    ReadDefault,
    WriteDefault,
    ListRoles,
    ReadRole,
    WriteRole,
    DeleteRole,
    Sign,
    Issue,
    Creds,
    Verify,
    Lookup,
    ReadZeroAddress,
    WriteZeroAddress,
    DeleteZeroAddress,
    Revoke,
    ListRevoked,
    Unrevoke,
    Krl,
}

const CA: &str =
    "private_key public_key generate_signing_key key_type key_bits issuer_name set_default";
const ROLE: &str = "key_type default_user default_user_template cidr_list exclude_cidr_list port \
    allowed_users allowed_users_template allowed_domains allowed_domains_template ttl max_ttl \
    allowed_critical_options allowed_extensions default_critical_options default_extensions \
    default_extensions_template allow_user_certificates allow_host_certificates allow_bare_domains \
    allow_subdomains allow_user_key_ids key_id_format allowed_user_key_lengths algorithm_signer \
    not_before_duration allow_empty_principals issuer_ref";
const SIGN: &str = "public_key ttl valid_principals cert_type key_id critical_options extensions";
const ISSUE: &str =
    "key_type key_bits ttl valid_principals cert_type key_id critical_options extensions";
const REVOKE: &str = "certificate serial_number serial issuer_ref key_id public_key";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::Read, "config/ca", Call::ReadCa, "", "Read the public key of the default CA."),
    Row::new(Verb::Write, "config/ca", Call::WriteCa, CA, "Make a CA key, or take one over."),
    Row::new(Verb::Delete, "config/ca", Call::DeleteCa, "", "Delete all CA keys for good."),
    Row::new(Verb::Read, "public_key", Call::PublicKey, "", "The public key of the default CA, as a line.").access(Access::Open),
    Row::new(Verb::Read, "public_keys", Call::PublicKeys, "", "The public keys of all CAs, for sshd's TrustedUserCAKeys.").access(Access::Open),
    Row::new(Verb::List, "issuers", Call::ListIssuers, "", "List the CAs."),
    Row::new(Verb::Write, "issuers/import/{issuer_name}", Call::Import, CA, "Add a CA: make its key, or take one over."),
    Row::new(Verb::Read, "issuer/{issuer_ref}", Call::ReadIssuer, "", "Read a CA."),
    Row::new(Verb::Write, "issuer/{issuer_ref}", Call::WriteIssuer, "issuer_name", "Rename a CA."),
    Row::new(Verb::Patch, "issuer/{issuer_ref}", Call::WriteIssuer, "issuer_name", "Rename a CA."),
    Row::new(Verb::Delete, "issuer/{issuer_ref}", Call::DeleteIssuer, "", "Delete a CA and its key for good."),
    Row::new(Verb::Read, "issuer/{issuer_ref}/public_key", Call::PublicKey, "", "The public key of a CA, as a line.").access(Access::Open),
    Row::new(Verb::Read, "config/issuers", Call::ReadDefault, "", "Read which CA signs by default."),
    Row::new(Verb::Write, "config/issuers", Call::WriteDefault, "default", "Set which CA signs by default."),
    Row::new(Verb::List, "roles", Call::ListRoles, "", "List the roles."),
    Row::new(Verb::Read, "roles/{name}", Call::ReadRole, "", "Read a role."),
    Row::new(Verb::Write, "roles/{name}", Call::WriteRole, ROLE, "Create or replace a role.").creates(),
    Row::new(Verb::Delete, "roles/{name}", Call::DeleteRole, "", "Delete a role."),
    Row::new(Verb::Write, "sign/{name}", Call::Sign, SIGN, "Sign a public key."),
    Row::new(Verb::Write, "issue/{name}", Call::Issue, ISSUE, "Make a key and sign it."),
    Row::new(Verb::Write, "creds/{name}", Call::Creds, "ip username", "Make a one-time password for a host."),
    Row::new(Verb::Write, "verify", Call::Verify, "otp", "Use a one-time password up, and read what it was for.").access(Access::Open),
    Row::new(Verb::Write, "lookup", Call::Lookup, "ip", "List the roles that make passwords for an address."),
    Row::new(Verb::Read, "config/zeroaddress", Call::ReadZeroAddress, "", "Read which roles may make passwords for any address."),
    Row::new(Verb::Write, "config/zeroaddress", Call::WriteZeroAddress, "roles", "Set which roles may make passwords for any address."),
    Row::new(Verb::Delete, "config/zeroaddress", Call::DeleteZeroAddress, "", "Let no role make passwords for any address."),
    Row::new(Verb::Write, "revoke", Call::Revoke, REVOKE, "Revoke a certificate, all of a key id, or a key."),
    Row::new(Verb::List, "revoked", Call::ListRevoked, "", "List what is revoked."),
    Row::new(Verb::Delete, "revoked/{id}", Call::Unrevoke, "", "Take something off the list of what is revoked."),
    Row::new(Verb::Read, "krl", Call::Krl, "format", "What is revoked, for sshd's RevokedKeys.").access(Access::Open),
];
