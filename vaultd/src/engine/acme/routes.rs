//! The API of certificates from a public authority as a table.

use crate::core::request::Verb;
use crate::core::route::Row;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ListAccounts,
    WriteAccount,
    ReadAccount,
    DeleteAccount,
    RotateAccount,
    ListDns,
    WriteDns,
    ReadDns,
    DeleteDns,
    ListCerts,
    WriteCert,
    ReadCert,
    DeleteCert,
    Renew,
    Revoke,
    History,
    Keypair,
}

const ACCOUNT: &str = "directory contact terms_agreed eab_kid eab_hmac_key ca_cert";
const DNS: &str = "type hook server zone key_name key_algorithm key_secret ttl check wait";
const CERT: &str = "account names challenge dns key_type profile renew_before max_versions";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::List, "account", Call::ListAccounts, "after limit", "List the accounts at authorities."),
    Row::new(Verb::Write, "account/{name}", Call::WriteAccount, ACCOUNT, "Say which authority, and how to register there; that is done with the first certificate.").creates(),
    Row::new(Verb::Read, "account/{name}", Call::ReadAccount, "", "Read what is set of an account; no key."),
    Row::new(Verb::Delete, "account/{name}", Call::DeleteAccount, "", "Forget an account that no certificate uses."),
    Row::new(Verb::Write, "account/{name}/rotate", Call::RotateAccount, "", "Give an account a new key at its authority."),
    Row::new(Verb::List, "dns", Call::ListDns, "after limit", "List the ways to write DNS records."),
    Row::new(Verb::Write, "dns/{name}", Call::WriteDns, DNS, "Say how DNS records are written: by RFC 2136, or by a program that the server's config names.").creates(),
    Row::new(Verb::Read, "dns/{name}", Call::ReadDns, "", "Read how DNS records are written; no secret."),
    Row::new(Verb::Delete, "dns/{name}", Call::DeleteDns, "", "Forget a way to write DNS records that no certificate uses."),
    Row::new(Verb::List, "certs", Call::ListCerts, "after limit", "List the certificates with their ends and failures."),
    Row::new(Verb::Write, "certs/{name}", Call::WriteCert, CERT, "Have a certificate obtained, and renewed from then on.").creates(),
    Row::new(Verb::Read, "certs/{name}", Call::ReadCert, "", "Read a certificate's settings and how it stands: state, end, next renewal, last failure."),
    Row::new(Verb::Delete, "certs/{name}", Call::DeleteCert, "", "Forget a certificate with its keys; it stays valid until it is revoked or ends."),
    Row::new(Verb::Write, "certs/{name}/renew", Call::Renew, "", "Renew now; what failed is tried again at once."),
    Row::new(Verb::Write, "certs/{name}/revoke", Call::Revoke, "version reason", "Revoke a version at its authority; the current one is replaced."),
    Row::new(Verb::Read, "certs/{name}/history", Call::History, "", "Read every version that is kept."),
    Row::new(Verb::Read, "keypair/{name}", Call::Keypair, "version", "The private key with its certificate and chain."),
];
