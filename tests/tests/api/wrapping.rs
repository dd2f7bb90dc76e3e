//! Response wrapping: an answer that can be taken once.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};

use crate::setup::{durable, quick, text, together, with_status};

fn wrapped(vault: &Vault, method: &str, path: &str, ttl: &str) -> Answer {
    vault.send(
        &Request::new(method, path)
            .token(&vault.root)
            .header("X-Vault-Wrap-TTL", ttl),
    )
}

fn wrap(vault: &Vault, ttl: &str) -> String {
    vault
        .root("POST", "cubbyhole/a", json!({"k": "v"}))
        .expect(204);
    text(&wrapped(vault, "GET", "cubbyhole/a", ttl).expect(200).body["wrap_info"]["token"])
}

fn unwrap(vault: &Vault, token: &str) -> Answer {
    vault.call("POST", "sys/wrapping/unwrap", Some(token), None)
}

#[test]
fn the_answer_is_in_the_token_and_the_token_is_all_that_is_answered() {
    let vault = quick();
    vault
        .root("POST", "cubbyhole/a", json!({"k": "v"}))
        .expect(204);
    let outer = wrapped(&vault, "GET", "cubbyhole/a", "5m").expect(200);
    assert_eq!(outer.body["request_id"], "");
    assert!(outer.body["data"].is_null() && outer.body["auth"].is_null());
    let info = &outer.body["wrap_info"];
    assert_eq!(
        (&info["ttl"], &info["creation_path"]),
        (&json!(300), &json!("cubbyhole/a"))
    );
    let inner = unwrap(&vault, &text(&info["token"])).expect(200);
    assert_eq!(inner.data(), &json!({"k": "v"}));
    assert_ne!(inner.body["request_id"], "");
    unwrap(&vault, &text(&info["token"])).expect(400);
}

#[test]
fn of_a_hundred_unwraps_one_wins() {
    for vault in [quick(), durable()] {
        for round in 0..3 {
            let token = wrap(&vault, "60");
            let answers = together(100, |number| match number % 2 {
                0 => unwrap(&vault, &token),
                _ => vault.root("POST", "sys/wrapping/unwrap", json!({ "token": token })),
            });
            assert_eq!(with_status(&answers, 200), 1, "round {round}");
            assert_eq!(with_status(&answers, 400), 99, "round {round}");
        }
    }
}

#[test]
fn the_token_of_another_is_unwrapped_by_its_value() {
    let vault = quick();
    let token = wrap(&vault, "60");
    let inner = vault
        .root("POST", "sys/wrapping/unwrap", json!({ "token": token }))
        .expect(200);
    assert_eq!(inner.data(), &json!({"k": "v"}));
    let again = vault
        .root("POST", "sys/wrapping/unwrap", json!({ "token": token }))
        .expect(400);
    assert_eq!(
        again.errors(),
        "wrapping token is not valid or does not exist"
    );
    for other in [vault.root.as_str(), "unknown", ""] {
        vault
            .root("POST", "sys/wrapping/unwrap", json!({ "token": other }))
            .expect(400);
    }
}

#[test]
fn a_lookup_tells_where_it_comes_from_and_uses_nothing_up() {
    let vault = quick();
    let token = wrap(&vault, "60");
    for _ in 0..3 {
        let shown = vault
            .call(
                "POST",
                "sys/wrapping/lookup",
                None,
                Some(&json!({ "token": token })),
            )
            .expect(200);
        assert_eq!(shown.data()["creation_path"], "cubbyhole/a");
        assert_eq!(shown.data()["creation_ttl"], 60);
    }
    unwrap(&vault, &token).expect(200);
    vault
        .call(
            "POST",
            "sys/wrapping/lookup",
            None,
            Some(&json!({ "token": token })),
        )
        .expect(400);
}

#[test]
fn a_rewrap_moves_the_answer() {
    let vault = quick();
    let old = wrap(&vault, "60");
    let answer = vault
        .root("POST", "sys/wrapping/rewrap", json!({ "token": old }))
        .expect(200);
    let new = text(&answer.body["wrap_info"]["token"]);
    assert_eq!(answer.body["wrap_info"]["creation_path"], "cubbyhole/a");
    assert_ne!(old, new);
    assert!(unwrap(&vault, &old).status >= 400);
    assert_eq!(unwrap(&vault, &new).expect(200).data(), &json!({"k": "v"}));
}

#[test]
fn a_wrapped_answer_ends_with_its_ttl() {
    let vault = quick();
    let token = wrap(&vault, "1s");
    sleep(Duration::from_millis(1100));
    unwrap(&vault, &token).expect(400);
    vault
        .root("POST", "sys/wrapping/unwrap", json!({ "token": token }))
        .expect(400);
}

