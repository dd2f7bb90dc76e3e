//! `{{identity.…}}` in what a role allows. A value is a piece of one name and can be nothing more: no
//! list, no wildcard, no command.

use crate::core::fault::Fault;
use crate::policy::Templates;

/// What templates say of the caller, if anything.
pub(in crate::engine) type Who<'a> = Option<&'a (dyn Templates + Send + Sync)>;

/// Characters that end or widen a name in a list, a pattern, a path, a shell or a line.
const ODD: &[char] = &[
    ',', '/', '\\', '"', '\'', '`', '*', '?', '!', '$', ';', '|', '&', '<', '>', '(', ')', '{',
    '}', '[', ']', '#', '%',
];

/// Whether a name is one name to everybody who reads it: `sshd`, shells, lists, logs.
pub(in crate::engine) fn is_plain(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || ODD.contains(&c);
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('-')
        && name != "."
        && name != ".."
        && !name.contains(odd)
}

/// Fills a text in.
///
/// # Errors
/// If the caller has no such value, or it is not plain.
pub(in crate::engine) fn fill(text: &str, who: Who<'_>, field: &str) -> Result<String, Fault> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (variable, after) = after.split_once("}}").ok_or_else(|| unclosed(field))?;
        let value = who.and_then(|who| who.resolve(variable.trim()));
        let value = value.ok_or_else(|| {
            Fault::invalid(format!(
                "{field} has a template for which the caller has no value: log in with an entity \
                 that has it"
            ))
        })?;
        if !is_plain(&value) {
            return Err(Fault::invalid(format!(
                "{field} has a template whose value for this caller is no plain name: it has a \
                 blank, comma, quote, slash, wildcard or control character"
            )));
        }
        filled.push_str(before);
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether every brace that opens is closed; says nothing about the names in between.
pub(in crate::engine) fn check(text: &str, field: &str) -> Result<(), Fault> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        rest = after.split_once("}}").ok_or_else(|| unclosed(field))?.1;
    }
    Ok(())
}

fn unclosed(field: &str) -> Fault {
    Fault::invalid(format!(
        "{field} has a template that is not closed: '{{{{' needs '}}}}'"
    ))
}

/// Whether there is something to fill in.
pub(in crate::engine) fn is_one(text: &str) -> bool {
    text.contains("{{")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    struct Ada(&'static str);

    impl Templates for Ada {
        fn resolve(&self, variable: &str) -> Option<String> {
            (variable == "identity.entity.name").then(|| self.0.to_owned())
        }
    }

    #[test]
    fn a_value_is_a_piece_of_one_name_and_never_more() {
        let text = "x-{{ identity.entity.name }}-y";
        let filled = |value| fill(text, Some(&Ada(value)), "allowed_users");
        assert_eq!(filled("ada").unwrap(), "x-ada-y");
        for odd in ["", "u1,root", "*", "a b", "a\nb", "a/b", "..", "'a", "-x"] {
            assert!(filled(odd).is_err(), "{odd:?}");
        }
        assert!(fill(text, None, "f").is_err());
        assert!(fill("{{identity.entity.id}}", Some(&Ada("ada")), "f").is_err());
        assert!(fill("{{identity", None, "f").is_err() && check("{{identity", "f").is_err());
    }
}
