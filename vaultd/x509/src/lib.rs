//! X.509: certificates, requests, revocation lists and OCSP answers, written and read. No I/O and no
//! clock; keys sign through [`Signer`].
//!
//! | what | type | standard |
//! |---|---|---|
//! | a certificate to be signed | [`Template`] | RFC 5280, 4 |
//! | its extensions | [`Extensions`] | RFC 5280, 4.2 |
//! | a name | [`Name`] | RFC 5280, 4.1.2.4 |
//! | a request | [`Request`] | PKCS #10, RFC 2986 |
//! | a revocation list | [`Revocations`] | RFC 5280, 5 |
//! | revocation asked for and answered | [`ocsp`] | RFC 6960 |
//! | a public key and what it verifies | [`PublicKey`] | RFC 3279, 4055, 5480, 8410 |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod algorithm;
mod alt_name;
mod certificate;
mod constraints;
mod der;
mod extension;
mod facts;
mod name;
pub mod ocsp;
pub mod oid;
mod public;
mod request;
mod revocations;
mod usage;

pub use algorithm::{Hash, Signer};
pub use alt_name::{AltName, OtherName};
pub use certificate::Template;
pub use constraints::{NameConstraints, Subtree};
pub use der::raw_extension;
pub use extension::{Authority, Extensions, Urls};
pub use facts::Facts;
pub use name::{Attribute, Name};
pub use public::{PublicKey, PublicKind};
pub use request::{Asked, Request, write_request};
pub use revocations::{Reason, Revocations, Revoked};
pub use usage::{KeyUsage, Purpose, PurposeOid};
pub use x509_parser;
pub use yasna::models::ObjectIdentifier;

/// The bytes are not what they should be. The text says what, without any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The library could not sign.
pub use vault_crypto::CannotSign;

#[cfg(test)]
mod tests;
