//! Verification of signed tokens and messages: JWS in compact and in flattened form (RFC 7515), JWK (RFC 7517), their algorithms
//! (RFC 7518, 8037) and the advice of RFC 8725.
//!
//! Promises: an algorithm is used only if the key is of its kind, the caller allows it and the key
//! itself does not name another; `none`, HMAC and encryption do not exist here. A key comes from the
//! caller, never from a token (`jku`, `jwk`, `x5u`, `x5c` mean nothing); of a flattened message the
//! caller may take the `jwk`, where the protocol is about proving it (RFC 8555). A name that occurs twice in a
//! JSON object, base64 in a second spelling, `crit` and `b64` are refused, whatever is signed. What a
//! token says is given out only after its signature held, but to who has to choose whose keys to ask
//! for. No error holds a part of a token.

mod algorithm;
mod flattened;
mod json;
mod key;
mod set;
mod token;

pub use algorithm::Algorithm;
pub use flattened::{Flattened, Protected};
pub use json::object;
pub use key::VerifyKey;
pub use set::KeySet;
pub use token::{Claims, Token};

use thiserror::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JoseError {
    #[error("not a signed token: {0}")]
    Malformed(&'static str),
    #[error("the token's alg is not one of those that are allowed here")]
    Algorithm,
    /// None of the keys has the token's `kid`, or none fits its `alg`.
    #[error(
        "no known key successfully validated the token signature: none has the token's kid and alg"
    )]
    UnknownKey,
    #[error("no known key successfully validated the token signature")]
    Signature,
    #[error("not a key for signatures: {0}")]
    Key(&'static str),
}

/// Base64url without padding and with one spelling for each value.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .ok()
}

/// The same, written.
pub fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
