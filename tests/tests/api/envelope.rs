//! The form of answers that clients rely on, whatever is asked: the envelope, what is copied to the
//! top level, what "nothing" looks like, and paging.

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};

use crate::setup::{quick, text, token};

const FIELDS: [&str; 8] = [
    "request_id",
    "lease_id",
    "renewable",
    "lease_duration",
    "data",
    "wrap_info",
    "warnings",
    "auth",
];

/// One of everything that a path below may name.
fn furnished() -> Vault {
    let vault = quick();
    let make = |path: &str, body: Value| {
        let answer = vault.root("POST", path, body);
        assert!(answer.status < 300, "{path}: {}", answer.text);
    };
    make("sys/mounts/kv", json!({"type": "kv"}));
    make(
        "sys/mounts/secret",
        json!({"type": "kv", "options": {"version": "2"}}),
    );
    make("sys/mounts/transit", json!({"type": "transit"}));
    make("sys/mounts/totp", json!({"type": "totp"}));
    make("sys/auth/approle", json!({"type": "approle"}));
    make("sys/auth/userpass", json!({"type": "userpass"}));
    for name in ["a", "b", "c"] {
        make(&format!("kv/dir/{name}"), json!({"k": "v"}));
        make(
            &format!("secret/data/dir/{name}"),
            json!({"data": {"k": "v"}}),
        );
        make(&format!("cubbyhole/dir/{name}"), json!({"k": "v"}));
        make(&format!("transit/keys/{name}"), json!({}));
        let key = json!({"generate": true, "issuer": "i", "account_name": "n"});
        make(&format!("totp/keys/{name}"), key);
        make(&format!("auth/approle/role/{name}"), json!({}));
        make(
            &format!("auth/userpass/users/{name}"),
            json!({"password": "p"}),
        );
        make(&format!("auth/token/roles/{name}"), json!({}));
        make(
            &format!("sys/policies/acl/{name}"),
            json!({"policy": "path \"x\" { capabilities = [\"read\"] }"}),
        );
    }
    vault
}

fn read(vault: &Vault, path: &str) -> Answer {
    vault.root("GET", path, Value::Null)
}

#[track_caller]
fn assert_envelope(answer: &Answer, what: &str) {
    let body = answer.body.as_object().unwrap();
    for field in FIELDS {
        assert!(body.contains_key(field), "{what} has no {field}");
    }
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(body["lease_id"].is_string() && body["request_id"].is_string());
    assert!(body["renewable"].is_boolean() && body["lease_duration"].is_u64());
    for field in ["data", "wrap_info", "auth"] {
        assert!(
            body[field].is_null() || body[field].is_object(),
            "{what}: {field}"
        );
    }
    assert!(
        body["warnings"].is_null() || !body["warnings"].as_array().unwrap().is_empty(),
        "{what}"
    );
}

#[test]
fn every_answer_has_all_eight_fields() {
    let vault = furnished();
    for path in [
        "kv/dir/a",
        "secret/data/dir/a",
        "secret/metadata/dir/a",
        "secret/config",
        "sys/mounts",
        "sys/auth",
        "sys/policy",
        "sys/policies/acl/a",
        "sys/internal/ui/mounts",
        "auth/token/lookup-self",
        "auth/approle/role/a/role-id",
        "transit/keys/a",
        "totp/code/a",
        "auth/userpass/users/a",
    ] {
        assert_envelope(&read(&vault, path).expect(200), path);
    }
    let made = vault.root("POST", "auth/token/create", json!({"ttl": "1h"}));
    assert_envelope(&made, "a token");
    assert!(made.body["data"].is_null() && made.body["auth"].is_object());
    let wrap = Request::new("GET", "kv/dir/a")
        .token(&vault.root)
        .header("X-Vault-Wrap-TTL", "60");
    let wrapped = vault.send(&wrap).expect(200);
    assert_envelope(&wrapped, "a wrapped answer");
    assert_eq!(wrapped.body["request_id"], json!(""));
    assert!(wrapped.body["data"].is_null() && wrapped.body["wrap_info"].is_object());
    let warned = vault.root("GET", "secret/dir/a", Value::Null).expect(404);
    assert_envelope(&warned, "a warning");
}

/// Clients with types refuse a missing or null field in these.
#[test]
fn a_login_says_all_that_typed_clients_need() {
    let vault = furnished();
    let body = json!({"password": "p"});
    let login = vault.call("POST", "auth/userpass/login/a", None, Some(&body));
    let auth = login.expect(200).body["auth"].clone();
    for field in ["client_token", "accessor", "token_type", "entity_id"] {
        assert!(auth[field].is_string(), "{field}: {auth}");
    }
    for field in ["policies", "token_policies"] {
        assert!(auth[field].is_array(), "{field}: {auth}");
    }
    assert!(auth["renewable"].is_boolean() && auth["orphan"].is_boolean());
    assert!(auth["lease_duration"].is_u64() && auth["metadata"].is_object());
}

