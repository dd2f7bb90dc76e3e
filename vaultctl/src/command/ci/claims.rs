//! A token's claims beside what a role asks of them, as the server compares them.

use serde_json::{Map, Value};

/// Seconds that clocks may differ, where a role says 0; longer lives without an end.
const SKEW: f64 = 60.0;

/// One claim.
pub(super) struct Finding {
    pub(super) claim: String,
    pub(super) has: String,
    pub(super) wanted: String,
    pub(super) fits: bool,
}

/// What the mount and the role ask for.
pub(super) struct Asks<'a> {
    pub(super) issuer: &'a str,
    pub(super) role: &'a Value,
}

fn texts(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(missing)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let items: Vec<_> = list.iter().map(|item| shown(Some(item))).collect();
            items.join(" or ")
        }
        Some(other) => other.to_string(),
    }
}

/// By name, or where a JSON pointer (RFC 6901) leads.
fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name).filter(|value| !value.is_null());
    };
    let (first, rest) = path
        .split_once('/')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let found = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    match rest {
        None => Some(found),
        Some(rest) => found.pointer(&format!("/{rest}")),
    }
}

/// Every claim that decides, in the order in which the server looks at them.
pub(super) fn compare(claims: &Map<String, Value>, asks: &Asks<'_>, now: f64) -> Vec<Finding> {
    let role = asks.role;
    let mut findings = Vec::new();
    let mut add = |claim: &str, has: Option<&Value>, wanted: String, fits| {
        findings.push(Finding {
            claim: claim.to_owned(),
            has: shown(has),
            wanted,
            fits,
        });
    };
    let given = |name: &str| claims.get(name).filter(|value| !value.is_null());
    if !asks.issuer.is_empty() {
        let fits = given("iss").and_then(Value::as_str) == Some(asks.issuer);
        add("iss", given("iss"), asks.issuer.to_owned(), fits);
    }
    let skew = match role["clock_skew_leeway"].as_f64() {
        Some(seconds) if seconds < 0.0 => 0.0,
        Some(seconds) if seconds > 0.0 => seconds,
        _ => SKEW,
    };
    for (name, fits) in [
        (
            "exp",
            (|at, now, skew| now <= at + skew) as fn(f64, f64, f64) -> bool,
        ),
        ("nbf", |at, now, skew| now >= at - skew),
        ("iat", |at, now, skew| now >= at - skew),
    ] {
        if let Some(value) = given(name) {
            let fits = value.as_f64().is_some_and(|at| fits(at, now, skew));
            let when = value
                .as_f64()
                .map_or("not a number".to_owned(), |at| ago(at, now));
            let wanted = if name == "exp" {
                "not over"
            } else {
                "not in the future"
            };
            add(name, Some(&Value::String(when)), wanted.to_owned(), fits);
        }
    }
    let audiences = &role["bound_audiences"];
    let bound = texts(audiences);
    let fits = match bound.is_empty() {
        true => given("aud").is_none(),
        false => given("aud").is_some_and(|aud| texts(aud).iter().any(|one| bound.contains(one))),
    };
    let wanted = match bound.is_empty() {
        true => "(none: the role has no bound_audiences)".to_owned(),
        false => shown(Some(audiences)),
    };
    add("aud", given("aud"), wanted, fits);
    if let Some(subject) = role["bound_subject"]
        .as_str()
        .filter(|text| !text.is_empty())
    {
        let fits = given("sub").and_then(Value::as_str) == Some(subject);
        add("sub", given("sub"), subject.to_owned(), fits);
    }
    let glob = role["bound_claims_type"] == "glob";
    for (name, wanted) in role["bound_claims"].as_object().into_iter().flatten() {
        let found = find(claims, name);
        let pair = |has: &Value, wanted: &Value| match (has.as_str(), wanted.as_str()) {
            (Some(has), Some(wanted)) if glob => matches(wanted, has),
            _ => !glob && has == wanted,
        };
        let fits = found.is_some_and(|found| {
            let has = texts(found);
            has.iter()
                .any(|has| texts(wanted).iter().any(|wanted| pair(has, wanted)))
        });
        add(name, found, shown(Some(wanted)), fits);
    }
    let user = role["user_claim"].as_str().unwrap_or_default();
    let found = find(claims, user);
    let fits = found
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    add(user, found, "a text: the login's name".to_owned(), fits);
    findings
}

fn ago(at: f64, now: f64) -> String {
    let seconds = (now - at).abs().round();
    match now >= at {
        true => format!("{seconds} s ago"),
        false => format!("in {seconds} s"),
    }
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(claims: Value, role: Value) -> Vec<String> {
        let claims = claims.as_object().cloned().unwrap_or_default();
        let asks = Asks {
            issuer: "https://i",
            role: &role,
        };
        let findings = compare(&claims, &asks, 1000.0);
        let wrong = findings.into_iter().filter(|finding| !finding.fits);
        wrong.map(|finding| finding.claim).collect()
    }

    #[test]
    fn each_claim_is_compared_as_the_server_does() {
        let role = json!({
            "bound_audiences": ["v", "w"], "user_claim": "id", "bound_claims_type": "string",
            "bound_claims": {"id": ["7", "8"], "/a/b": true},
        });
        let good = json!({
            "iss": "https://i", "aud": "w", "exp": 1100, "nbf": 990, "id": "7", "a": {"b": true},
        });
        assert!(wrong(good.clone(), role.clone()).is_empty());
        for (claim, value, expected) in [
            ("iss", json!("https://j"), "iss"),
            ("aud", json!(["x"]), "aud"),
            ("exp", json!(900), "exp"),
            ("exp", json!("1100"), "exp"),
            ("nbf", json!(1100), "nbf"),
            ("a", json!({"b": "true"}), "/a/b"),
            ("a", json!(null), "/a/b"),
        ] {
            let mut bad = good.clone();
            bad[claim] = value;
            assert_eq!(wrong(bad, role.clone()), [expected]);
        }
    }

    #[test]
    fn globs_match_texts_only() {
        let role = json!({
            "bound_audiences": [], "user_claim": "sub", "bound_claims_type": "glob",
            "bound_claims": {"ref": "refs/heads/*-x*"},
        });
        let claims = |name: Value| json!({"iss": "https://i", "sub": "s", "ref": name});
        assert!(wrong(claims(json!("refs/heads/a-x")), role.clone()).is_empty());
        assert_eq!(wrong(claims(json!("refs/heads/a")), role.clone()), ["ref"]);
        assert_eq!(wrong(claims(json!(7)), role), ["ref"]);
    }
}
