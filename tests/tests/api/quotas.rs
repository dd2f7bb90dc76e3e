//! Quotas: requests of an address, leases of a role; what counts, and when it ends.

use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::process::until;
use vault_tests::{Answer, Request, Vault};

use crate::setup::{durable, quick, text, together, token_with, with_status};

const PATIENCE: Duration = Duration::from_secs(20);

fn limit(vault: &Vault, name: &str, body: Value) {
    let path = format!("sys/quotas/rate-limit/{name}");
    vault.root("POST", &path, body).expect(204);
}

fn budget(vault: &Vault, name: &str, body: Value) {
    let path = format!("sys/quotas/lease-count/{name}");
    vault.root("POST", &path, body).expect(204);
}

fn get(vault: &Vault, path: &str) -> Answer {
    vault.root("GET", path, Value::Null)
}

/// An AppRole mount with these roles, and what logs in as each.
fn roles<const N: usize>(vault: &Vault, names: [&str; N]) -> [Value; N] {
    vault
        .root("POST", "sys/auth/approle", json!({"type": "approle"}))
        .expect(204);
    names.map(|name| {
        let role = format!("auth/approle/role/{name}");
        vault
            .root("POST", &role, json!({"token_ttl": "1h"}))
            .expect(204);
        let id = get(vault, &format!("{role}/role-id"));
        let secret = vault.root("POST", &format!("{role}/secret-id"), json!({}));
        json!({"role_id": id.data()["role_id"], "secret_id": secret.data()["secret_id"]})
    })
}

fn login(vault: &Vault, credentials: &Value) -> Answer {
    vault.call("POST", "auth/approle/login", None, Some(credentials))
}

#[test]
fn a_rate_limit_is_kept_as_it_was_given() {
    let vault = durable();
    vault
        .root("POST", "sys/mounts/test", json!({"type": "kv"}))
        .expect(204);
    let body = json!({
        "name": "q", "path": "test/*", "rate": 100, "interval": "600", "block_interval": "10m", "type": "rate-limit",
    });
    limit(&vault, "q", body);
    let read = get(&vault, "sys/quotas/rate-limit/q").expect(200);
    let expected = json!({
        "name": "q", "type": "rate-limit", "path": "test/*", "role": "", "rate": 100, "interval": 600,
        "block_interval": 600, "inheritable": true,
    });
    assert_eq!(*read.data(), expected);
    limit(&vault, "all", json!({"rate": "1000.5"}));
    let all = get(&vault, "sys/quotas/rate-limit/all").expect(200);
    assert_eq!(all.data()["rate"], json!(1000.5));
    assert_eq!(all.data()["interval"], json!(1));
    let listed = vault.root("LIST", "sys/quotas/rate-limit", Value::Null);
    assert_eq!(listed.expect(200).data()["keys"], json!(["all", "q"]));
    let twin = vault.root("POST", "sys/quotas/rate-limit/r", json!({"rate": 1}));
    assert!(twin.expect(400).errors().contains("under the name \"all\""));
    for bad in [
        json!({"path": "/not-exist", "rate": 1}),
        json!({"path": "test", "rate": 0}),
        json!({"path": "test", "rate": -1}),
        json!({"path": "test", "rate": "1e400"}),
        json!({"path": "test", "rate": "NaN"}),
        json!({"path": "test"}),
        json!({"path": "test", "rate": 1, "interval": "soon"}),
        json!({"path": "test", "rate": 1, "role": "ci"}),
        json!({"path": "auth/token", "rate": 1, "role": "ci"}),
        json!({"path": "test/a*b", "rate": 1}),
        json!({"path": "test", "rate": 1, "type": "lease-count"}),
        json!({"role": "ci", "rate": 1}),
    ] {
        let answer = vault.root("POST", "sys/quotas/rate-limit/bad", bad.clone());
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text);
    }
    for name in ["q", "all", "all"] {
        let path = format!("sys/quotas/rate-limit/{name}");
        vault.root("DELETE", &path, Value::Null).expect(204);
        get(&vault, &path).expect(404);
    }
    vault
        .root("LIST", "sys/quotas/rate-limit", Value::Null)
        .expect(404);
}

