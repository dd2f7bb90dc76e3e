//! Policies as they work on the wire; the matcher itself is tested beside its code.

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};

use crate::setup::{policy, quick, token, token_with};

const DENIED: &str = "1 error occurred:\n\t* permission denied\n\n";

fn prepared() -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    for path in ["kv/a", "kv/a/b", "kv/team/x/app", "kv/secret/1"] {
        vault.root("POST", path, json!({"v": path})).expect(204);
    }
    vault
}

fn get(vault: &Vault, token: &str, path: &str) -> Answer {
    vault.call("GET", path, Some(token), None)
}

fn capabilities(vault: &Vault, token: &str, paths: &[&str]) -> Value {
    let body = json!({"token": token, "paths": paths});
    vault
        .root("POST", "sys/capabilities", body)
        .expect(200)
        .data()
        .clone()
}

#[test]
fn denials_have_the_texts_that_clients_look_for() {
    let vault = prepared();
    let reader = token_with(
        &vault,
        "reader",
        r#"path "kv/a" { capabilities = ["read"] }"#,
    );
    get(&vault, &reader, "kv/a").expect(200);
    assert_eq!(get(&vault, &reader, "kv/b").expect(403).errors(), DENIED);
    assert_eq!(
        get(&vault, "unknown", "kv/a").expect(403).errors(),
        "permission denied"
    );
    assert_eq!(
        vault.call("GET", "kv/a", None, None).expect(403).errors(),
        "permission denied"
    );
    // What is not there looks like what is forbidden.
    assert_eq!(
        get(&vault, &reader, "nowhere/x").expect(403).errors(),
        DENIED
    );
    assert_eq!(get(&vault, &reader, "kv/a/b").expect(403).errors(), DENIED);
}

#[test]
fn deny_wins_and_the_more_specific_rule_wins() {
    let vault = prepared();
    policy(
        &vault,
        "wide",
        r#"path "kv/*" { capabilities = ["read", "list"] }"#,
    );
    policy(
        &vault,
        "never",
        r#"path "kv/secret/*" { capabilities = ["deny"] }"#,
    );
    policy(
        &vault,
        "again",
        r#"path "kv/secret/*" { capabilities = ["read"] }"#,
    );
    policy(
        &vault,
        "one",
        r#"path "kv/secret/1" { capabilities = ["read"] }"#,
    );
    let with = |names: Value| {
        token(
            &vault,
            json!({"policies": names, "no_default_policy": true}),
        )
    };
    let denied = with(json!(["wide", "never", "again"]));
    get(&vault, &denied, "kv/a").expect(200);
    get(&vault, &denied, "kv/secret/1").expect(403);
    get(
        &vault,
        &with(json!(["wide", "never", "one"])),
        "kv/secret/1",
    )
    .expect(200);
    get(&vault, &with(json!(["wide"])), "kv/secret/1").expect(200);
}

#[test]
fn wildcards() {
    let vault = prepared();
    let plus = token_with(
        &vault,
        "plus",
        r#"path "kv/team/+/app" { capabilities = ["read"] }"#,
    );
    get(&vault, &plus, "kv/team/x/app").expect(200);
    get(&vault, &plus, "kv/team/x/y/app").expect(403);
    let star = token_with(
        &vault,
        "star",
        r#"path "kv/a/*" { capabilities = ["read"] }"#,
    );
    get(&vault, &star, "kv/a/b").expect(200);
    get(&vault, &star, "kv/a").expect(403);
    let glob = token_with(
        &vault,
        "glob",
        r#"path "kv/t*m/x/app" { capabilities = ["read"] }"#,
    );
    get(&vault, &glob, "kv/team/x/app").expect(403);
}

/// CVE-2026-12624: a rule that ends in `/*` was passed by when the list came without its slash.
#[test]
fn cve_2026_12624_a_list_without_its_slash_meets_the_same_rules() {
    let vault = prepared();
    let shut = token_with(
        &vault,
        "shut",
        r#"path "kv/*" { capabilities = ["read", "list"] }
           path "kv/secret/*" { capabilities = ["deny"] }"#,
    );
    for (method, path) in [
        ("LIST", "kv/secret"),
        ("LIST", "kv/secret/"),
        ("GET", "kv/secret?list=true"),
        ("GET", "kv/secret/?list=1"),
    ] {
        let answer = vault.call(method, path, Some(&shut), None);
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
    }
    vault.call("LIST", "kv/a", Some(&shut), None).expect(200);
    let exact = token_with(
        &vault,
        "exact",
        r#"path "kv/secret" { capabilities = ["list"] }"#,
    );
    vault
        .call("LIST", "kv/secret", Some(&exact), None)
        .expect(200);
    vault
        .call("LIST", "kv/secret/", Some(&exact), None)
        .expect(200);
    vault.call("LIST", "kv/a", Some(&exact), None).expect(403);
}

