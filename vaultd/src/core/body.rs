//! Fields of a request body or query, read by name and type.
//!
//! A JSON null is an absent field. Errors name the field and the kind expected, never the value.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fault::Fault;

/// The top-level fields in the order in which they came.
#[derive(Default)]
pub struct Body {
    fields: Vec<(String, Box<RawValue>)>,
}

impl Body {
    /// Parses a JSON object. Nothing and `null` are an empty one. Depth and size were limited at the edge.
    pub fn parse(json: &[u8]) -> Result<Body, Fault> {
        if matches!(json.trim_ascii(), b"" | b"null") {
            return Ok(Body::default());
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let fields = reader
            .deserialize_map(Fields)
            .and_then(|fields| reader.end().map(|()| fields))
            .map_err(|error| {
                Fault::invalid(format!(
                    "failed to parse JSON input: not a JSON object at line {} column {}",
                    error.line(),
                    error.column()
                ))
            })?;
        Ok(Body { fields })
    }

    /// Adds or replaces a field.
    pub fn set(&mut self, name: &str, value: &Value) {
        let raw =
            serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned());
        match self.fields.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = raw,
            None => self.fields.push((name.to_owned(), raw)),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.fields
            .iter()
            .map(|(name, raw)| (name.as_str(), &**raw))
    }

    /// The fields as one JSON object.
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        for (at, (name, raw)) in self.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&Value::from(name).to_string());
            text.push(':');
            text.push_str(raw.get());
        }
        text.push('}');
        text
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The JSON text of a field; `None` if absent or null.
    pub fn raw(&self, name: &str) -> Option<&RawValue> {
        let (_, raw) = self.fields.iter().find(|(n, _)| n == name)?;
        (raw.get() != "null").then_some(raw)
    }

    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// False also for the empty values that typed clients send for what their caller left out.
    pub fn asks(&self, name: &str) -> bool {
        let empty = ["\"\"", "[]", "{}", "false", "0"];
        self.raw(name)
            .is_some_and(|raw| !empty.contains(&raw.get()))
    }

    fn parsed<T: DeserializeOwned>(&self, name: &str, kind: &str) -> Result<Option<T>, Fault> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| wrong(name, kind))
    }

    pub fn value(&self, name: &str) -> Option<Value> {
        self.raw(name)
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// A string; numbers and booleans are taken as their text, as clients expect.
    pub fn string(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    /// A boolean, or its text (`true`, `false`, `1`, `0`, `t`, `f`); an empty text is false.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::Number(number)) => Ok(Some(number.as_f64() != Some(0.0))),
            Some(Value::String(text)) if text.is_empty() => Ok(Some(false)),
            Some(Value::String(text)) => parse_bool(&text)
                .map(Some)
                .ok_or_else(|| wrong(name, "a boolean")),
            Some(_) => Err(wrong(name, "a boolean")),
        }
    }

    /// An integer, or its decimal text.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number
                .as_i64()
                .map(Some)
                .ok_or_else(|| wrong(name, "an integer")),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| wrong(name, "an integer")),
            Some(_) => Err(wrong(name, "an integer")),
        }
    }

    /// Seconds, from `30`, `"30"`, `"30s"`, `"1h30m"` or `"1d"`. Negative values are refused.
    pub fn seconds(&self, name: &str) -> Result<Option<u64>, Fault> {
        let kind = "a duration such as 30, \"30s\" or \"1h30m\"";
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let seconds = number
                    .as_u64()
                    .or_else(|| number.as_f64().filter(|s| *s >= 0.0).map(|s| s as u64));
                seconds.map(Some).ok_or_else(|| wrong(name, kind))
            }
            Some(Value::String(text)) if text.is_empty() => Ok(Some(0)),
            Some(Value::String(text)) => parse_seconds(&text)
                .map(Some)
                .ok_or_else(|| wrong(name, kind)),
            Some(_) => Err(wrong(name, kind)),
        }
    }

    /// A list of strings, or one comma-separated string. Items are trimmed, empty ones dropped.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let kind = "a list of strings or a comma-separated string";
        let items = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.split(',').map(str::to_owned).collect(),
            Some(Value::Number(number)) => vec![number.to_string()],
            Some(Value::Array(values)) => values
                .into_iter()
                .map(|value| match value {
                    Value::String(text) => Ok(text),
                    Value::Number(number) => Ok(number.to_string()),
                    _ => Err(wrong(name, kind)),
                })
                .collect::<Result<Vec<_>, _>>()?,
            Some(_) => return Err(wrong(name, kind)),
        };
        Ok(Some(
            items
                .iter()
                .map(|item| item.trim())
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        ))
    }

    /// A list of integers, single integers and their texts included.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, Fault> {
        let kind = "a list of integers";
        match self.value(name) {
            Some(Value::Array(values)) => values
                .into_iter()
                .map(|value| match value {
                    Value::Number(number) => number.as_i64().ok_or_else(|| wrong(name, kind)),
                    Value::String(text) => text.trim().parse().map_err(|_| wrong(name, kind)),
                    _ => Err(wrong(name, kind)),
                })
                .collect::<Result<Vec<_>, _>>()
                .map(Some),
            _ => match self.list(name)? {
                None => Ok(None),
                Some(items) => items
                    .iter()
                    .map(|item| item.parse().map_err(|_| wrong(name, kind)))
                    .collect::<Result<_, _>>()
                    .map(Some),
            },
        }
    }

    /// An object, or a string that holds one in JSON.
    pub fn map(&self, name: &str) -> Result<Option<Map<String, Value>>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|_| wrong(name, "an object")),
            Some(_) => Err(wrong(name, "an object")),
        }
    }

    /// An object whose values are strings (or scalars, taken as their text).
    pub fn strings(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let Some(map) = self.map(name)? else {
            return Ok(None);
        };
        map.into_iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key, text)),
                Value::Number(number) => Ok((key, number.to_string())),
                Value::Bool(flag) => Ok((key, flag.to_string())),
                _ => Err(wrong(name, "an object of strings")),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Any type of serde's; the error names the field only.
    pub fn typed<T: DeserializeOwned>(&self, name: &str, kind: &str) -> Result<Option<T>, Fault> {
        self.parsed(name, kind)
    }

    /// A field that must be there.
    pub fn required(&self, name: &str) -> Result<String, Fault> {
        match self.string(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(Fault::invalid(format!("missing {name}"))),
        }
    }
}

