//! A marker in every field of every malformed request, and none of it in a refusal, in the log or in
//! the audit file.
//!
//! Public by design, and therefore not looked at: paths stand in the audit in clear, and a caller who
//! may use a path is told which path has no route, so markers are put only into paths that are
//! refused; names of fields and of policies stand in the audit in clear.

use std::thread;

use serde_json::{Value, json};
use vault_tests::{Request, Vault};

use crate::routes::{self, Route};
use crate::setup::{EVERYTHING, durable, policy, token};

/// Looked for without regard to case; valid as a name of a policy or a role.
const MARKER: &str = "canary-7f3a9c5e";
const NUMBER: u64 = 918_273_645_546_372;

fn marked(text: &str) -> bool {
    text.to_ascii_lowercase().contains(MARKER) || text.contains(&NUMBER.to_string())
}

/// One wrong type after another.
fn shapes() -> Vec<Value> {
    vec![
        json!(MARKER),
        json!([MARKER]),
        json!({ "k": MARKER }),
        json!([[{ "k": [MARKER] }]]),
        json!(NUMBER),
        json!(format!("{MARKER}\u{0}\n{{\"")),
    ]
}

/// Bodies of which one field is wrong, and bodies that are wrong as a whole.
fn requests(route: &Route) -> Vec<Request> {
    let fields: Vec<&str> = match route.row.fields {
        "*" => vec!["data"],
        fields => fields
            .split(' ')
            .filter(|field| !field.is_empty())
            .collect(),
    };
    let empty = || Request::new(route.method(), &route.path);
    let kind = if route.method() == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let mut requests = Vec::new();
    for field in &fields {
        let mut shapes = shapes();
        if *field == "paths" {
            // Not malformed: each is a path, of a read that has records of its own.
            shapes.retain(|shape| *shape != json!([MARKER]) && *shape != json!(MARKER));
        }
        requests.extend(
            shapes
                .iter()
                .map(|shape| empty().json(&json!({ *field: shape }))),
        );
        let broken = [
            format!("{{\"{field}\":\"{MARKER}"),
            format!("{{\"{field}\":{MARKER}}}"),
        ];
        requests.extend(broken.map(|body| empty().header("Content-Type", kind).body(body)));
    }
    let wholes = [json!(MARKER), json!([MARKER]), json!(NUMBER)];
    requests.extend(wholes.iter().map(|body| empty().json(body)));
    let field = fields.first().unwrap_or(&"none");
    let twice = format!("{{\"{field}\":1,\"{field}\":\"{MARKER}\"}}");
    requests.push(empty().header("Content-Type", kind).body(twice));
    requests.push(
        empty()
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("{field}={MARKER}%zz")),
    );
    requests.push(
        empty()
            .header("Content-Type", MARKER)
            .body(format!("{MARKER}=1")),
    );
    requests
}

/// Does what a request with a body may do, except to end the test.
fn harmless(route: &Route) -> bool {
    route.writes() && !["seal", "step-down"].contains(&route.row.pattern)
}

/// Sends all requests of a route with a token that may do everything. Answers with success hold
/// what the server was told to keep; refusals hold nothing.
fn refusals_that_leak(vault: &Vault, route: &Route) -> Vec<String> {
    let mut leaks = Vec::new();
    let mut caller = String::new();
    for (at, request) in requests(route).into_iter().enumerate() {
        if at == 0 || route.path.contains("revoke") {
            caller = token(vault, json!({"policies": ["everything"]}));
        }
        let answer = vault.send(&request.clone().token(&caller));
        if answer.status >= 400 && marked(&format!("{}{:?}", answer.text, answer.headers)) {
            let sent = String::from_utf8_lossy(&request.body);
            leaks.push(format!("{} {sent} answered {}", route.name(), answer.text));
        }
    }
    leaks
}

/// Whether a value, at any depth, holds the marker where it may not.
fn exposed(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(name, value)| name != "policies" && exposed(value)),
        Value::Array(values) => values.iter().any(exposed),
        value => marked(&value.to_string()),
    }
}

