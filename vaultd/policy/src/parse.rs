//! The tree of a policy text to rules. Every key is known or refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::{Capability, CapabilitySet, Guards, Pattern, PolicyError, Rule};
use crate::hcl::{self, Body, Entry, Kind, Name, Position, Value};

type Result<T> = std::result::Result<T, PolicyError>;

const PATH_KEYS: &str = "capabilities, policy, allowed_parameters, denied_parameters, \
    required_parameters, min_wrapping_ttl, max_wrapping_ttl, pagination_limit, expiration, \
    control_group, mfa_methods, list_scan_response_keys_filter_path, subscribe_event_types \
    or comment";

pub(super) fn rules(text: &str) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for entry in &hcl::parse(text)?.entries {
        match entry.key.text.as_str() {
            "path" => paths(entry, &mut rules)?,
            // Old policies carry their name; the request's path decides.
            "name" => {
                string(&entry.value)?;
            }
            _ => {
                return Err(refuse(
                    entry.key.position,
                    "unknown key; a policy is made of `path` blocks",
                ));
            }
        }
    }
    Ok(rules)
}

fn refuse(position: Position, message: impl Into<String>) -> PolicyError {
    position.refuse(message).into()
}

/// `path "x" { … }`, `path = { "x" = { … } }`, or in JSON also a list of either.
fn paths(entry: &Entry, rules: &mut Vec<Rule>) -> Result<()> {
    match &entry.labels[..] {
        [] => nested_paths(&entry.value, rules),
        [path] => bodies(path, &entry.value, rules),
        [_, more, ..] => Err(refuse(
            more.position,
            "a `path` block has one label, its path",
        )),
    }
}

fn nested_paths(value: &Value, rules: &mut Vec<Rule>) -> Result<()> {
    match &value.kind {
        Kind::Object(body) => {
            for entry in &body.entries {
                if let Some(label) = entry.labels.first() {
                    return Err(refuse(label.position, "a path has no label of its own"));
                }
                bodies(&entry.key, &entry.value, rules)?;
            }
            Ok(())
        }
        Kind::List(values) => values
            .iter()
            .try_for_each(|value| nested_paths(value, rules)),
        _ => Err(refuse(
            value.position,
            "`path` needs a path and a block: path \"secret/data/app\" { … }",
        )),
    }
}

fn bodies(path: &Name, value: &Value, rules: &mut Vec<Rule>) -> Result<()> {
    match &value.kind {
        Kind::Object(body) => {
            rules.push(rule(path, body)?);
            Ok(())
        }
        Kind::List(values) => values
            .iter()
            .try_for_each(|value| bodies(path, value, rules)),
        _ => Err(refuse(
            value.position,
            "a path needs a block: { capabilities = [\"read\"] }",
        )),
    }
}

fn rule(path: &Name, body: &Body) -> Result<Rule> {
    let mut rule = Rule {
        path: Pattern::parse(&path.text).map_err(|e| refuse(path.position, e.to_string()))?,
        capabilities: CapabilitySet::EMPTY,
        min_wrapping_ttl: None,
        max_wrapping_ttl: None,
        allowed_parameters: BTreeMap::new(),
        denied_parameters: BTreeMap::new(),
        required_parameters: Vec::new(),
        pagination_limit: None,
        expiration: None,
        guards: Guards::default(),
        position: path.position,
    };
    for entry in &body.entries {
        field(&mut rule, entry)?;
    }
    if let (Some(min), Some(max)) = (rule.min_wrapping_ttl, rule.max_wrapping_ttl)
        && max < min
    {
        return Err(refuse(
            path.position,
            "max_wrapping_ttl is less than min_wrapping_ttl",
        ));
    }
    Ok(rule)
}

fn field(rule: &mut Rule, entry: &Entry) -> Result<()> {
    if let Some(label) = entry.labels.first() {
        return Err(refuse(label.position, "a label is not understood here"));
    }
    let value = &entry.value;
    if value.is_null() {
        return Ok(());
    }
    match entry.key.text.as_str() {
        "capabilities" => rule.capabilities = rule.capabilities.union(capabilities(value)?),
        "policy" => rule.capabilities = rule.capabilities.union(old_style(value)?),
        "allowed_parameters" => merge(&mut rule.allowed_parameters, entry)?,
        "denied_parameters" => merge(&mut rule.denied_parameters, entry)?,
        "required_parameters" => {
            rule.required_parameters = strings(value)?.iter().map(|s| s.to_lowercase()).collect();
        }
        "min_wrapping_ttl" => rule.min_wrapping_ttl = duration(value)?,
        "max_wrapping_ttl" => rule.max_wrapping_ttl = duration(value)?,
        "pagination_limit" => rule.pagination_limit = limit(value)?,
        "expiration" => rule.expiration = expiration(value)?,
        "control_group" => rule.guards.approval = true,
        "mfa_methods" => rule.guards.second_factor |= !strings(value)?.is_empty(),
        "list_scan_response_keys_filter_path" => {
            rule.guards.list_filter |= !string(value)?.is_empty();
        }
        // No events are sent, so there is nothing to restrict.
        "subscribe_event_types" => {
            strings(value)?;
        }
        "comment" => {
            string(value)?;
        }
        _ => {
            return Err(refuse(
                entry.key.position,
                format!("unknown key; a path knows {PATH_KEYS}"),
            ));
        }
    }
    Ok(())
}

