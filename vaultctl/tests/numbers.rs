//! Numbers that no machine type holds pass through the command line digit for digit.

#![expect(clippy::unwrap_used)]

#[expect(dead_code, reason = "shared with the other tests")]
mod fake;

use fake::{Asked, Fake};
use serde_json::{Value, json};

/// 2^64, a zero at the end, more digits than a double has, a negative beyond 64 bits, an exponent in
/// the one spelling that is written.
const EXACT: [&str; 5] = [
    "18446744073709551616",
    "1.10",
    "0.1000000000000000055511151231257827021181583404541015625",
    "-170141183460469231731687303715884105729",
    "1e+400",
];

fn values() -> Value {
    let fields: Vec<String> = EXACT
        .iter()
        .enumerate()
        .map(|(at, digits)| format!("\"n{at}\":{digits},\"deep{at}\":{{\"list\":[{digits}]}}"))
        .collect();
    serde_json::from_str(&format!("{{{}}}", fields.join(","))).unwrap()
}

fn server(asked: &Asked) -> (u16, Value) {
    match (asked.verb.as_str(), asked.path.as_str()) {
        ("GET", path) if path.starts_with("sys/internal/ui/mounts/") => (
            200,
            json!({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}),
        ),
        ("GET", "secret/data/app") => {
            let metadata =
                json!({"version": 2, "created_time": "T", "deletion_time": "", "destroyed": false});
            (
                200,
                json!({"data": {"data": values(), "metadata": metadata}}),
            )
        }
        ("GET", "old/app") => (200, json!({"data": values()})),
        ("PUT" | "POST", _) => (200, json!({"data": {"version": 3, "created_time": "T"}})),
        _ => (404, json!({"errors": []})),
    }
}

#[test]
fn every_way_of_reading_shows_all_digits() {
    let fake = Fake::start(server);
    for words in [
        &["kv", "get", "secret/app"][..],
        &["kv", "get", "-o", "json", "secret/app"],
        &["kv", "get", "-o", "yaml", "secret/app"],
        &["read", "old/app"],
        &["read", "-o", "json", "old/app"],
    ] {
        let (code, out, err) = fake.run(words);
        assert_eq!(code, 0, "{err}");
        for digits in EXACT {
            let shown = out.matches(digits).count();
            assert!(shown >= 2, "{words:?} shows {digits} {shown} times: {out}");
        }
    }
    for (at, digits) in EXACT.iter().enumerate() {
        let key = format!("n{at}");
        let field = fake.run(&["kv", "get", "--field", &key, "secret/app"]).1;
        assert_eq!(field, *digits);
        assert_eq!(fake.run(&["get", &format!("secret/app#{key}")]).1, *digits);
    }
}

#[test]
fn a_command_gets_all_digits_in_its_environment() {
    let fake = Fake::start(server);
    let (code, out, err) = fake.run(&["run", "-s", "secret/app", "--", "env"]);
    assert_eq!(code, 0, "{err}");
    for (at, digits) in EXACT.iter().enumerate() {
        let line = format!("n{at}={digits}");
        assert!(out.lines().any(|l| l == line), "{line}: {out}");
        let deep = format!("deep{at}={{\"list\":[{digits}]}}");
        assert!(out.lines().any(|l| l == deep), "{deep}: {out}");
    }
}

#[test]
fn every_way_of_writing_sends_all_digits() {
    let fake = Fake::start(server);
    let file = fake.file("values.json", &values().to_string());
    for words in [
        &["kv", "put", "secret/app", &format!("@{file}")][..],
        &["write", "old/app", &format!("@{file}")],
        // Read, changed and written back.
        &["kv", "patch", "--method", "rw", "secret/app", "other=1"],
    ] {
        let (code, _, err) = fake.run(words);
        assert_eq!(code, 0, "{err}");
        let sent = fake.asked().pop().unwrap().body.to_string();
        for digits in EXACT {
            assert_eq!(sent.matches(digits).count(), 2, "{words:?}: {sent}");
        }
    }
}
