//! Names and ids as they come from clients: parsed once, compared by their canonical form.

use serde::{Deserialize, Serialize};

use crate::core::fault::Fault;

/// Bytes of a name in a row's path, at most.
const ROW_MAX: usize = 240;
/// Bytes of an alias name. A row holds its hash.
const ALIAS_MAX: usize = 512;

/// The name of an entity or a group. Names that differ only by case are one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name(String);

impl Name {
    pub fn parse(text: &str) -> Result<Name, Fault> {
        let name = Name(text.to_owned());
        let odd = text.is_empty() || text != text.trim() || text.contains(char::is_control);
        if odd || name.row().len() > ROW_MAX || name.key().len() > ROW_MAX {
            return Err(Fault::invalid(
                "invalid name: use up to 240 bytes, without control characters and without blanks at its ends",
            ));
        }
        Ok(name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One part of a row's path, from which the name can be read back.
    pub fn row(&self) -> String {
        self.0.replace('%', "%25").replace('/', "%2F")
    }

    /// What two spellings of a name have in common.
    pub fn key(&self) -> String {
        Name(self.0.to_lowercase()).row()
    }

    pub fn of_row(row: &str) -> String {
        row.replace("%2F", "/").replace("%25", "%")
    }
}

/// The name of an alias, as its method spells it.
pub fn alias_name(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.len() > ALIAS_MAX || text.contains(char::is_control) {
        return Err(Fault::invalid(
            "invalid alias name: use 1 to 512 bytes without control characters",
        ));
    }
    Ok(text.to_owned())
}

/// Whether a text may be an id of ours, and so a part of a row's path.
pub fn is_id(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_survive_their_rows_and_differ_by_more_than_case() {
        for text in ["ann", "Ann Lee", "a/b", "50%", "%2F", "ünï", "a%2Fb/c"] {
            let name = Name::parse(text).unwrap();
            assert_eq!(Name::of_row(&name.row()), text);
            assert!(!name.row().contains('/'));
            assert_eq!(name.key(), Name::parse(&text.to_lowercase()).unwrap().key());
        }
        assert_ne!(
            Name::parse("a/b").unwrap().key(),
            Name::parse("a%2Fb").unwrap().key()
        );
        for odd in [
            "",
            " a",
            "a ",
            "a\n",
            "a\0b",
            &"a".repeat(241),
            &"/".repeat(81),
        ] {
            assert!(Name::parse(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn only_ids_of_ours_reach_a_row() {
        assert!(is_id("0a1b2c3d-0000-4000-8000-0123456789ab"));
        for odd in ["", "x", "0A1b2c3d-0000-4000-8000-0123456789ab", "../a"] {
            assert!(!is_id(odd));
        }
    }
}
