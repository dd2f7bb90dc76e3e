//! JSON by its structure, with the scalars left as text: a number that no machine type holds comes
//! back digit for digit. Nesting was limited at the edge.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Error, Map, Value};

pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// JSON Merge Patch (RFC 7396): objects are merged, null removes, everything else replaces.
pub(super) fn merge(target: Option<&RawValue>, patch: &RawValue) -> Result<Box<RawValue>, Error> {
    if !is_object(patch) {
        return Ok(patch.to_owned());
    }
    let mut merged: BTreeMap<String, Box<RawValue>> = match target {
        Some(target) if is_object(target) => serde_json::from_str(target.get())?,
        _ => BTreeMap::new(),
    };
    let changes: BTreeMap<String, &RawValue> = serde_json::from_str(patch.get())?;
    for (name, change) in changes {
        if change.get() == "null" {
            merged.remove(&name);
        } else {
            let value = merge(merged.get(&name).map(|old| &**old), change)?;
            merged.insert(name, value);
        }
    }
    to_raw_value(&merged)
}

/// The names only, `depth` levels of them (0: all). What has no names, or lies deeper, is null.
pub(super) fn structure(object: &RawValue, depth: usize) -> Result<Value, Error> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(object.get())?;
    let mut names = Map::new();
    for (name, value) in fields {
        let below = if depth != 1 && is_object(value) {
            structure(value, depth.saturating_sub(1))?
        } else {
            Value::Null
        };
        let is_empty = below.as_object().is_some_and(Map::is_empty);
        names.insert(name, if is_empty { Value::Null } else { below });
    }
    Ok(Value::Object(names))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_7396() {
        let cases = [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, r#"null"#, r#"null"#),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            (
                r#"{}"#,
                r#"{"a":{"bb":{"ccc":null}}}"#,
                r#"{"a":{"bb":{}}}"#,
            ),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(
                merge(Some(&raw(target)), &raw(patch)).unwrap().get(),
                expected,
                "{target} + {patch}"
            );
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let digits = "123456789012345678901234567890.5e1";
        let merged = merge(
            Some(&raw(&format!(r#"{{"n":{digits}}}"#))),
            &raw(r#"{"m":9007199254740993}"#),
        )
        .unwrap();
        assert_eq!(
            merged.get(),
            format!(r#"{{"m":9007199254740993,"n":{digits}}}"#)
        );
    }

    #[test]
    fn structure_shows_no_value() {
        let object = raw(r#"{"a":{"b":{"c":"hunter2"}},"d":[{"e":1}],"f":{}}"#);
        assert_eq!(
            structure(&object, 0).unwrap().to_string(),
            r#"{"a":{"b":{"c":null}},"d":null,"f":null}"#
        );
        assert_eq!(
            structure(&object, 1).unwrap().to_string(),
            r#"{"a":null,"d":null,"f":null}"#
        );
        assert_eq!(
            structure(&object, 2).unwrap().to_string(),
            r#"{"a":{"b":null},"d":null,"f":null}"#
        );
        assert_eq!(structure(&raw("{}"), 0).unwrap().to_string(), "{}");
    }
}
