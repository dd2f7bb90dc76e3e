//! A decision with everything that led to it, for `policy test` and `why`.

use super::{Acl, Ask, Capability, Decision, Matched, Pattern, Reason};

#[derive(Debug)]
pub struct Explanation<'a> {
    pub decision: Decision<'a>,
    /// Other rules that cover the path; the most specific first. They do not count.
    pub losers: Vec<&'a Matched>,
    /// The smallest rule, as policy text, that would allow it when added to some
    /// policy; `None` if it is allowed, or if no added rule can help.
    pub suggestion: Option<String>,
}

/// Decides as [`Acl::decide`] does, and tells the whole story. Looks at every rule.
pub fn explain<'a>(acl: &'a Acl, ask: &Ask<'_>) -> Explanation<'a> {
    let decision = acl.decide(ask);
    let directory = ask
        .path
        .strip_suffix('/')
        .filter(|_| ask.capability.lists());
    let covers = |rule: &&Matched| {
        rule.pattern.matches(ask.path) || directory.is_some_and(|path| rule.pattern.matches(path))
    };
    let lost = |rule: &&Matched| !decision.winner.is_some_and(|w| std::ptr::eq(w, *rule));
    Explanation {
        losers: acl
            .rules()
            .iter()
            .rev()
            .filter(covers)
            .filter(lost)
            .collect(),
        suggestion: suggestion(&decision, ask),
        decision,
    }
}

fn suggestion(decision: &Decision<'_>, ask: &Ask<'_>) -> Option<String> {
    let exact = decision
        .winner
        .is_some_and(|rule| rule.pattern.as_str() == ask.path);
    let helps = match decision.reason {
        Reason::NoRule | Reason::MissingCapability | Reason::SudoNeeded => true,
        // A deny of the very path stays, whatever is added.
        Reason::Deny => !exact && ask.capability != Capability::Deny,
        _ => false,
    };
    // A path with a `+` segment or a final `*` would be read as a wildcard.
    let literal = Pattern::parse(ask.path).is_ok_and(|p| p.is_exact() && p.as_str() == ask.path);
    if !helps || !literal {
        return None;
    }
    let sudo = if ask.sudo_needed { ", \"sudo\"" } else { "" };
    let path = ask.path.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!(
        "path \"{path}\" {{\n  capabilities = [\"{}\"{sudo}]\n}}\n",
        ask.capability
    ))
}