fn wrong(name: &str, kind: &str) -> Fault {
    Fault::invalid(format!(
        "error converting input for field {name:?}: expected {kind}"
    ))
}

/// Go's `strconv.ParseBool` values.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Whole seconds of `30`, `30s`, `1h30m`, `1d`; fractions of a second are cut.
pub fn parse_seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds);
    }
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        let unit = match &rest[digits..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    (total.is_finite() && total < 1e12).then_some(total as u64)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::new();
        while let Some((name, raw)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.iter().any(|(seen, _)| *seen == name) {
                return Err(serde::de::Error::custom("duplicate field"));
            }
            fields.push((name, raw));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_as_clients_write_them() {
        let cases = [
            ("30", 30),
            ("30s", 30),
            ("1h30m", 5400),
            ("1d", 86_400),
            ("1.5h", 5400),
            ("500ms", 0),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_seconds(text), Some(seconds), "{text}");
        }
        for text in ["", "-5s", "5x", "s", "1h-5m", "1e9", "٣s"] {
            assert!(text.is_empty() || parse_seconds(text).is_none(), "{text}");
        }
    }

    #[test]
    fn no_body_and_null_are_an_empty_object() {
        for empty in ["", " \r\n", "null", " null\n"] {
            assert!(
                Body::parse(empty.as_bytes()).is_ok_and(|body| body.fields.is_empty()),
                "{empty:?}"
            );
        }
        for other in ["nul", "null null", "[]", "1"] {
            assert!(Body::parse(other.as_bytes()).is_err(), "{other:?}");
        }
    }

    #[test]
    fn null_is_absent_and_lists_may_be_csv() {
        let body = Body::parse(br#"{"a":null,"p":"x, y,,","q":["z"],"n":"7"}"#).unwrap();
        assert!(!body.has("a"));
        assert_eq!(body.list("p").unwrap().unwrap(), ["x", "y"]);
        assert_eq!(body.list("q").unwrap().unwrap(), ["z"]);
        assert_eq!(body.int("n").unwrap(), Some(7));
    }

    #[test]
    fn errors_never_hold_the_value() {
        let body = Body::parse(br#"{"n":"hunter2","m":["hunter2"]}"#).unwrap();
        assert!(!body.int("n").unwrap_err().to_string().contains("hunter2"));
        assert!(!body.map("m").unwrap_err().to_string().contains("hunter2"));
        let parse = Body::parse(br#"{"data":"hunter2"#).err().unwrap();
        assert!(!parse.to_string().contains("hunter2"));
        assert!(Body::parse(br#"{"a":1,"a":2}"#).is_err());
    }
}
