//! A decision with everything that led to it, for `policy test` and `why`.

use super::{
    Acl, Ask, Capability, CapabilitySet, Decision, Inferior, Matched, Pattern, Reason, parameters,
};

#[derive(Debug)]
pub struct Explanation<'a> {
    pub decision: Decision<'a>,
    /// Other rules that cover the path; the most specific first. They do not count.
    pub losers: Vec<Loser<'a>>,
    /// The parameter that the winner refuses, or misses; lower-cased.
    pub parameter: Option<String>,
    /// The smallest rule, as policy text, that would allow it when added to some
    /// policy, and takes nothing away; `None` if it is allowed, or if no added rule can help.
    pub suggestion: Option<String>,
}

/// A rule that covers the path and does not count.
#[derive(Debug)]
pub struct Loser<'a> {
    pub rule: &'a Matched,
    pub why: Inferior,
}

/// Decides as [`Acl::decide`] does, and tells the whole story. Looks at every rule.
pub fn explain<'a>(acl: &'a Acl, ask: &Ask<'_>) -> Explanation<'a> {
    let decision = acl.decide(ask);
    let parameter = match decision.reason {
        Reason::ParameterMissing | Reason::ParameterDenied | Reason::ParameterNotAllowed => {
            decision
                .winner
                .and_then(|rule| parameters::check(rule, ask.parameters))
                .map(|(_, key)| key)
        }
        _ => None,
    };
    Explanation {
        losers: losers(acl, ask, decision.winner),
        parameter,
        suggestion: suggestion(&decision, ask),
        decision,
    }
}

fn losers<'a>(acl: &'a Acl, ask: &Ask<'_>, winner: Option<&'a Matched>) -> Vec<Loser<'a>> {
    let Some(winner) = winner else {
        return Vec::new();
    };
    let directory = ask
        .path
        .strip_suffix('/')
        .filter(|_| ask.capability.lists());
    let covers = |rule: &&Matched| {
        rule.pattern.matches(ask.path) || directory.is_some_and(|path| rule.pattern.matches(path))
    };
    let best = winner.pattern.rank();
    let others = acl.rules().into_iter().rev().filter(covers);
    others
        .filter(|rule| !std::ptr::eq(winner, *rule))
        .map(|rule| Loser {
            rule,
            why: rule.pattern.rank().inferior_to(&best),
        })
        .collect()
}

fn suggestion(decision: &Decision<'_>, ask: &Ask<'_>) -> Option<String> {
    let winner = decision.winner;
    let exact = winner.is_some_and(|rule| rule.pattern.as_str() == ask.path);
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
    // A rule of its own hides the one that won so far, with what that grants.
    let kept = winner
        .filter(|rule| !exact && !rule.is_deny())
        .map_or(CapabilitySet::EMPTY, |rule| rule.capabilities);
    let mut wanted = kept.with(ask.capability);
    if ask.sudo_needed {
        wanted = wanted.with(Capability::Sudo);
    }
    let names: Vec<String> = wanted.iter().map(|c| format!("\"{c}\"")).collect();
    let path = ask.path.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!(
        "path \"{path}\" {{\n  capabilities = [{}]\n}}\n",
        names.join(", ")
    ))
}
