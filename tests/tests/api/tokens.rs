//! Tokens: they end when they must, and not before.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_tests::{Answer, Vault};

use crate::setup::{durable, policy, quick, text, together, token, token_with, with_status};

fn lookup_self(vault: &Vault, token: &str) -> Answer {
    vault.call("GET", "auth/token/lookup-self", Some(token), None)
}

fn alive(vault: &Vault, token: &str) -> bool {
    lookup_self(vault, token).status == 200
}

fn as_child(vault: &Vault, parent: &str, body: Value) -> Answer {
    vault.call("POST", "auth/token/create", Some(parent), Some(&body))
}

fn secret(answer: &Answer) -> String {
    text(&answer.body["auth"]["client_token"])
}

/// May make children.
fn parent(vault: &Vault) -> String {
    policy(
        vault,
        "parent",
        r#"path "auth/token/create" { capabilities = ["update"] }"#,
    );
    token(vault, json!({"policies": ["parent"]}))
}

#[test]
fn a_token_ends_with_its_ttl_and_its_children_with_it() {
    let vault = quick();
    policy(
        &vault,
        "parent",
        r#"path "auth/token/create" { capabilities = ["update"] }"#,
    );
    let short = token(&vault, json!({"policies": ["parent"], "ttl": "2s"}));
    let child = secret(&as_child(&vault, &short, json!({"ttl": "1h"})).expect(200));
    let batch =
        secret(&as_child(&vault, &short, json!({"ttl": "1h", "type": "batch"})).expect(200));
    assert!(alive(&vault, &short) && alive(&vault, &child) && alive(&vault, &batch));
    sleep(Duration::from_millis(2100));
    assert!(!alive(&vault, &short));
    let end = Instant::now() + Duration::from_secs(5);
    while (alive(&vault, &child) || alive(&vault, &batch)) && Instant::now() < end {
        sleep(Duration::from_millis(50));
    }
    assert!(!alive(&vault, &child), "the child outlives its parent");
    assert!(
        !alive(&vault, &batch),
        "the batch child outlives its parent"
    );
}

#[test]
fn revocation_holds_when_it_is_answered_and_takes_the_children() {
    let vault = quick();
    let top = parent(&vault);
    let middle = secret(&as_child(&vault, &top, json!({"policies": ["parent"]})).expect(200));
    let leaf = secret(&as_child(&vault, &middle, json!({})).expect(200));
    let batch = secret(&as_child(&vault, &middle, json!({"type": "batch"})).expect(200));
    vault
        .root("POST", "auth/token/revoke", json!({ "token": top }))
        .expect(204);
    for gone in [&top, &middle, &leaf, &batch] {
        let answer = lookup_self(&vault, gone);
        assert_eq!(
            (answer.status, answer.errors().as_str()),
            (403, "permission denied")
        );
        let looked_up = vault
            .root("POST", "auth/token/lookup", json!({ "token": gone }))
            .expect(403);
        assert_eq!(looked_up.errors(), "bad token");
    }
    vault
        .root("POST", "auth/token/revoke", json!({ "token": top }))
        .expect(204);
}

/// A child that is made while its parent is revoked must not survive it.
#[test]
fn no_child_escapes_the_revocation_of_its_parent() {
    let vault = quick();
    let mut made = 0;
    for _ in 0..20 {
        let top = parent(&vault);
        let answers = together(9, |number| match number {
            0 => vault.root("POST", "auth/token/revoke", json!({ "token": top })),
            _ => as_child(&vault, &top, json!({})),
        });
        for child in answers[1..].iter().filter(|answer| answer.status == 200) {
            made += 1;
            assert!(!alive(&vault, &secret(child)), "a child escaped");
        }
    }
    println!("{made} children were made in time");
}

