//! Each rule of the policy language, one table or case each.

use std::time::Duration;

use serde_json::json;

use super::*;
use Capability::{Create, Delete, Deny, List, Patch, Read, Scan, Sudo, Update};

/// One rule for each path; the value is its only capability.
fn grants(rules: &[(&str, &str)]) -> Acl {
    let blocks = rules.iter().map(|(path, capability)| {
        format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}\n")
    });
    acl(&blocks.collect::<String>())
}

fn winner(acl: &Acl, path: &str, capability: Capability) -> String {
    let decision = acl.decide(&Ask::new(path, capability));
    decision
        .winner
        .map_or(String::new(), |rule| rule.pattern.to_string())
}

#[test]
fn patterns_cover_what_they_say() {
    for (pattern, covered, uncovered) in [
        ("a/b", &["a/b"][..], &["a", "a/b/", "a/b/c", "a/bc"][..]),
        ("/a/b", &["a/b"], &["/a/b"]),
        ("a/*", &["a/", "a/b", "a/b/c"], &["a", "ab"]),
        ("a/b*", &["a/b", "a/bc", "a/b/c"], &["a/", "a/c"]),
        ("*", &["", "a", "a/b"], &[]),
        ("a/*/c", &["a/*/c"], &["a/b/c"]),
        ("a*b", &["a*b"], &["axb"]),
        ("+", &["a", ""], &["a/b"]),
        ("+/b", &["a/b"], &["b", "a/a/b"]),
        ("a/+/c", &["a/b/c"], &["a/c", "a/b/b/c", "a/b/c/"]),
        ("a/+", &["a/b", "a/"], &["a", "a/b/c"]),
        ("a/+/*", &["a/b/", "a/b/c/d"], &["a/b", "a/"]),
        ("a/+/b*", &["a/x/b", "a/x/bc/d"], &["a/x/c", "a/x"]),
        ("a/x+/b", &["a/x+/b"], &["a/xy/b"]),
        ("a/{x}", &["a/{x}"], &["a/x"]),
    ] {
        let pattern = Pattern::parse(pattern).unwrap();
        for path in covered {
            assert!(pattern.matches(path), "{pattern} should cover {path}");
        }
        for path in uncovered {
            assert!(!pattern.matches(path), "{pattern} should not cover {path}");
        }
    }
}

#[test]
fn the_most_specific_rule_wins() {
    for (better, worse, path) in [
        // exact
        ("a/b", "a/b*", "a/b"),
        ("a/b", "a/+", "a/b"),
        // later first wildcard
        ("a/b*", "a/*", "a/bc"),
        ("a/b*", "a/+", "a/bc"),
        ("a/b/+/d", "a/+/c/d", "a/b/c/d"),
        ("a/b/*", "a/+/c", "a/b/c"),
        // whole before glob
        ("a/+", "a/*", "a/b"),
        ("a/+/c", "a/+/c*", "a/b/c"),
        ("a/+/+", "a/+/c*", "a/b/c"),
        // fewer +
        ("a/+/c/d", "a/+/+/d", "a/b/c/d"),
        ("a/+/c*", "a/+/+/d*", "a/b/c/d"),
        // longer
        ("a/+/cd*", "a/+/c*", "a/b/cd"),
        // lexicographically greater
        ("a/+/c/+", "a/+/+/d", "a/b/c/d"),
    ] {
        let acl = acl_of(&[
            &format!("path \"{worse}\" {{ capabilities = [\"list\"] }}"),
            &format!("path \"{better}\" {{ capabilities = [\"read\"] }}"),
        ]);
        assert_eq!(winner(&acl, path, Read), better, "{better} over {worse}");
        assert!(may(&acl, path, Read));
        assert!(
            !may(&acl, path, Create),
            "capabilities of losers must not count"
        );
        assert!(!acl.decide(&Ask::new(path, Update)).allowed);
    }
}

#[test]
fn a_glob_below_a_directory_does_not_grant_the_directory() {
    let acl = grants(&[("secret/foo/*", "read")]);
    assert!(!may(&acl, "secret/foo", Read));
    assert!(may(&acl, "secret/foo/", Read));
}