#[test]
fn what_old_clients_read_is_at_the_top_too() {
    let vault = furnished();
    let accessor = text(&read(&vault, "auth/token/lookup-self").data()["accessor"]);
    let paths = json!({"paths": ["kv/a", "sys/mounts"]});
    let with = |name: &str, value: &str| {
        let mut body = paths.clone();
        body[name] = value.into();
        body
    };
    let asked = [
        ("GET", "sys/mounts", Value::Null),
        ("GET", "sys/mounts/kv", Value::Null),
        ("GET", "sys/mounts/kv/tune", Value::Null),
        ("GET", "sys/mounts/auth/approle", Value::Null),
        ("GET", "sys/mounts/auth/approle/tune", Value::Null),
        ("GET", "sys/auth", Value::Null),
        ("GET", "sys/auth/approle", Value::Null),
        ("GET", "sys/auth/approle/tune", Value::Null),
        ("GET", "sys/policy", Value::Null),
        ("GET", "sys/policy/a", Value::Null),
        ("GET", "sys/key-status", Value::Null),
        ("GET", "sys/ha-status", Value::Null),
        ("GET", "sys/config/cors", Value::Null),
        ("POST", "sys/capabilities-self", paths.clone()),
        ("POST", "sys/capabilities", with("token", &vault.root)),
        (
            "POST",
            "sys/capabilities-accessor",
            with("accessor", &accessor),
        ),
        (
            "POST",
            "sys/remount",
            json!({"from": "totp", "to": "totp2"}),
        ),
    ];
    for (method, path, body) in asked {
        let answer = vault.root(method, path, body).expect(200);
        let data = answer.data().as_object().unwrap();
        assert!(!data.is_empty(), "{path}");
        for (key, value) in data {
            assert_eq!(&answer.body[key], value, "{path}: {key}");
        }
    }
}

#[test]
fn the_states_of_the_server_have_no_envelope() {
    let vault = quick();
    for path in ["init", "seal-status", "health", "leader"] {
        let answer = read(&vault, &format!("sys/{path}")).expect(200);
        for field in ["request_id", "data", "auth"] {
            assert!(answer.body.get(field).is_none(), "{path} has {field}");
        }
    }
}

#[test]
fn what_is_not_there_is_exactly_an_empty_list_of_errors() {
    let vault = furnished();
    let missing = [
        ("GET", "kv/none"),
        ("LIST", "kv/none"),
        ("GET", "secret/data/none"),
        ("GET", "secret/data/dir/a?version=9"),
        ("GET", "secret/metadata/none"),
        ("LIST", "secret/metadata/none"),
        ("GET", "secret/metadata/none?list=true"),
        ("GET", "cubbyhole/none"),
        ("GET", "sys/policy/none"),
        ("GET", "sys/policies/acl/none"),
        ("GET", "auth/approle/role/none"),
        ("GET", "auth/userpass/users/none"),
        ("GET", "auth/token/roles/none"),
        ("GET", "transit/keys/none"),
        ("LIST", "auth/approle/role/a/secret-id"),
    ];
    for (method, path) in missing {
        let answer = vault.root(method, path, Value::Null).expect(404);
        assert_eq!(answer.text, r#"{"errors":[]}"#, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn nothing_to_say_is_204_without_a_body() {
    let vault = furnished();
    let silent = [
        ("POST", "kv/dir/a", json!({"k": "w"})),
        ("PUT", "kv/dir/a", json!({"k": "w"})),
        // A field that nobody knows is worth no answer of its own.
        (
            "POST",
            "secret/metadata/dir/a",
            json!({"max_versions": 3, "unknown": 1}),
        ),
        ("POST", "secret/delete/dir/a", json!({"versions": [1]})),
        ("DELETE", "secret/data/none", Value::Null),
        ("DELETE", "kv/none", Value::Null),
        ("POST", "sys/mounts/new", json!({"type": "kv"})),
        (
            "POST",
            "sys/mounts/new/tune",
            json!({"max_lease_ttl": "2h"}),
        ),
        ("DELETE", "sys/mounts/new", Value::Null),
        ("DELETE", "sys/mounts/none", Value::Null),
        (
            "PUT",
            "sys/policy/p",
            json!({"policy": "path \"x\" { capabilities = [\"read\"] }"}),
        ),
        ("DELETE", "sys/policy/none", Value::Null),
        ("POST", "auth/token/revoke", json!({"token": "hvs.unknown"})),
        ("DELETE", "auth/approle/role/none", Value::Null),
        ("PUT", "sys/leases/revoke", json!({"lease_id": "none/such"})),
    ];
    for (method, path, body) in silent {
        let answer = vault.root(method, path, body);
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (204, ""),
            "{method} {path}"
        );
        assert_eq!(answer.header("content-type"), None, "{method} {path}");
    }
}

/// POST and PUT are one verb: same status, same form of the answer.
#[test]
fn put_is_post() {
    let (one, two) = (furnished(), furnished());
    let writes = [
        ("kv/x", json!({"k": "v"})),
        ("secret/data/x", json!({"data": {"k": "v"}})),
        ("secret/metadata/x", json!({"max_versions": 3})),
        ("secret/undelete/x", json!({"versions": [1]})),
        ("transit/encrypt/a", json!({"plaintext": "aGk="})),
        ("auth/token/create", json!({"ttl": "1h"})),
        ("auth/approle/role/x", json!({})),
        ("auth/approle/role/x/secret-id", json!({})),
        ("auth/userpass/login/a", json!({"password": "p"})),
        ("auth/userpass/login/a", json!({"password": "wrong"})),
        ("sys/mounts/x", json!({"type": "kv"})),
        ("sys/mounts/x", json!({"type": "kv"})),
        ("sys/capabilities-self", json!({"path": "kv/x"})),
        ("sys/wrapping/unwrap", json!({"token": "none"})),
        ("sys/mounts", json!({})),
    ];
    for (path, body) in writes {
        let post = one.root("POST", path, body.clone());
        let put = two.root("PUT", path, body);
        assert_eq!(post.status, put.status, "{path}");
        assert_eq!(shape(&post.body), shape(&put.body), "{path}");
    }
}

/// The names in an answer, without what differs from one to the next.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), shape(v))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!(0),
        other => other.clone(),
    }
}