#[test]
fn revoke_self_and_revoke_orphan() {
    let vault = quick();
    let top = parent(&vault);
    let child = secret(&as_child(&vault, &top, json!({})).expect(200));
    vault
        .root("POST", "auth/token/revoke-orphan", json!({ "token": top }))
        .expect(204);
    assert!(!alive(&vault, &top));
    assert!(alive(&vault, &child), "children of a revoke-orphan live on");
    assert_eq!(lookup_self(&vault, &child).data()["orphan"], true);
    vault
        .call("POST", "auth/token/revoke-self", Some(&child), None)
        .expect(204);
    assert!(!alive(&vault, &child));
}

#[test]
fn a_token_with_one_use_serves_one_of_a_hundred() {
    let vault = quick();
    for round in 0..3 {
        let once = token(&vault, json!({"policies": ["default"], "num_uses": 1}));
        let answers = together(100, |_| lookup_self(&vault, &once));
        assert_eq!(with_status(&answers, 200), 1, "round {round}");
        assert_eq!(with_status(&answers, 403), 99, "round {round}");
    }
}

#[test]
fn uses_are_counted_even_when_denied() {
    let vault = quick();
    let twice = token(&vault, json!({"policies": ["default"], "num_uses": 2}));
    vault
        .call("GET", "sys/mounts", Some(&twice), None)
        .expect(403);
    assert_eq!(
        lookup_self(&vault, &twice).expect(200).data()["num_uses"],
        0
    );
    lookup_self(&vault, &twice).expect(403);
    let limited = token(
        &vault,
        json!({"policies": ["root"], "num_uses": 5, "ttl": "1h"}),
    );
    as_child(&vault, &limited, json!({})).expect(400);
}

#[test]
fn ten_uses_are_ten_uses() {
    let vault = quick();
    let ten = token(&vault, json!({"policies": ["default"], "num_uses": 10}));
    let answers = together(50, |_| lookup_self(&vault, &ten));
    assert_eq!(with_status(&answers, 200), 10);
}

#[test]
fn periodic_tokens_live_as_long_as_they_are_renewed() {
    let vault = quick();
    let periodic = token(&vault, json!({"policies": ["default"], "period": "2s"}));
    for _ in 0..3 {
        sleep(Duration::from_millis(1000));
        let renewed = vault.call(
            "PUT",
            "auth/token/renew-self",
            Some(&periodic),
            Some(&json!({"increment": "1h"})),
        );
        assert_eq!(renewed.expect(200).body["auth"]["lease_duration"], 2);
    }
    assert!(alive(&vault, &periodic));
    sleep(Duration::from_millis(2100));
    assert!(!alive(&vault, &periodic));
}

#[test]
fn nothing_lives_past_its_explicit_maximum() {
    let vault = quick();
    let bounded = token(
        &vault,
        json!({"policies": ["default"], "ttl": "1s", "explicit_max_ttl": "3s"}),
    );
    let periodic = token(
        &vault,
        json!({"policies": ["default"], "period": "1h", "explicit_max_ttl": "3s"}),
    );
    let start = Instant::now();
    for token in [&bounded, &periodic] {
        let renewed = vault.call(
            "PUT",
            "auth/token/renew-self",
            Some(token),
            Some(&json!({"increment": "10h"})),
        );
        let left = renewed.expect(200).body["auth"]["lease_duration"]
            .as_u64()
            .unwrap();
        assert!((1..=3).contains(&left), "{left}");
    }
    sleep(Duration::from_millis(3100).saturating_sub(start.elapsed()));
    for token in [&bounded, &periodic] {
        assert!(!alive(&vault, token));
    }
}