#[test]
fn only_answers_with_content_are_wrapped() {
    let vault = quick();
    let none = wrapped(&vault, "LIST", "cubbyhole/none", "60").expect(404);
    assert_eq!(none.body, json!({"errors": []}));
    wrapped(&vault, "GET", "cubbyhole/none", "60").expect(404);
    wrapped(&vault, "DELETE", "cubbyhole/none", "60").expect(204);
    for odd in ["-1", "-1s", "soon", "1x"] {
        wrapped(&vault, "GET", "sys/mounts", odd).expect(400);
    }
    assert!(wrapped(&vault, "GET", "sys/mounts", "0").expect(200).body["wrap_info"].is_null());
}

#[test]
fn a_new_token_travels_wrapped() {
    let vault = quick();
    let request = Request::new("POST", "auth/token/create")
        .token(&vault.root)
        .header("X-Vault-Wrap-TTL", "60");
    let outer = vault
        .send(&request.json(&json!({"policies": ["default"]})))
        .expect(200);
    let accessor = &outer.body["wrap_info"]["wrapped_accessor"];
    assert!(outer.body["auth"].is_null());
    let inner = unwrap(&vault, &text(&outer.body["wrap_info"]["token"])).expect(200);
    assert_eq!(&inner.body["auth"]["accessor"], accessor);
    vault
        .call(
            "GET",
            "auth/token/lookup-self",
            Some(&text(&inner.body["auth"]["client_token"])),
            None,
        )
        .expect(200);
}

/// Who hands a wrapped secret id on can take it back.
#[test]
fn a_wrapped_secret_id_has_its_accessor_outside() {
    let vault = quick();
    let make = |path: &str, body: Value| vault.root("POST", path, body).expect(204);
    make("sys/auth/approle", json!({"type": "approle"}));
    make("auth/approle/role/r", json!({}));
    let outer = wrapped(&vault, "POST", "auth/approle/role/r/secret-id", "60").expect(200);
    let accessor = &outer.body["wrap_info"]["wrapped_accessor"];
    let inner = unwrap(&vault, &text(&outer.body["wrap_info"]["token"])).expect(200);
    assert_eq!(&inner.data()["secret_id_accessor"], accessor);
    assert!(accessor.is_string());
    let role = wrapped(&vault, "GET", "auth/approle/role/r/role-id", "60").expect(200);
    assert!(role.body["wrap_info"].get("wrapped_accessor").is_none());
}

#[test]
fn anything_can_be_wrapped_and_only_wrapped() {
    let vault = quick();
    let body = json!({"a": 1, "b": [true]});
    vault
        .root("POST", "sys/wrapping/wrap", body.clone())
        .expect(400);
    let request = Request::new("POST", "sys/wrapping/wrap")
        .token(&vault.root)
        .header("X-Vault-Wrap-TTL", "60");
    let outer = vault.send(&request.json(&body)).expect(200);
    let inner = unwrap(&vault, &text(&outer.body["wrap_info"]["token"])).expect(200);
    assert_eq!(inner.data(), &body);
}

/// How Vault unwrapped at first, and how older clients still do.
#[test]
fn the_answer_is_read_from_the_cubbyhole_once() {
    let vault = quick();
    let token = wrap(&vault, "60");
    let read = || vault.call("GET", "cubbyhole/response", Some(&token), None);
    let inner: Value = serde_json::from_str(&text(&read().expect(200).data()["response"])).unwrap();
    assert_eq!(inner["data"], json!({"k": "v"}));
    read().expect(403);
    unwrap(&vault, &token).expect(400);
    let policies = vault.root("LIST", "sys/policies/acl", Value::Null);
    assert_eq!(policies.data()["keys"], json!(["default", "root"]));
}

#[test]
fn a_wrapping_token_does_nothing_else() {
    let vault = quick();
    let token = wrap(&vault, "60");
    for (method, path) in [
        ("GET", "cubbyhole/wrapinfo"),
        ("GET", "sys/mounts"),
        ("POST", "auth/token/create"),
        ("GET", "auth/token/lookup-self"),
    ] {
        let token = wrap(&vault, "60");
        let answer = vault.call(
            method,
            path,
            Some(&token),
            (method == "POST").then_some(&Value::Null),
        );
        assert!(
            matches!(answer.status, 403 | 404 | 400),
            "{method} {path}: {} {}",
            answer.status,
            answer.text
        );
    }
    unwrap(&vault, &token).expect(200);
}

#[test]
fn a_wrapped_answer_survives_a_restart() {
    let mut vault = durable();
    let token = wrap(&vault, "5m");
    vault.restart_unsealed();
    assert_eq!(
        unwrap(&vault, &token).expect(200).data(),
        &json!({"k": "v"})
    );
}
