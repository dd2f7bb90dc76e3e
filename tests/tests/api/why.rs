//! `sys/why`: each kind of refusal explained, to those who may know.

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};

use crate::setup::{policy, quick, token, token_with};

fn prepared() -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    vault.root("POST", "kv/a", json!({"v": 1})).expect(204);
    vault
}

/// The id under which the refusal is remembered.
#[track_caller]
fn refused(answer: Answer) -> String {
    answer
        .expect(403)
        .header("x-vault-request-id")
        .expect("a refusal has an id")
        .to_owned()
}

fn why(vault: &Vault, token: &str, id: &str) -> Answer {
    vault.call("GET", &format!("sys/why/{id}"), Some(token), None)
}

#[test]
fn each_kind_of_refusal_is_explained_to_its_own_token() {
    let vault = prepared();
    let rules = r#"
path "kv/*" { capabilities = ["read"] }
path "kv/never" { capabilities = ["deny"] }
path "kv/wrapped" { capabilities = ["read"] min_wrapping_ttl = "60s" }
path "kv/fields" {
  capabilities = ["create", "update"]
  allowed_parameters = { "colour" = ["red"] }
}
path "sys/seal" { capabilities = ["update"] }
"#;
    let app = token_with(&vault, "app", rules);
    let call =
        |method, path, body: Option<&Value>| refused(vault.call(method, path, Some(&app), body));
    let fields = json!({"colour": "hunter2"});
    let cases = [
        (
            call("GET", "nowhere/x", None),
            json!({"reason": "no rule covers the path", "missing": "read"}),
        ),
        (
            call("GET", "kv/never", None),
            json!({"reason": "the rule denies the path", "suggestion": null}),
        ),
        (
            call("DELETE", "kv/a", None),
            json!({"reason": "the rule does not grant the capability", "missing": "delete",
                "suggestion": "path \"kv/a\" {\n  capabilities = [\"delete\", \"read\"]\n}\n"}),
        ),
        (
            call("GET", "kv/wrapped", None),
            json!({"reason": "the wrapping TTL is not within the bounds of the rule",
                "advice": "ask for a wrapped answer (X-Vault-Wrap-TTL) of at least 60s"}),
        ),
        (
            call("POST", "kv/fields", Some(&fields)),
            json!({"reason": "a parameter is not among those allowed", "parameter": "colour"}),
        ),
        (
            call("PUT", "sys/seal", None),
            json!({"reason": "the path needs `sudo`, and the rule does not grant it", "missing": "sudo"}),
        ),
    ];
    for (id, expected) in cases {
        let answer = why(&vault, &app, &id).expect(200);
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
        let told = answer.data();
        assert_eq!(told["allowed"], false, "{told}");
        assert_eq!(told["policies_changed"], false, "{told}");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&told[name], value, "{name}: {told}");
        }
    }
    let id = call("GET", "kv/never", None);
    let told = why(&vault, &app, &id).expect(200);
    assert_eq!(
        told.data()["rule"]["from"],
        json!([{"policy": "app", "line": 3, "capabilities": ["deny"]}])
    );
    assert_eq!(told.data()["lost"][0]["path"], "kv/*");
}

#[test]
fn the_suggested_rule_lets_the_request_through_and_a_change_is_told() {
    let vault = prepared();
    let rules = r#"path "kv/*" { capabilities = ["list"] }"#;
    let app = token_with(&vault, "app", rules);
    let id = refused(vault.call("GET", "kv/a", Some(&app), None));
    let told = why(&vault, &app, &id).expect(200);
    let suggestion = told.data()["suggestion"].as_str().unwrap().to_owned();
    policy(&vault, "app", &format!("{rules}\n{suggestion}"));
    vault.call("GET", "kv/a", Some(&app), None).expect(200);
    let told = why(&vault, &app, &id).expect(200);
    assert_eq!(told.data()["allowed"], true);
    assert_eq!(told.data()["changed"], json!(["app"]));
    assert_eq!(
        told.data()["reason_then"],
        "the rule does not grant the capability"
    );
}

