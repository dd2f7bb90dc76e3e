//! Policies as people write them, and as they get them wrong.

use super::*;

const CORPUS: [(&str, &str, usize); 16] = [
    ("admin", include_str!("../../testdata/admin.hcl"), 9),
    ("app-kv2", include_str!("../../testdata/app-kv2.hcl"), 2),
    ("ci-deploy", include_str!("../../testdata/ci-deploy.hcl"), 3),
    ("client", include_str!("../../testdata/client.json"), 2),
    (
        "control-group",
        include_str!("../../testdata/control-group.hcl"),
        1,
    ),
    (
        "deny-private",
        include_str!("../../testdata/deny-private.hcl"),
        3,
    ),
    ("expiring", include_str!("../../testdata/expiring.hcl"), 1),
    ("heredoc", include_str!("../../testdata/heredoc.hcl"), 1),
    (
        "kv1-browse",
        include_str!("../../testdata/kv1-browse.hcl"),
        5,
    ),
    ("legacy", include_str!("../../testdata/legacy.hcl"), 4),
    (
        "list-form",
        include_str!("../../testdata/list-form.json"),
        2,
    ),
    (
        "pagination",
        include_str!("../../testdata/pagination.hcl"),
        1,
    ),
    (
        "parameters",
        include_str!("../../testdata/parameters.hcl"),
        1,
    ),
    ("templated", include_str!("../../testdata/templated.hcl"), 3),
    ("transit", include_str!("../../testdata/transit.hcl"), 4),
    ("wrapping", include_str!("../../testdata/wrapping.hcl"), 1),
];

/// Everything a policy says, without positions.
fn says(text: &str) -> String {
    let rules = policy(text).rules.into_iter().map(|rule| {
        let position = crate::hcl::Position::START;
        format!("{:?}\n", Rule { position, ..rule })
    });
    rules.collect()
}

#[test]
fn realistic_policies_parse_and_survive_formatting() {
    for (name, text, rules) in CORPUS {
        assert_eq!(policy(text).rules.len(), rules, "{name}");
        let formatted = format(text).unwrap();
        assert_eq!(says(text), says(&formatted), "{name}");
        assert_eq!(format(&formatted).unwrap(), formatted, "{name}");
    }
}

#[test]
fn the_default_policy_parses_and_is_formatted() {
    assert_eq!(format(DEFAULT_POLICY).unwrap(), DEFAULT_POLICY);
    let policy = policy(DEFAULT_POLICY);
    assert!(policy.is_templated());
    let vars = Vars(&[
        ("identity.entity.id", "e-1"),
        ("identity.entity.name", "ann"),
    ]);
    let acl = Acl::compile([policy].iter(), &vars, now());
    use Capability::{Create, Delete, List, Read, Update};
    for (path, capability) in [
        ("auth/token/lookup-self", Read),
        ("auth/token/renew-self", Update),
        ("auth/token/revoke-self", Update),
        ("sys/capabilities-self", Update),
        ("identity/entity/id/e-1", Read),
        ("identity/entity/name/ann", Read),
        ("sys/internal/ui/resultant-acl", Read),
        ("sys/renew", Update),
        ("sys/leases/renew", Update),
        ("sys/leases/lookup", Update),
        ("cubbyhole/x", Create),
        ("cubbyhole/x", Delete),
        ("cubbyhole/", List),
        ("sys/wrapping/wrap", Update),
        ("sys/wrapping/lookup", Update),
        ("sys/wrapping/unwrap", Update),
        ("sys/tools/hash", Update),
        ("sys/tools/hash/sha2-256", Update),
        ("sys/control-group/request", Update),
        ("identity/oidc/provider/default/authorize", Read),
    ] {
        assert!(may(&acl, path, capability), "{capability} {path}");
    }
    assert!(!may(&acl, "identity/entity/id/e-2", Read));
    assert!(!may(&acl, "secret/data/x", Read));
}