/// CVE-2021-32923: a renewal in the last second made a token that never expires.
#[test]
fn cve_2021_32923_renewal_close_to_the_end_never_makes_a_token_endless() {
    let vault = quick();
    let token = token(
        &vault,
        json!({"policies": ["default"], "ttl": "1s", "explicit_max_ttl": "2s"}),
    );
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2300) {
        let renewed = vault.call(
            "PUT",
            "auth/token/renew-self",
            Some(&token),
            Some(&json!({})),
        );
        if renewed.status == 200 {
            let left = renewed.body["auth"]["lease_duration"].as_u64().unwrap();
            assert!(left <= 2, "{left}");
            let shown = lookup_self(&vault, &token);
            assert!(
                shown.status != 200 || shown.data()["expire_time"].is_string(),
                "{}",
                shown.text
            );
        }
        sleep(Duration::from_millis(10));
    }
    assert!(!alive(&vault, &token));
}

#[test]
fn batch_tokens_do_little() {
    let vault = quick();
    policy(
        &vault,
        "parent",
        r#"path "auth/token/create" { capabilities = ["update"] }"#,
    );
    let batch = token(
        &vault,
        json!({"policies": ["parent", "default"], "type": "batch", "ttl": "1h"}),
    );
    assert!(
        batch.starts_with("hvb."),
        "batch tokens are told by their prefix"
    );
    assert_eq!(
        lookup_self(&vault, &batch).expect(200).data()["type"],
        "batch"
    );
    as_child(&vault, &batch, json!({})).expect(400);
    vault
        .call(
            "PUT",
            "auth/token/renew-self",
            Some(&batch),
            Some(&json!({})),
        )
        .expect(400);
    let cubbyhole = vault.call("POST", "cubbyhole/a", Some(&batch), Some(&json!({"a": 1})));
    assert!(cubbyhole.status >= 400, "{}", cubbyhole.text);
    for body in [
        json!({"period": "1h"}),
        json!({"num_uses": 3}),
        json!({"id": "mine"}),
        json!({"policies": ["root"]}),
    ] {
        let mut body = body;
        body["type"] = json!("batch");
        vault.root("POST", "auth/token/create", body).expect(400);
    }
    let told = vault
        .root("POST", "auth/token/lookup", json!({ "token": batch }))
        .expect(200);
    assert_eq!(told.data()["type"], "batch");
    let body = json!({ "token": batch });
    vault
        .root("POST", "auth/token/renew", body.clone())
        .expect(400);
    vault.root("POST", "auth/token/revoke", body).expect(400);
    let mut forged = batch.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    lookup_self(&vault, &forged).expect(403);
    let short = token(
        &vault,
        json!({"policies": ["default"], "type": "batch", "ttl": "1s"}),
    );
    assert!(alive(&vault, &short));
    sleep(Duration::from_millis(1100));
    assert!(!alive(&vault, &short));
}

#[test]
fn a_child_has_no_more_than_its_parent() {
    let vault = quick();
    let top = parent(&vault);
    policy(
        &vault,
        "more",
        r#"path "more/*" { capabilities = ["read"] }"#,
    );
    for body in [
        json!({"policies": ["more"]}),
        json!({"policies": ["root"]}),
        json!({"policies": ["parent", "more"]}),
        json!({"no_parent": true}),
        json!({"period": "1h"}),
        json!({"id": "my-own-name"}),
    ] {
        let refused = as_child(&vault, &top, body.clone());
        assert_eq!(refused.status, 400, "{body}: {}", refused.text);
    }
    vault
        .call(
            "POST",
            "auth/token/create-orphan",
            Some(&top),
            Some(&json!({})),
        )
        .expect(403);
    let child = as_child(&vault, &top, json!({"policies": ["parent"]})).expect(200);
    assert_eq!(child.body["auth"]["orphan"], false);
    let bare = token_with(
        &vault,
        "bare",
        r#"path "auth/token/create" { capabilities = ["update"] }"#,
    );
    let child = as_child(&vault, &bare, json!({})).expect(200);
    assert_eq!(
        child.body["auth"]["policies"],
        json!(["bare"]),
        "default is not added"
    );
}

