//! The compiled rules against a matcher that is written straight from the
//! description of the language: texts, no tree, no shared code.

use std::cmp::Reverse;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use Capability::{List, Read, Sudo, Update};

type Written = (String, Vec<&'static str>);

fn covers(pattern: &str, path: &str) -> bool {
    let glob = pattern.ends_with('*');
    let pattern: Vec<&str> = pattern
        .strip_suffix('*')
        .unwrap_or(pattern)
        .split('/')
        .collect();
    let path: Vec<&str> = path.split('/').collect();
    if pattern.len() > path.len() || (!glob && pattern.len() != path.len()) {
        return false;
    }
    pattern
        .iter()
        .zip(&path)
        .enumerate()
        .all(|(i, (want, have))| {
            let last = glob && i == pattern.len() - 1;
            *want == "+" || want == have || (last && have.starts_with(want))
        })
}

fn wild(pattern: &str) -> bool {
    pattern.ends_with('*') || pattern.split('/').any(|s| s == "+")
}

fn precedence(pattern: &str) -> impl Ord {
    let bare = pattern.strip_suffix('*').unwrap_or(pattern).to_owned();
    let pluses = bare.split('/').filter(|s| *s == "+").count();
    let before: usize = bare
        .split('/')
        .take_while(|s| *s != "+")
        .map(|s| s.len() + 1)
        .sum();
    let first = if pluses > 0 { before } else { bare.len() };
    (
        first,
        !pattern.ends_with('*'),
        Reverse(pluses),
        bare.len(),
        bare,
    )
}

fn best<'a>(rules: &'a [Written], path: &str) -> Option<&'a str> {
    let covering = rules.iter().filter(|(p, _)| wild(p) && covers(p, path));
    covering
        .map(|(p, _)| p.as_str())
        .max_by_key(|p| precedence(p))
}

/// All that is said about one path text; deny alone if it is among it.
fn said(rules: &[Written], pattern: &str) -> Vec<&'static str> {
    let same = rules.iter().filter(|(p, _)| p == pattern);
    let mut all: Vec<_> = same.flat_map(|(_, c)| c.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    if all.contains(&"deny") {
        vec!["deny"]
    } else {
        all
    }
}

fn expected(rules: &[Written], path: &str, lists: bool) -> Option<String> {
    let known = |path: &str| rules.iter().any(|(p, _)| !wild(p) && p == path);
    let short = path.strip_suffix('/').filter(|_| lists);
    if known(path) {
        return Some(path.to_owned());
    }
    if let Some(short) = short.filter(|p| known(p)) {
        return Some(short.to_owned());
    }
    let full = best(rules, path);
    let short = short.and_then(|p| best(rules, p));
    let winner = match (full, short) {
        (Some(full), Some(short))
            if said(rules, short) == ["deny"] && precedence(short) > precedence(full) =>
        {
            Some(short)
        }
        (Some(full), _) => Some(full),
        (None, short) => short,
    };
    winner.map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "+", "a+", "*", ""]);
    let segments = prop::collection::vec(segment, 1..5);
    (segments, any::<bool>()).prop_map(|(s, star)| {
        let text = s.join("/") + if star { "*" } else { "" };
        text.trim_start_matches('/').replace("+*", "+/*")
    })
}

fn rules() -> impl Strategy<Value = Vec<Written>> {
    let capability = prop::sample::select(vec!["read", "list", "update", "sudo", "deny"]);
    prop::collection::vec((pattern(), prop::collection::vec(capability, 1..3)), 0..10)
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "abc", "a+", "+", "*", "c"]);
    (prop::collection::vec(segment, 0..5), any::<bool>())
        .prop_map(|(s, slash)| s.join("/") + if slash { "/" } else { "" })
        .prop_map(|p| p.trim_start_matches('/').to_owned())
}

fn compiled(rules: &[Written]) -> Acl {
    // Two policies, so that merging is met as well.
    let block = |(path, capabilities): &Written| {
        format!("path \"{path}\" {{ capabilities = {capabilities:?} }}\n")
    };
    let (left, right) = rules.split_at(rules.len() / 2);
    let text = |rules: &[Written]| rules.iter().map(block).collect::<String>();
    acl_of(&[&text(left), &text(right)])
}

