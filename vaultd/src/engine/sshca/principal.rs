//! For whom a certificate is: never nobody in particular.

use serde_json::Value;
use vault_ssh::Subject;

use super::name;
use super::role::Role;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::engine::template::{self, Who};

const MOST: usize = 256;

/// The principals that are asked for, or the role's default user. All are allowed by the role.
pub(super) fn chosen(
    body: &Body,
    role: &Role,
    subject: Subject,
    who: Who<'_>,
) -> Result<Vec<String>, Fault> {
    let default = match subject {
        Subject::User => default_user(role, who)?,
        Subject::Host => None,
    };
    let mut names = split(body)?;
    if names.is_empty() {
        names.extend(default.clone());
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(Fault::invalid(
            "empty valid_principals: name the users or hosts that the certificate is for; one \
             without would be good for all of them",
        ));
    }
    if names.len() > MOST {
        return Err(Fault::invalid("valid_principals has more than 256 names"));
    }
    let allowed = allowed(role, subject, who)?;
    for name in &names {
        let fits = match subject {
            Subject::User => {
                name::user(name, "valid_principals")?;
                default.as_ref() == Some(name) || allowed == ["*"] || allowed.contains(name)
            }
            Subject::Host => {
                name::host(name, "valid_principals")?;
                allowed == ["*"] || allowed.iter().any(|domain| covers(role, domain, name))
            }
        };
        if !fits {
            return Err(Fault::invalid(
                "valid_principals has one that the role does not allow: see its allowed_users, or \
                 its allowed_domains with allow_bare_domains and allow_subdomains",
            ));
        }
    }
    Ok(names)
}

/// A list, or a text with commas. Blanks around a name are cut off; a line end is no blank.
fn split(body: &Body) -> Result<Vec<String>, Fault> {
    let controls = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.chars().any(char::is_control)
    };
    let odd = match body.value("valid_principals") {
        Some(Value::Array(values)) => values.iter().any(controls),
        Some(value) => controls(&value),
        None => false,
    };
    match odd {
        true => Err(Fault::invalid(
            "valid_principals has a line end or another control character",
        )),
        false => Ok(body.list("valid_principals")?.unwrap_or_default()),
    }
}

fn default_user(role: &Role, who: Who<'_>) -> Result<Option<String>, Fault> {
    match role.default_user.as_str() {
        "" => Ok(None),
        text if role.default_user_template => Ok(Some(template::fill(text, who, "default_user")?)),
        text => Ok(Some(text.to_owned())),
    }
}

fn allowed(role: &Role, subject: Subject, who: Who<'_>) -> Result<Vec<String>, Fault> {
    let (list, templated, field) = match subject {
        Subject::User => (
            &role.allowed_users,
            role.allowed_users_template,
            "allowed_users",
        ),
        Subject::Host => {
            let templated = role.allowed_domains_template;
            (&role.allowed_domains, templated, "allowed_domains")
        }
    };
    if !templated {
        return Ok(list.clone());
    }
    list.iter()
        .map(|text| template::fill(text, who, field))
        .collect()
}

fn covers(role: &Role, domain: &str, name: &str) -> bool {
    let below = || {
        name.strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    (role.allow_bare_domains && name == domain) || (role.allow_subdomains && below())
}
