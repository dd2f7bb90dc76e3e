//! Whether a token's claims are those that a role asks for (RFC 7519, 4.1). The signature was
//! verified before. Errors name the claim, never its value.

use jiff::Timestamp;
use serde_json::Value;

use super::model::{Match, Role};
use crate::core::glob;
use crate::jose::Claims;

/// Seconds, where a role says 0.
const SKEW: f64 = 60.0;
const LEEWAY: f64 = 150.0;

/// A leeway as roles give it: 0 is the default, negative is none.
fn leeway(seconds: i64, default: f64) -> f64 {
    match seconds {
        0 => default,
        seconds if seconds < 0 => 0.0,
        seconds => seconds as f64,
    }
}

/// Seconds since 1970, possibly with a fraction.
fn date(claims: &Claims, name: &str) -> Result<Option<f64>, String> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number
            .as_f64()
            .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
            .map(Some)
            .ok_or_else(|| format!("invalid {name} claim: it is not a time")),
        Some(_) => Err(format!("invalid {name} claim: it is not a number")),
    }
}

/// Issued, valid and not expired. Of the three times at least one must be there; where the end or
/// the start is missing, the leeways say how long the token is good. Returns the first second since
/// 1970 at which it is not.
pub(super) fn check_times(claims: &Claims, role: &Role, now: Timestamp) -> Result<i64, String> {
    let now = now.as_millisecond() as f64 / 1000.0;
    let skew = leeway(role.clock_skew_leeway, SKEW);
    let (issued, begins, ends) = (
        date(claims, "iat")?,
        date(claims, "nbf")?,
        date(claims, "exp")?,
    );
    let latest = match (issued, begins) {
        (Some(issued), Some(begins)) => Some(issued.max(begins)),
        (issued, begins) => issued.or(begins),
    };
    let ends = match (ends, latest) {
        (Some(ends), _) => ends,
        (None, Some(latest)) => latest + leeway(role.expiration_leeway, LEEWAY),
        (None, None) => {
            return Err(
                "no issued at (iat), not before (nbf), or expiration time (exp) claims in token"
                    .into(),
            );
        }
    };
    let begins = begins
        .or(issued)
        .unwrap_or_else(|| ends - leeway(role.not_before_leeway, LEEWAY));
    if now > ends + skew {
        return Err("invalid expiration time (exp) claim: token is expired".into());
    }
    if now < begins - skew {
        return Err("invalid not before (nbf) claim: token not yet valid".into());
    }
    if issued.is_some_and(|issued| now < issued - skew) {
        return Err("invalid issued at (iat) claim: token issued in the future".into());
    }
    // Saturates.
    Ok((ends + skew).ceil() as i64 + 1)
}

/// Exactly the issuer, if one is expected.
pub(super) fn check_issuer(claims: &Claims, issuer: &str) -> Result<(), String> {
    match claims.get("iss").and_then(Value::as_str) {
        _ if issuer.is_empty() => Ok(()),
        Some(given) if given == issuer => Ok(()),
        _ => Err(
            "invalid issuer (iss) claim: it is not the issuer that this mount is bound to".into(),
        ),
    }
}

/// One string or a list of strings.
fn audiences(claims: &Claims) -> Result<Vec<&str>, String> {
    let odd =
        || "invalid audience (aud) claim: it is neither a string nor a list of strings".to_owned();
    match claims.get("aud") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|one| one.as_str().ok_or_else(odd));
            texts.collect()
        }
        Some(_) => Err(odd()),
    }
}

/// One of the expected audiences. A token that was made for somebody is not for a role that names
/// nobody.
pub(super) fn check_audience(claims: &Claims, expected: &[String]) -> Result<(), String> {
    let given = audiences(claims)?;
    if expected.is_empty() {
        return match given.is_empty() {
            true => Ok(()),
            false => Err("audience claim found in JWT but no audiences bound to the role: set bound_audiences".into()),
        };
    }
    match given.iter().any(|one| expected.iter().any(|other| other == one)) {
        true => Ok(()),
        false if given.is_empty() => {
            Err("invalid audience (aud) claim: expected audience of the role, got none".into())
        }
        false => Err("invalid audience (aud) claim: audience claim does not match any bound audience: expected audience of the role, got another".into()),
    }
}

/// The claim of this name, or where a JSON pointer (RFC 6901) leads, if it begins with a slash.
pub(super) fn find<'c>(claims: &'c Claims, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name).filter(|value| !value.is_null());
    };
    let mut parts = path
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"));
    let mut found = claims.get(&parts.next()?)?;
    for part in parts {
        found = match found {
            Value::Object(map) => map.get(&part)?,
            Value::Array(list) => list.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(found).filter(|value| !value.is_null())
}

fn values(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        one => std::slice::from_ref(one),
    }
}

/// The subject, and every bound claim.
pub(super) fn check_bounds(claims: &Claims, role: &Role) -> Result<(), String> {
    let subject = claims.get("sub").and_then(Value::as_str);
    if !role.bound_subject.is_empty() && subject != Some(role.bound_subject.as_str()) {
        return Err("sub claim does not match bound subject".into());
    }
    for (name, expected) in &role.bound_claims {
        let given = find(claims, name).ok_or_else(|| format!("claim {name:?} is missing"))?;
        let pair = |given: &Value, expected: &Value| match (role.bound_claims_type, given, expected)
        {
            (Match::Glob, Value::String(given), Value::String(expected)) => {
                glob::matches(expected, given)
            }
            (Match::Glob, ..) => false,
            (Match::String, ..) => given == expected,
        };
        let any = values(given).iter().any(|given| {
            values(expected)
                .iter()
                .any(|expected| pair(given, expected))
        });
        if !any {
            return Err(format!(
                "claim {name:?} does not match any associated bound claim values"
            ));
        }
    }
    Ok(())
}

/// What a login is known by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub alias: String,
    pub groups: Vec<String>,
    pub metadata: std::collections::BTreeMap<String, String>,
}

/// The person that the claims tell of, and what the role passes on about him.
pub(super) fn person(claims: &Claims, role: &Role) -> Result<Person, String> {
    let user = match role.user_claim_json_pointer {
        true => find(claims, &role.user_claim),
        false => claims.get(&role.user_claim),
    };
    let alias = match user {
        None | Some(Value::Null) => {
            return Err(format!("claim {:?} not found in token", role.user_claim));
        }
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 512 => text.clone(),
        Some(_) => {
            return Err(format!(
                "claim {:?} could not be converted to string: it is no text of 1 to 512 bytes",
                role.user_claim
            ));
        }
    };
    let mut metadata = std::collections::BTreeMap::new();
    for (claim, key) in &role.claim_mappings {
        match find(claims, claim) {
            None => {}
            Some(Value::String(text)) => drop(metadata.insert(key.clone(), text.clone())),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => {
                metadata.insert(key.clone(), value.to_string());
            }
            Some(_) => return Err(format!("error converting claim {claim:?} to string")),
        }
    }
    Ok(Person {
        alias,
        groups: groups(claims, &role.groups_claim)?,
        metadata,
    })
}

fn groups(claims: &Claims, name: &str) -> Result<Vec<String>, String> {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let found = find(claims, name).ok_or_else(|| format!("{name:?} claim not found in token"))?;
    let texts = values(found)
        .iter()
        .map(|group| group.as_str().map(str::to_owned));
    let groups: Option<Vec<String>> = texts.collect();
    groups.ok_or_else(|| format!("{name:?} claim could not be converted to string list"))
}