/// One variable, `who`.
struct Who(&'static str);

impl Templates for Who {
    fn resolve(&self, variable: &str) -> Option<String> {
        (variable == "who").then(|| self.0.to_owned())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_rules_agree_with_the_naive_ones(rules in rules(), path in path()) {
        let acl = compiled(&rules);
        for capability in [Read, List, Update] {
            let winner = expected(&rules, &path, capability == List);
            let decision = acl.decide(&Ask::new(&path, capability));
            let ours = decision.winner.map(|w| w.pattern.as_str().to_owned());
            prop_assert_eq!(&ours, &winner, "{} {}", capability, path);
            let granted = winner.as_ref().map(|w| said(&rules, w)).unwrap_or_default();
            prop_assert_eq!(decision.allowed, granted.contains(&capability.as_str()));
            let sudo = acl.decide(&Ask { sudo_needed: true, ..Ask::new(&path, capability) });
            prop_assert_eq!(sudo.allowed, decision.allowed && granted.contains(&Sudo.as_str()));
        }
        let listed = expected(&rules, &path, true).map(|w| said(&rules, &w)).unwrap_or_default();
        let listed = if listed.is_empty() { vec!["deny"] } else { listed };
        prop_assert_eq!(acl.capabilities(&path).iter().map(Capability::as_str).collect::<Vec<_>>(), listed);
    }

    /// Shared rules with a caller's own on top decide as all of them compiled at once.
    #[test]
    fn personal_rules_agree_with_those_compiled_at_once(
        rules in prop::collection::vec((rules(), any::<bool>()), 1..4),
        path in path(),
    ) {
        let policies: Vec<Policy> = rules.iter().zip(0..).map(|((rules, templated), number)| {
            let text: String = rules.iter().map(|(path, capabilities)| {
                let variable = |segment| if *templated && segment == "a" { "{{who}}" } else { segment };
                let path = path.split('/').map(variable).collect::<Vec<_>>().join("/");
                format!("path \"{path}\" {{ capabilities = {capabilities:?} }}\n")
            }).collect();
            Policy::parse(&format!("p{number}").parse().unwrap(), &text).unwrap()
        }).collect();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let whole = Acl::compile(policies.iter(), &Who("a"), now);
        let base = Arc::new(Acl::compile(policies.iter(), &NoTemplates, now));
        let personal = Acl::personal(&base, policies.iter(), &Who("a"), now);
        for capability in [Read, List, Update] {
            let ask = Ask::new(&path, capability);
            let (ours, theirs) = (personal.decide(&ask), whole.decide(&ask));
            prop_assert_eq!(ours.allowed, theirs.allowed, "{} {}", capability, path);
            prop_assert_eq!(ours.winner.map(|w| w.pattern.as_str()), theirs.winner.map(|w| w.pattern.as_str()));
        }
        prop_assert_eq!(personal.capabilities(&path), whole.capabilities(&path));
        prop_assert_eq!(personal.any_under(&path), whole.any_under(&path));
        let texts = |acl: &Acl| acl.rules().iter().map(|r| (r.pattern.to_string(), r.capabilities)).collect::<Vec<_>>();
        prop_assert_eq!(texts(&personal), texts(&whole));
        let nobody = Acl::personal(&base, policies.iter(), &NoTemplates, now);
        prop_assert!(Arc::ptr_eq(&nobody, &base));
    }

    #[test]
    fn a_suggestion_allows_what_was_refused(rules in rules(), path in path(), sudo in any::<bool>()) {
        let ask = Ask { sudo_needed: sudo, ..Ask::new(&path, Read) };
        let acl = compiled(&rules);
        if let Some(suggestion) = explain(&acl, &ask).suggestion {
            let text: String = rules.iter().map(|(p, c)| format!("path \"{p}\" {{ capabilities = {c:?} }}\n")).collect();
            prop_assert!(acl_of(&[&text, &suggestion]).decide(&ask).allowed);
        }
    }

    #[test]
    fn whatever_is_granted_below_a_mount_makes_it_visible(rules in rules(), path in path()) {
        let acl = compiled(&rules);
        if acl.decide(&Ask::new(&path, Read)).allowed {
            for (i, _) in path.match_indices('/') {
                prop_assert!(acl.any_under(&path[..=i]), "{} of {}", &path[..=i], path);
            }
        }
    }
}

#[test]
fn the_comparison_catches_a_planted_error() {
    let rules = vec![
        ("a/*".to_owned(), vec!["deny"]),
        ("a/+".to_owned(), vec!["read"]),
    ];
    let wrong = rules
        .iter()
        .filter(|(p, _)| covers(p, "a/b"))
        .max_by_key(|(p, _)| Reverse(precedence(p)));
    assert_eq!(wrong.unwrap().0, "a/*");
    assert_eq!(expected(&rules, "a/b", false).unwrap(), "a/+");
}