#[test]
fn list_is_looked_up_in_four_steps() {
    // 1 and 2: exact rules, with the slash first.
    let acl = grants(&[
        ("a/", "list"),
        ("a", "deny"),
        ("b", "list"),
        ("b/*", "deny"),
    ]);
    assert!(may(&acl, "a/", List));
    assert!(may(&acl, "b/", List));
    assert!(!may(&acl, "a", List));
    // 3: wildcards see the full path.
    let acl = grants(&[("a*", "list"), ("a/*", "deny")]);
    assert!(!may(&acl, "a/", List));
    assert!(may(&acl, "a", List));
    // 4: without the slash, only if nothing covers the full path.
    let acl = grants(&[("x/+", "list")]);
    assert!(may(&acl, "x/y/", List));
    assert!(may(&acl, "x/y/", List) && !may(&acl, "x/y/", Scan));
    let acl = grants(&[("x/+", "list"), ("x/*", "deny")]);
    assert!(!may(&acl, "x/y/", List));
    // Only LIST and SCAN do any of this.
    let acl = grants(&[("a", "read")]);
    assert!(!may(&acl, "a/", Read));
}

#[test]
fn a_trailing_slash_does_not_dodge_a_deny() {
    let acl = acl(include_str!("../../testdata/deny-private.hcl"));
    for (path, allowed) in [
        ("foo/", false),
        ("foo/metadata/", true),
        ("foo/metadata/open/", true),
        ("foo/metadata/private", true),
        ("foo/metadata/private/", false),
        ("foo/metadata/private/x/", false),
        ("foo/metadata/private/granted/", true),
        ("foo/metadata/private/granted/x/", true),
    ] {
        assert_eq!(may(&acl, path, List), allowed, "{path}");
    }
    // The deny names the directory without its slash.
    for deny in [
        "foo/+/private",
        "foo/metadata/private",
        "+/metadata/private",
    ] {
        let acl = grants(&[("*", "list"), ("f*", "list"), (deny, "deny")]);
        let expected = deny.starts_with('+');
        assert_eq!(may(&acl, "foo/metadata/private/", List), expected, "{deny}");
    }
}

#[test]
fn deny_beats_the_same_path_only() {
    let allow = "path \"a/*\" { capabilities = [\"read\", \"sudo\"] }";
    let deny = "path \"/a/*\" { capabilities = [\"deny\", \"read\"] }";
    for order in [[allow, deny], [deny, allow]] {
        let acl = acl_of(&order);
        let decision = acl.decide(&Ask::new("a/b", Read));
        assert_eq!((decision.allowed, decision.reason), (false, Reason::Deny));
        assert_eq!(acl.capabilities("a/b"), CapabilitySet::DENY);
        assert_eq!(decision.winner.unwrap().capabilities, CapabilitySet::DENY);
    }
    let acl = grants(&[("a/*", "deny"), ("a/b", "read")]);
    assert!(may(&acl, "a/b", Read));
    assert!(!may(&acl, "a/c", Read));
}

#[test]
fn the_same_path_adds_up_over_policies() {
    let acl = acl_of(&[
        "path \"a\" { capabilities = [\"read\"] pagination_limit = 9 min_wrapping_ttl = 5 max_wrapping_ttl = 90 }",
        "path \"a\" { capabilities = [\"list\"] pagination_limit = 4 min_wrapping_ttl = 7 max_wrapping_ttl = 30 }",
    ]);
    let rule = acl.decide(&Ask::new("a", Read)).winner.unwrap();
    assert_eq!(rule.capabilities, CapabilitySet::from_iter([Read, List]));
    assert_eq!(rule.pagination_limit, Some(4));
    assert_eq!(rule.min_wrapping_ttl, Some(Duration::from_secs(5)));
    assert_eq!(rule.max_wrapping_ttl, Some(Duration::from_secs(30)));
    let granting = |c| rule.granting(c).map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (granting(Read), granting(List)),
        (vec!["p0".to_owned()], vec!["p1".to_owned()])
    );
}

#[test]
fn old_style_policies_are_capabilities() {
    let acl = acl(include_str!("../../testdata/legacy.hcl"));
    let set = |path: &str| acl.capabilities(path);
    assert_eq!(
        set("secret/a/x"),
        CapabilitySet::from_iter([Create, Read, Update, Delete, List])
    );
    assert_eq!(set("secret/b"), CapabilitySet::from_iter([Read, List]));
    assert_eq!(
        set("secret/c"),
        CapabilitySet::from_iter([Create, Read, Update, Delete, List, Sudo])
    );
    assert_eq!(set("secret/d/x"), CapabilitySet::DENY);
}

