//! YAML 1.2 in block style. Every string is JSON-quoted, so nothing in a value can be read as
//! another type or end its line.

use serde_json::Value;

/// The document, with a line end at its end.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut out),
        Value::Array(list) if !list.is_empty() => block(value, 0, &mut out),
        scalar => {
            out.push_str(&inline(scalar));
            out.push('\n');
        }
    }
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let margin = "  ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                out.push_str(&format!("{margin}{}:", key_text(key)));
                nested(child, indent, out);
            }
        }
        Value::Array(list) => {
            for child in list {
                out.push_str(&format!("{margin}-"));
                nested(child, indent, out);
            }
        }
        _ => {}
    }
}

fn nested(child: &Value, indent: usize, out: &mut String) {
    let is_block = match child {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        block(child, indent + 1, out);
    } else {
        out.push_str(&format!(" {}\n", inline(child)));
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Plain keys stay plain unless YAML 1.1 readers would take them for a truth value.
fn key_text(key: &str) -> String {
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if word && !reserved.contains(&key.to_ascii_lowercase().as_str()) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// JSON's quoting, plus the characters that JSON leaves alone and YAML does not.
fn quoted(text: &str) -> String {
    let json = Value::String(text.to_owned()).to_string();
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_documents_are_blocks() {
        let value = json!({"data": {"list": [1, {"k": "v"}], "none": [], "map": {}}, "ok": true, "z": null});
        let want = "data:\n  list:\n    - 1\n    -\n      k: \"v\"\n  map: {}\n  none: []\nok: true\nz: null\n";
        assert_eq!(write(&value), want);
    }

    #[test]
    fn strings_cannot_become_other_types_or_break_out() {
        assert_eq!(
            write(&json!({"a": "no", "b": "1", "c": "x\ny: z\"#"})),
            "a: \"no\"\nb: \"1\"\nc: \"x\\ny: z\\\"#\"\n"
        );
        assert_eq!(write(&json!("\u{85}\u{2028}")), "\"\\u0085\\u2028\"\n");
    }

    #[test]
    fn keys_that_yaml_would_retype_are_quoted() {
        assert_eq!(write(&json!({"yes": 1})), "\"yes\": 1\n");
        assert_eq!(
            write(&json!({"a b": 1, "-": 2, "8": 3})),
            "\"-\": 2\n\"8\": 3\n\"a b\": 1\n"
        );
    }
}
