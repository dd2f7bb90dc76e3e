//! JSON objects in which no name occurs twice: of two values, two readers may take different ones.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// As what `serde_json` hands on a number that is no 64-bit one: an object with this name alone.
const NUMBER: &str = "$serde_json::private::Number";

/// The object that is the whole text. `None` if it is not one, or says something twice, at any depth.
pub fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Strict>(text) {
        Ok(Strict(Value::Object(map))) => Some(map),
        _ => None,
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Strict, D::Error> {
        reader.deserialize_any(Reader).map(Strict)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON without repeated names")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name == NUMBER && map.is_empty() {
                let digits: String = fields.next_value()?;
                return digits.parse().map(Value::Number).map_err(A::Error::custom);
            }
            let Strict(value) = fields.next_value()?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_occurs_twice_is_refused_at_any_depth() {
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"c":2,"b":3}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
        ] {
            assert!(object(twice.as_bytes()).is_none(), "{twice}");
        }
        for other in ["", "[]", "1", "null", "{} {}", "{\"a\":1}x", "{'a':1}"] {
            assert!(object(other.as_bytes()).is_none(), "{other}");
        }
        let text =
            br#" {"a":[1,-2,1.5,"x",null,true,{"b":{}}],"A":18446744073709551616,"c":1.10} "#;
        assert!(object(br#"{"a":{"$serde_json::private::Number":"1","b":2}}"#).is_none());
        let expected: Value = serde_json::from_slice(text).unwrap_or_default();
        assert_eq!(object(text).map(Value::Object), Some(expected));
    }
}
