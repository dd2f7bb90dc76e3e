//! What `sys/` offers beside mounts, policies and keys.

use serde_json::{Value, json};
use vault_tests::{Options, Request, Vault};

use crate::setup::{quick, token, token_with};

#[test]
fn random_bytes_and_hashes() {
    let vault = quick();
    let random =
        |path: &str, body: Value| vault.root("POST", &format!("sys/tools/random{path}"), body);
    let hex = json!({"format": "hex"});
    for (path, digits) in [("", 64), ("/16", 32), ("/platform/8", 16), ("/all/8", 16)] {
        let answer = random(path, hex.clone()).expect(200);
        assert_eq!(
            answer.data()["random_bytes"].as_str().unwrap().len(),
            digits,
            "{path}"
        );
    }
    for (path, body) in [
        ("/0", hex.clone()),
        ("/131073", hex.clone()),
        ("/seal/8", hex),
        ("", json!({"format": "x"})),
    ] {
        random(path, body).expect(400);
    }
    let hash = |path: &str, input: &str| {
        vault.root(
            "POST",
            &format!("sys/tools/hash{path}"),
            json!({ "input": input }),
        )
    };
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hash("", "YWJj").expect(200).data()["sum"], json!(abc));
    assert_eq!(
        hash("/sha2-256", "YWJj").expect(200).data()["sum"],
        json!(abc)
    );
    hash("/sha2-999", "YWJj").expect(400);
    hash("", "not base64!").expect(400);
}

#[test]
fn a_password_policy_is_kept_and_makes_passwords() {
    let vault = quick();
    let text = "length = 24\nrule \"charset\" {\n  charset = \"ab\"\n}\nrule \"charset\" {\n  charset = \"0123\"\n  min-chars = 5\n}\n";
    let path = "sys/policies/password/Db";
    vault.root("GET", path, Value::Null).expect(404);
    vault
        .root("PUT", path, json!({ "policy": text }))
        .expect(204);
    assert_eq!(
        vault.root("GET", path, Value::Null).expect(200).data()["policy"],
        json!(text)
    );
    let listed = vault
        .root("LIST", "sys/policies/password", Value::Null)
        .expect(200);
    assert_eq!(listed.data()["keys"], json!(["db"]));
    let make = || {
        let made = vault
            .root("GET", &format!("{path}/generate"), Value::Null)
            .expect(200);
        made.data()["password"].as_str().unwrap().to_owned()
    };
    let (one, two) = (make(), make());
    assert_ne!(one, two);
    assert!(one.len() == 24 && one.chars().filter(char::is_ascii_digit).count() >= 5);
    vault
        .root("PUT", path, json!({"policy": "length = 2"}))
        .expect(400);
    vault.root("PUT", path, json!({})).expect(400);
    vault.root("DELETE", path, Value::Null).expect(204);
    vault
        .root("GET", &format!("{path}/generate"), Value::Null)
        .expect(404);
}

#[test]
fn openapi_shows_what_is_mounted_and_the_caller_may_see() {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    let document = vault
        .root("GET", "sys/internal/specs/openapi", Value::Null)
        .expect(200);
    let paths = document.body["paths"].as_object().unwrap();
    assert_eq!(document.body["openapi"], json!("3.0.2"));
    assert_eq!(
        paths["/sys/seal-status"]["x-vault-unauthenticated"],
        json!(true)
    );
    assert_eq!(paths["/sys/seal"]["x-vault-sudo"], json!(true));
    let write = &paths["/sys/policies/acl/{name}"]["post"];
    let fields = &write["requestBody"]["content"]["application/json"]["schema"]["properties"];
    assert!(fields["policy"].is_object());
    assert!(paths.contains_key("/kv/{path}") && paths.contains_key("/auth/token/create"));
    // Every operation has an id of its own, and every name in a path is declared.
    let mut ids = Vec::new();
    for (path, entry) in paths {
        let entry = entry.as_object().unwrap();
        let declared = entry
            .get("parameters")
            .map_or(0, |list| list.as_array().unwrap().len());
        assert_eq!(declared, path.matches('{').count(), "{path}");
        let operations = entry
            .values()
            .filter_map(|value| value["operationId"].as_str());
        ids.extend(operations.map(str::to_owned));
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);

    let narrow = token_with(
        &vault,
        "narrow",
        r#"path "kv/a" { capabilities = ["read"] }"#,
    );
    let seen = vault
        .call("GET", "sys/internal/specs/openapi", Some(&narrow), None)
        .expect(200);
    let seen: Vec<&String> = seen.body["paths"].as_object().unwrap().keys().collect();
    assert!(
        !seen.is_empty() && seen.iter().all(|path| path.starts_with("/kv/")),
        "{seen:?}"
    );
}

