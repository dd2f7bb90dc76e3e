//! A policy decision with its reasons, for people: what `policy test` and `why` print.

use serde_json::Value;

/// The document of `vault_policy::document`, or that of `sys/why`, as lines.
pub(crate) fn lines(told: &Value) -> Vec<String> {
    let text = |name: &str| told[name].as_str().unwrap_or_default();
    let verdict = match told["allowed"].as_bool() {
        Some(true) => "allowed",
        _ => "denied",
    };
    let mut lines = vec![format!(
        "{verdict}: {} on {}: {}",
        text("capability"),
        text("path"),
        text("reason")
    )];
    if !text("parameter").is_empty() {
        lines.push(format!("  parameter  {}", text("parameter")));
    }
    if !told["rule"].is_null() {
        lines.push(format!("  decided by {}", rule(&told["rule"])));
        lines.extend(restrictions(&told["rule"]));
    }
    for lost in told["lost"].as_array().into_iter().flatten() {
        let why = lost["why"].as_str().unwrap_or_default();
        lines.push(format!("  outranked  {}: {why}", rule(lost)));
    }
    if !text("advice").is_empty() {
        lines.push(format!("To be allowed: {}", text("advice")));
    }
    if !text("suggestion").is_empty() {
        lines.push("The smallest rule that would allow it:".to_owned());
        lines.extend(text("suggestion").lines().map(|line| format!("  {line}")));
    }
    lines
}

/// `path "a/*" [read, list] (app line 3)`
fn rule(rule: &Value) -> String {
    if rule["hidden"] == true {
        return "a rule of a policy that you may not read".to_owned();
    }
    let from: Vec<String> = rule["from"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|source| {
            let policy = source["policy"].as_str().unwrap_or_default();
            format!("{policy} line {}", source["line"])
        })
        .collect();
    format!(
        "path {} [{}] ({})",
        rule["path"],
        words(&rule["capabilities"]),
        from.join(", ")
    )
}

fn restrictions(rule: &Value) -> Vec<String> {
    let shown = [
        "min_wrapping_ttl",
        "max_wrapping_ttl",
        "pagination_limit",
        "required_parameters",
        "allowed_parameters",
        "denied_parameters",
    ];
    shown
        .iter()
        .filter(|name| !rule[**name].is_null())
        .map(|name| format!("             {name} = {}", rule[*name]))
        .collect()
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten();
    words
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
