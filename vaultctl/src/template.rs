//! Texts with references in them: `{{ mount/path#key }}`.
//!
//! What is in braces and no reference stays as it is: other programs have templates, too.

use crate::error::{Outcome, local};
use crate::reference::Reference;

pub(crate) struct Template(Vec<Part>);

pub(crate) enum Part {
    Text(String),
    Value(Reference),
}

impl Template {
    /// `name` is for errors, which name the line.
    pub(crate) fn parse(text: &str, name: &str) -> Outcome<Template> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            let (before, from) = rest.split_at(at);
            parts.push(Part::Text(before.to_owned()));
            let Some(end) = from.find("}}") else {
                rest = from;
                break;
            };
            let (whole, after) = from.split_at(end + 2);
            let inside = whole[2..end].trim();
            parts.push(match is_reference(inside) {
                false => Part::Text(whole.to_owned()),
                true => Part::Value(inside.parse().map_err(|failure| {
                    let line = text[..text.len() - from.len()].matches('\n').count() + 1;
                    local(
                        format!("{name}, line {line}: {failure}"),
                        "write {{ MOUNT/PATH#KEY }}",
                    )
                })?),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template(parts))
    }

    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|part| match part {
            Part::Value(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }

    /// The text, with each reference's value.
    pub(crate) fn fill(
        &self,
        mut value: impl FnMut(&Reference) -> Outcome<String>,
    ) -> Outcome<zeroize::Zeroizing<String>> {
        let mut out = zeroize::Zeroizing::new(String::new());
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(reference) => out.push_str(&value(reference)?),
            }
        }
        Ok(out)
    }
}

/// One value of one secret, so that it can stand for a text.
fn is_reference(text: &str) -> bool {
    let path = text.split('#').next().unwrap_or_default();
    let plain = !path.contains(|c: char| c.is_whitespace() || "{}\"'()|".contains(c));
    Reference::is_marked(text) || (text.contains('#') && path.contains('/') && plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Option<String> {
        let template = Template::parse(text, "t").ok()?;
        let filled = template.fill(|reference| Ok(format!("<{reference}>")));
        filled.ok().map(|text| text.to_string())
    }

    #[test]
    fn references_are_filled_in_and_other_braces_stay() {
        assert_eq!(
            filled("a={{ secret/app#pw }}\nb={{vault://s/x/y#k l}}\n").as_deref(),
            Some("a=<secret/app#pw>\nb=<s/x/y#k l>\n")
        );
        for text in [
            "",
            "{{ .Values.x }}",
            "{{ a | b#c }}",
            "{{/* a/b # c */}}",
            "{{ open",
            "}} {{}}",
        ] {
            assert_eq!(filled(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_broken_reference_is_named_by_its_line() {
        let failure = Template::parse("\n{{ a//b#c }}", "t").err();
        assert!(failure.is_some_and(|f| f.to_string().starts_with("t, line 2")));
        assert!(Template::parse("{{ secret/app# }}", "t").is_err());
    }
}