#[test]
fn orphans_outlive_who_made_them() {
    let vault = quick();
    policy(
        &vault,
        "orphans",
        r#"path "auth/token/create" { capabilities = ["update", "sudo"] }
           path "auth/token/create-orphan" { capabilities = ["update", "sudo"] }"#,
    );
    let maker = token(&vault, json!({"policies": ["orphans"]}));
    let one = secret(&as_child(&vault, &maker, json!({"no_parent": true})).expect(200));
    let two = secret(
        &vault
            .call(
                "POST",
                "auth/token/create-orphan",
                Some(&maker),
                Some(&json!({})),
            )
            .expect(200),
    );
    vault
        .root("POST", "auth/token/revoke", json!({ "token": maker }))
        .expect(204);
    for orphan in [&one, &two] {
        assert_eq!(
            lookup_self(&vault, orphan).expect(200).data()["orphan"],
            true
        );
    }
}

#[test]
fn accessors_do_what_they_may_and_never_show_the_token() {
    let vault = quick();
    let created = vault
        .root(
            "POST",
            "auth/token/create",
            json!({"policies": ["default"], "ttl": "1h"}),
        )
        .expect(200);
    let (token, accessor) = (secret(&created), text(&created.body["auth"]["accessor"]));
    let by = |path: &str| vault.root("POST", path, json!({ "accessor": accessor }));
    let shown = by("auth/token/lookup-accessor").expect(200);
    assert_eq!(shown.data()["id"], "");
    assert_eq!(shown.data()["accessor"], json!(accessor));
    assert!(!shown.text.contains(&token));
    assert!(
        !by("auth/token/renew-accessor")
            .expect(200)
            .text
            .contains(&token)
    );
    let all = vault
        .root("LIST", "auth/token/accessors", Value::Null)
        .expect(200);
    assert!(
        all.data()["keys"]
            .as_array()
            .unwrap()
            .contains(&json!(accessor))
    );
    assert!(!all.text.contains(&token));
    by("auth/token/revoke-accessor").expect(204);
    assert!(!alive(&vault, &token));
    for path in ["auth/token/lookup-accessor", "auth/token/renew-accessor"] {
        assert_eq!(by(path).expect(400).errors(), "invalid accessor", "{path}");
    }
    let again = by("auth/token/revoke-accessor").expect(200);
    assert_eq!(
        again.body["warnings"],
        json!(["No token found with this accessor"])
    );
}

#[test]
fn the_lists_of_a_role_come_back_as_sets() {
    let vault = quick();
    let names = json!(["test/*", "dev/*", "test/*"]);
    let body = json!({"allowed_policies_glob": names, "disallowed_policies_glob": names,
        "allowed_policies": ["b", "a"], "allowed_entity_aliases": ["y", "x"]});
    vault.root("POST", "auth/token/roles/r", body).expect(204);
    let role = vault
        .root("GET", "auth/token/roles/r", Value::Null)
        .expect(200);
    for name in ["allowed_policies_glob", "disallowed_policies_glob"] {
        assert_eq!(role.data()[name], json!(["dev/*", "test/*"]));
    }
    assert_eq!(role.data()["allowed_policies"], json!(["a", "b"]));
    assert_eq!(role.data()["allowed_entity_aliases"], json!(["x", "y"]));
}

#[test]
fn a_lookup_that_names_no_token_is_about_the_caller() {
    let vault = quick();
    let token = token(&vault, json!({"policies": ["a"], "display_name": "me"}));
    policy(
        &vault,
        "a",
        r#"path "auth/token/lookup" { capabilities = ["read", "update"] }"#,
    );
    for method in ["GET", "POST"] {
        let shown = vault
            .call(method, "auth/token/lookup", Some(&token), None)
            .expect(200);
        assert_eq!(shown.data()["display_name"], "token-me");
        assert_eq!(shown.data()["id"], json!(token));
    }
}

