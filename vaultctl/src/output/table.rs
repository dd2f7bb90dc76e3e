//! Tables as Vault prints them, and the rows of an answer.

use serde_json::Value;

use crate::duration;

/// Named values, in the order in which they are shown.
pub(crate) type Rows = Vec<(String, Value)>;

/// The rows of an answer: wrapping, login, or lease and data.
pub(crate) fn envelope_rows(body: &Value) -> Rows {
    if let Some(wrap) = body.get("wrap_info").filter(|w| w.is_object()) {
        let names = [
            ("wrapping_token", "token"),
            ("wrapping_accessor", "accessor"),
            ("wrapping_token_ttl", "ttl"),
            ("wrapping_token_creation_time", "creation_time"),
            ("wrapping_token_creation_path", "creation_path"),
        ];
        return named(wrap, &names);
    }
    if let Some(auth) = body.get("auth").filter(|a| a.is_object()) {
        return auth_rows(auth);
    }
    let mut rows = Rows::new();
    let lease = body
        .get("lease_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !lease.is_empty() {
        rows.extend(named(
            body,
            &[
                ("lease_id", "lease_id"),
                ("lease_duration", "lease_duration"),
                ("lease_renewable", "renewable"),
            ],
        ));
    } else if body
        .get("lease_duration")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        > 0
    {
        rows.extend(named(body, &[("refresh_interval", "lease_duration")]));
    }
    if let Some(Value::Object(data)) = body.get("data") {
        rows.extend(data.clone());
    }
    rows
}

/// A login as rows, under the names that Vault's CLI uses.
pub(crate) fn auth_rows(auth: &Value) -> Rows {
    let mut rows = named(
        auth,
        &[
            ("token", "client_token"),
            ("token_accessor", "accessor"),
            ("token_duration", "lease_duration"),
            ("token_renewable", "renewable"),
            ("token_policies", "token_policies"),
            ("identity_policies", "identity_policies"),
            ("policies", "policies"),
        ],
    );
    if let Some(Value::Object(metadata)) = auth.get("metadata") {
        rows.extend(
            metadata
                .iter()
                .map(|(k, v)| (format!("token_meta_{k}"), v.clone())),
        );
    }
    rows
}

fn named(from: &Value, names: &[(&str, &str)]) -> Rows {
    let found = names
        .iter()
        .filter_map(|(name, key)| from.get(*key).map(|v| ((*name).to_owned(), v.clone())));
    found.collect()
}

/// A value in a table cell. `go` writes nested values as Go's `%v` does.
pub(crate) fn show(value: &Value, go: bool) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null if go => "<nil>".to_owned(),
        Value::Null => "n/a".to_owned(),
        Value::Array(list) if go => {
            let parts: Vec<_> = list.iter().map(|v| show(v, go)).collect();
            format!("[{}]", parts.join(" "))
        }
        Value::Object(map) if go => {
            let parts: Vec<_> = map
                .iter()
                .map(|(k, v)| format!("{k}:{}", show(v, go)))
                .collect();
            format!("map[{}]", parts.join(" "))
        }
        other => other.to_string(),
    }
}

/// Like [`show`]; whole seconds under a name that means a duration become `768h`.
pub(crate) fn show_keyed(key: &str, value: &Value, go: bool) -> String {
    let is_duration = key.ends_with("ttl")
        || key.ends_with("_duration")
        || key == "refresh_interval"
        || key == "period";
    match value.as_u64() {
        Some(seconds) if is_duration => duration::show(seconds),
        _ if go && value.is_null() => "n/a".to_owned(),
        _ => show(value, go),
    }
}

/// Lines with aligned columns, four blanks apart.
pub(crate) fn columns(lines: &[Vec<String>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| {
        lines
            .iter()
            .filter_map(|l| l.get(i))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..count).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let pad = width.saturating_sub(cell.chars().count()) + 4;
            text.push_str(cell);
            text.push_str(&" ".repeat(pad));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up() {
        let lines = [
            vec!["Key".to_owned(), "Value".into()],
            vec!["a-long-key".into(), "1".into()],
        ];
        assert_eq!(columns(&lines), "Key           Value\na-long-key    1\n");
    }

    #[test]
    fn a_wrapped_answer_shows_the_wrapping_only() {
        let rows = envelope_rows(
            &json!({"wrap_info": {"token": "t", "ttl": 60}, "data": null, "auth": null}),
        );
        assert_eq!(
            rows,
            vec![
                ("wrapping_token".to_owned(), json!("t")),
                ("wrapping_token_ttl".to_owned(), json!(60))
            ]
        );
    }

    #[test]
    fn durations_are_shown_with_units_and_other_numbers_are_not() {
        assert_eq!(show_keyed("token_ttl", &json!(2_764_800), false), "768h");
        assert_eq!(show_keyed("num_uses", &json!(60), false), "60");
    }

    #[test]
    fn nested_values_are_json_or_go() {
        let value = json!({"a": [1, "x"], "b": null});
        assert_eq!(show(&value, false), r#"{"a":[1,"x"],"b":null}"#);
        assert_eq!(show(&value, true), "map[a:[1 x] b:<nil>]");
    }
}