fn capabilities(value: &Value) -> Result<CapabilitySet> {
    let read = |value: &Value| {
        let parsed = string(value)?.parse::<Capability>();
        parsed.map_err(|e| refuse(value.position, e.to_string()))
    };
    items(value)?.iter().map(read).collect()
}

/// `policy = "write"`, as before Vault 0.5.
fn old_style(value: &Value) -> Result<CapabilitySet> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    Ok(match string(value)? {
        "deny" => CapabilitySet::from_iter([Deny]),
        "read" => CapabilitySet::from_iter([Read, List]),
        "write" => CapabilitySet::from_iter([Create, Read, Update, Delete, List]),
        "sudo" => CapabilitySet::from_iter([Create, Read, Update, Delete, List, Sudo]),
        _ => {
            return Err(refuse(
                value.position,
                "unknown policy; use deny, read, write or sudo, or better `capabilities`",
            ));
        }
    })
}

/// `{ "key" = [values] }`, also as a block, also more than one block.
fn merge(parameters: &mut BTreeMap<String, Vec<Json>>, entry: &Entry) -> Result<()> {
    let value = &entry.value;
    let Kind::Object(body) = &value.kind else {
        return Err(refuse(
            value.position,
            "expected { \"key\" = [values] }; an empty list means any value",
        ));
    };
    for entry in &body.entries {
        if let Some(label) = entry.labels.first() {
            return Err(refuse(label.position, "a label is not understood here"));
        }
        let values = items(&entry.value)?.iter().map(Value::to_json).collect();
        // Keys that differ only by case are one key: the request's is lowered too.
        if parameters
            .insert(entry.key.text.to_lowercase(), values)
            .is_some()
        {
            return Err(refuse(
                entry.key.position,
                "this parameter is given twice (case does not matter); keep one",
            ));
        }
    }
    Ok(())
}

fn limit(value: &Value) -> Result<Option<u32>> {
    let number = match &value.kind {
        Kind::Integer(number) => u32::try_from(*number).ok(),
        Kind::String(text) => text.parse().ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| {
        refuse(
            value.position,
            "pagination_limit is a whole number, 0 for none",
        )
    })?;
    Ok(Some(number).filter(|n| *n > 0))
}

fn expiration(value: &Value) -> Result<Option<jiff::Timestamp>> {
    let parsed = match &value.kind {
        Kind::Integer(seconds) => jiff::Timestamp::from_second(*seconds).ok(),
        Kind::String(text) if text.is_empty() => return Ok(None),
        Kind::String(text) => text.parse().ok(),
        _ => None,
    };
    let help = "expiration is a time such as 2027-01-31T12:00:00Z, or seconds since 1970";
    parsed.map(Some).ok_or_else(|| refuse(value.position, help))
}

/// Seconds, or a Go duration with days; zero is none.
fn duration(value: &Value) -> Result<Option<Duration>> {
    let parsed = match &value.kind {
        Kind::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Kind::String(text) => go_duration(text),
        _ => None,
    };
    let help = "expected a duration such as 90, \"90s\", \"15m\" or \"1h30m\"";
    let parsed = parsed.ok_or_else(|| refuse(value.position, help))?;
    Ok(Some(parsed).filter(|d| !d.is_zero()))
}

/// Seconds such as `90`, or a Go duration such as `1h30m`; also days. Empty is zero.
pub fn go_duration(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return Some(Duration::ZERO);
    }
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(
            after
                .find(|c: char| !c.is_alphabetic())
                .unwrap_or(after.len()),
        );
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}

fn string(value: &Value) -> Result<&str> {
    value
        .as_str()
        .ok_or_else(|| refuse(value.position, "expected a string in quotes"))
}

fn strings(value: &Value) -> Result<Vec<&str>> {
    items(value)?.iter().map(string).collect()
}

fn items(value: &Value) -> Result<&[Value]> {
    value
        .as_list()
        .ok_or_else(|| refuse(value.position, "expected a list: [\"a\", \"b\"]"))
}
