//! JSON as it is read, written with every leaf replaced by its HMAC.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Record;

/// As what `serde_json` hands on a number that is no 64-bit one: an object with this name alone.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// Walks JSON and writes it with every leaf replaced.
pub(super) struct Leaves<'r, 'p> {
    pub(super) record: &'r mut Record<'p>,
    pub(super) limit: usize,
}

impl<'r, 'p> Leaves<'r, 'p> {
    fn inner(&mut self) -> Leaves<'_, 'p> {
        Leaves {
            record: self.record,
            limit: self.limit,
        }
    }

    fn leaf<E: Error>(self, value: &[u8]) -> Result<(), E> {
        if self.record.out.len() > self.limit {
            return Err(E::custom("too large"));
        }
        self.record.hmac(value);
        Ok(())
    }

    fn text<E: Error>(self, value: impl std::fmt::Display) -> Result<(), E> {
        use std::io::Write;
        let mut text = [0u8; 40];
        let mut rest = &mut text[..];
        write!(rest, "{value}").map_err(E::custom)?;
        let used = 40 - rest.len();
        self.leaf(&text[..used])
    }
}

impl<'de> DeserializeSeed<'de> for Leaves<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Leaves<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.leaf(value.as_bytes())
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.text(value)
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.text(value)
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.text(value)
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.record.out.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.record.out.push(b'[');
        while list.next_element_seed(Element(self.inner()))?.is_some() {}
        self.record.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.record.out.push(b'{');
        while let Some(is_number) = map.next_key_seed(Key(self.inner()))? {
            map.next_value_seed(self.inner())?;
            if is_number {
                let more = map.next_key::<IgnoredAny>()?;
                return more.map_or(Ok(()), |_| Err(A::Error::custom("not a number")));
            }
        }
        self.record.out.push(b'}');
        Ok(())
    }
}

/// A list's element: a comma, then the leaves.
struct Element<'r, 'p>(Leaves<'r, 'p>);

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        self.0.record.comma();
        self.0.deserialize(json)
    }
}

/// A map's key stays as it is. True for the first key of what is a number.
struct Key<'r, 'p>(Leaves<'r, 'p>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = bool;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        let is_number = key == NUMBER && self.0.record.out.pop_if(|last| *last == b'{').is_some();
        if !is_number {
            self.0.record.name(key);
        }
        Ok(is_number)
    }
}
