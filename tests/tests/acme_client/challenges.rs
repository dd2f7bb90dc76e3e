//! Every way to prove a name.

use std::fs;

use serde_json::json;
use vault_tests::Request;
use vault_tests::named::{KEY, Named, ZONE};

use crate::site::Site;

#[test]
fn http_01() {
    let site = Site::new();
    let shown = site.cert("web", &["www.example.test", "example.test"], "http-01");
    assert_eq!(shown["state"], "obtaining");
    let shown = site.ready("web", 1);
    assert_eq!(shown["names"], json!(["www.example.test", "example.test"]));
    let pair = site.proved("web");
    assert_eq!(pair["version"], 1);
    assert_eq!(pair["serial_number"], shown["serial_number"]);
    assert_eq!(pair["names"].as_array().unwrap().len(), 2);
}

/// Port 80 is open to everybody: it is no door to anything else.
#[test]
fn the_plain_listener_knows_tokens_only() {
    let site = Site::new();
    for path in [
        "/",
        "/v1/sys/health",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/x",
        "/.well-known/acme-challenge/../../v1/sys/health",
        "/.well-known/acme-challenge/%2e%2e",
    ] {
        let answer = site.plain(&format!(
            "GET {path} HTTP/1.1\r\nHost: a.example.test\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let post =
        "POST /.well-known/acme-challenge/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert!(site.plain(post).starts_with("HTTP/1.1 404"));
    site.vault.root("PUT", "sys/seal", json!({})).expect(204);
    let get = "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(site.plain(get).starts_with("HTTP/1.1 503"));
}

#[test]
fn tls_alpn_01() {
    let site = Site::new();
    site.cert("web", &["www.example.test", "example.test"], "tls-alpn-01");
    site.ready("web", 1);
    site.proved("web");
    // The API is served as before, and nobody else gets the proof.
    site.vault
        .send(&Request::new("GET", "sys/health"))
        .expect(200);
}

#[test]
fn dns_01_by_a_program_of_the_config() {
    let site = Site::new();
    site.write("dns/hook", json!({"type": "hook", "hook": "test"}));
    let names = ["*.example.test", "example.test"];
    let body = json!({"account": "test", "names": names, "challenge": "dns-01", "dns": "hook"});
    site.write("certs/wild", body);
    site.ready("wild", 1);
    let pair = site.proved("wild");
    assert!(
        pair["names"]
            .as_array()
            .unwrap()
            .contains(&json!("*.example.test"))
    );
    // Two values at one name, and both are taken away.
    let log = fs::read_to_string(site.hook.with_extension("log")).unwrap();
    let of = |word: &str| log.lines().filter(|line| line.starts_with(word)).count();
    assert!(of("add _acme-challenge.example.test ") >= 2, "{log}");
    assert!(of("remove _acme-challenge.example.test ") >= 2, "{log}");
}

#[test]
fn a_program_that_the_config_does_not_name_is_not_started() {
    let site = Site::new();
    site.write("dns/other", json!({"type": "hook", "hook": "/bin/true"}));
    let body = json!({"account": "test", "names": ["a.example.test"], "challenge": "dns-01", "dns": "other"});
    site.write("certs/a", body);
    let failed = site.until("a", |cert| !cert["failure"].is_null());
    assert_eq!(
        failed["failure"]["cause"],
        "the server's config has no such hook"
    );
    assert!(
        failed["failure"]["what_to_do"]
            .as_str()
            .unwrap()
            .contains("[acme.hooks]")
    );
}

fn rfc2136(algorithm: &str) {
    let named = Named::start(algorithm);
    let site = Site::with(|habits| habits.dns = Some(named.address.clone()));
    let (key_name, key_secret) = KEY;
    let dns = json!({
        "type": "rfc2136", "server": named.address, "key_name": key_name,
        "key_algorithm": algorithm, "key_secret": key_secret,
    });
    let shown = site.write("dns/bind", dns);
    assert!(!shown.to_string().contains(key_secret));
    assert!(!site.read("dns/bind").to_string().contains(key_secret));
    let wild = format!("*.{ZONE}");
    let names = json!([wild, ZONE, format!("deep.below.{ZONE}")]);
    let body = json!({"account": "test", "names": names, "challenge": "dns-01", "dns": "bind"});
    site.write("certs/wild", body);
    site.ready("wild", 1);
    site.proved("wild");
    let log = named.log();
    assert!(log.contains("adding an RR at '_acme-challenge"), "{log}");
    assert!(log.matches("deleting an RR at").count() >= 3, "{log}");

    // A wrong key: nothing is written, and it says what to do.
    site.write(
        "dns/bind",
        json!({"key_secret": "d3JvbmcgYnV0IGxvbmcgZW5vdWdoIGtleQ=="}),
    );
    site.write("certs/wild/renew", json!({}));
    let failed = site.until("wild", |cert| !cert["failure"].is_null());
    let cause = failed["failure"]["cause"].as_str().unwrap();
    assert!(cause.contains("NOTAUTH"), "{cause}");
    assert!(
        failed["failure"]["what_to_do"]
            .as_str()
            .unwrap()
            .contains("key_secret")
    );
    assert_eq!(failed["current_version"], 1);
    site.proved("wild");
    site.write("dns/bind", json!({"key_secret": key_secret}));
    site.write("certs/wild/renew", json!({}));
    site.ready("wild", 2);
}

#[test]
fn dns_01_by_updates_signed_with_sha256() {
    rfc2136("hmac-sha256");
}

#[test]
fn dns_01_by_updates_signed_with_sha512() {
    rfc2136("hmac-sha512");
}

/// Rows of the config, as people write them.
#[test]
fn hooks_are_absolute_paths() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vaultd.toml");
    let text = "[listener]\naddress = \"127.0.0.1:0\"\n[storage]\ntype = \"memory\"\n[acme.hooks]\na = \"hook\"\n";
    fs::write(&file, text).unwrap();
    let mut command = std::process::Command::new(vault_tests::program("vaultd"));
    let (code, _, err) =
        vault_tests::process::finish(command.arg("check-config").arg("--config").arg(&file));
    assert!(
        code != 0 && err.contains("acme.hooks: expected absolute paths"),
        "{err}"
    );
}