#[test]
fn metrics_count_requests_and_name_no_path() {
    let vault = quick();
    vault.root("GET", "sys/mounts/secret-name-of-a-mount", Value::Null);
    let answer = vault
        .root("GET", "sys/metrics?format=prometheus", Value::Null)
        .expect(200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let value = |name: &str| -> f64 {
        let line = answer
            .text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    };
    assert_eq!(value("vault_core_unsealed"), 1.0);
    assert_eq!(value("vault_core_active"), 1.0);
    assert_eq!(value("vault_audit_log_request_failure"), 0.0);
    assert!(value("vault_core_handle_request_count") >= 1.0);
    assert!(value("vault_core_handle_request_sum") > 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("vault_core_answers_total{class=\"4xx\"}") >= 1.0);
    assert!(!answer.text.contains("secret-name") && !answer.text.contains("sys/"));
    let json = vault.root("GET", "sys/metrics", Value::Null).expect(200);
    assert!(
        json.body["Gauges"]
            .as_array()
            .unwrap()
            .iter()
            .any(|gauge| gauge["Name"] == "vault_core_unsealed")
    );
    vault
        .root("GET", "sys/metrics?format=other", Value::Null)
        .expect(400);
}

#[test]
fn the_server_describes_itself_without_secrets() {
    let mut vault = Vault::ready_with(Options::plain());
    let history = vault
        .root("LIST", "sys/version-history", Value::Null)
        .expect(200);
    let version = history.data()["keys"][0].as_str().unwrap().to_owned();
    let since = history.data()["key_info"][&version]["timestamp_installed"].clone();
    assert!(since.is_string());
    let host = vault.root("GET", "sys/host-info", Value::Null).expect(200);
    assert!(host.data()["memory"]["total"].as_u64().unwrap() > 0);
    let config = vault
        .root("GET", "sys/config/state/sanitized", Value::Null)
        .expect(200);
    assert_eq!(config.data()["storage"]["type"], json!("sqlite"));
    for text in [&host.text, &config.text] {
        assert!(!text.contains(vault.dir.path().to_str().unwrap()));
    }
    let running = vault
        .root("GET", "sys/in-flight-req", Value::Null)
        .expect(200);
    let running: Vec<&Value> = running.body.as_object().unwrap().values().collect();
    assert!(
        running
            .iter()
            .any(|request| request["request_path"] == "/v1/sys/in-flight-req")
    );
    token(&vault, json!({"ttl": "1h"}));
    let tokens = vault
        .root("GET", "sys/internal/counters/tokens", Value::Null)
        .expect(200);
    assert_eq!(
        tokens.data()["counters"]["service_tokens"]["total"],
        json!(2)
    );
    vault.restart_unsealed();
    let again = vault
        .root("LIST", "sys/version-history", Value::Null)
        .expect(200);
    assert_eq!(
        again.data()["key_info"][&version]["timestamp_installed"],
        since
    );
}

#[test]
fn web_pages_of_other_origins_get_in_only_when_named() {
    let mut vault = Vault::ready_with(Options::plain());
    let page = "https://ui.example.org";
    let from =
        |method: &str, origin: &str| Request::new(method, "sys/health").header("Origin", origin);
    let off = vault
        .root("GET", "sys/config/cors", Value::Null)
        .expect(200);
    assert_eq!(
        (off.body["enabled"].clone(), off.data()["enabled"].clone()),
        (json!(false), json!(false))
    );
    let before = vault.send(&from("GET", page)).expect(200);
    assert!(before.header("access-control-allow-origin").is_none());

    let both = json!({"allowed_origins": ["*", page]});
    vault.root("PUT", "sys/config/cors", both).expect(400);
    vault.root("PUT", "sys/config/cors", json!({})).expect(400);
    vault
        .root(
            "PUT",
            "sys/config/cors",
            json!({"allowed_origins": page, "allowed_headers": "X-Odd\r\nSet"}),
        )
        .expect(400);
    let body = json!({"allowed_origins": [page], "allowed_headers": "X-Custom"});
    vault.root("PUT", "sys/config/cors", body).expect(204);
    vault.restart_unsealed();
    let allowed = vault.send(&from("GET", page)).expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(page));
    assert_eq!(allowed.header("vary"), Some("Origin"));
    let refused = vault
        .send(&from("GET", "https://evil.example.org"))
        .expect(403);
    assert_eq!(refused.errors(), "origin not allowed");
    let asked = vault.send(&from("OPTIONS", page)).expect(204);
    assert!(
        asked
            .header("access-control-allow-headers")
            .unwrap()
            .contains("X-Custom")
    );
    assert!(
        asked
            .header("access-control-allow-methods")
            .unwrap()
            .contains("PUT")
    );
    // Programs send no origin and notice nothing.
    vault.root("GET", "sys/mounts", Value::Null).expect(200);
    vault
        .root("DELETE", "sys/config/cors", Value::Null)
        .expect(204);
    assert!(
        vault
            .send(&from("GET", page))
            .expect(200)
            .header("access-control-allow-origin")
            .is_none()
    );
}