#[test]
fn an_accessor_is_no_token() {
    let vault = quick();
    let accessor = text(&lookup_self(&vault, &vault.root).expect(200).data()["accessor"]);
    lookup_self(&vault, &accessor).expect(403);
}

#[test]
fn a_cubbyhole_is_its_tokens_own_and_goes_with_it() {
    let vault = durable();
    let (one, two) = (
        token(&vault, json!({"id": "first-one"})),
        token(&vault, json!({"policies": ["default"]})),
    );
    let put = |token: &str| {
        vault.call(
            "POST",
            "cubbyhole/a",
            Some(token),
            Some(&json!({"whose": token})),
        )
    };
    let get = |token: &str| vault.call("GET", "cubbyhole/a", Some(token), None);
    put(&one).expect(204);
    get(&two).expect(404);
    get(&vault.root).expect(404);
    put(&two).expect(204);
    assert_eq!(get(&one).expect(200).data()["whose"], json!(one));
    vault
        .root("POST", "auth/token/revoke", json!({ "token": one }))
        .expect(204);
    // The same token again is not the same cubbyhole.
    let again = token(&vault, json!({"id": "first-one"}));
    assert_eq!(again, one);
    get(&again).expect(404);
    assert_eq!(get(&two).expect(200).data()["whose"], json!(two));
}

#[test]
fn a_restart_forgets_nothing_and_brings_nothing_back() {
    let mut vault = durable();
    let kept = token(
        &vault,
        json!({"policies": ["default"], "ttl": "1h", "num_uses": 6, "meta": {"a": "b"}}),
    );
    let revoked = token(&vault, json!({"policies": ["default"], "ttl": "1h"}));
    let short = token(&vault, json!({"policies": ["default"], "ttl": "1s"}));
    let batch = token(
        &vault,
        json!({"policies": ["default"], "ttl": "1h", "type": "batch"}),
    );
    vault
        .call("POST", "cubbyhole/a", Some(&kept), Some(&json!({"a": 1})))
        .expect(204);
    vault
        .root("POST", "auth/token/revoke", json!({ "token": revoked }))
        .expect(204);
    vault.restart_unsealed();
    let shown = lookup_self(&vault, &kept).expect(200);
    assert_eq!(shown.data()["num_uses"], 4);
    assert_eq!(shown.data()["meta"], json!({"a": "b"}));
    vault
        .call("GET", "cubbyhole/a", Some(&kept), None)
        .expect(200);
    assert!(!alive(&vault, &revoked));
    assert!(alive(&vault, &batch));
    sleep(Duration::from_millis(1100));
    assert!(!alive(&vault, &short));
}

#[test]
fn unknown_tokens_are_bad_tokens() {
    let vault = quick();
    for unknown in [
        "nothing",
        "hvs.CAESIunknownunknownunknown",
        "hvb.AAAAunknown",
        "s.unknown",
        "a b",
        "é",
    ] {
        let answer = vault
            .root("POST", "auth/token/lookup", json!({ "token": unknown }))
            .expect(403);
        assert_eq!(answer.errors(), "bad token", "{unknown}");
        let renewed = vault
            .root("POST", "auth/token/renew", json!({ "token": unknown }))
            .expect(400);
        assert_eq!(renewed.errors(), "token not found", "{unknown}");
    }
    let other = quick();
    lookup_self(&vault, &other.root).expect(403);
}

#[test]
fn the_root_token_has_no_end_and_no_renewal() {
    let vault = quick();
    let root = lookup_self(&vault, &vault.root).expect(200);
    assert_eq!(root.data()["expire_time"], Value::Null);
    assert_eq!(root.data()["ttl"], 0);
    assert_eq!(
        root.data()["renewable"],
        Value::Null.as_bool().unwrap_or(false)
    );
    let expiring = token(&vault, json!({"policies": ["root"], "ttl": "1h"}));
    as_child(&vault, &expiring, json!({"policies": ["root"]})).expect(400);
}