#[test]
fn sudo_is_needed_in_addition() {
    let acl = grants(&[("sys/raw/*", "read")]);
    let ask = Ask {
        sudo_needed: true,
        ..Ask::new("sys/raw/x", Read)
    };
    let decision = acl.decide(&ask);
    assert_eq!(
        (decision.reason, decision.missing),
        (Reason::SudoNeeded, Some(Sudo))
    );
    let only = grants(&[("sys/raw/*", "sudo")]);
    assert_eq!(only.decide(&ask).reason, Reason::MissingCapability);
    let both = super::acl("path \"sys/raw/*\" { capabilities = [\"read\", \"sudo\"] }");
    assert!(both.decide(&ask).allowed);
}

#[test]
fn root_is_a_way_to_compile_and_not_a_name() {
    let root = Acl::root();
    assert!(root.is_root() && may(&root, "sys/raw/x", Delete) && root.any_under("x/"));
    assert_eq!(root.decide(&Ask::new("x", Read)).reason, Reason::Root);
    let named = Policy::parse(&PolicyName::root(), "").unwrap();
    let acl = Acl::compile([named].iter(), &NoTemplates, now());
    assert!(!acl.is_root() && !may(&acl, "x", Read));
}

#[test]
fn capabilities_are_looked_up_as_list_does() {
    let acl = grants(&[
        ("a/b", "read"),
        ("c/+", "list"),
        ("d", "deny"),
        ("e", "sudo"),
    ]);
    assert_eq!(acl.capabilities("a/b/"), CapabilitySet::from_iter([Read]));
    assert_eq!(acl.capabilities("c/x/"), CapabilitySet::from_iter([List]));
    assert_eq!(acl.capabilities("d"), CapabilitySet::DENY);
    assert_eq!(acl.capabilities("unknown"), CapabilitySet::DENY);
    let all =
        super::acl("path \"a\" { capabilities = [\"update\", \"sudo\", \"read\", \"create\"] }");
    let names = all
        .capabilities("a")
        .iter()
        .map(Capability::as_str)
        .collect::<Vec<_>>();
    assert_eq!(names, ["create", "read", "sudo", "update"]);
    let empty = super::acl("path \"a\" { capabilities = [] }");
    assert_eq!(empty.capabilities("a"), CapabilitySet::DENY);
}

