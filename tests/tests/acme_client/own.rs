//! An authority that is a vaultd too: its ACME server says when to renew.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::site::Site;

fn moment(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_renewal_waits_for_the_authoritys_window() {
    let site = Site::new();
    let root = |method: &str, path: &str, body: Value| {
        let answer = site.vault.root(method, path, body);
        assert!(answer.status < 300, "{path}: {}", answer.text);
        answer
    };
    root("POST", "sys/mounts/pki", json!({"type": "pki"}));
    let ca = json!({"common_name": "Root", "key_type": "ec", "ttl": "700h"});
    root("POST", "pki/root/generate/internal", ca);
    let path = format!("{}/v1/pki", site.vault.addr);
    root("POST", "pki/config/cluster", json!({ "path": path }));
    let brief = json!({"key_type": "any", "require_cn": false, "ttl": "36s", "max_ttl": "36s", "not_before_duration": "1s", "acme_allowed_networks": "127.0.0.0/8"});
    root("POST", "pki/roles/brief", brief);
    let acme = json!({"enabled": true, "http_port": site.http});
    root("POST", "pki/config/acme", acme);

    let ca_pem = std::fs::read_to_string(site.vault.ca()).unwrap();
    let account = json!({
        "directory": format!("{path}/roles/brief/acme/directory"),
        "contact": "admin@example.test", "terms_agreed": true, "ca_cert": ca_pem,
    });
    site.write("account/own", account);
    let cert = json!({"account": "own", "names": ["127.0.0.1"], "challenge": "http-01"});
    site.write("certs/own", cert);

    let first = site.until("own", |cert| {
        cert["current_version"] == 1 && !cert["renewal_window"].is_null()
    });
    let (start, end) = (
        moment(&first["renewal_window"]["start"]),
        moment(&first["renewal_window"]["end"]),
    );
    // After two thirds of the life, as the server has it.
    let (from, until) = (moment(&first["not_before"]), moment(&first["not_after"]));
    let life = until.as_second() - from.as_second();
    assert_eq!(start.as_second(), until.as_second() - life / 3, "{first:#}");
    let planned = moment(&first["next_renewal"]);
    assert!((start..=end).contains(&planned), "{first:#}");

    let second = site.until("own", |cert| cert["current_version"] == 2);
    assert!(moment(&second["not_before"]) < until, "{second:#}");
    assert_ne!(first["serial_number"], second["serial_number"]);
}
