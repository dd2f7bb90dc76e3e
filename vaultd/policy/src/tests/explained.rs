//! What an explanation says, for each kind of refusal.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use Capability::{List, Read, Update};

fn told(text: &str, ask: &Ask<'_>) -> Map<String, Value> {
    let acl = acl(text);
    document(&explain(&acl, ask), ask, &|_| true)
}

#[test]
fn each_kind_of_refusal_names_what_refused() {
    let fields = |value: Value| value.as_object().cloned().unwrap();
    let (empty, denied) = (fields(json!({})), fields(json!({"Size": 9})));
    let other = fields(json!({"name": "x", "colour": "red"}));
    let with = |path, capability, parameters| Ask {
        parameters: Some(parameters as &dyn Parameters),
        ..Ask::new(path, capability)
    };
    let cases = [
        (
            r#"path "b" { capabilities = ["read"] }"#,
            Ask::new("a", Read),
            "no rule covers the path",
            json!({"missing": "read"}),
        ),
        (
            r#"path "a" { capabilities = ["deny"] }"#,
            Ask::new("a", Read),
            "the rule denies the path",
            json!({"missing": "read", "suggestion": null}),
        ),
        (
            r#"path "a*" { capabilities = ["read"] }"#,
            Ask::new("a", Update),
            "the rule does not grant the capability",
            json!({"missing": "update", "suggestion": "path \"a\" {\n  capabilities = [\"read\", \"update\"]\n}\n"}),
        ),
        (
            r#"path "a" { capabilities = ["read"] }"#,
            Ask {
                sudo_needed: true,
                ..Ask::new("a", Read)
            },
            "the path needs `sudo`, and the rule does not grant it",
            json!({"missing": "sudo"}),
        ),
        (
            r#"path "a" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "5m" }"#,
            Ask {
                wrap_ttl: Some(Duration::from_secs(3)),
                ..Ask::new("a", Read)
            },
            "the wrapping TTL is not within the bounds of the rule",
            json!({"advice": "ask for a wrapped answer (X-Vault-Wrap-TTL) of at least 60s at most 300s"}),
        ),
        (
            r#"path "a" { capabilities = ["update"] required_parameters = ["Name"] }"#,
            with("a", Update, &empty),
            "a required parameter is missing",
            json!({"parameter": "name", "advice": "send the parameter \"name\""}),
        ),
        (
            r#"path "a" { capabilities = ["update"] denied_parameters = { "size" = [] } }"#,
            with("a", Update, &denied),
            "a parameter is denied",
            json!({"parameter": "size", "rule": {"denied_parameters": {"size": []}}}),
        ),
        (
            r#"path "a" { capabilities = ["update"] allowed_parameters = { "name" = [] } }"#,
            with("a", Update, &other),
            "a parameter is not among those allowed",
            json!({"parameter": "colour"}),
        ),
        (
            r#"path "a/" { capabilities = ["list"] pagination_limit = 5 }"#,
            Ask {
                limit: Limit::Number(9),
                ..Ask::new("a/", List)
            },
            "the limit is missing, or more than the rule allows",
            json!({"advice": "lower it: send a limit of at most 5"}),
        ),
    ];
    for (text, ask, reason, expected) in cases {
        let told = told(text, &ask);
        assert_eq!(told["allowed"], false, "{text}");
        assert_eq!(told["reason"], reason, "{text}");
        for (name, value) in expected.as_object().unwrap() {
            let found = told.get(name).unwrap_or(&Value::Null);
            match value.as_object() {
                Some(inside) => {
                    for (name, value) in inside {
                        assert_eq!(&found[name], value, "{text}");
                    }
                }
                None => assert_eq!(found, value, "{text}: {name}"),
            }
        }
    }
}

#[test]
fn rules_are_named_by_policy_and_line_and_losers_by_why() {
    let texts = [
        "path \"a/*\" {\n capabilities = [\"read\"]\n}\n\npath \"a/+/c\" { capabilities = [\"list\"] }",
        "# one\n# two\npath \"a/b/*\" { capabilities = [\"update\"] }",
    ];
    let acl = acl_of(&texts);
    let ask = Ask::new("a/b/c", Read);
    let told = document(&explain(&acl, &ask), &ask, &|_| true);
    assert_eq!(
        told["rule"]["from"],
        json!([{"policy": "p1", "line": 3, "capabilities": ["update"]}])
    );
    let lost: Vec<_> = told["lost"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            (
                rule["path"].as_str().unwrap(),
                rule["from"][0]["line"].as_u64().unwrap(),
                rule["why"].as_str().unwrap(),
            )
        })
        .collect();
    let earlier = "its first wildcard comes earlier";
    assert_eq!(lost, [("a/+/c", 5, earlier), ("a/*", 1, earlier)]);

    let hidden = document(&explain(&acl, &ask), &ask, &|name| name.as_str() != "p1");
    assert_eq!(hidden["rule"], json!({"hidden": true}));
    assert!(!Value::from(hidden).to_string().contains("a/b/*"));
}

proptest! {
    #[test]
    fn whatever_lost_is_told_with_a_reason_that_holds(
        paths in prop::collection::vec("[ab+]/[ab+*]{1,2}/?[*]?", 1..8),
        path in "[ab]/[ab]{1,2}/?",
    ) {
        let text: String = paths
            .iter()
            .filter(|path| Pattern::parse(path).is_ok())
            .map(|path| format!("path \"{path}\" {{ capabilities = [\"read\", \"list\"] }}\n"))
            .collect();
        let acl = acl(&text);
        for capability in [Read, List] {
            let told = explain(&acl, &Ask::new(&path, capability));
            let Some(winner) = told.decision.winner else {
                prop_assert!(told.losers.is_empty());
                continue;
            };
            for loser in told.losers {
                let (better, worse) = (winner.pattern.as_str(), loser.rule.pattern.as_str());
                let holds = match loser.why {
                    Inferior::NotExact => winner.pattern.is_exact() && !loser.rule.pattern.is_exact(),
                    Inferior::OpenEnd => worse.ends_with('*') && !better.ends_with('*'),
                    Inferior::MoreWildcards => worse.matches('+').count() > better.matches('+').count(),
                    Inferior::Shorter => worse.len() < better.len(),
                    Inferior::EarlierText => worse < better,
                    Inferior::WithoutSlash => !loser.rule.pattern.matches(&path),
                    Inferior::EarlierWildcard => worse.find(['+', '*']) < better.find(['+', '*']),
                };
                prop_assert!(holds, "{worse} lost against {better}: {}", loser.why);
            }
        }
    }
}
