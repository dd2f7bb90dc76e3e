//! References to a secret or to one of its values: `[vault://]mount/path[#key]`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::{Failure, Outcome, local};

const SCHEME: &str = "vault://";

/// A path below some mount, and maybe one key there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Mount and path, no slash at either end.
    pub(crate) path: String,
    pub(crate) key: Option<String>,
}

impl Reference {
    /// Whether a text claims to be a reference.
    pub(crate) fn is_marked(text: &str) -> bool {
        text.starts_with(SCHEME)
    }
}

impl Reference {
    /// The value of the key that it names.
    pub(crate) fn value_in<'a>(&self, data: &'a Map<String, Value>) -> Outcome<&'a Value> {
        let key = self.key.as_deref().unwrap_or_default();
        data.get(key).ok_or_else(|| {
            let keys: Vec<_> = data.keys().map(String::as_str).collect();
            local(
                format!("{} has no key {key}", self.path),
                format!("it has: {}", keys.join(", ")),
            )
        })
    }
}

impl FromStr for Reference {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let bad = |why: &str| {
            local(
                format!("this is not a reference: {why}"),
                "write MOUNT/PATH or MOUNT/PATH#KEY",
            )
        };
        let rest = text.strip_prefix(SCHEME).unwrap_or(text);
        let (path, key) = match rest.split_once('#') {
            Some((_, "")) => return Err(bad("nothing follows the #")),
            Some((path, key)) => (path, Some(key.to_owned())),
            None => (rest, None),
        };
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Err(bad("the path is empty"));
        }
        if path.chars().any(char::is_control) {
            return Err(bad("the path holds a control character"));
        }
        if path
            .split('/')
            .any(|s| s.is_empty() || s == "." || s == "..")
        {
            return Err(bad("the path holds an empty part, . or .."));
        }
        Ok(Self {
            path: path.to_owned(),
            key,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        self.key.iter().try_for_each(|key| write!(f, "#{key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Option<String>)> {
        text.parse::<Reference>().ok().map(|r| (r.path, r.key))
    }

    #[test]
    fn scheme_and_outer_slashes_are_optional() {
        let want = Some(("secret/app".to_owned(), Some("password".to_owned())));
        assert_eq!(parsed("secret/app#password"), want);
        assert_eq!(parsed("vault://secret/app#password"), want);
        assert_eq!(parsed("/secret/app/#password"), want);
    }

    #[test]
    fn a_key_may_hold_slashes_and_further_hashes() {
        assert_eq!(
            parsed("a/b#c/d#e"),
            Some(("a/b".into(), Some("c/d#e".into())))
        );
    }

    #[test]
    fn empty_dotted_and_control_paths_are_refused() {
        for text in [
            "",
            "#k",
            "a/b#",
            "vault://",
            "a//b",
            "a/../b",
            "./a",
            "a/\u{1b}[2J",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    #[test]
    fn dots_inside_a_name_are_legal() {
        assert_eq!(parsed("a/...").map(|r| r.0), Some("a/...".into()));
        assert_eq!(parsed("a/user..x").map(|r| r.0), Some("a/user..x".into()));
    }
}
