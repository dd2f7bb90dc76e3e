//! What bad input gets: a clear refusal in Vault's shape, quickly, and nothing lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_tests::process::cpu_of;
use vault_tests::{Answer, Options, Request, Vault};

use crate::setup::{quick, text, token, token_with};

/// Of the server's CPU time, which a machine that does other things too does not stretch. The goal is
/// 250 ms for a build that is optimised, as this one is not.
const SOON: Duration = Duration::from_secs(1);

fn post(vault: &Vault, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    vault.send(&Request::new("POST", path).token(&vault.root).body(body))
}

/// The server has survived, and answers quickly.
#[track_caller]
fn assert_well(vault: &Vault) {
    vault.root("GET", "sys/mounts", Value::Null).expect(200);
}

#[test]
fn cve_2025_6203_deep_and_huge_bodies_are_refused_at_once() {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    let deep = 100_000;
    let strings = format!("{{\"a\":[{}\"\"]}}", "\"\",".repeat(1_200_000));
    let keys: Vec<String> = (0..1_100_000)
        .map(|number| format!("\"{number}\":1"))
        .collect();
    let huge = 32 << 20;
    let cases: [(&str, Vec<u8>, u16); 7] = [
        ("deep lists", vec![b'['; deep], 400),
        ("deep objects", br#"{"a":"#.repeat(deep), 400),
        (
            "deep lists in a field",
            [br#"{"a":"#.to_vec(), vec![b'['; deep]].concat(),
            400,
        ),
        ("floods of strings", strings.into_bytes(), 400),
        (
            "floods of keys",
            format!("{{{}}}", keys.join(",")).into_bytes(),
            400,
        ),
        (
            "a long number",
            format!("{{\"a\":{}}}", "9".repeat(10 << 20)).into_bytes(),
            400,
        ),
        (
            "more than 32 MiB",
            format!("{{\"a\":\"{}\"}}", "a".repeat(huge)).into_bytes(),
            413,
        ),
    ];
    for (name, body, status) in cases {
        let before = cpu_of(vault.pid());
        let answer = post(&vault, "kv/a", body);
        let took = cpu_of(vault.pid()) - before;
        println!("{name}: {} in {took:?}", answer.status);
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        assert!(!answer.errors().is_empty(), "{name}");
        assert!(took < SOON, "{name} took {took:?}");
    }
    let largest = post(
        &vault,
        "kv/a",
        format!("{{\"a\":\"{}\"}}", "a".repeat(huge - 10)),
    );
    assert_eq!(
        largest.status, 400,
        "larger than storage takes: {}",
        largest.text
    );
    vault.root("GET", "kv/a", Value::Null).expect(404);
    assert_well(&vault);
}

#[test]
fn cve_2023_6337_who_has_no_token_may_send_little() {
    let vault = quick();
    vault
        .root("POST", "sys/auth/approle", json!({"type": "approle"}))
        .expect(204);
    let anonymous =
        |body: String| vault.send(&Request::new("POST", "auth/approle/login").body(body));
    anonymous(format!("{{\"role_id\":\"{}\"}}", "a".repeat(2 << 20))).expect(413);
    anonymous(format!("{{\"role_id\":[{}1]}}", "1,".repeat(2000))).expect(400);
    assert_well(&vault);
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_refused() {
    let vault = quick();
    let refused = [
        "cubbyhole/../sys/mounts",
        "cubbyhole/..",
        "cubbyhole/./a",
        "cubbyhole/%2e%2e/sys/mounts",
        "cubbyhole/%2E%2e/a",
        "cubbyhole/.%2e/a",
        "cubbyhole/a%2f..%2fb",
        "cubbyhole%2f..%2Fsys/mounts",
        "cubbyhole/a%2F%2fb",
        "cubbyhole/%2fa",
        "cubbyhole/a%00b",
        "cubbyhole/a%1fb",
        "cubbyhole/a%0d%0aX:y",
        "cubbyhole/a%7fb",
        "cubbyhole/a%c2%85b",
        "cubbyhole/a%5cb",
        "cubbyhole/a%ff",
        "cubbyhole/a%zz",
        "cubbyhole/a%2",
    ];
    for path in refused {
        for method in ["GET", "POST", "DELETE", "LIST"] {
            let answer = vault.send(&Request::new(method, path).token(&vault.root));
            assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
            assert!(
                !answer.errors().is_empty(),
                "{method} {path}: {}",
                answer.text
            );
        }
    }
    // Decoded once: the second layer is text.
    vault
        .root("POST", "cubbyhole/%252e%252e", json!({"a": 1}))
        .expect(204);
    let names = vault.root("LIST", "cubbyhole", Value::Null).expect(200);
    assert_eq!(names.data()["keys"], json!(["%2e%2e"]));
    let long = format!("cubbyhole/{}", "a".repeat(5000));
    vault.root("GET", &long, Value::Null).expect(400);
}

/// Clients that escape each argument as a whole send the slashes of a mount or of a path so; the
/// policies are asked about the same path as without.
#[test]
fn an_encoded_slash_is_a_slash_to_the_policies_too() {
    let vault = quick();
    let path = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/team%2Fkv", path).expect(204);
    vault
        .root("POST", "team%2Fkv/data/a%2Fb", json!({"data": {"k": "v"}}))
        .expect(200);
    let read = vault
        .root("GET", "team/kv/data/a/b", Value::Null)
        .expect(200);
    assert_eq!(read.data()["data"]["k"], "v");
    let rules = r#"path "team/kv/data/*" { capabilities = ["read"] }
        path "team/kv/data/a/*" { capabilities = ["deny"] }"#;
    let token = token_with(&vault, "reader", rules);
    for spelled in [
        "team/kv/data/a/b",
        "team/kv/data/a%2fb",
        "team%2Fkv%2Fdata%2Fa%2Fb",
    ] {
        vault
            .send(&Request::new("GET", spelled).token(&token))
            .expect(403);
    }
}

#[test]
fn bytes_that_are_no_request_get_400_and_do_no_harm() {
    let vault = quick();
    let token = &vault.root;
    let cases: [Vec<u8>; 8] = [
        b"GET /v1/a\x00b HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /v1/a\x1bb HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GARBAGE\r\n\r\n".to_vec(),
        b"GET /v1/sys/health HTTP/9.9\r\nHost: x\r\n\r\n".to_vec(),
        format!("GET /v1/sys/mounts HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\n folded\r\n\r\n").into_bytes(),
        format!("POST /v1/cubbyhole/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nTransfer-Encoding: xchunked\r\n\r\n{{}}").into_bytes(),
        format!("POST /v1/cubbyhole/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}").into_bytes(),
        format!("POST /v1/cubbyhole/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nContent-Length: -1\r\n\r\n{{}}").into_bytes(),
    ];
    for bytes in cases {
        let answer = Answer::parse(&vault.raw(&bytes));
        let status = answer.map_or(0, |answer| answer.status);
        assert!(
            matches!(status, 0 | 400),
            "{status}: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
    vault.root("GET", "cubbyhole/a", Value::Null).expect(404);
}

#[test]
fn double_slashes_are_redirected() {
    let vault = quick();
    for (path, clean) in [
        ("cubbyhole//a", "/v1/cubbyhole/a"),
        ("/cubbyhole/a", "/v1/cubbyhole/a"),
        ("cubbyhole/a//?list=true", "/v1/cubbyhole/a/?list=true"),
    ] {
        let answer = vault.root("GET", path, Value::Null).expect(301);
        assert_eq!(answer.header("location"), Some(clean));
    }
    // After a 301 clients send a GET: a write would be lost without a word.
    for method in ["POST", "PUT", "DELETE", "LIST"] {
        let written = vault
            .root(method, "cubbyhole//a", json!({"k": "v"}))
            .expect(307);
        assert_eq!(written.header("location"), Some("/v1/cubbyhole/a"));
    }
}

#[test]
fn json_that_is_no_single_object_is_refused() {
    let vault = quick();
    for body in [
        "[]",
        "1",
        "\"a\"",
        "{",
        "{}{}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":1,\"a\":2}",
        "\u{feff}{}",
        "{\"a\":\"\\ud800\"}",
    ] {
        let answer = post(&vault, "cubbyhole/a", body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(!answer.errors().is_empty(), "{body}");
    }
    vault.root("GET", "cubbyhole/a", Value::Null).expect(404);
}

#[test]
fn unknown_fields_are_named_in_a_warning() {
    let vault = quick();
    let answer = vault
        .root(
            "POST",
            "auth/token/create",
            json!({"ttl": "1h", "polices": ["a"]}),
        )
        .expect(200);
    assert!(
        answer.body["warnings"].to_string().contains("polices"),
        "{}",
        answer.text
    );
    let fine = vault
        .root("POST", "auth/token/create", json!({"ttl": "1h"}))
        .expect(200);
    assert!(fine.body["warnings"].is_null(), "{}", fine.text);
}

#[test]
fn wrong_values_are_refused_with_the_name_of_their_field() {
    let vault = quick();
    let cases = [
        ("auth/token/create", json!({"ttl": "soon"}), "ttl"),
        ("auth/token/create", json!({"ttl": -1}), "ttl"),
        ("auth/token/create", json!({"num_uses": "many"}), "num_uses"),
        ("auth/token/create", json!({"num_uses": -1}), "uses"),
        (
            "auth/token/create",
            json!({"policies": {"a": 1}}),
            "policies",
        ),
        ("auth/token/create", json!({"meta": ["a"]}), "meta"),
        ("sys/mounts/x", json!({"type": "nothing"}), "type"),
        ("sys/capabilities-self", json!({}), "path"),
        ("sys/policies/acl/p", json!({"policy": ""}), "policy"),
    ];
    for (path, body, field) in cases {
        let answer = vault.root("POST", path, body.clone());
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text);
        assert!(
            answer.errors().contains(field),
            "{path} {body}: {}",
            answer.text
        );
    }
}

#[test]
fn a_broken_policy_is_refused_with_line_and_column() {
    let vault = quick();
    let text = "path \"a/*\" {\n  capabilities = [\"raed\"]\n}\n";
    let answer = vault
        .root("POST", "sys/policies/acl/p", json!({ "policy": text }))
        .expect(400);
    assert!(answer.errors().contains("line 2"), "{}", answer.text);
    vault
        .root("GET", "sys/policies/acl/p", Value::Null)
        .expect(404);
}

#[test]
fn a_wrong_share_is_refused_and_named() {
    let mut vault = Vault::start(Options::memory());
    let mut other = Vault::start(Options::memory());
    let keys = vault.init(3, 2).keys;
    let foreign = other.init(3, 2).keys;
    let give = |key: &str| vault.call("PUT", "sys/unseal", None, Some(&json!({ "key": key })));
    let stranger = give(&foreign[1]).expect(400);
    assert!(stranger.errors().contains("share 2"), "{}", stranger.text);
    let mut typo = keys[2].clone().into_bytes();
    let at = typo.len() / 2;
    typo[at] = if typo[at] == b'0' { b'1' } else { b'0' };
    let damaged = give(&String::from_utf8(typo).unwrap()).expect(400);
    assert!(damaged.errors().contains("share"), "{}", damaged.text);
    for junk in ["", "zz", "00", &"ab".repeat(10_000)] {
        give(junk).expect(400);
    }
    assert_eq!(give(&keys[0]).expect(200).body["progress"], 1);
    assert_eq!(
        give(&keys[0]).expect(200).body["progress"],
        1,
        "the same share twice is one"
    );
    assert_eq!(give(&keys[2]).expect(200).body["sealed"], false);
}

#[test]
fn writes_to_folders_and_patches_of_other_types_are_refused() {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/two", json!({"type": "kv-v2"}))
        .expect(204);
    let answer = vault
        .root("POST", "two/data/a/", json!({"data": {"a": 1}}))
        .expect(400);
    assert_eq!(answer.errors(), "cannot write to a path ending in '/'");
    vault
        .root("POST", "two/data/a", json!({"data": {"a": 1}}))
        .expect(200);
    let patch = Request::new("PATCH", "two/data/a")
        .token(&vault.root)
        .body("{\"data\":{\"a\":2}}");
    vault.send(&patch).expect(415);
    vault
        .send(&patch.clone().header("Content-Type", "application/json"))
        .expect(415);
    vault
        .send(&patch.header(
            "Content-Type",
            "application/merge-patch+json; charset=utf-8",
        ))
        .expect(200);
    vault
        .root("PATCH", "cubbyhole/a", json!({"a": 1}))
        .expect(405);
    vault
        .call("BREW", "cubbyhole/a", Some(&vault.root), None)
        .expect(405);
}

#[test]
fn a_list_is_a_verb_or_a_parameter() {
    let vault = quick();
    vault
        .root("POST", "cubbyhole/a/b", json!({"a": 1}))
        .expect(204);
    let lists = [
        ("LIST", "cubbyhole/a"),
        ("LIST", "cubbyhole/a/"),
        ("GET", "cubbyhole/a?list=true"),
        ("GET", "cubbyhole/a?list=1"),
        ("GET", "cubbyhole/a/?list=T"),
    ];
    for (method, path) in lists {
        assert_eq!(
            vault.root(method, path, Value::Null).expect(200).data()["keys"],
            json!(["b"]),
            "{method} {path}"
        );
    }
    vault
        .root("GET", "cubbyhole/a/b?list=false", Value::Null)
        .expect(200);
    let odd = vault
        .root("GET", "cubbyhole/a?list=maybe", Value::Null)
        .expect(400);
    assert_eq!(odd.body, json!({"errors": []}));
    let none = vault
        .root("LIST", "cubbyhole/none", Value::Null)
        .expect(404);
    assert_eq!(none.body, json!({"errors": []}));
}

#[test]
fn health_says_the_state_by_its_status_with_and_without_a_body() {
    let mut vault = Vault::start(Options::memory());
    let both = |status: u16| {
        let get = vault.call("GET", "sys/health", None, None).expect(status);
        assert!(get.body["sealed"].is_boolean(), "{}", get.text);
        let head = vault.call("HEAD", "sys/health", None, None).expect(status);
        assert!(head.text.is_empty());
    };
    both(501);
    vault.init(1, 1);
    let both = |query: &str, status: u16| {
        let path = format!("sys/health{query}");
        vault.call("GET", &path, None, None).expect(status);
        vault.call("HEAD", &path, None, None).expect(status);
    };
    both("", 503);
    both("?sealedcode=299", 299);
    vault.unseal();
    both("", 200);
    both("?activecode=204&standbyok=true&perfstandbyok=true", 204);
    for odd in ["9", "100", "600", "x"] {
        let path = format!("sys/health?activecode={odd}");
        vault.call("GET", &path, None, None).expect(400);
    }
}

#[test]
fn another_namespace_is_refused_and_not_ignored() {
    let vault = quick();
    let with = |name: &str| {
        vault.send(
            &Request::new("GET", "sys/mounts")
                .token(&vault.root)
                .header("X-Vault-Namespace", name),
        )
    };
    with("team-a").expect(404);
    with("root").expect(200);
    with("").expect(200);
    with("/").expect(200);
}

#[test]
fn oversized_headers_are_refused() {
    let vault = quick();
    let with = |name: &str, length: usize| {
        let request = Request::new("GET", "sys/mounts")
            .token(&vault.root)
            .header(name, &"a".repeat(length));
        vault
            .endpoint
            .send(&request)
            .map_or(0, |answer| answer.status)
    };
    assert_eq!(with("X-Padding", 1000), 200);
    let refused = with("X-Padding", 1 << 20);
    assert!(matches!(refused, 0 | 400 | 431), "{refused}");
    let long = "a".repeat(9000);
    vault
        .call("GET", "sys/mounts", Some(&long), None)
        .expect(400);
    let many: String = (0..500)
        .map(|number| format!("X-{number}: a\r\n"))
        .collect();
    let bytes = format!("GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    let status = Answer::parse(&vault.raw(bytes.as_bytes())).map_or(0, |answer| answer.status);
    assert!(matches!(status, 0 | 400 | 431), "{status}");
    assert_well(&vault);
}

#[test]
fn a_request_that_does_not_arrive_is_dropped() {
    let vault = quick();
    let start = Instant::now();
    let mut stream = TcpStream::connect(&vault.endpoint.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
        .write_all(b"GET /v1/sys/health HTTP/1.1\r\nHost:")
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_well(&vault);
}

#[test]
fn bodies_are_recognised_by_what_they_hold() {
    let vault = quick();
    let send = |kind: Option<&str>, body: &str| {
        let mut request = Request::new("POST", "cubbyhole/a")
            .token(&vault.root)
            .body(body);
        if let Some(kind) = kind {
            request = request.header("Content-Type", kind);
        }
        vault.send(&request).expect(204);
        vault
            .root("GET", "cubbyhole/a", Value::Null)
            .expect(200)
            .data()
            .clone()
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(send(None, "{\"a\":1}"), json!({"a": 1}));
    assert_eq!(send(Some("text/plain"), "{\"a\":2}"), json!({"a": 2}));
    assert_eq!(send(Some(form), " {\"a\":3}"), json!({"a": 3}));
    assert_eq!(
        send(Some(form), "a=4&b=x+y%21&c=1&c=2"),
        json!({"a": "4", "b": "x y!", "c": ["1", "2"]})
    );
    post(&vault, "auth/token/create", "").expect(200);
}

#[test]
fn the_token_comes_in_its_header_or_as_bearer() {
    let vault = quick();
    let child = token(&vault, json!({"policies": ["default"]}));
    let lookup = || Request::new("GET", "auth/token/lookup-self");
    let id = |request: Request| text(&vault.send(&request).expect(200).data()["id"]);
    let bearer = format!("Bearer {child}");
    assert_eq!(id(lookup().header("Authorization", &bearer)), child);
    assert_eq!(
        id(lookup().header("Authorization", &bearer).token(&vault.root)),
        vault.root
    );
    for scheme in ["Basic ", "bearer", "Token "] {
        vault
            .send(&lookup().header("Authorization", &format!("{scheme}{child}")))
            .expect(403);
    }
    vault.send(&lookup()).expect(403);
    vault.send(&lookup().token(" ")).expect(403);
}

#[test]
fn cve_2021_38554_every_answer_forbids_to_keep_it() {
    let vault = quick();
    let nobody = token_with(&vault, "nobody", r#"path "x" { capabilities = ["read"] }"#);
    let answers = [
        vault.root("GET", "sys/mounts", Value::Null).expect(200),
        vault
            .root("POST", "cubbyhole/a", json!({"a": 1}))
            .expect(204),
        vault
            .call("GET", "sys/mounts", Some(&nobody), None)
            .expect(403),
        vault.call("GET", "sys/health", None, None).expect(200),
        vault.root("GET", "a/../b", Value::Null).expect(400),
        vault.root("GET", "a//b", Value::Null).expect(301),
    ];
    for answer in answers {
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{}",
            answer.text
        );
    }
    let outside =
        Answer::parse(&vault.raw(b"GET /ui/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
            .unwrap();
    assert_eq!(outside.status, 404);
}