#[test]
fn cve_2025_12044_who_is_over_the_limit_gets_429_before_anything_is_known_of_him() {
    let mut vault = durable();
    vault
        .root("POST", "sys/mounts/test", json!({"type": "kv"}))
        .expect(204);
    vault.root("POST", "test/a", json!({"k": "v"})).expect(204);
    limit(
        &vault,
        "q",
        json!({"path": "test", "rate": 3, "interval": "1h"}),
    );
    let answers: Vec<Answer> = (0..5).map(|_| get(&vault, "test/a")).collect();
    assert_eq!(with_status(&answers, 200), 3);
    let refused = &answers[4];
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.body,
        json!({"errors": ["request path \"test/a\": rate limit quota exceeded"]})
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1200).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-ratelimit-limit"), None, "not asked for");
    // No token, a wrong one, another verb, a path that is not there: all the same.
    for request in [
        Request::new("GET", "test/a"),
        Request::new("POST", "test/b").token("hvs.forged"),
        Request::new("DELETE", "test/none/at/all"),
    ] {
        vault.send(&request).expect(429);
    }
    get(&vault, "sys/mounts").expect(200);
    // Refusals of the limit are not in the audit log unless they are wanted there.
    let recorded = |vault: &Vault| {
        let of = |line: &Value| line["response"]["status"] == json!(429);
        vault.audit().iter().filter(|line| of(line)).count()
    };
    assert_eq!(recorded(&vault), 0);
    let wanted = json!({"enable_rate_limit_audit_logging": true, "enable_rate_limit_response_headers": true});
    vault.root("POST", "sys/quotas/config", wanted).expect(204);
    let refused = get(&vault, "test/a").expect(429);
    assert_eq!(refused.header("x-ratelimit-limit"), Some("3"));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert!(refused.header("x-ratelimit-reset").is_some());
    assert_eq!(
        until(PATIENCE, || Some(recorded(&vault)).filter(|n| *n > 0)),
        Some(1)
    );
    // The quota is stored, what was counted is not.
    vault.restart_unsealed();
    let first = get(&vault, "test/a").expect(200);
    assert_eq!(first.header("x-ratelimit-remaining"), Some("2"));
    vault
        .root("DELETE", "sys/quotas/rate-limit/q", Value::Null)
        .expect(204);
    for _ in 0..5 {
        let free = get(&vault, "test/a").expect(200);
        assert_eq!(free.header("x-ratelimit-limit"), None);
    }
}

#[test]
fn the_most_specific_limit_counts_and_the_way_out_stays_open() {
    let vault = quick();
    limit(&vault, "all", json!({"rate": 8, "interval": "1h"}));
    limit(
        &vault,
        "one",
        json!({"path": "sys/mounts", "rate": 100, "interval": "1h"}),
    );
    for _ in 0..20 {
        get(&vault, "sys/mounts").expect(200);
    }
    let answers: Vec<Answer> = (0..20).map(|_| get(&vault, "sys/auth")).collect();
    assert!(with_status(&answers, 429) >= 12, "{}", answers[19].text);
    get(&vault, "sys/health").expect(200);
    get(&vault, "sys/seal-status").expect(200);
    let way_out = vault.call("GET", "sys/generate-root/attempt", None, None);
    assert_ne!(way_out.status, 429);
    // An operator is not exempt, but the path can be made so where it still answers.
    vault
        .root("DELETE", "sys/quotas/rate-limit/all", Value::Null)
        .expect(429);
}

#[test]
fn logins_of_one_role_are_limited_and_others_are_not() {
    let vault = quick();
    let [ci, app] = roles(&vault, ["ci", "app"]);
    limit(
        &vault,
        "ci",
        json!({"path": "auth/approle", "role": "ci", "rate": 2, "interval": "1h"}),
    );
    let as_ci: Vec<Answer> = (0..4).map(|_| login(&vault, &ci)).collect();
    assert_eq!((with_status(&as_ci, 200), with_status(&as_ci, 429)), (2, 2));
    for _ in 0..4 {
        login(&vault, &app).expect(200);
    }
    get(&vault, "auth/approle/role/ci").expect(200);
}

#[test]
fn an_address_that_went_over_is_blocked_for_the_block_interval() {
    let vault = quick();
    let body =
        json!({"path": "sys/host-info", "rate": 1000, "interval": "1s", "block_interval": "1h"});
    limit(&vault, "q", body);
    limit(
        &vault,
        "q",
        json!({"path": "sys/host-info", "rate": 1, "interval": "1s", "block_interval": "1h"}),
    );
    get(&vault, "sys/host-info").expect(200);
    let refused = get(&vault, "sys/host-info").expect(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 3500, "{wait}");
}

#[test]
fn quotas_are_for_those_whose_policy_says_so() {
    let vault = quick();
    let token = token_with(
        &vault,
        "quotas",
        r#"path "sys/quotas/rate-limit/*" { capabilities = ["read", "update"] }"#,
    );
    let as_token =
        |method: &str, path: &str, body: Value| vault.call(method, path, Some(&token), Some(&body));
    as_token("POST", "sys/quotas/rate-limit/x", json!({"rate": 1000})).expect(204);
    as_token("POST", "sys/quotas/lease-count/x", json!({"max_leases": 1})).expect(403);
    as_token("POST", "sys/quotas/config", json!({})).expect(403);
}

