//! The form of values that are encrypted to the public key of a secret's path.
//!
//! `vaultd:1:` and base64 (RFC 4648, URL-safe, without padding) of an HPKE message (RFC 9180) whose
//! info is the domain, the path and the name, each with its length before it.

/// How an encrypted value begins.
pub const PREFIX: &str = "vaultd:1:";

/// The domain of the info.
pub const DOMAIN: &str = "vaultd/value/v1";

/// Plaintexts are padded with blanks to a multiple of this.
pub const PADDING: usize = 32;

/// The fields of the info after the domain: a value belongs to one name of one secret.
pub fn info_fields<'a>(path: &'a str, name: &'a str) -> [&'a str; 2] {
    [path, name]
}
