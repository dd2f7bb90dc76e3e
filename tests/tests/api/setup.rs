//! What several tests prepare or do in the same way.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};
use vault_tests::{Answer, Options, Vault};

/// A policy that allows whatever the root token may.
pub(crate) const EVERYTHING: &str = r#"path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }"#;

/// What a check for the policy `root` might let through.
pub(crate) const ROOT_SPELLINGS: [&str; 9] = [
    "root",
    "ROOT",
    "RooT",
    " root",
    "root ",
    "root\t",
    "root\u{0}",
    "ｒｏｏｔ",
    "root/",
];

/// In memory, over plain HTTP: the fastest way to a server.
pub(crate) fn quick() -> Vault {
    Vault::ready_with(Options::memory())
}

/// SQLite and an audit file, over plain HTTP.
pub(crate) fn durable() -> Vault {
    Vault::ready_with(Options::plain())
}

#[track_caller]
pub(crate) fn policy(vault: &Vault, name: &str, text: &str) {
    let path = format!("sys/policies/acl/{name}");
    vault
        .root("POST", &path, json!({ "policy": text }))
        .expect(204);
}

/// A child of the root token, as the body of `auth/token/create` says.
#[track_caller]
pub(crate) fn token(vault: &Vault, body: Value) -> String {
    text(
        &vault
            .root("POST", "auth/token/create", body)
            .expect(200)
            .body["auth"]["client_token"],
    )
}

/// A token with exactly these rules, and without the default policy.
#[track_caller]
pub(crate) fn token_with(vault: &Vault, name: &str, rules: &str) -> String {
    policy(vault, name, rules);
    token(
        vault,
        json!({"policies": [name], "no_default_policy": true}),
    )
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a string: {value}"))
        .to_owned()
}

/// Everyone begins at the same moment.
pub(crate) fn together(count: usize, act: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    let start = Barrier::new(count);
    thread::scope(|scope| {
        let running: Vec<_> = (0..count)
            .map(|number| {
                let (start, act) = (&start, &act);
                scope.spawn(move || {
                    start.wait();
                    act(number)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

pub(crate) fn with_status(answers: &[Answer], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}
