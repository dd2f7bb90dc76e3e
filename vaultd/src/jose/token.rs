//! A signed token: three parts, of which the second may be believed once the third has been checked.

use serde_json::{Map, Value};

use super::{Algorithm, JoseError, KeySet, decode, json};

/// Tokens of real issuers are below 16 KiB.
const TOKEN_MAX: usize = 64 << 10;

/// What a token says, its signature verified.
pub type Claims = Map<String, Value>;

/// A token that was taken apart, not believed.
pub struct Token<'t> {
    algorithm: Algorithm,
    kid: Option<String>,
    payload: &'t str,
    /// What is signed.
    message: &'t str,
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    pub fn parse(text: &'t str) -> Result<Token<'t>, JoseError> {
        if text.len() > TOKEN_MAX {
            return Err(JoseError::Malformed("longer than 64 KiB"));
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [head, payload, signature] = parts[..] else {
            return Err(JoseError::Malformed(
                "compact JWS format must have three parts",
            ));
        };
        let message = &text[..head.len() + 1 + payload.len()];
        let head = decode(head).and_then(|bytes| json::object(&bytes));
        let head = head.ok_or(JoseError::Malformed(
            "the header is not one JSON object in base64url",
        ))?;
        // An extension that is not understood must be refused (RFC 7515, 4.1.11); none is.
        if head.contains_key("crit") || head.contains_key("b64") {
            return Err(JoseError::Malformed(
                "critical extensions are not supported",
            ));
        }
        let algorithm = head.get("alg").and_then(Value::as_str);
        let algorithm = algorithm
            .and_then(Algorithm::parse)
            .ok_or(JoseError::Algorithm)?;
        let kid = match head.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(JoseError::Malformed("kid is not a string")),
        };
        let signature = decode(signature).filter(|signature| !signature.is_empty());
        Ok(Token {
            algorithm,
            kid,
            payload,
            message,
            signature: signature.ok_or(JoseError::Malformed("the signature is not base64url"))?,
        })
    }

    /// Which key the token says it is signed by.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What the token says, whoever signed it: for choosing whose keys are asked for, and for refusing
    /// early. Nothing of it may be believed.
    pub fn unproved(&self) -> Result<Claims, JoseError> {
        self.claims()
    }

    fn claims(&self) -> Result<Claims, JoseError> {
        decode(self.payload)
            .and_then(|bytes| json::object(&bytes))
            .ok_or(JoseError::Malformed(
                "the payload is not one JSON object in base64url",
            ))
    }

    /// The text that is signed: head and payload.
    pub fn signed(&self) -> &str {
        self.message
    }

    /// What the token says, if one of the keys signed it with an allowed algorithm.
    pub fn verify(&self, keys: &KeySet, allowed: &[Algorithm]) -> Result<Claims, JoseError> {
        if !allowed.contains(&self.algorithm) {
            return Err(JoseError::Algorithm);
        }
        let mut candidates = keys
            .candidates(self.kid())
            .filter(|key| key.fits(self.algorithm))
            .peekable();
        if candidates.peek().is_none() {
            return Err(JoseError::UnknownKey);
        }
        let message = self.message.as_bytes();
        if !candidates.any(|key| key.verify(self.algorithm, message, &self.signature)) {
            return Err(JoseError::Signature);
        }
        self.claims()
    }
}