#[test]
fn parameters_follow_the_rule() {
    let text =
        |fields: &str| format!("path \"a\" {{ capabilities = [\"create\", \"delete\"] {fields} }}");
    let reason = |fields: &str, body: serde_json::Value| {
        let acl = acl(&text(fields));
        let ask = Ask {
            parameters: Some(body.as_object().unwrap()),
            ..Ask::new("a", Create)
        };
        acl.decide(&ask).reason
    };
    use Reason::{Granted, ParameterDenied, ParameterMissing, ParameterNotAllowed};
    for (fields, body, expected) in [
        ("", json!({"x": 1}), Granted),
        ("allowed_parameters = { x = [] }", json!({"X": 1}), Granted),
        (
            "allowed_parameters = { x = [] }",
            json!({"y": 1}),
            ParameterNotAllowed,
        ),
        ("allowed_parameters = { x = [] }", json!({}), Granted),
        (
            "allowed_parameters = { X = [\"a\", \"b*\"] }",
            json!({"x": "bc"}),
            Granted,
        ),
        (
            "allowed_parameters = { x = [\"a\", \"b*\"] }",
            json!({"x": "c"}),
            ParameterNotAllowed,
        ),
        (
            "allowed_parameters = { x = [\"*b\"] }",
            json!({"x": "ab"}),
            Granted,
        ),
        (
            "allowed_parameters = { x = [\"*b*\"] }",
            json!({"x": "abc"}),
            Granted,
        ),
        (
            "allowed_parameters = { x = [5, true] }",
            json!({"x": 5}),
            Granted,
        ),
        (
            "allowed_parameters = { x = [5, true] }",
            json!({"x": "5"}),
            ParameterNotAllowed,
        ),
        (
            "allowed_parameters = { \"*\" = [] }",
            json!({"y": 1}),
            Granted,
        ),
        (
            "allowed_parameters = { x = [1], \"*\" = [] }",
            json!({"y": 1, "x": 2}),
            ParameterNotAllowed,
        ),
        (
            "denied_parameters = { x = [] }",
            json!({"X": 1}),
            ParameterDenied,
        ),
        ("denied_parameters = { x = [] }", json!({"y": 1}), Granted),
        (
            "denied_parameters = { x = [\"a*\"] }",
            json!({"x": "b"}),
            Granted,
        ),
        (
            "denied_parameters = { x = [\"a*\"] }",
            json!({"x": "ab"}),
            ParameterDenied,
        ),
        (
            "denied_parameters = { x = [5] }",
            json!({"x": "5"}),
            ParameterDenied,
        ),
        (
            "denied_parameters = { x = [\"*\"] }",
            json!({"x": 1}),
            ParameterDenied,
        ),
        (
            "denied_parameters = { \"*\" = [] }",
            json!({"y": 1}),
            ParameterDenied,
        ),
        ("denied_parameters = { \"*\" = [] }", json!({}), Granted),
        (
            "denied_parameters = { x = [] } allowed_parameters = { x = [] }",
            json!({"x": 1}),
            ParameterDenied,
        ),
        ("required_parameters = [\"X\"]", json!({"x": null}), Granted),
        (
            "required_parameters = [\"x\"]",
            json!({"y": 1}),
            ParameterMissing,
        ),
    ] {
        assert_eq!(reason(fields, body.clone()), expected, "{fields} {body}");
    }
    let acl = acl(&text(
        "required_parameters = [\"x\"] denied_parameters = { \"*\" = [] }",
    ));
    assert!(
        may(&acl, "a", Delete),
        "a delete has no parameters to check"
    );
    assert_eq!(acl.decide(&Ask::new("a", Create)).reason, ParameterMissing);
}

#[test]
fn two_spellings_of_a_key_are_both_checked() {
    let acl = acl("path \"a\" { capabilities = [\"create\"] allowed_parameters = { x = [1] } }");
    let body = json!({"x": 1, "X": 2});
    let ask = Ask {
        parameters: body.as_object().map(|b| b as _),
        ..Ask::new("a", Create)
    };
    assert!(!acl.decide(&ask).allowed);
}

#[test]
fn parameters_of_the_same_path_add_up() {
    let one = "path \"a\" { capabilities = [\"update\"] allowed_parameters = { x = [1], y = [1] } required_parameters = [\"x\"] }";
    let two = "path \"a\" { capabilities = [\"update\"] allowed_parameters = { x = [2], y = [] } required_parameters = [\"y\"] }";
    for order in [[one, two], [two, one]] {
        let acl = acl_of(&order);
        let allowed = |body: serde_json::Value| {
            let ask = Ask {
                parameters: Some(body.as_object().unwrap()),
                ..Ask::new("a", Update)
            };
            acl.decide(&ask).allowed
        };
        assert!(allowed(json!({"x": 1, "y": 9})));
        assert!(allowed(json!({"x": 2, "y": 9})));
        assert!(!allowed(json!({"x": 3, "y": 9})));
        assert!(!allowed(json!({"x": 1})) && !allowed(json!({"y": 1})));
        assert!(!allowed(json!({"x": 1, "y": 1, "z": 1})));
    }
}

#[test]
fn wrapping_bounds_hold() {
    let ttl = |min: &str, max: &str, asked: Option<u64>| {
        let acl = acl(&format!(
            "path \"a\" {{ capabilities = [\"read\"] {min} {max} }}"
        ));
        let wrap_ttl = asked.map(Duration::from_secs);
        acl.decide(&Ask {
            wrap_ttl,
            ..Ask::new("a", Read)
        })
        .allowed
    };
    let (min, max) = ("min_wrapping_ttl = \"1m\"", "max_wrapping_ttl = 300");
    assert!(ttl("", "", None) && ttl("", "", Some(1)));
    assert!(!ttl(min, max, None) && !ttl(min, "", None) && !ttl("", max, None));
    assert!(!ttl(min, max, Some(59)) && ttl(min, max, Some(60)));
    assert!(ttl(min, max, Some(300)) && !ttl(min, max, Some(301)));
    assert!(ttl("min_wrapping_ttl = 0", "", None));
    // Bounds that exclude each other after merging allow nothing.
    let acl = acl_of(&[
        "path \"a\" { capabilities = [\"read\"] min_wrapping_ttl = 100 }",
        "path \"a\" { capabilities = [\"read\"] max_wrapping_ttl = 50 }",
    ]);
    let ask = Ask {
        wrap_ttl: Some(Duration::from_secs(70)),
        ..Ask::new("a", Read)
    };
    assert_eq!(acl.decide(&ask).reason, Reason::WrapTtl);
}

