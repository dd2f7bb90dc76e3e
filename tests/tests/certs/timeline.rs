//! What ends when: for people, for monitoring.

use serde_json::{Value, json};

use vault_tests::{Options, Vaultctl};

use crate::site::Site;

/// More than one page of the index.
const MANY: usize = 130;

fn rows(site: &Site, more: &str) -> Vec<Value> {
    let words = format!("pki expiring --json {more}");
    let words: Vec<&str> = words.split_whitespace().collect();
    let said = site.vaultctl().run(&words, "");
    assert_eq!(said.code, 0, "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn what_ends_soon_is_listed_the_soonest_first() {
    let site = Site::new();
    for hours in [30, 10, 20] {
        let body =
            json!({"common_name": format!("h{hours}.example.com"), "ttl": format!("{hours}h")});
        site.vault.root("POST", "pki/issue/web", body).expect(200);
    }
    let names = |more: &str| -> Vec<String> {
        let rows = rows(&site, more);
        let names = rows
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned());
        names.collect()
    };
    let all = ["h10.example.com", "h20.example.com", "h30.example.com"];
    assert_eq!(names(""), all);
    assert_eq!(names("--within 25h"), all[..2]);
    assert_eq!(names("--within 25h --mount pki"), all[..2]);
    // The authority is listed, too, once it is near enough; of the other mount this token knows nothing.
    let far = rows(&site, "--within 50000h");
    let kinds: Vec<&str> = far
        .iter()
        .map(|row| row["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["certificate", "certificate", "certificate", "issuer"]
    );
    // A root is its own issuer, and listed once.
    let root = site
        .vault
        .root("GET", "top/expiring?within=90000h", Value::Null);
    let root = root.expect(200).body;
    let kinds: Vec<&Value> = root["data"]["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let of = |kind: &str| kinds.iter().filter(|row| row["kind"] == kind).count();
    assert_eq!((of("issuer"), of("certificate")), (1, 1), "{root}");
    // What is revoked does not count.
    let serial = &rows(&site, "")[0]["serial_number"];
    let body = json!({ "serial_number": serial });
    site.vault.root("POST", "pki/revoke", body).expect(200);
    assert_eq!(names(""), all[1..]);
    let said = site
        .vaultctl()
        .run(&["pki", "expiring", "--within", "soon"], "");
    assert!(said.code == 1 && said.err.contains("30d"), "{}", said.err);
    let said = site
        .vaultctl()
        .run(&["pki", "expiring", "--mount", "nowhere"], "");
    assert!(
        said.code == 1 && said.err.contains("no authority"),
        "{}",
        said.err
    );
    let said = site.vaultctl().run(&["pki", "expiring"], "");
    assert!(
        said.out.contains("h20.example.com") && said.out.contains(" 1d "),
        "{}",
        said.out
    );
}

#[test]
fn many_certificates_are_counted_and_the_soonest_are_shown() {
    let site = Site::new();
    for _ in 0..MANY {
        let body = json!({"common_name": "a.example.com", "ttl": "2h"});
        site.vault.root("POST", "pki/issue/web", body).expect(200);
    }
    let answer = site
        .vault
        .root("GET", "pki/expiring?within=3h", Value::Null);
    let answer = answer.expect(200).body;
    assert_eq!(
        answer["data"]["certificates"].as_array().unwrap().len(),
        MANY
    );
    assert_eq!(answer["data"]["more"], false);
    let answer = site
        .vault
        .root("GET", "pki/expiring?limit=100", Value::Null);
    let answer = answer.expect(200).body;
    assert_eq!(
        answer["data"]["certificates"].as_array().unwrap().len(),
        100
    );
    assert_eq!(answer["data"]["more"], true);
    for wrong in ["limit=-1", "limit=x", "within=x"] {
        let path = format!("pki/expiring?{wrong}");
        site.vault.root("GET", &path, Value::Null).expect(400);
    }
    let path = "sys/metrics?format=prometheus";
    let text = site.vault.root("GET", path, Value::Null).expect(200);
    let text = text.text;
    let has = |line: &str| assert!(text.contains(line), "{line}\n{text}");
    for days in [1, 7, 30] {
        has(&format!(
            "vaultd_certificates_ending{{mount=\"pki/\",days=\"{days}\"}} {MANY}"
        ));
    }
    has("vaultd_certificate_not_after_seconds{mount=\"pki/\",name=\"");
    has("vaultd_certificate_last_error{mount=\"top/\",name=\"");
}

#[test]
fn the_doctor_looks_at_authorities_the_listener_and_the_ca_file() {
    let site = Site::with(Options::default());
    let short =
        json!({"common_name": "Short", "issuer_name": "short", "key_type": "ec", "ttl": "100h"});
    let made = site.vault.root("POST", "top/root/rotate/internal", short);
    made.expect(200);
    let doctor = Vaultctl::new(site.dir.path(), &site.vault.addr)
        .env("VAULT_TOKEN", &site.vault.root)
        .env("VAULT_CACERT", &site.vault.ca().display().to_string());
    let said = doctor.run(&["doctor", "--format", "json"], "");
    let said: Value = serde_json::from_str(&said.out).unwrap();
    let checks = said["checks"].as_array().unwrap();
    let verdict = |text: &str| {
        let is_it = |check: &&Value| check["text"].as_str().unwrap().contains(text);
        let found = checks.iter().find(is_it);
        found.map_or("none", |check| check["verdict"].as_str().unwrap())
    };
    assert_eq!(verdict("the issuer top/short ends"), "WARN", "{said}");
    assert_eq!(verdict("ca.pem ends"), "PASS", "{said}");
    assert_eq!(verdict("the server's certificate ends"), "PASS", "{said}");
    assert_eq!(verdict("the issuer pki/"), "none", "{said}");
}
