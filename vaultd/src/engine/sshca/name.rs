//! Names of roles and issuers, and of users and hosts: what may stand in a certificate.

use std::net::IpAddr;

use crate::core::fault::Fault;
use crate::core::name;
use crate::engine::template::is_plain;

/// 1 to 128 letters, digits, `_`, `-` and `.`, with a letter, digit or `_` at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn parse(text: &str, what: &str) -> Result<Name, Fault> {
        Ok(Name(name::check(text, what)?.to_owned()))
    }

    pub(super) fn role_row(&self) -> String {
        format!("roles/{}", self.0)
    }
}

/// The name of a user, which `field` holds.
pub(super) fn user(name: &str, field: &str) -> Result<(), Fault> {
    match is_plain(name) {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "{field} holds a name that is none: names of users have 1 to 255 characters, do not begin \
             with '-', and have no blanks, control characters, slashes, commas, quotes or wildcards"
        ))),
    }
}

/// The name or address of a host.
pub(super) fn host(name: &str, field: &str) -> Result<(), Fault> {
    let label = |label: &str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.bytes().all(word) && !label.starts_with('-')
    };
    let is_name = name.len() <= 253 && name.split('.').all(label);
    match is_name || name.parse::<IpAddr>().is_ok() {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "{field} holds something that is neither the name nor the address of a host; wildcards \
             are not signed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_more_than_a_name_are_refused() {
        for good in [
            "ada", "ada.b", "ops@corp", "zone:web", "x=y", "ada_1", "Ünal", "a..b",
        ] {
            assert!(user(good, "x").is_ok(), "{good}");
        }
        for odd in [
            "",
            ".",
            "..",
            "../root",
            "a/b",
            "ada,root",
            "ada root",
            "ada\n",
            "-oProxyCommand=x",
            "*",
            "ad?",
            "!ada",
            "ada\0",
            "$(id)",
            "`id`",
            "a;b",
            "a\"",
            "a'",
            "\u{85}",
            "{{x}}",
        ] {
            assert!(user(odd, "x").is_err(), "{odd:?}");
        }
        for good in ["db1.example.com", "10.0.0.1", "::1", "localhost"] {
            assert!(host(good, "x").is_ok(), "{good}");
        }
        for odd in [
            "",
            "*.example.com",
            "a..b",
            "a,b",
            "a b",
            "-a.b",
            "a/b",
            "a.",
            "a\n",
        ] {
            assert!(host(odd, "x").is_err(), "{odd:?}");
        }
    }
}
