//! The formats of SSH: keys, certificates and signatures as OpenSSH reads and
//! writes them. No I/O and no clock; randomness is an argument. (With the feature `socket`, a Unix
//! socket that speaks the agent protocol, for the two programs that serve one.)
//!
//! | what | type | standard |
//! |---|---|---|
//! | a public key | [`Key`] | RFC 4253, 5656, 8332, 8709; PROTOCOL.u2f |
//! | a private key | [`PrivateKey`] | PROTOCOL.key; RFC 5958, 5915, 8017 in PEM |
//! | a certificate, read and made | [`Certificate`], [`Claims`] | PROTOCOL.certkeys |
//! | a list of what is revoked | [`krl`] | PROTOCOL.krl |
//! | a signature over a message | [`Signature`] | PROTOCOL.sshsig |
//! | what agents and their clients say | [`agent`] | draft-ietf-sshm-ssh-agent; PROTOCOL.agent |
//! | the encoding of all of them | [`wire`] | RFC 4251, section 5 |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod agent;
mod certificate;
mod claims;
mod key;
mod krl;
mod private;
mod signature;
pub mod wire;

#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use claims::{BadClaims, Claims, Subject};
pub use key::{Key, VERIFIED};
pub use krl::{Revoked, krl};
pub use private::{BadPrivateKey, PrivateKey};
pub use signature::Signature;
pub use vault_crypto::KeyKind;
pub use wire::Malformed;
