//! Names of users and groups, in one spelling each.

use crate::core::fault::Fault;

/// A user's name: 1 to 128 printable ASCII characters but `/`, without blanks at the ends or two in a
/// row. Directories take other spellings for the same name (RFC 4518), and a lockout or an entity would
/// take them for another: they are refused. Folded to lower case unless case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserName(String);

impl UserName {
    pub(super) fn parse(text: &str, case_counts: bool) -> Result<UserName, Fault> {
        let printable = text
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'/');
        if !printable || !is_plain(text) {
            return Err(Fault::invalid(
                "invalid user name: use 1 to 128 printable ASCII characters but '/', without blanks at the ends or two in a row",
            ));
        }
        Ok(UserName(match case_counts {
            true => text.to_owned(),
            false => text.to_ascii_lowercase(),
        }))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn row(&self) -> String {
        format!("user/{}", self.0)
    }
}

/// A group's name: like a user's, with all of Unicode but control characters.
pub(super) struct GroupName(String);

impl GroupName {
    pub(super) fn parse(text: &str, case_counts: bool) -> Result<GroupName, Fault> {
        let odd = |c: char| c.is_control() || c == '/';
        if text.contains(odd) || !is_plain(text) {
            return Err(Fault::invalid(
                "invalid group name: use 1 to 128 bytes without '/' and control characters, without blanks at the ends or two in a row",
            ));
        }
        Ok(GroupName(match case_counts {
            true => text.to_owned(),
            false => text.to_lowercase(),
        }))
    }

    pub(super) fn row(&self) -> String {
        format!("group/{}", self.0)
    }
}

fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.trim() == text
        && !text.contains("  ")
        && !matches!(text, "." | "..")
}

/// The first common name in a distinguished name (RFC 4514), or the text itself if it has none:
/// groups may be told by either.
pub(super) fn common_name(text: &str) -> String {
    parts(text)
        .and_then(|parts| {
            let mut parts = parts.into_iter();
            parts.find(|(kind, _)| kind.eq_ignore_ascii_case("cn"))
        })
        .map_or_else(|| text.to_owned(), |(_, value)| value)
}

/// Attribute types and values; `None` if it is no distinguished name.
fn parts(text: &str) -> Option<Vec<(String, String)>> {
    let mut parts = Vec::new();
    let mut current = Vec::new();
    let mut kind = None;
    let mut bytes = text.bytes();
    let unescaped = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    while let Some(byte) = bytes.next() {
        match (byte, &kind) {
            (b'\\', _) => {
                let first = bytes.next()?;
                if first.is_ascii_hexdigit() {
                    let pair = [first, bytes.next()?];
                    current.extend(hex::decode(pair).ok()?);
                } else {
                    current.push(first);
                }
            }
            (b'=', None) => kind = Some(unescaped(&std::mem::take(&mut current))?),
            (b',' | b'+', _) => {
                let value = unescaped(&std::mem::take(&mut current))?;
                parts.push((kind.take()?.trim().to_owned(), value));
            }
            _ => current.push(byte),
        }
    }
    parts.push((kind?.trim().to_owned(), unescaped(&current)?));
    Some(parts)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_user_has_one_spelling() {
        let name = UserName::parse("Ann.O'Neil (X), *", false).unwrap();
        assert_eq!(name.as_str(), "ann.o'neil (x), *");
        assert_eq!(UserName::parse("Ann", true).unwrap().as_str(), "Ann");
        for odd in [
            "",
            " a",
            "a ",
            "a  b",
            "a\tb",
            "a\0",
            "a/b",
            "ａnn",
            "é",
            "..",
            &"a".repeat(129),
        ] {
            assert!(UserName::parse(odd, false).is_err(), "{odd:?}");
        }
        assert!(GroupName::parse("Domänen-Admins", false).is_ok());
        assert!(GroupName::parse("a/b", false).is_err());
    }

    #[test]
    fn groups_are_told_by_common_names_or_whole_names() {
        for (text, name) in [
            ("ops", "ops"),
            ("cn=ops,ou=groups,dc=example", "ops"),
            ("CN=Domain Admins,CN=Users,DC=example", "Domain Admins"),
            ("ou=x+cn=ops,dc=example", "ops"),
            ("cn=a\\,b\\2bc,dc=example", "a,b+c"),
            ("ou=groups,dc=example", "ou=groups,dc=example"),
            ("a=b", "a=b"),
            ("x,cn=admins", "x,cn=admins"),
            ("x\\,cn=admins", "x\\,cn=admins"),
            ("cn=a\\", "cn=a\\"),
            ("", ""),
        ] {
            assert_eq!(common_name(text), name, "{text}");
        }
    }
}