#[test]
fn listings_are_limited() {
    let limited = |extra: &str, limit: Limit| {
        let acl = acl(&format!(
            "path \"a/\" {{ capabilities = [\"list\"] pagination_limit = 10 {extra} }}"
        ));
        let decision = acl.decide(&Ask {
            limit,
            ..Ask::new("a/", List)
        });
        decision.allowed.then_some(decision.pagination_limit)
    };
    assert_eq!(limited("", Limit::Absent), Some(Some(10)));
    assert_eq!(
        limited("required_parameters = [\"Limit\"]", Limit::Absent),
        None
    );
    assert_eq!(
        limited("required_parameters = [\"limit\"]", Limit::Max),
        Some(Some(10))
    );
    assert_eq!(limited("", Limit::Number(0)), Some(Some(10)));
    assert_eq!(limited("", Limit::Number(3)), Some(Some(3)));
    assert_eq!(limited("", Limit::Number(11)), None);
    assert_eq!(limited("", Limit::Number(-1)), None);
    assert_eq!(limited("", Limit::Unreadable), None);
    let free = grants(&[("a/", "list")]);
    let decision = free.decide(&Ask {
        limit: Limit::Number(9999),
        ..Ask::new("a/", List)
    });
    assert!(decision.allowed && decision.pagination_limit.is_none());
}

#[test]
fn expired_rules_say_nothing() {
    let policy = policy(
        "path \"a\" { capabilities = [\"deny\"] expiration = \"2027-01-01T00:00:00Z\" }
        path \"*\" { capabilities = [\"read\"] }",
    );
    let at = |time: &str| Acl::compile([&policy].into_iter(), &NoTemplates, time.parse().unwrap());
    let before = at("2026-12-31T23:59:59Z");
    assert!(!may(&before, "a", Read));
    assert_eq!(
        before.valid_until(),
        Some("2027-01-01T00:00:00Z".parse().unwrap())
    );
    let after = at("2027-01-01T00:00:00Z");
    assert!(may(&after, "a", Read) && after.valid_until().is_none());
}

#[test]
fn what_cannot_be_enforced_is_not_granted() {
    for (field, reason, listing) in [
        (
            "control_group = { factor \"x\" { identity { approvals = 1 } } }",
            Reason::ApprovalNeeded,
            false,
        ),
        (
            "mfa_methods = [\"totp\"]",
            Reason::SecondFactorNeeded,
            false,
        ),
        (
            "list_scan_response_keys_filter_path = \"a/{{.key}}\"",
            Reason::ListFilterNeeded,
            true,
        ),
    ] {
        let acl = acl(&format!(
            "path \"a/*\" {{ capabilities = [\"read\", \"list\"] {field} }}"
        ));
        assert_eq!(acl.decide(&Ask::new("a/", List)).reason, reason);
        assert_eq!(acl.decide(&Ask::new("a/b", Read)).allowed, listing);
    }
}

#[test]
fn templates_fill_one_segment_or_drop_the_rule() {
    let policies = [policy(include_str!("../../testdata/templated.hcl"))];
    let with = |vars: &[(&str, &str)]| Acl::compile(policies.iter(), &Vars(vars), now());
    let acl = with(&[
        ("identity.entity.id", "e1"),
        ("identity.groups.names.dev ops.id", "g1"),
    ]);
    assert!(may(&acl, "secret/data/e1/x", Patch));
    assert!(may(&acl, "secret/data/g1/shared", Read));
    assert_eq!(
        acl.rules().len(),
        2,
        "a rule whose variable is unknown is left out"
    );
    let acl = with(&[("identity.entity.metadata.team", "red")]);
    assert!(may(&acl, "secret/data/team-red/x", Read) && !may(&acl, "secret/data/team-blue", Read));
}