#[test]
fn others_learn_only_what_they_may_see() {
    let vault = prepared();
    let app = token_with(
        &vault,
        "hidden-app",
        r#"path "kv/b" { capabilities = ["read"] }"#,
    );
    let id = refused(vault.call("GET", "kv/a", Some(&app), None));
    let unknown = why(&vault, &app, "00000000-0000-4000-8000-000000000000").expect(404);

    // Without a policy, another's refusal looks like one that never was.
    let other = token_with(
        &vault,
        "other",
        r#"path "kv/a" { capabilities = ["read"] }"#,
    );
    assert_eq!(why(&vault, &other, &id).expect(404).text, unknown.text);
    // So does a refusal that a sibling with the same policy got.
    let sibling = token(
        &vault,
        json!({"policies": ["hidden-app"], "no_default_policy": true}),
    );
    why(&vault, &sibling, &id).expect(404);

    // May ask, but may neither read that policy nor do anything at that path.
    let asker = token_with(
        &vault,
        "asker",
        r#"path "sys/why/*" { capabilities = ["read"] }"#,
    );
    let told = why(&vault, &asker, &id).expect(200);
    assert_eq!(told.data()["path_hidden"], true);
    for name in ["hidden-app", "kv/a", "kv/b"] {
        assert!(!told.text.contains(name), "{name}: {}", told.text);
    }
    let auditor = token_with(
        &vault,
        "auditor",
        r#"path "sys/why/*" { capabilities = ["read", "sudo"] }"#,
    );
    for seer in [&auditor, &vault.root] {
        let told = why(&vault, seer, &id).expect(200);
        assert_eq!(told.data()["path"], "kv/a");
        assert_eq!(told.data()["policies"], json!(["hidden-app"]));
    }

    // A refused token was nobody's: only those with a policy may ask.
    let id = refused(vault.call("GET", "kv/a", Some("hvs.unknown"), None));
    why(&vault, &app, &id).expect(404);
    let told = why(&vault, &auditor, &id).expect(200);
    assert_eq!(told.data()["path"], "kv/a");
}

#[test]
fn rules_with_an_entity_in_them_explain_anothers_refusal() {
    let vault = prepared();
    vault
        .root("POST", "sys/auth/people", json!({"type": "userpass"}))
        .expect(204);
    let user = json!({"password": "correct horse", "token_policies": ["own"]});
    vault
        .root("POST", "auth/people/users/ann", user)
        .expect(204);
    policy(
        &vault,
        "own",
        r#"path "kv/{{identity.entity.id}}/x" { capabilities = ["read"] }"#,
    );
    let password = json!({"password": "correct horse"});
    let login = vault
        .call("POST", "auth/people/login/ann", None, Some(&password))
        .expect(200);
    let of = |name: &str| login.body["auth"][name].as_str().unwrap().to_owned();
    let (ann, entity) = (of("client_token"), of("entity_id"));
    let path = format!("kv/{entity}/x");
    let id = refused(vault.call("DELETE", &path, Some(&ann), None));
    let told = why(&vault, &vault.root, &id).expect(200);
    assert_eq!(told.data()["rule"]["path"], json!(path));
    assert_eq!(
        told.data()["reason"],
        "the rule does not grant the capability"
    );
    // Who may not know the entity does not learn its values from the rule.
    let rules = r#"path "sys/why/*" { capabilities = ["read"] }
path "sys/policies/acl/*" { capabilities = ["read"] }
path "kv/*" { capabilities = ["list"] }"#;
    let asker = token_with(&vault, "asker", rules);
    let told = why(&vault, &asker, &id).expect(200);
    assert_eq!(told.data()["rule"], Value::Null);
    let more = format!("{rules}\npath \"identity/entity/id/*\" {{ capabilities = [\"read\"] }}");
    policy(&vault, "asker", &more);
    let told = why(&vault, &asker, &id).expect(200);
    assert_eq!(told.data()["rule"]["path"], json!(path));
}

#[test]
fn a_flood_without_a_token_pushes_out_no_refusal_of_a_caller() {
    let vault = prepared();
    let app = token_with(&vault, "app", r#"path "kv/b" { capabilities = ["read"] }"#);
    let id = refused(vault.call("GET", "kv/a", Some(&app), None));
    for _ in 0..1100 {
        vault.send(&Request::new("GET", "kv/a")).expect(403);
    }
    why(&vault, &app, &id).expect(200);
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    vault.unseal();
    why(&vault, &app, &id).expect(404);
}
