//! Route tables: every operation is a row, and the router, the help texts, OpenAPI and the
//! "nobody gets in" test are made from the same rows.

use super::request::Verb;

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A token whose policies allow the path.
    Token,
    /// That, and the `sudo` capability.
    Sudo,
    /// A valid token; no policy is asked.
    AnyToken,
    /// No token, or a valid one; no policy is asked.
    Anyone,
    /// No token: logins and public keys.
    Open,
    /// No token, and it answers while sealed.
    Sealed,
}

/// One operation. `C` names it inside its engine.
#[derive(Clone, Copy)]
pub struct Row<C: 'static> {
    pub verb: Verb,
    /// Segments: literal, `{name}` for one, `{name..}` for one or more, `{name..?}` for any number;
    /// literals may follow `{name..}`.
    pub pattern: &'static str,
    pub access: Access,
    pub call: C,
    /// Fields of the body or query that the operation knows, separated by spaces; `*` takes any.
    pub fields: &'static str,
    /// True if a write to something that does not exist is a `create`, not an `update`.
    pub creates: bool,
    /// One line for people.
    pub about: &'static str,
}

impl<C> Row<C> {
    pub const fn new(
        verb: Verb,
        pattern: &'static str,
        call: C,
        fields: &'static str,
        about: &'static str,
    ) -> Row<C> {
        Row {
            verb,
            pattern,
            access: Access::Token,
            call,
            fields,
            creates: false,
            about,
        }
    }

    pub const fn access(self, access: Access) -> Row<C>
    where
        C: Copy,
    {
        Row {
            access,
            verb: self.verb,
            pattern: self.pattern,
            call: self.call,
            fields: self.fields,
            creates: self.creates,
            about: self.about,
        }
    }

    pub const fn creates(self) -> Row<C>
    where
        C: Copy,
    {
        Row {
            creates: true,
            verb: self.verb,
            pattern: self.pattern,
            access: self.access,
            call: self.call,
            fields: self.fields,
            about: self.about,
        }
    }

    pub fn knows(&self, field: &str) -> bool {
        self.fields == "*" || self.fields.split(' ').any(|name| name == field)
    }
}

/// What the braces of a pattern matched, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    found: Vec<(&'static str, String)>,
}

impl Params {
    /// The text that matched `{name}`; empty if the pattern has no such name.
    pub fn get(&self, name: &str) -> &str {
        self.found
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, text)| text)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.found.iter().map(|(name, _)| *name)
    }
}

/// The outcome of looking a path up in a table.
pub enum Found<'t, C: 'static> {
    Row(&'t Row<C>, Params),
    /// The path exists with other verbs.
    OtherVerb,
    Nothing,
}

/// First row, in table order, that has the verb and matches the path. `path` has no trailing slash.
pub fn find<'t, C>(rows: &'t [Row<C>], verb: Verb, path: &str) -> Found<'t, C> {
    let mut other_verb = false;
    for row in rows {
        if let Some(params) = matches(row.pattern, path) {
            if row.verb == verb {
                return Found::Row(row, params);
            }
            other_verb = true;
        }
    }
    if other_verb {
        Found::OtherVerb
    } else {
        Found::Nothing
    }
}

/// What the pattern's names stand for in this path, if it matches.
pub fn matches(pattern: &'static str, path: &str) -> Option<Params> {
    let mut params = Params::default();
    let mut rest = Some(path).filter(|path| !path.is_empty());
    let mut parts = pattern.split('/').filter(|part| !part.is_empty());
    while let Some(part) = parts.next() {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        match name {
            Some(name) if name.contains("..") => {
                let tail: Vec<&str> = parts.collect();
                let found = match (rest, tail.is_empty()) {
                    (Some(rest), true) => rest,
                    (Some(rest), false) => rest.strip_suffix(&tail.join("/"))?.strip_suffix('/')?,
                    (None, _) if name.ends_with('?') && tail.is_empty() => "",
                    (None, _) => return None,
                };
                params.found.push((
                    name.trim_end_matches('?').trim_end_matches('.'),
                    found.to_owned(),
                ));
                return Some(params);
            }
            _ => {
                let (segment, after) = split_first(rest?);
                match name {
                    Some(name) => params.found.push((name, segment.to_owned())),
                    None if part == segment => {}
                    None => return None,
                }
                rest = after;
            }
        }
    }
    rest.is_none().then_some(params)
}

fn split_first(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(
            matches("data/{path..}", "data/a/b").unwrap().get("path"),
            "a/b"
        );
        assert!(matches("data/{path..}", "data").is_none());
        assert_eq!(
            matches("metadata/{path..?}", "metadata")
                .unwrap()
                .get("path"),
            ""
        );
        assert_eq!(matches("{path..?}", "").unwrap().get("path"), "");
        let params = matches("role/{name}/secret-id", "role/a/secret-id").unwrap();
        assert_eq!(params.get("name"), "a");
        assert!(matches("role/{name}", "role/a/b").is_none());
        assert!(matches("role/{name}", "role").is_none());
        assert!(matches("config", "config/x").is_none());
        assert_eq!(
            matches("mounts/{path..}/tune", "mounts/a/b/tune")
                .unwrap()
                .get("path"),
            "a/b"
        );
        assert!(matches("mounts/{path..}/tune", "mounts/tune").is_none());
    }

    #[test]
    fn the_first_row_with_the_verb_wins() {
        const ROWS: &[Row<u8>] = &[
            Row::new(Verb::Write, "role/tidy", 1, "", ""),
            Row::new(Verb::Write, "role/{name}", 2, "a b", ""),
            Row::new(Verb::Read, "role/{name}", 3, "*", ""),
        ];
        let call = |verb, path| match find(ROWS, verb, path) {
            Found::Row(row, _) => row.call,
            Found::OtherVerb => 10,
            Found::Nothing => 20,
        };
        assert_eq!(call(Verb::Write, "role/tidy"), 1);
        assert_eq!(call(Verb::Write, "role/x"), 2);
        assert_eq!(call(Verb::Read, "role/tidy"), 3);
        assert_eq!(call(Verb::Delete, "role/x"), 10);
        assert_eq!(call(Verb::Read, "role"), 20);
        assert!(ROWS[1].knows("b") && !ROWS[1].knows("c") && ROWS[2].knows("c"));
    }
}