#[test]
fn malformed_policies_name_the_place_and_never_the_value() {
    let inside = |text: &str| format!("path \"a\" {{\n  {text}\n}}");
    for (text, expected) in [
        (
            "secret \"marker\" {}".to_owned(),
            "line 1, column 1: unknown key; a policy is made of `path` blocks",
        ),
        (
            "path \"a/+*\" {}".to_owned(),
            "line 1, column 6: `+*` is forbidden in a path; use `+/*` for everything below one segment, or `*`",
        ),
        (
            "path \"a/{{x\" {}".to_owned(),
            "line 1, column 6: a template in the path is not closed, or is empty; write {{identity.entity.id}}",
        ),
        (
            "path \"a\" \"marker\" {}".to_owned(),
            "line 1, column 10: a `path` block has one label, its path",
        ),
        (
            "path = \"marker\"".to_owned(),
            "line 1, column 8: `path` needs a path and a block: path \"secret/data/app\" { … }",
        ),
        (
            inside("capabilities = [\"read\", \"marker\"]"),
            "line 2, column 27: unknown capability; use create, read, update, patch, delete, list, scan, sudo, recover, subscribe or deny",
        ),
        (
            inside("capabilities = [\"root\"]"),
            "line 2, column 19: unknown capability; use create, read, update, patch, delete, list, scan, sudo, recover, subscribe or deny",
        ),
        (
            inside("capabilities = \"marker\""),
            "line 2, column 18: expected a list: [\"a\", \"b\"]",
        ),
        (
            inside("capabilities = [1]"),
            "line 2, column 19: expected a string in quotes",
        ),
        (
            inside("policy = \"marker\""),
            "line 2, column 12: unknown policy; use deny, read, write or sudo, or better `capabilities`",
        ),
        (
            inside("max_wrapping_ttl = \"marker\""),
            "line 2, column 22: expected a duration such as 90, \"90s\", \"15m\" or \"1h30m\"",
        ),
        (
            inside("min_wrapping_ttl = 60 max_wrapping_ttl = 10"),
            "line 1, column 6: max_wrapping_ttl is less than min_wrapping_ttl",
        ),
        (
            inside("pagination_limit = -1"),
            "line 2, column 22: pagination_limit is a whole number, 0 for none",
        ),
        (
            inside("expiration = \"marker\""),
            "line 2, column 16: expiration is a time such as 2027-01-31T12:00:00Z, or seconds since 1970",
        ),
        (
            inside("allowed_parameters = [\"marker\"]"),
            "line 2, column 24: expected { \"key\" = [values] }; an empty list means any value",
        ),
        (
            inside("denied_parameters = { \"A\" = [], \"a\" = [\"marker\"] }"),
            "line 2, column 35: this parameter is given twice (case does not matter); keep one",
        ),
        (
            inside("capabilities = [\"read\"]\n  capabilities = [\"list\"]"),
            "line 3, column 3: this key is given twice; keep one",
        ),
        (
            "{\"path\": {\"a\": {\"capabilities\": [\"marker\"]}}}".to_owned(),
            "line 1, column 34: unknown capability; use create, read, update, patch, delete, list, scan, sudo, recover, subscribe or deny",
        ),
    ] {
        let error = Policy::parse(&name("p"), &text).unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
        assert!(!error.contains("marker"));
    }
    let unknown = Policy::parse(&name("p"), &inside("marker = 1")).unwrap_err();
    assert_eq!((unknown.line, unknown.column), (2, 3));
    assert!(!unknown.message.contains("marker") && unknown.message.contains("capabilities"));
}

#[test]
fn policy_names_are_canonical() {
    assert_eq!(name("My-Policy.v2@x").as_str(), "my-policy.v2@x");
    assert!(name("ROOT").is_root());
    for bad in [
        "",
        " a",
        "a ",
        "a b",
        "a/b",
        "a,b",
        "a\n",
        "a\0",
        "é",
        "\u{212a}",
        ".",
        "..",
        &"x".repeat(129),
    ] {
        assert!(bad.parse::<PolicyName>().is_err(), "{bad:?}");
    }
}
