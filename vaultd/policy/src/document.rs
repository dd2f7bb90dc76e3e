//! An explanation as one JSON object: what `vaultctl policy test`, `vaultctl why` and `sys/why` show.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Ask, CapabilitySet, Explanation, Limit, Matched, PolicyName, Reason, Source};

/// Everything that may be told. `visible` says which policies the reader may see; a rule that
/// only others made is `{"hidden": true}`.
pub fn document(
    told: &Explanation<'_>,
    ask: &Ask<'_>,
    visible: &dyn Fn(&PolicyName) -> bool,
) -> Map<String, Value> {
    let decision = &told.decision;
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            map.insert(name.to_owned(), value);
        }
    };
    put("path", ask.path.into());
    put("capability", ask.capability.as_str().into());
    put("allowed", decision.allowed.into());
    put("reason", decision.reason.to_string().into());
    put("missing", json!(decision.missing.map(|c| c.as_str())));
    put("parameter", json!(told.parameter));
    let shown = |rule: &Matched| show(rule, visible);
    put("rule", decision.winner.map_or(Value::Null, shown));
    put("advice", json!(advice(told, ask)));
    let lost = told.losers.iter().map(|loser| {
        let mut rule = show(loser.rule, visible);
        rule["why"] = loser.why.to_string().into();
        rule
    });
    put("lost", lost.collect::<Vec<_>>().into());
    put("suggestion", json!(told.suggestion));
    map
}

fn show(rule: &Matched, visible: &dyn Fn(&PolicyName) -> bool) -> Value {
    let sources: Vec<&Source> = rule
        .sources
        .iter()
        .filter(|source| visible(&source.policy))
        .collect();
    if sources.is_empty() {
        return json!({"hidden": true});
    }
    let all = sources.iter().fold(CapabilitySet::EMPTY, |all, source| {
        all.union(source.capabilities)
    });
    let from: Vec<Value> = sources
        .iter()
        .map(|source| {
            json!({
                "policy": source.policy.as_str(),
                "line": source.position.line,
                "capabilities": names(source.capabilities),
            })
        })
        .collect();
    let mut shown = json!({
        "path": rule.pattern.as_str(),
        "capabilities": names(all),
        "from": from,
    });
    if sources.len() == rule.sources.len() {
        restrictions(rule, &mut shown);
    }
    shown
}

fn restrictions(rule: &Matched, shown: &mut Value) {
    let seconds = |ttl: Duration| ttl.as_secs();
    if let Some(ttl) = rule.min_wrapping_ttl {
        shown["min_wrapping_ttl"] = seconds(ttl).into();
    }
    if let Some(ttl) = rule.max_wrapping_ttl {
        shown["max_wrapping_ttl"] = seconds(ttl).into();
    }
    if let Some(limit) = rule.pagination_limit {
        shown["pagination_limit"] = limit.into();
    }
    if !rule.required.is_empty() {
        shown["required_parameters"] = json!(rule.required);
    }
    if !rule.allowed.is_empty() {
        shown["allowed_parameters"] = json!(rule.allowed);
    }
    if !rule.denied.is_empty() {
        shown["denied_parameters"] = json!(rule.denied);
    }
}

fn names(set: CapabilitySet) -> Vec<&'static str> {
    set.iter().map(|c| c.as_str()).collect()
}

/// What to ask for instead, where no new rule is needed.
fn advice(told: &Explanation<'_>, ask: &Ask<'_>) -> Option<String> {
    let parameter = told.parameter.as_deref().unwrap_or_default();
    Some(match told.decision.reason {
        Reason::WrapTtl => {
            let bound = |word: &str, ttl: Option<Duration>| {
                ttl.map(|ttl| format!(" {word} {}s", ttl.as_secs()))
                    .unwrap_or_default()
            };
            let (min, max) = told.decision.wrap_bounds();
            format!(
                "ask for a wrapped answer (X-Vault-Wrap-TTL) of{}{}",
                bound("at least", min),
                bound("at most", max)
            )
        }
        Reason::ParameterMissing => format!("send the parameter {parameter:?}"),
        Reason::ParameterDenied => format!("leave the parameter {parameter:?} out"),
        Reason::ParameterNotAllowed => {
            format!("leave the parameter {parameter:?} out, or give it an allowed value")
        }
        Reason::Limit => {
            let most = told.decision.winner.and_then(|rule| rule.pagination_limit);
            let limit = most.map_or(String::new(), |most| format!(" of at most {most}"));
            let asked = match ask.limit {
                Limit::Absent => "send",
                _ => "lower it: send",
            };
            format!("{asked} a limit{limit}")
        }
        _ => return None,
    })
}
