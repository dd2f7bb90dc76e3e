//! Classes of failure that other servers had, and that have no place beside one feature here.

use serde_json::{Value, json};
use vault_tests::{Request, Vault};

use crate::routes::{self, Route};
use crate::setup::{EVERYTHING, ROOT_SPELLINGS, policy, quick, text, token, token_with};

/// The request of a route with one field, on what `mount_all` made: changing it needs nothing else.
fn with_field(vault: &Vault, route: &Route, caller: &str, field: &str, value: &Value) -> u16 {
    let body = json!({ field: value });
    let request = Request::new(route.method(), &route.path).token(caller);
    vault.send(&request.json(&body)).status
}

/// CVE-2025-64761: the check of one writer of policies was not that of the other.
#[test]
fn cve_2025_64761_no_writer_of_policies_takes_root_in_any_spelling() {
    let vault = quick();
    routes::mount_all(&vault);
    policy(&vault, "everything", EVERYTHING);
    let caller = token(&vault, json!({"policies": ["everything"]}));
    let mut writers = 0;
    for route in routes::all().iter().filter(|route| route.writes()) {
        for field in ["policies", "token_policies"] {
            let knows = route.row.fields.split(' ').any(|name| name == field);
            if !knows || with_field(&vault, route, &caller, field, &json!(["plain"])) >= 300 {
                continue;
            }
            writers += 1;
            for name in ROOT_SPELLINGS {
                for value in [json!([name]), json!(["plain", name])] {
                    let status = with_field(&vault, route, &caller, field, &value);
                    assert!(matches!(status, 400 | 403), "{} {value}", route.name());
                }
            }
        }
    }
    assert!(
        writers >= 20,
        "only {writers} writers of policies were asked"
    );
}

/// CVE-2026-3605: `..` outlived the check of the path, since it was decoded behind it.
#[test]
fn cve_2026_3605_a_delete_stays_below_its_rule() {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv-v2"}))
        .expect(204);
    vault
        .root("POST", "kv/data/b/x", json!({"data": {"k": "v"}}))
        .expect(200);
    let rules = r#"path "kv/metadata/a/*" { capabilities = ["delete"] }"#;
    let caller = token_with(&vault, "below-a", rules);
    for path in [
        "a/../b/x",
        "a/%2e%2e/b/x",
        "a/..%2fb/x",
        "a/%2E./b/x",
        "a/.%2e/b/x",
        "a/%2e%2e%2fb%2fx",
        "a%2f..%2fb/x",
        "a/./../b/x",
        "a/b/x/..",
        "a/..%5cb/x",
    ] {
        let path = format!("kv/metadata/{path}");
        let answer = vault.send(&Request::new("DELETE", &path).token(&caller));
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
    }
    vault
        .call(
            "DELETE",
            "kv/metadata/a/%252e%252e/b/x",
            Some(&caller),
            None,
        )
        .expect(204);
    vault
        .call("DELETE", "kv/metadata/b/x", Some(&caller), None)
        .expect(403);
    vault.root("GET", "kv/data/b/x", Value::Null).expect(200);
}

/// GHSA-rh46: an operation for the server's own use could be asked for, and gave a token.
#[test]
fn ghsa_rh46_the_method_alone_chooses_the_operation() {
    let vault = quick();
    routes::mount_all(&vault);
    let tokens = || {
        let all = vault.root("LIST", "auth/token/accessors", Value::Null);
        all.expect(200).data()["keys"].as_array().map(Vec::len)
    };
    let before = tokens();
    for operation in [
        "alias-lookahead",
        "renew",
        "rollback",
        "resolve-role",
        "",
        "read",
    ] {
        let body = json!({"operation": operation, "password": "wrong", "role": "sample"});
        for path in [
            "auth/userpass/login/sample",
            "auth/approle/login",
            "auth/jwt/login",
        ] {
            let request = Request::new("POST", path)
                .header("X-Vault-Operation", operation)
                .header("X-HTTP-Method-Override", operation);
            // The last of them find the name locked.
            let answer = vault.send(&request.json(&body));
            assert!(
                matches!(answer.status, 400 | 403),
                "{path}: {}",
                answer.text
            );
            assert!(answer.body.get("auth").is_none(), "{path}: {}", answer.text);
        }
        let odd = Request::new(
            &operation.to_ascii_uppercase(),
            "auth/userpass/login/sample",
        );
        if !operation.is_empty() && operation != "read" {
            assert!(vault.send(&odd).status >= 400, "{operation}");
        }
    }
    assert_eq!(tokens(), before);
    // Nor is a read a write because a header or a parameter says so.
    let caller = token_with(
        &vault,
        "reader",
        r#"path "one/*" { capabilities = ["read"] }"#,
    );
    vault.root("POST", "one/a", json!({"k": "v"})).expect(204);
    let read = Request::new("GET", "one/a?_method=DELETE&operation=delete")
        .header("X-HTTP-Method-Override", "DELETE")
        .token(&caller);
    vault.send(&read).expect(200);
    vault.root("GET", "one/a", Value::Null).expect(200);
}