#[test]
fn a_template_value_never_widens_a_rule() {
    let policies = [policy(
        "path \"secret/data/{{identity.entity.metadata.scope}}/*\" { capabilities = [\"read\"] }
        path \"x/.{{identity.entity.metadata.scope}}\" { capabilities = [\"read\"] }",
    )];
    for value in [
        "a/b",
        "..",
        ".",
        "+",
        "*",
        "x*",
        "",
        "a%2fb",
        "a\\u002fb",
        "a\u{2f}b",
        "{{x}}",
        "a\0",
        "a\n",
    ] {
        let acl = Acl::compile(
            policies.iter(),
            &Vars(&[("identity.entity.metadata.scope", value)]),
            now(),
        );
        assert!(acl.rules().is_empty(), "{value:?}");
        assert!(!may(&acl, "secret/data/a/b/x", Read) && !acl.any_under("secret/"));
    }
    for value in ["a", "ann@example.com", "a b", "...", "user..aaa"] {
        let acl = Acl::compile(
            policies.iter(),
            &Vars(&[("identity.entity.metadata.scope", value)]),
            now(),
        );
        assert!(
            may(&acl, &format!("secret/data/{value}/x"), Read),
            "{value:?}"
        );
    }
}

#[test]
fn any_under_sees_every_sort_of_rule() {
    for (rule, mounts, others) in [
        (
            "kv/data/x",
            &["kv/", "kv/data/"][..],
            &["k/", "kvx/", "kv/data/x/y/"][..],
        ),
        ("kv/*", &["kv/", "kv/sub/"], &["other/"]),
        ("k*", &["kv/"], &["other/"]),
        ("*", &["kv/", "a/b/"], &[]),
        ("+/data/x", &["kv/", "kv/data/"], &["kv/other/"]),
        (
            "team/+/kv/*",
            &["team/red/kv/", "team/red/"],
            &["team/red/pki/", "other/"],
        ),
        ("+/a*", &["kv/", "kv/ab/"], &["kv/b/"]),
        ("kv", &["kv/"], &["kv/x/"]),
    ] {
        let acl = grants(&[(rule, "read")]);
        for mount in mounts {
            assert!(acl.any_under(mount), "{rule} reaches {mount}");
        }
        for mount in others {
            assert!(!acl.any_under(mount), "{rule} does not reach {mount}");
        }
        assert!(!grants(&[(rule, "deny")]).any_under(mounts[0]));
    }
}

#[test]
fn explain_names_losers_and_the_smallest_rule() {
    let acl = grants(&[
        ("*", "list"),
        ("a/*", "read"),
        ("a/b", "update"),
        ("z", "read"),
    ]);
    let told = explain(&acl, &Ask::new("a/b", Read));
    assert_eq!(told.decision.reason, Reason::MissingCapability);
    assert_eq!(told.decision.missing, Some(Read));
    let losers = told
        .losers
        .iter()
        .map(|r| r.rule.pattern.as_str())
        .collect::<Vec<_>>();
    assert_eq!(losers, ["a/*", "*"]);
    let suggestion = told.suggestion.unwrap();
    assert_eq!(
        suggestion,
        "path \"a/b\" {\n  capabilities = [\"read\"]\n}\n"
    );
    assert!(explain(&acl, &Ask::new("a/b", Update)).suggestion.is_none());

    let denied = grants(&[("a", "deny")]);
    let told = explain(&denied, &Ask::new("a", Read));
    assert!(told.suggestion.is_none() && told.losers.is_empty());
    assert_eq!(denied.decide(&Ask::new("a", Deny)).reason, Reason::Deny);
}

#[test]
fn the_longest_paths_fit_on_the_stack() {
    let deep = "+/".repeat(511);
    let slashes = "/".repeat(1024);
    let acl = grants(&[
        (&deep, "read"),
        (&slashes, "read"),
        (&format!("{deep}*"), "read"),
    ]);
    assert!(may(&acl, &"a/".repeat(511), Read));
    assert!(!may(&acl, &"a/".repeat(100_000), Update));
    assert!(Pattern::parse(&"a".repeat(1026)).is_err());
}
