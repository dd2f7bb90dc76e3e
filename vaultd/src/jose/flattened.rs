//! A signed message in flattened JSON (RFC 7515, 7.2.2), without an unprotected header.

use serde_json::{Map, Value};

use super::{Algorithm, JoseError, VerifyKey, decode, json};

/// What the signer says about the message; not believed before the signature is.
pub struct Protected {
    pub algorithm: Algorithm,
    /// Who signs: himself by his key, or by a name that he got for it.
    pub jwk: Option<Map<String, Value>>,
    pub kid: Option<String>,
    pub nonce: Option<String>,
    pub url: Option<String>,
}

/// A message that was taken apart, not believed.
pub struct Flattened {
    pub protected: Protected,
    message: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Flattened {
    /// From its three members, each in base64url.
    ///
    /// # Errors
    /// If it is no signed message, or its algorithm is none that a public key verifies.
    pub fn parse(protected: &str, payload: &str, signature: &str) -> Result<Flattened, JoseError> {
        let head = decode(protected).and_then(|bytes| json::object(&bytes));
        let head = head.ok_or(JoseError::Malformed(
            "protected is not one JSON object in base64url",
        ))?;
        let signature = decode(signature).filter(|signature| !signature.is_empty());
        Ok(Flattened {
            protected: Protected::read(&head)?,
            message: format!("{protected}.{payload}"),
            payload: decode(payload).ok_or(JoseError::Malformed("payload is not base64url"))?,
            signature: signature.ok_or(JoseError::Malformed("signature is not base64url"))?,
        })
    }

    /// What was signed, if the key's owner did.
    ///
    /// # Errors
    /// If he did not, or the key is not of the algorithm's kind.
    pub fn verify(&self, key: &VerifyKey) -> Result<&[u8], JoseError> {
        let algorithm = self.protected.algorithm;
        if !key.fits(algorithm) {
            return Err(JoseError::Algorithm);
        }
        match key.verify(algorithm, self.message.as_bytes(), &self.signature) {
            true => Ok(&self.payload),
            false => Err(JoseError::Signature),
        }
    }
}

impl Protected {
    fn read(head: &Map<String, Value>) -> Result<Protected, JoseError> {
        // An extension that is not understood must be refused (RFC 7515, 4.1.11); none is.
        if head.contains_key("crit") || head.contains_key("b64") {
            return Err(JoseError::Malformed(
                "critical extensions are not supported",
            ));
        }
        let text = |name: &str| match head.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(JoseError::Malformed(
                "a member of the header is not a string",
            )),
        };
        let jwk = match head.get("jwk") {
            None => None,
            Some(Value::Object(jwk)) => Some(jwk.clone()),
            Some(_) => return Err(JoseError::Malformed("jwk is not an object")),
        };
        let algorithm = text("alg")?.as_deref().and_then(Algorithm::parse);
        Ok(Protected {
            algorithm: algorithm.ok_or(JoseError::Algorithm)?,
            jwk,
            kid: text("kid")?,
            nonce: text("nonce")?,
            url: text("url")?,
        })
    }
}
