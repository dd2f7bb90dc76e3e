//! The keys of one issuer (RFC 7517, 5).

use serde_json::Value;

use super::{JoseError, VerifyKey, json};

/// More keys than any issuer has; each may be tried.
const KEYS_MAX: usize = 100;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<VerifyKey>,
}

impl KeySet {
    pub fn new(keys: Vec<VerifyKey>) -> KeySet {
        KeySet { keys }
    }

    /// A JWK set. Keys that are not for signatures, or of an unknown kind, are left out.
    pub fn from_jwks(text: &[u8]) -> Result<KeySet, JoseError> {
        let odd = JoseError::Key("expected a JWK set: {\"keys\": [...]}");
        let set = json::object(text).ok_or(odd)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(odd)?;
        if keys.len() > KEYS_MAX {
            return Err(JoseError::Key("the set has more than 100 keys"));
        }
        let usable = keys
            .iter()
            .filter_map(Value::as_object)
            .filter_map(|jwk| VerifyKey::from_jwk(jwk).ok());
        Ok(KeySet {
            keys: usable.collect(),
        })
    }

    pub fn extend(&mut self, other: KeySet) {
        self.keys.extend(other.keys);
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys that a token with this `kid` may be signed by. A key without an id (PEM) may be any.
    pub fn candidates(&self, kid: Option<&str>) -> impl Iterator<Item = &VerifyKey> {
        self.keys.iter().filter(move |key| match (kid, key.id()) {
            (Some(kid), Some(id)) => kid == id,
            _ => true,
        })
    }
}
