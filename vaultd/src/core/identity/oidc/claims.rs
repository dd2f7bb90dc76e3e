//! Templates of claims: JSON with `{{…}}` where a value of the entity goes. Values are put in as JSON,
//! quoted, so none can become anything else.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::membership::Membership;
use super::super::model::Entity;
use super::super::variables::Variables;
use crate::core::body::parse_seconds;
use crate::core::fault::Fault;
use crate::policy::Templates as _;

/// Whom the claims are about, and when.
pub struct Subject<'a> {
    pub entity: &'a Entity,
    pub groups: &'a Membership,
    pub now: Timestamp,
}

/// Claims that no template may set.
const RESERVED: [&str; 11] = [
    "iat",
    "aud",
    "exp",
    "iss",
    "sub",
    "nbf",
    "jti",
    "namespace",
    "nonce",
    "at_hash",
    "c_hash",
];

/// Fills a template in. Empty is no claims.
///
/// # Errors
/// `Invalid` if the outcome is no JSON object, or sets a reserved claim.
pub fn fill(template: &str, subject: &Subject<'_>) -> Result<Map<String, Value>, Fault> {
    let wrong = |what: &str| Fault::invalid(format!("error parsing template: {what}"));
    if template.trim().is_empty() {
        return Ok(Map::new());
    }
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, from)) = rest.split_once("{{") {
        let (variable, after) = from
            .split_once("}}")
            .ok_or_else(|| wrong("a {{ without its }}"))?;
        let value = subject
            .value(variable.trim())
            .ok_or_else(|| wrong("it holds a variable that does not exist"))?;
        text.push_str(before);
        text.push_str(&value.to_string());
        rest = after;
    }
    text.push_str(rest);
    let claims: Map<String, Value> =
        serde_json::from_str(&text).map_err(|_| wrong("it is no JSON object once filled in"))?;
    match RESERVED.iter().find(|name| claims.contains_key(**name)) {
        Some(name) => Err(wrong(&format!("top level key {name:?} not allowed"))),
        None => Ok(claims),
    }
}

/// Whether a template is well-formed, whoever it is filled in for.
pub fn check(template: &str, ctx: &crate::core::context::Ctx<'_>) -> Result<(), Fault> {
    let name = super::super::name::Name::parse("nobody")?;
    let entity = Entity::new(name, ctx.random, ctx.now());
    let subject = Subject {
        entity: &entity,
        groups: &Membership::default(),
        now: ctx.now(),
    };
    fill(template, &subject).map(drop)
}

impl Subject<'_> {
    /// `None` if there is no such variable; what this entity lacks is empty.
    fn value(&self, variable: &str) -> Option<Value> {
        if let Some(rest) = variable.strip_prefix("time.now") {
            return time(self.now.as_second(), rest);
        }
        let rest = variable.strip_prefix("identity.")?;
        match rest {
            "entity.metadata" => return Some(json!(self.entity.metadata)),
            "entity.groups.ids" => {
                let ids: Vec<_> = self.groups.all().map(|group| &group.id).collect();
                return Some(json!(ids));
            }
            "entity.groups.names" => {
                let names: Vec<_> = self.groups.all().map(|group| &group.name).collect();
                return Some(json!(names));
            }
            _ => {}
        }
        if let Some((accessor, field)) = rest
            .strip_prefix("entity.aliases.")
            .and_then(|rest| rest.split_once('.'))
        {
            let alias = self.entity.alias_of(accessor);
            match field {
                "metadata" => {
                    return Some(json!(alias.map(|a| a.metadata.clone()).unwrap_or_default()));
                }
                "custom_metadata" => {
                    return Some(json!(
                        alias.map(|a| a.custom_metadata.clone()).unwrap_or_default()
                    ));
                }
                _ => {}
            }
        }
        let plain = rest.starts_with("groups.") || rest == "entity.id" || rest == "entity.name";
        let nested = ["entity.metadata.", "entity.aliases."];
        if !plain && !nested.iter().any(|prefix| rest.starts_with(prefix)) {
            return None;
        }
        let variables = Variables {
            entity: self.entity,
            groups: self.groups.all().collect(),
        };
        Some(json!(variables.resolve(variable).unwrap_or_default()))
    }
}

/// `time.now`, `time.now.plus.1h`, `time.now.minus.30s`: seconds since 1970.
fn time(now: i64, rest: &str) -> Option<Value> {
    let seconds = |text: &str| i64::try_from(parse_seconds(text)?).ok();
    let at = match (rest.strip_prefix(".plus."), rest.strip_prefix(".minus.")) {
        (Some(text), _) => now.checked_add(seconds(text)?)?,
        (_, Some(text)) => now.checked_sub(seconds(text)?)?,
        _ if rest.is_empty() => now,
        _ => return None,
    };
    Some(json!(at))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::super::super::name::Name;
    use super::*;
    use vault_crypto::Seeded;

    #[test]
    fn values_are_put_in_as_json() {
        let name = Name::parse("a\",\"sub\":\"root").unwrap();
        let mut entity = Entity::new(name, &Seeded::new(1), Timestamp::UNIX_EPOCH);
        entity.metadata.insert("k".into(), "}\\".into());
        let subject = Subject {
            entity: &entity,
            groups: &Membership::default(),
            now: Timestamp::UNIX_EPOCH,
        };
        let template = r#"{"name": {{identity.entity.name}}, "own": {"meta": {{ identity.entity.metadata }},
            "k": {{identity.entity.metadata.k}}, "none": {{identity.entity.metadata.none}},
            "groups": {{identity.entity.groups.names}}, "a": {{identity.entity.aliases.x.metadata}},
            "at": {{time.now.plus.1m}}}}"#;
        let claims = Value::Object(fill(template, &subject).unwrap());
        let expected = json!({"name": "a\",\"sub\":\"root", "own": {"meta": {"k": "}\\"}, "k": "}\\",
            "none": "", "groups": [], "a": {}, "at": 60}});
        assert_eq!(claims, expected);
        for odd in [
            "[]",
            "{",
            "{{",
            "{\"a\": {{identity.entity}}}",
            "{\"a\": {{x}}}",
            "{\"sub\": \"x\"}",
            "{\"a\": {{time.now.plus.x}}}",
            "{\"iss\": {{identity.entity.id}}}",
            "{{identity.entity.metadata}} x",
        ] {
            assert!(fill(odd, &subject).is_err(), "{odd}");
        }
        assert!(fill(" ", &subject).unwrap().is_empty());
    }
}