#[test]
fn every_list_can_be_paged() {
    let vault = furnished();
    token(&vault, json!({"ttl": "1h"}));
    for path in [
        "kv/dir",
        "secret/metadata/dir",
        "secret/detailed-metadata/dir",
        "cubbyhole/dir",
        "transit/keys",
        "totp/keys",
        "sys/policies/acl",
        "auth/approle/role",
        "auth/userpass/users",
        "auth/token/roles",
        "auth/token/accessors",
        "sys/leases/lookup/auth/token/create",
    ] {
        let all = keys(&vault, path, "");
        assert!(!all.is_empty(), "{path}");
        let mut paged: Vec<String> = Vec::new();
        loop {
            let after = paged
                .last()
                .map_or(String::new(), |last| format!("&after={last}"));
            let page = keys(&vault, path, &format!("limit=2{after}"));
            assert!(page.len() <= 2, "{path}");
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all, "{path}");
        for no_limit in ["limit=0", "limit=-1", "limit="] {
            assert_eq!(keys(&vault, path, no_limit), all, "{path} {no_limit}");
        }
        vault
            .root("LIST", &format!("{path}?limit=two"), Value::Null)
            .expect(400);
    }
}

/// The same by either way to ask for a list; none is 404.
fn keys(vault: &Vault, path: &str, query: &str) -> Vec<String> {
    let verb = vault.root("LIST", &format!("{path}?{query}"), Value::Null);
    let parameter = vault.root("GET", &format!("{path}?{query}&list=true"), Value::Null);
    assert_eq!(verb.status, parameter.status, "{path}");
    assert_eq!(verb.data()["keys"], parameter.data()["keys"], "{path}");
    if verb.status == 404 {
        return Vec::new();
    }
    let keys = verb.expect(200).data()["keys"].clone();
    keys.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn errors_are_a_list_of_texts_with_the_right_status() {
    let vault = furnished();
    let asked = [
        ("DELETE", "sys/seal-status", 405, "unsupported operation"),
        ("PATCH", "secret/data/dir/a", 415, "merge-patch+json"),
        ("GET", "nowhere/x", 404, "no handler for route"),
        ("GET", "auth/nowhere/x", 404, "no handler for route"),
        ("GET", "sys/nowhere", 404, "unsupported path"),
        (
            "POST",
            "secret/data/dir/",
            400,
            "cannot write to a path ending in '/'",
        ),
        ("POST", "secret/data/dir/a", 400, "no data provided"),
        ("GET", "kv/dir/a?list=maybe", 400, ""),
    ];
    for (method, path, status, part) in asked {
        let answer = vault.send(&Request::new(method, path).token(&vault.root));
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        let body = answer.body.as_object().unwrap();
        assert!(body.len() == 1 && body["errors"].is_array(), "{path}");
        assert!(answer.errors().contains(part), "{path}: {}", answer.text);
    }
}

#[test]
fn times_are_rfc_3339_in_utc() {
    let vault = furnished();
    let metadata = read(&vault, "secret/metadata/dir/a");
    let made = text(&metadata.data()["created_time"]);
    assert!(
        made.ends_with('Z') && made.contains('T') && made.len() <= 30,
        "{made}"
    );
    assert_eq!(metadata.data()["versions"]["1"]["deletion_time"], json!(""));
    let own = read(&vault, "auth/token/lookup-self");
    assert_eq!(own.data()["expire_time"], Value::Null);
    assert!(own.data()["creation_time"].is_u64());
}
