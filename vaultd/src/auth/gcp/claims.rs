//! What a token says, and whether it is for a role and a time. Errors name the claim, never its value.

use jiff::Timestamp;
use serde_json::Value;

use super::model::{Account, Instance};
use crate::jose::Claims;

/// Signs identity tokens.
const GOOGLE: &str = "https://accounts.google.com";
/// Seconds by which clocks may differ.
const SKEW: i64 = 60;
/// Seconds. No token may be good for longer.
pub(super) const EXPIRY_MAX: u64 = 3600;

/// A token's text, read.
pub(super) struct Said {
    /// An email or a unique id.
    pub subject: String,
    /// Google signs it itself, not the account.
    pub by_google: bool,
    pub account: Account,
    pub instance: Option<Instance>,
    /// Seconds since 1970.
    expires: i64,
}

impl Said {
    /// What these claims say to the role of this name, as the request spells it.
    pub(super) fn read(claims: &Claims, role: &str, now: Timestamp) -> Result<Said, String> {
        check_audience(claims, role)?;
        let expires = check_times(claims, now.as_second())?;
        let subject = text(claims, "sub").unwrap_or_default();
        if !is_account(subject) {
            return Err(
                "the sub claim is no email and no unique id of a service account".to_owned(),
            );
        }
        let by_google = text(claims, "iss") == Some(GOOGLE);
        // What an account signs itself says nothing of machines and of other names.
        let instance = by_google.then(|| instance(claims)).flatten();
        Ok(Said {
            account: account(claims, subject, by_google),
            subject: subject.to_owned(),
            by_google,
            instance,
            expires,
        })
    }

    /// Whether it ends within so many seconds.
    pub(super) fn ends_within(&self, seconds: u64, now: Timestamp) -> bool {
        let left = self.expires.saturating_sub(now.as_second());
        left <= i64::try_from(seconds).unwrap_or(i64::MAX)
    }
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

/// What may stand in the address of an account.
pub(super) fn is_account(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "@.-_+".contains(c);
    (1..=256).contains(&text.len()) && text.chars().all(known) && !text.starts_with('.')
}

/// Every audience ends in `vault/ROLE`, and there is one.
fn check_audience(claims: &Claims, role: &str) -> Result<(), String> {
    let given: Option<Vec<&str>> = match claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let end = format!("vault/{role}");
    match given {
        Some(given) if !given.is_empty() && given.iter().all(|one| one.ends_with(&end)) => Ok(()),
        _ => Err(
            "the aud claim must end in vault/ROLE, with the name of the role that is logged in to"
                .to_owned(),
        ),
    }
}

/// Whole seconds since 1970; `None` also for what is no time.
fn seconds(claims: &Claims, name: &str) -> Option<i64> {
    let number = claims.get(name)?.as_f64()?;
    // Saturates.
    (number.is_finite() && number > 0.0).then_some(number as i64)
}

/// The second at which it expires.
fn check_times(claims: &Claims, now: i64) -> Result<i64, String> {
    let expires = seconds(claims, "exp").filter(|expires| *expires >= now - SKEW);
    let expires = expires.ok_or("the token is expired, or has no exp claim")?;
    let longest = i64::try_from(EXPIRY_MAX).unwrap_or(i64::MAX);
    if expires - now > longest + SKEW {
        return Err(format!(
            "the exp claim is too far away: a token must expire within {} minutes",
            EXPIRY_MAX / 60
        ));
    }
    for name in ["nbf", "iat"] {
        if seconds(claims, name).is_some_and(|begins| begins > now + SKEW) {
            return Err(format!("the token is not valid yet: {name} claim"));
        }
    }
    Ok(expires)
}

fn account(claims: &Claims, subject: &str, by_google: bool) -> Account {
    let vouched = by_google && claims.get("email_verified") == Some(&Value::Bool(true));
    let email = match subject.contains('@') {
        true => Some(subject),
        false => text(claims, "email").filter(|email| vouched && is_account(email)),
    };
    Account {
        email: email.map(str::to_owned),
        unique_id: (!subject.contains('@')).then(|| subject.to_owned()),
        project: email.and_then(project_of),
    }
}

/// The project that an account is named after: `NAME@PROJECT.iam.gserviceaccount.com`, which nobody
/// can get outside of the project. Other forms of names have numbers, or projects of companies.
pub(super) fn project_of(email: &str) -> Option<String> {
    let (_, host) = email.split_once('@')?;
    let project = host
        .strip_suffix(".iam.gserviceaccount.com")
        .or_else(|| email.strip_suffix("@appspot.gserviceaccount.com"))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!project.is_empty() && project.chars().all(plain)).then(|| project.to_owned())
}

/// Of an identity token in its full form.
fn instance(claims: &Claims) -> Option<Instance> {
    let found = claims.get("google")?.get("compute_engine")?.clone();
    let instance: Instance = serde_json::from_value(found).ok()?;
    let there = [
        &instance.id,
        &instance.name,
        &instance.project_id,
        &instance.zone,
    ];
    there
        .iter()
        .all(|text| !text.is_empty())
        .then_some(instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_hold_their_project_tell_it() {
        for (email, project) in [
            ("ci@acme-prod.iam.gserviceaccount.com", Some("acme-prod")),
            ("acme-prod@appspot.gserviceaccount.com", Some("acme-prod")),
            ("7-compute@developer.gserviceaccount.com", None),
            ("ci@acme.example.com.iam.gserviceaccount.com", None),
            ("ci@.iam.gserviceaccount.com", None),
            ("a@b@appspot.gserviceaccount.com", None),
            ("ada@gmail.com", None),
            ("acme-prod.iam.gserviceaccount.com", None),
        ] {
            assert_eq!(project_of(email).as_deref(), project, "{email}");
        }
    }

    #[test]
    fn an_account_has_no_characters_that_lead_elsewhere() {
        for odd in ["", "../x", "a/b", "a?b", "a%2f", "a b", "ä@b", ".", "a:b"] {
            assert!(!is_account(odd), "{odd}");
        }
        assert!(is_account("ci@acme.iam.gserviceaccount.com") && is_account("1234567890"));
    }
}
