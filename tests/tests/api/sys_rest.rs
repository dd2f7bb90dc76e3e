//! What clients of Vault ask of `sys/` about things that this server has in another form, or not.

use serde_json::{Value, json};
use vault_tests::Answer;

use crate::setup::quick;

#[test]
fn the_catalog_lists_what_can_be_mounted_and_takes_nothing_in() {
    let vault = quick();
    let get = |path: &str| vault.root("GET", path, Value::Null);
    let catalog = get("sys/plugins/catalog").expect(200);
    for (kind, table) in [("auth", "auth"), ("secret", "mounts")] {
        let names = catalog.data()[kind].as_array().unwrap().clone();
        assert!(!names.is_empty());
        let listed = vault.root("LIST", &format!("sys/plugins/catalog/{kind}"), Value::Null);
        assert_eq!(listed.expect(200).data()["keys"], json!(names));
        for name in names {
            let name = name.as_str().unwrap();
            let read = get(&format!("sys/plugins/catalog/{kind}/{name}")).expect(200);
            assert_eq!(read.data()["builtin"], json!(true));
            // What is listed can be mounted.
            let path = format!("sys/{table}/try-{name}");
            vault.root("POST", &path, json!({"type": name})).expect(204);
        }
    }
    assert!(
        catalog.data()["secret"]
            .as_array()
            .unwrap()
            .contains(&json!("kv"))
    );
    get("sys/plugins/catalog/secret/nomad").expect(404);
    get("sys/plugins/catalog/else/kv").expect(400);
    let evil = json!({"sha256": "00", "command": "evil"});
    vault
        .root("POST", "sys/plugins/catalog/secret/evil", evil)
        .expect(400);
    vault
        .root("DELETE", "sys/plugins/catalog/secret/kv", Value::Null)
        .expect(400);
    vault
        .root(
            "POST",
            "sys/plugins/reload/backend",
            json!({"plugin": "kv"}),
        )
        .expect(400);
}

#[test]
fn a_key_term_is_added_by_itself_only_if_that_is_asked_for() {
    let vault = quick();
    let get = || {
        vault
            .root("GET", "sys/rotate/config", Value::Null)
            .expect(200)
    };
    assert_eq!(
        *get().data(),
        json!({"enabled": true, "interval": 0, "max_operations": 3_865_470_566_u64})
    );
    let set = |body: Value| vault.root("POST", "sys/rotate/config", body);
    set(json!({"interval": "720h"})).expect(204);
    assert_eq!(get().data()["interval"], json!(2_592_000));
    set(json!({"interval": "1h"})).expect(400);
    set(json!({"max_operations": 1_000_000})).expect(400);
    set(json!({"enabled": false})).expect(204);
    assert_eq!(get().data()["enabled"], json!(false));
    assert_eq!(get().data()["interval"], json!(2_592_000));
}

#[test]
fn what_is_not_here_is_said_in_the_shape_that_clients_read() {
    let vault = quick();
    let get = |path: &str| -> Answer { vault.root("GET", path, Value::Null) };
    let node = &get("sys/ha-status").expect(200).data()["nodes"][0].clone();
    assert_eq!(node["active_node"], json!(true));
    assert_eq!(
        get("sys/replication/status").expect(200).data()["mode"],
        json!("disabled")
    );
    assert_eq!(
        get("sys/experiments").expect(200).data()["enabled"],
        json!([])
    );
    assert_eq!(
        get("sys/license/features").expect(200).data()["features"],
        json!([])
    );
    assert_eq!(get("sys/internal/counters/activity").expect(204).text, "");
    let counted = get("sys/internal/counters/requests").expect(200);
    assert!(counted.data()["counters"][0]["total"].as_u64().unwrap() > 0);
    assert_eq!(
        get("sys/config/auditing/request-headers")
            .expect(200)
            .data()["headers"],
        json!({})
    );
    for (method, path) in [
        ("GET", "sys/pprof/heap"),
        ("GET", "sys/pprof"),
        ("GET", "sys/monitor"),
        ("POST", "sys/config/ui/headers/X-Frame-Options"),
        ("POST", "sys/config/auditing/request-headers/authorization"),
    ] {
        let body = if method == "POST" {
            json!({})
        } else {
            Value::Null
        };
        let refused = vault.root(method, path, body).expect(400);
        assert!(refused.errors().len() > 20, "{path}: say why");
    }
    get("sys/namespaces/team").expect(404);
    let seal = vault
        .call("GET", "sys/seal-backend-status", None, None)
        .expect(200);
    assert_eq!(seal.body["backends"][0]["name"], json!("shamir"));
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    vault
        .call("GET", "sys/seal-backend-status", None, None)
        .expect(200);
}

#[test]
fn the_logs_level_changes_while_the_server_runs() {
    let vault = quick();
    let level = || {
        vault
            .root("GET", "sys/loggers", Value::Null)
            .expect(200)
            .data()["vaultd"]
            .clone()
    };
    assert_eq!(level(), json!("info"));
    vault
        .root("POST", "sys/loggers", json!({"level": "debug"}))
        .expect(204);
    assert_eq!(level(), json!("debug"));
    vault
        .root("POST", "sys/loggers", json!({"level": "shout"}))
        .expect(400);
    vault.root("POST", "sys/loggers", json!({})).expect(400);
    vault.root("DELETE", "sys/loggers", Value::Null).expect(204);
    assert_eq!(level(), json!("info"));
}