#[test]
fn capabilities_are_told_for_tokens_accessors_and_oneself() {
    let vault = prepared();
    let reader = token_with(
        &vault,
        "reader",
        r#"path "kv/a" { capabilities = ["read", "update"] } path "sys/capabilities-self" { capabilities = ["update"] }"#,
    );
    let told = capabilities(&vault, &reader, &["kv/a", "kv/b"]);
    assert_eq!(told["kv/a"], json!(["read", "update"]));
    assert_eq!(told["kv/b"], json!(["deny"]));
    let one = capabilities(&vault, &reader, &["kv/a"]);
    assert_eq!(one["capabilities"], json!(["read", "update"]));
    let own = vault
        .call(
            "POST",
            "sys/capabilities-self",
            Some(&reader),
            Some(&json!({"path": "kv/a"})),
        )
        .expect(200);
    assert_eq!(
        own.body["capabilities"],
        json!(["read", "update"]),
        "at the top level too"
    );
    assert_eq!(
        capabilities(&vault, &vault.root, &["x"])["x"],
        json!(["root"])
    );
    let accessor = vault
        .root("POST", "auth/token/lookup", json!({ "token": reader }))
        .expect(200)
        .data()["accessor"]
        .clone();
    let by = vault
        .root(
            "POST",
            "sys/capabilities-accessor",
            json!({"accessor": accessor, "paths": ["kv/a"]}),
        )
        .expect(200);
    assert_eq!(by.data()["kv/a"], json!(["read", "update"]));
    vault
        .root(
            "POST",
            "sys/capabilities",
            json!({"token": "unknown", "paths": ["a"]}),
        )
        .expect(400);
    vault
        .root(
            "POST",
            "sys/capabilities-accessor",
            json!({"accessor": "unknown", "paths": ["a"]}),
        )
        .expect(400);
    vault
        .root("POST", "sys/capabilities", json!({ "token": reader }))
        .expect(400);
}

#[test]
fn the_preflight_needs_a_token_and_a_rule_below_the_mount() {
    let vault = prepared();
    vault
        .root("POST", "sys/mounts/two", json!({"type": "kv-v2"}))
        .expect(204);
    let reader = token_with(
        &vault,
        "reader",
        r#"path "two/data/a" { capabilities = ["read"] }"#,
    );
    let shown = get(&vault, &reader, "sys/internal/ui/mounts/two/a").expect(200);
    assert_eq!(shown.data()["path"], "two/");
    assert_eq!(shown.data()["options"]["version"], "2");
    assert!(shown.data()["config"]["max_lease_ttl"].as_u64() > Some(0));
    for path in [
        "sys/internal/ui/mounts/kv/a",
        "sys/internal/ui/mounts/nowhere/a",
    ] {
        let refused = get(&vault, &reader, path).expect(403);
        assert!(
            refused
                .errors()
                .starts_with("preflight capability check returned 403"),
            "{}",
            refused.text
        );
    }
    vault
        .call("GET", "sys/internal/ui/mounts/two/a", None, None)
        .expect(403);
    let all = get(&vault, &reader, "sys/internal/ui/mounts").expect(200);
    assert!(
        all.data()["secret"].get("two/").is_some() && all.data()["secret"].get("kv/").is_none(),
        "{}",
        all.text
    );
}

#[test]
fn without_a_token_only_mounts_for_everybody_are_shown() {
    let vault = prepared();
    let list = |token: Option<&str>| vault.call("GET", "sys/internal/ui/mounts", token, None);
    let nothing = list(None).expect(200);
    assert_eq!(*nothing.data(), json!({"secret": {}, "auth": {}}));
    let body = json!({"type": "userpass", "description": "people", "config": {"listing_visibility": "unauth"}});
    vault.root("POST", "sys/auth/people", body).expect(204);
    vault
        .root(
            "POST",
            "sys/auth/machines",
            json!({"type": "approle", "config": {"listing_visibility": "hidden"}}),
        )
        .expect(204);
    let shown = list(None).expect(200);
    let people = json!({"people/": {"type": "userpass", "description": "people", "options": null}});
    assert_eq!(*shown.data(), json!({"secret": {}, "auth": people}));
    // With a token, all of what it may see, and all about it; with a wrong one, nothing.
    let reader = token_with(
        &vault,
        "reader",
        r#"path "kv/a" { capabilities = ["read"] }"#,
    );
    let seen = list(Some(&reader)).expect(200);
    let names = |of: &str| {
        let seen = seen.data()[of].as_object().unwrap();
        seen.keys().map(String::as_str).collect::<Vec<_>>()
    };
    assert!(names("secret").contains(&"kv/") && !names("secret").contains(&"identity/"));
    assert!(names("auth").contains(&"people/") && !names("auth").contains(&"machines/"));
    assert!(seen.data()["auth"]["people/"]["accessor"].is_string());
    list(Some("hvs.unknown")).expect(403);
    vault
        .call("GET", "sys/internal/ui/mounts/people", None, None)
        .expect(403);
}

