//! The fields of a request against what a rule allows, denies and requires.

use serde_json::Value;

use super::decide::Reason;
use super::merge::Matched;

/// The fields of a request: of its body, or of its query.
pub trait Parameters {
    /// Shows every field, with its key as it was sent.
    fn each(&self, visit: &mut dyn FnMut(&str, &Value));
}

impl Parameters for serde_json::Map<String, Value> {
    fn each(&self, visit: &mut dyn FnMut(&str, &Value)) {
        self.iter().for_each(|(key, value)| visit(key, value));
    }
}

/// The first rule about parameters that the request breaks, and by which parameter.
pub(super) fn check(
    rule: &Matched,
    parameters: Option<&dyn Parameters>,
) -> Option<(Reason, String)> {
    if rule.required.is_empty() && rule.allowed.is_empty() && rule.denied.is_empty() {
        return None;
    }
    let mut missing: Vec<&str> = rule.required.iter().map(String::as_str).collect();
    let mut broken = None;
    if let Some(parameters) = parameters {
        parameters.each(&mut |key, value| {
            // Two spellings of one key are both checked.
            let key = key.to_lowercase();
            missing.retain(|required| *required != key);
            if broken.is_none() {
                broken = field(rule, &key, value).map(|reason| (reason, key));
            }
        });
    }
    match missing.first() {
        None => broken,
        Some(key) => Some((Reason::ParameterMissing, (*key).to_owned())),
    }
}

fn field(rule: &Matched, key: &str, value: &Value) -> Option<Reason> {
    let any = |values: &Vec<Value>, same: fn(&Value, &Value) -> bool| {
        values.is_empty() || values.iter().any(|item| same(item, value))
    };
    let denied = rule.denied.contains_key("*")
        || rule
            .denied
            .get(key)
            .is_some_and(|values| any(values, forbids));
    if denied {
        return Some(Reason::ParameterDenied);
    }
    let allowed = match rule.allowed.get(key) {
        Some(values) => any(values, permits),
        None => rule.allowed.is_empty() || rule.allowed.contains_key("*"),
    };
    (!allowed).then_some(Reason::ParameterNotAllowed)
}

/// As Vault: texts may glob at either end, anything else must be equal.
fn permits(item: &Value, value: &Value) -> bool {
    match (item, value) {
        (Value::String(item), Value::String(value)) => globbed(item, value),
        (item, value) => item == value,
    }
}

/// Wider than `permits`: engines read `"5"` and `5` as the same thing, so a deny
/// of one must stop the other; and `*` alone means every value.
fn forbids(item: &Value, value: &Value) -> bool {
    match (scalar(item), scalar(value)) {
        (Some(item), _) if item == "*" => true,
        (Some(item), Some(value)) => globbed(&item, &value),
        _ => item == value,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn globbed(item: &str, value: &str) -> bool {
    if item.len() < 2 {
        return item == value;
    }
    match (item.strip_prefix('*'), item.strip_suffix('*')) {
        (Some(_), Some(_)) => value.contains(&item[1..item.len() - 1]),
        (Some(end), None) => value.ends_with(end),
        (None, Some(start)) => value.starts_with(start),
        (None, None) => item == value,
    }
}