#[test]
fn a_role_has_no_more_live_leases_than_its_budget() {
    let mut vault = durable();
    let [ci, app] = roles(&vault, ["ci", "app"]);
    login(&vault, &app).expect(200);
    budget(
        &vault,
        "ci",
        json!({"path": "auth/approle", "role": "ci", "max_leases": 3}),
    );
    let made: Vec<Answer> = (0..3).map(|_| login(&vault, &ci).expect(200)).collect();
    let refused = login(&vault, &ci).expect(429);
    assert_eq!(
        refused.errors(),
        "request path \"auth/approle/login\": lease count quota exceeded"
    );
    let read = get(&vault, "sys/quotas/lease-count/ci").expect(200);
    let expected = json!({
        "name": "ci", "type": "lease-count", "path": "auth/approle/", "role": "ci", "max_leases": 3, "counter": 3,
        "inheritable": true,
    });
    assert_eq!(*read.data(), expected);
    login(&vault, &app).expect(200);
    // A lease that ends makes room, for one.
    let token = text(&made[0].body["auth"]["client_token"]);
    vault
        .call(
            "POST",
            "auth/token/revoke-self",
            Some(&token),
            Some(&json!({})),
        )
        .expect(204);
    let again = until(PATIENCE, || {
        Some(login(&vault, &ci)).filter(|answer| answer.status == 200)
    });
    assert!(again.is_some());
    login(&vault, &ci).expect(429);
    // What was counted is derived from what is stored.
    vault.restart_unsealed();
    login(&vault, &ci).expect(429);
    login(&vault, &app).expect(200);
    budget(
        &vault,
        "ci",
        json!({"path": "auth/approle", "role": "ci", "max_leases": 4}),
    );
    login(&vault, &ci).expect(200);
    login(&vault, &ci).expect(429);
    // Batch tokens leave no lease behind.
    vault
        .root(
            "POST",
            "auth/approle/role/ci",
            json!({"token_type": "batch"}),
        )
        .expect(204);
    login(&vault, &ci).expect(200);
    vault
        .root("DELETE", "sys/quotas/lease-count/ci", Value::Null)
        .expect(204);
    vault
        .root(
            "POST",
            "auth/approle/role/ci",
            json!({"token_type": "service"}),
        )
        .expect(204);
    login(&vault, &ci).expect(200);
}

#[test]
fn parallel_logins_never_pass_the_budget() {
    let vault = quick();
    let [ci] = roles(&vault, ["ci"]);
    budget(
        &vault,
        "mount",
        json!({"path": "auth/approle", "max_leases": 7}),
    );
    let answers = together(40, |_| login(&vault, &ci));
    let other = answers.iter().find(|a| !matches!(a.status, 200 | 429));
    assert!(other.is_none(), "{other:?}");
    let listed = vault
        .root("LIST", "sys/leases/lookup/auth/approle/login", Value::Null)
        .expect(200);
    let live = listed.data()["keys"].as_array().unwrap().len();
    assert_eq!(live, with_status(&answers, 200));
    assert!((1..=7).contains(&live), "{live}");
    // Those that failed meanwhile hold no place.
    let filled = until(PATIENCE, || {
        login(&vault, &ci);
        let counted = get(&vault, "sys/quotas/lease-count/mount");
        Some(counted.data()["counter"].as_u64().unwrap()).filter(|count| *count >= 7)
    });
    assert_eq!(filled, Some(7));
}

#[test]
fn tokens_made_by_tokens_have_a_budget_too() {
    let vault = quick();
    budget(
        &vault,
        "tokens",
        json!({"path": "auth/token", "max_leases": 2}),
    );
    let make = |body: Value| vault.root("POST", "auth/token/create", body);
    make(json!({"ttl": "1h"})).expect(200);
    make(json!({"ttl": "1h", "num_uses": 1})).expect(200);
    make(json!({"ttl": "1h"})).expect(429);
    make(json!({"ttl": "1h", "type": "batch", "policies": "default"})).expect(200);
    // A root token that does not end has no lease.
    make(json!({})).expect(200);
    for bad in [
        json!({"max_leases": 0}),
        json!({"max_leases": "x"}),
        json!({}),
    ] {
        vault
            .root("POST", "sys/quotas/lease-count/bad", bad)
            .expect(400);
    }
}