#[test]
fn a_rule_whose_template_has_no_value_is_left_out() {
    let vault = prepared();
    let templated = token_with(
        &vault,
        "templated",
        r#"path "kv/{{identity.entity.id}}" { capabilities = ["read"] }
           path "kv/{{identity.entity.name}}*" { capabilities = ["read"] }
           path "kv/a" { capabilities = ["read"] }"#,
    );
    get(&vault, &templated, "kv/a").expect(200);
    for path in [
        "kv/",
        "kv/a/b",
        "kv/secret/1",
        "kv/%7B%7Bidentity.entity.id%7D%7D",
    ] {
        assert_eq!(get(&vault, &templated, path).status, 403, "{path}");
    }
}

#[test]
fn a_changed_policy_holds_for_the_next_request() {
    let vault = prepared();
    let reader = token_with(
        &vault,
        "changing",
        r#"path "kv/a" { capabilities = ["read"] }"#,
    );
    get(&vault, &reader, "kv/a").expect(200);
    policy(
        &vault,
        "changing",
        r#"path "kv/b" { capabilities = ["read"] }"#,
    );
    get(&vault, &reader, "kv/a").expect(403);
    vault
        .root("DELETE", "sys/policies/acl/changing", Value::Null)
        .expect(204);
    get(&vault, &reader, "kv/b").expect(403);
}

#[test]
fn both_policy_apis_show_the_same() {
    let vault = quick();
    let text = "path \"a\" {\n  capabilities = [\"read\"]\n}\n";
    vault
        .root("PUT", "sys/policy/Mixed", json!({ "policy": text }))
        .expect(204);
    let new = vault
        .root("GET", "sys/policies/acl/mixed", Value::Null)
        .expect(200);
    assert_eq!(new.data()["policy"], json!(text));
    let old = vault
        .root("GET", "sys/policy/mixed", Value::Null)
        .expect(200);
    assert_eq!(old.body["rules"], json!(text));
    let listed = vault
        .root("LIST", "sys/policies/acl", Value::Null)
        .expect(200);
    let names = listed.data()["keys"].as_array().unwrap();
    assert!(
        ["default", "mixed", "root"]
            .iter()
            .all(|name| names.contains(&json!(name))),
        "{names:?}"
    );
    for fixed in ["root", "response-wrapping", "ROOT"] {
        vault
            .root(
                "PUT",
                &format!("sys/policies/acl/{fixed}"),
                json!({ "policy": text }),
            )
            .expect(400);
        vault
            .root("DELETE", &format!("sys/policies/acl/{fixed}"), Value::Null)
            .expect(400);
    }
    vault
        .root("DELETE", "sys/policies/acl/default", Value::Null)
        .expect(400);
}

#[test]
fn rules_about_parameters_hold() {
    let vault = prepared();
    let narrow = token_with(
        &vault,
        "narrow",
        r#"path "kv/p" {
             capabilities = ["create", "update"]
             required_parameters = ["owner"]
             allowed_parameters = { "owner" = [], "size" = ["small", "medium*"] }
             denied_parameters = { "owner" = ["nobody"] }
           }"#,
    );
    let write = |body: Value| {
        vault
            .call("POST", "kv/p", Some(&narrow), Some(&body))
            .status
    };
    assert_eq!(write(json!({"owner": "a"})), 204);
    assert_eq!(write(json!({"owner": "a", "size": "medium-2"})), 204);
    assert_eq!(write(json!({"OWNER": "a", "Size": "small"})), 204);
    for refused in [
        json!({"size": "small"}),
        json!({"owner": "nobody"}),
        json!({"owner": "a", "size": "large"}),
        json!({"owner": "a", "other": 1}),
        json!({"Owner": "nobody"}),
    ] {
        assert_eq!(write(refused.clone()), 403, "{refused}");
    }
    // Values that no number type holds are still values.
    for odd in ["1e400", "-1e999", "[1e400]"] {
        for name in ["other", "OTHER", "size"] {
            let body = format!("{{\"owner\":\"a\",\"{name}\":{odd}}}");
            let request = Request::new("POST", "kv/p").token(&narrow).body(body);
            assert_eq!(vault.send(&request).status, 403, "{name}: {odd}");
        }
    }
}

#[test]
fn a_rule_may_demand_wrapping() {
    let vault = prepared();
    let wrapped = token_with(
        &vault,
        "wrapped",
        r#"path "kv/a" { capabilities = ["read"] min_wrapping_ttl = "10s" max_wrapping_ttl = "60s" }"#,
    );
    let with = |ttl: &str| {
        vault.send(
            &Request::new("GET", "kv/a")
                .token(&wrapped)
                .header("X-Vault-Wrap-TTL", ttl),
        )
    };
    get(&vault, &wrapped, "kv/a").expect(403);
    with("5").expect(403);
    with("2h").expect(403);
    with("30s").expect(200);
}