/// CVE-2021-45042, CVE-2023-3774: names and values that the store could not take ended the server.
#[test]
fn cve_2021_45042_what_the_store_cannot_take_is_refused() {
    let vault = quick();
    routes::mount_all(&vault);
    let long = "a".repeat(600);
    let deep = "a/".repeat(2000);
    for path in [
        format!("one/{long}/{long}"),
        format!("two/data/{deep}b"),
        format!("cubbyhole/{long}"),
        "one/%ff%fe".to_owned(),
        "two/data/%00".to_owned(),
        format!("auth/userpass/users/{long}"),
        format!("sys/policies/acl/{long}"),
        format!("transit/keys/{long}"),
        format!("auth/token/roles/{long}"),
    ] {
        let body = json!({"data": {"k": "v"}, "k": "v", "password": "p", "policy": ""});
        let answer = vault.root("POST", &path, body);
        assert!(answer.status < 500, "{path}: {}", answer.text);
        vault.root("GET", &path, Value::Null);
    }
    for size in [(1 << 20) - 64, 1 << 20, 5 << 20] {
        let body = json!({"data": {"k": "x".repeat(size)}});
        for path in ["one/large", "two/data/large", "cubbyhole/large"] {
            let answer = vault.root("POST", path, body.clone());
            assert!(answer.status < 500, "{path}: {}", answer.text);
        }
    }
    vault
        .root("POST", "two/data/b", json!({"data": {"": ""}}))
        .expect(200);
    vault.root("GET", "two/data/b", Value::Null).expect(200);
}

/// CVE-2023-2121, CVE-2026-33758: a text of the caller's came back as a page.
#[test]
fn cve_2023_2121_no_answer_is_a_page() {
    let vault = quick();
    let script = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        script.to_owned(),
        format!("sys/{script}"),
        format!("sys/mounts/{script}"),
        format!("auth/{script}/login"),
        format!("sys/internal/ui/mounts/{script}"),
        format!("cubbyhole//{script}"),
        format!("sys/health?activecode={script}"),
    ] {
        for token in [None, Some(vault.root.as_str())] {
            let mut request = Request::new("GET", &path).header("Accept", "text/html");
            if let Some(token) = token {
                request = request.token(token);
            }
            let answer = vault.send(&request);
            let kind = answer.header("content-type").unwrap_or_default();
            assert!(
                answer.text.is_empty() || kind == "application/json",
                "{path}: {kind}"
            );
            let sniffed = answer.header("x-content-type-options");
            assert_eq!(sniffed, Some("nosniff"), "{path}");
        }
    }
}

/// CVE-2023-5077: a change lost the settings that it did not speak of.
#[test]
fn cve_2023_5077_a_change_keeps_what_it_does_not_name() {
    let vault = quick();
    routes::mount_all(&vault);
    for path in [
        "auth/approle/role/sample",
        "auth/userpass/users/sample",
        "auth/jwt/role/sample",
        "auth/token/roles/sample",
    ] {
        let bound = json!({"token_bound_cidrs": ["127.0.0.0/8"], "token_explicit_max_ttl": "1h"});
        vault.root("POST", path, bound).expect(204);
        vault
            .root("POST", path, json!({"token_period": "30s"}))
            .expect(204);
        let shown = vault.root("GET", path, Value::Null).expect(200);
        assert_eq!(shown.data()["token_period"], 30, "{path}");
        assert_eq!(
            shown.data()["token_bound_cidrs"],
            json!(["127.0.0.0/8"]),
            "{path}"
        );
        assert_eq!(shown.data()["token_explicit_max_ttl"], 3600, "{path}");
    }
    vault
        .root(
            "POST",
            "sys/mounts/one/tune",
            json!({"description": "mine", "max_lease_ttl": "2h"}),
        )
        .expect(204);
    vault
        .root(
            "POST",
            "sys/mounts/one/tune",
            json!({"default_lease_ttl": "1h"}),
        )
        .expect(204);
    let tuned = vault.root("GET", "sys/mounts/one", Value::Null).expect(200);
    assert_eq!(text(&tuned.data()["description"]), "mine");
    assert_eq!(tuned.data()["config"]["max_lease_ttl"], 7200);
}
