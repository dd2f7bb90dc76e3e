//! Every cryptographic primitive of vaultd, and nothing else: no I/O, no
//! serialisation framework, no clock. Randomness is an argument.
//!
//! | need | type | standard |
//! |---|---|---|
//! | seal a record | [`RecordKey`] | XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), key-committing |
//! | seal a name so that it can be looked up | [`NameKey`] | AES-256-SIV (RFC 5297) |
//! | keyed look-up tag | [`Prf`] | HMAC-SHA256 (RFC 2104) |
//! | one key from another | [`derive()`] | HKDF-SHA256 (RFC 5869) |
//! | a key from a passphrase | [`stretch`], [`wrap`] | Argon2id (RFC 9106) |
//! | find a text again in large files | [`Fingerprinter`] | HMAC-SHA256, cut |
//! | encrypt to a public key | [`HpkeKey`] | HPKE (RFC 9180), X25519, ChaCha20-Poly1305 |
//! | sign, for vaultd itself | [`SigningKey`] | Ed25519 (RFC 8032) |
//! | sign, for its users | [`PrivateKey`] | Ed25519, ECDSA (FIPS 186-5), RSA (RFC 8017) |
//! | split the unseal key | [`split`] | Shamir over GF(2^8) |
//!
//! What it does not promise: wiping is best effort (registers, swap and copies
//! made by the compiler are out of reach), and side channels other than timing
//! are not considered.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod aad;
mod aead;
mod fingerprint;
mod hash;
mod hpke;
mod kdf;
mod key;
mod password;
pub mod pem;
mod prf;
mod private;
mod random;
mod shamir;
mod sign;
mod siv;
mod token;

pub use aad::Aad;
pub use aead::{OVERHEAD, OpenError, RecordKey};
pub use fingerprint::Fingerprinter;
pub use hash::{Sha256, sha256};
pub use hpke::{HpkeKey, seal_to};
pub use kdf::{Label, derive};
pub use key::{Key, SecretBytes, SecretString, SecretVec, WrongLength};
pub use password::{
    BadCost, BadHash, Cost, PasswordHash, StretchError, Wrapped, hash_password, stretch,
    unwrap_secret, verify_password, wrap,
};
pub use prf::Prf;
pub use private::{
    BadPrivateKey, CannotSign, Curve, EcdsaKey, Ed25519Key, KeyKind, PrivateKey, RsaHash, RsaKey,
};
pub use random::{Ahead, Random, Seeded, System};
pub use shamir::{
    AnyShare, PlainShare, SetId, Share, ShareError, Threshold, combine, combine_plain, split,
    split_plain,
};
pub use sign::{BadPublicKey, BadSignature, PublicKey, SigningKey};
pub use siv::NameKey;
pub use token::{checked, checksum_ok, new_token, random_base62, uuid_v4};
