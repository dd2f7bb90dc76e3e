//! Key material as it is stored: base64 in JSON, never printed, wiped on drop.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vault_crypto::{Random, SecretBytes};
use zeroize::Zeroizing;

use crate::core::fault::Fault;

/// Secret bytes.
pub(in crate::engine) struct Secret(SecretBytes);

impl Secret {
    pub(in crate::engine) fn new(bytes: Vec<u8>) -> Secret {
        Secret(SecretBytes::from_vec(bytes))
    }

    pub(in crate::engine) fn copy(bytes: &[u8]) -> Secret {
        Secret(SecretBytes::from_slice(bytes))
    }

    pub(in crate::engine) fn random(length: usize, random: &dyn Random) -> Secret {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes);
        Secret::new(bytes)
    }

    pub(in crate::engine) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.0.len()
    }

    /// For the answer that delivers it.
    pub(in crate::engine) fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.expose()))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
                let bytes = STANDARD.decode(text).map_err(|_| E::custom("no base64"))?;
                Ok(Secret::new(bytes))
            }
        }
        from.deserialize_str(Text)
    }
}

/// A text from a request that is wiped after use.
#[derive(Default)]
pub(in crate::engine) struct Text(Zeroizing<String>);

impl Text {
    pub(in crate::engine) fn new(text: String) -> Text {
        Text(Zeroizing::new(text))
    }

    pub(in crate::engine) fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        String::deserialize(from).map(Text::new)
    }
}

/// As Go decodes: the bits that the last character has too many may be anything.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Standard base64, in lines or not. `what` names the field in the error.
pub(in crate::engine) fn from_base64(text: &str, what: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let failed = |_| Fault::invalid(format!("failed to base64-decode {what}"));
    if !text.contains(['\r', '\n']) {
        return LENIENT.decode(text).map(Zeroizing::new).map_err(failed);
    }
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    joined.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')));
    LENIENT
        .decode(joined.as_str())
        .map(Zeroizing::new)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn base64_is_read_as_clients_of_go_write_it() {
        for (text, bytes) in [
            ("aGVsbG8=", &b"hello"[..]),
            ("aGVs\r\nbG8=\n", b"hello"),
            ("adba32==", b"\x69\xd6\xda\xdf"),
            ("", b""),
        ] {
            assert_eq!(*from_base64(text, "input").unwrap(), bytes, "{text}");
        }
        for text in ["aGVsbG8", "a", "-_-_", "aGVsbG8=x", "aGVs bG8="] {
            assert!(from_base64(text, "input").is_err(), "{text}");
        }
    }
}