#[track_caller]
fn assert_quiet(vault: &Vault) {
    let log = vault.log();
    let loud: Vec<&str> = log.lines().filter(|line| marked(line)).take(5).collect();
    assert!(loud.is_empty(), "in the log: {loud:#?}");
    let audit = vault.audit();
    assert!(!audit.is_empty());
    let loud: Vec<Value> = audit.into_iter().filter(exposed).take(5).collect();
    assert!(loud.is_empty(), "in the audit: {loud:#?}");
}

#[test]
fn cve_2025_4166_no_malformed_body_of_any_write_route_leaks() {
    let vault = durable();
    routes::mount_all(&vault);
    policy(&vault, "everything", EVERYTHING);
    let routes: Vec<Route> = routes::all().into_iter().filter(harmless).collect();
    let leaks: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = routes
            .chunks(routes.len().div_ceil(4))
            .map(|part| {
                let vault = &vault;
                scope.spawn(move || {
                    part.iter()
                        .flat_map(|route| refusals_that_leak(vault, route))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    assert_quiet(&vault);
}

#[test]
fn shares_given_while_sealed_do_not_leak() {
    let vault = durable();
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    for route in routes::all()
        .iter()
        .filter(|route| ["sys/unseal", "sys/init"].contains(&route.path.as_str()))
    {
        for request in requests(route) {
            let answer = vault.send(&request);
            assert!(
                !marked(&answer.text),
                "{} answered {}",
                route.name(),
                answer.text
            );
        }
    }
    assert_quiet(&vault);
}

#[test]
fn headers_queries_and_refused_paths_do_not_leak() {
    let vault = durable();
    let get = |path: &str| Request::new("GET", path);
    let mounts = || get("sys/mounts").token(&vault.root);
    let requests = [
        get("sys/mounts").token(MARKER),
        get("sys/mounts").token(&format!("hvs.{MARKER}")),
        get("sys/mounts").token(&format!("hvb.{MARKER}")),
        get("sys/mounts").header("Authorization", &format!("Bearer {MARKER}")),
        get("sys/mounts").header("Authorization", &format!("Basic {MARKER}")),
        mounts().header("X-Vault-Wrap-TTL", MARKER),
        mounts().header("X-Vault-Namespace", MARKER),
        get(&format!("sys/mounts?list={MARKER}")).token(&vault.root),
        get(&format!("sys/mounts?x={MARKER}%zz")).token(&vault.root),
        get(&format!("sys/health?activecode={MARKER}")),
        Request::new("LIST", &format!("sys/policies/acl?limit={MARKER}")).token(&vault.root),
        get(&format!("{MARKER}/%2e%2e/x")).token(&vault.root),
        get(&format!("{MARKER}/%00")).token(&vault.root),
        get(&format!("{MARKER}%2f%2fx")).token(&vault.root),
        Request::new(&MARKER.to_ascii_uppercase(), "sys/mounts").token(&vault.root),
    ];
    for request in requests {
        let answer = vault.send(&request);
        let case = format!("{} {} {:?}", request.method, request.path, request.headers);
        if !case.contains("sys/mounts?x=") {
            assert!(
                answer.status >= 400,
                "{case}: {} {}",
                answer.status,
                answer.text
            );
        }
        assert!(
            !marked(&format!("{}{:?}", answer.text, answer.headers)),
            "{case}: {}",
            answer.text
        );
    }
    assert_quiet(&vault);
    // Without a token no path is told either.
    let nobody = vault.send(&get(&format!("{MARKER}/x"))).expect(403);
    assert!(!marked(&nobody.text), "{}", nobody.text);
}

/// A check that cannot fail proves nothing.
#[test]
fn what_may_be_kept_is_found_by_the_same_check() {
    let vault = durable();
    let created = vault
        .root("POST", "auth/token/create", json!({"meta": {"k": MARKER}}))
        .expect(200);
    assert!(marked(&created.text));
    let path = format!("cubbyhole/{MARKER}");
    vault.root("POST", &path, json!({"a": 1})).expect(204);
    assert!(vault.audit().iter().any(exposed));
}
