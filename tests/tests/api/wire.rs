//! What clients do with HTTP itself: connections that are kept, bodies in pieces, headers of every kind.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};

use crate::setup::quick;

fn mounted() -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    vault
}

/// Several requests on one connection, the last of which closes it; the statuses of the answers.
fn exchange(vault: &Vault, requests: &str) -> Vec<String> {
    let bytes = vault.raw(requests.replace('\n', "\r\n").as_bytes());
    let text = String::from_utf8(bytes).unwrap();
    let starts = text.match_indices("HTTP/1.1 ").map(|(at, _)| at + 9);
    starts.map(|at| text[at..at + 3].to_owned()).collect()
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let vault = mounted();
    let token = format!("Host: x\nX-Vault-Token: {}\n", vault.root);
    let statuses = exchange(
        &vault,
        &format!(
            "PUT /v1/kv/a HTTP/1.1\n{token}Content-Length: 9\n\n{{\"k\":\"v\"}}\
             GET /v1/kv/none HTTP/1.1\n{token}\n\
             HEAD /v1/kv/a HTTP/1.1\n{token}\n\
             DELETE /v1/kv/none HTTP/1.1\n{token}Content-Length: 12\n\n{{\"nonce\":\"\"}}\
             GET /v1/kv/a HTTP/1.1\n{token}Connection: close\n\n"
        ),
    );
    assert_eq!(statuses, ["204", "404", "200", "204", "200"]);
}

#[test]
fn who_has_said_all_still_gets_the_answer() {
    let vault = mounted();
    let requests = [("PUT", "{\"k\":\"v\"}", "204"), ("GET", "", "200")];
    // Whether the server notices in the middle of the request is a matter of luck.
    for (method, body, status) in requests.repeat(15) {
        let mut stream = TcpStream::connect(&vault.endpoint.address).unwrap();
        let request = format!(
            "{method} /v1/kv/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {}\r\nContent-Length: {}\r\n\r\n{body}",
            vault.root,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.get(9..12), Some(status), "{method}: {answer}");
    }
}

#[test]
fn a_body_may_come_in_pieces_or_on_demand() {
    let vault = mounted();
    let head = format!(
        "POST /v1/kv/a HTTP/1.1\nHost: x\nX-Vault-Token: {}\nConnection: close\n",
        vault.root
    );
    let chunked = format!("{head}Transfer-Encoding: chunked\n\n4\n{{\"k\"\n5\n:\"v\"}}\n0\n\n");
    assert_eq!(exchange(&vault, &chunked), ["204"]);
    let on_demand = format!("{head}Expect: 100-continue\nContent-Length: 9\n\n{{\"k\":\"w\"}}");
    assert_eq!(exchange(&vault, &on_demand), ["100", "204"]);
    let read = vault.root("GET", "kv/a", Value::Null).expect(200);
    assert_eq!(read.data(), &json!({"k": "w"}));
}

#[test]
fn headers_of_every_client_are_taken() {
    let vault = mounted();
    let with = |headers: &[(&str, &str)]| {
        let mut request = Request::new("GET", "sys/mounts").token(&vault.root);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        vault.send(&request)
    };
    let taken: [&[(&str, &str)]; 6] = [
        &[("X-Vault-Request", "true"), ("X-Vault-Namespace", "")],
        &[("X-Vault-Namespace", "root"), ("Accept", "*/*")],
        &[
            ("X-Vault-Index", "djE6"),
            ("X-Vault-Inconsistent", "forward-active-node"),
        ],
        &[
            ("Accept", "text/html, image/gif, *; q=.2"),
            ("X-Vault-No-Request-Forwarding", "true"),
        ],
        &[
            ("Upgrade", "h2c"),
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
        ],
        &[
            ("X-Vault-Wrap-TTL", "0"),
            ("X-Vault-MFA", "m:1"),
            ("Accept-Encoding", "gzip"),
        ],
    ];
    for headers in taken {
        assert_eq!(with(headers).status, 200, "{headers:?}");
    }
}

/// The head of a GET, and no body.
#[test]
fn head_is_get_without_the_body() {
    let vault = mounted();
    vault.root("PUT", "kv/a", json!({"k": "v"})).expect(204);
    let ask = |method: &str, path: &str, token: &str| -> Answer {
        vault.send(&Request::new(method, path).token(token))
    };
    for (path, token) in [
        ("kv/a", &*vault.root),
        ("kv/none", &*vault.root),
        ("kv/a", "hvs.wrong"),
        ("sys/seal-status", ""),
    ] {
        let (get, head) = (ask("GET", path, token), ask("HEAD", path, token));
        assert_eq!(get.status, head.status, "{path}");
        assert_eq!(get.header("content-type"), head.header("content-type"));
        assert!(!get.text.is_empty() && head.text.is_empty(), "{path}");
    }
}

#[test]
fn a_query_says_what_a_body_says() {
    let vault = quick();
    vault
        .root(
            "POST",
            "sys/mounts/secret",
            json!({"type": "kv", "options": {"version": 2}}),
        )
        .expect(204);
    for value in ["one", "two"] {
        let body = json!({"data": {"v": value}});
        vault.root("PUT", "secret/data/a%20b", body).expect(200);
    }
    let read = |query: &str| vault.root("GET", &format!("secret/data/a%20b?{query}"), Value::Null);
    for (query, value) in [
        ("version=1", "one"),
        ("version=0", "two"),
        ("version=", "two"),
        ("", "two"),
        ("unknown=x", "two"),
        ("version=1&list=false", "one"),
        ("version=1&help=", "one"),
    ] {
        assert_eq!(
            read(query).expect(200).data()["data"]["v"],
            json!(value),
            "{query}"
        );
    }
    read("version=x").expect(400);
    let help = read("help=1").expect(200);
    assert!(help.body["help"].as_str().unwrap().contains("version"));
}
