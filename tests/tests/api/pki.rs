//! Authorities: what they issue, OpenSSL checks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::Vault;
use vault_tests::process::until;

struct Site {
    vault: Vault,
    dir: TempDir,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Exit status and everything that was printed.
fn openssl(dir: &Path, args: &str) -> (bool, String) {
    let output = Command::new("openssl")
        .args(args.split(' '))
        .current_dir(dir)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

impl Site {
    /// A root of P-256, and a role `web` for names below example.com.
    fn new() -> Site {
        let site = Site::without_root();
        let root = json!({"common_name": "root", "key_type": "ec", "ttl": "87600h", "issuer_name": "root"});
        let made = site.root("POST", "pki/root/generate/internal", root);
        assert!(!made.to_string().contains("PRIVATE"), "{made}");
        site.write("root.pem", &text(&made["certificate"]));
        let role = json!({"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "max_ttl": "72h"});
        site.root("POST", "pki/roles/web", role);
        site
    }

    fn without_root() -> Site {
        let vault = Vault::ready();
        let mount = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
        vault.root("POST", "sys/mounts/pki", mount).expect(204);
        Site {
            vault,
            dir: TempDir::new().unwrap(),
        }
    }

    fn root(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.vault.root(method, path, body);
        assert!(
            matches!(answer.status, 200 | 204),
            "{method} {path}: {}",
            answer.text
        );
        if answer.status == 204 {
            json!(null)
        } else {
            answer.data().clone()
        }
    }

    fn refused(&self, path: &str, body: Value) -> String {
        let answer = self.vault.root("POST", path, body);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        answer.errors()
    }

    fn write(&self, file: &str, content: &str) {
        std::fs::write(self.dir.path().join(file), format!("{content}\n")).unwrap();
    }

    fn openssl(&self, args: &str) -> String {
        let (ok, printed) = openssl(self.dir.path(), args);
        assert!(ok, "openssl {args}: {printed}");
        printed
    }

    /// A certificate in `NAME.pem`, its key in `NAME.key`; its serial number.
    fn issue(&self, role: &str, name: &str, mut body: Value) -> String {
        if body["common_name"].is_null() {
            body["common_name"] = format!("{name}.example.com").into();
        }
        let made = self.root("POST", &format!("pki/issue/{role}"), body);
        self.write(&format!("{name}.pem"), &text(&made["certificate"]));
        self.write(&format!("{name}.key"), &text(&made["private_key"]));
        let chain = made["ca_chain"].as_array().unwrap();
        let chain: Vec<String> = chain.iter().map(text).collect();
        self.write(&format!("{name}.chain"), &chain.join("\n"));
        text(&made["serial_number"])
    }

    fn csr(&self, args: &str) -> String {
        self.openssl(&format!(
            "req -new -nodes -keyout csr.key -out csr.pem {args}"
        ));
        std::fs::read_to_string(self.dir.path().join("csr.pem")).unwrap()
    }
}

#[test]
fn every_kind_of_key_issues_what_openssl_verifies_strictly() {
    for (key_type, bits) in [("ec", 256), ("ec", 384), ("ed25519", 0), ("rsa", 2048)] {
        let site = Site::without_root();
        let root =
            json!({"common_name": "root", "key_type": key_type, "key_bits": bits, "ttl": "87600h"});
        let made = site.root("POST", "pki/root/generate/exported", root);
        site.write("root.pem", &text(&made["certificate"]));
        let role = json!({"allow_any_name": true, "key_type": key_type, "key_bits": bits, "organization": "Acme"});
        site.root("POST", "pki/roles/any", role);
        let body = json!({"alt_names": "b.example.com,ada@example.com", "ip_sans": "10.1.2.3,::1"});
        site.issue("any", "a", body);
        site.openssl("verify -x509_strict -CAfile root.pem -verify_hostname b.example.com a.pem");
        site.openssl("verify -x509_strict -CAfile root.pem -verify_ip 10.1.2.3 a.pem");
        let shown = site.openssl("x509 -in a.pem -noout -text");
        assert!(
            shown.contains("Subject: O = Acme, CN = a.example.com"),
            "{shown}"
        );
        // Certificate and key belong together.
        let public = site.openssl("x509 -in a.pem -noout -pubkey");
        assert_eq!(public, site.openssl("pkey -in a.key -pubout"));
    }
}

#[test]
fn an_intermediate_is_made_signed_and_issues_with_its_chain() {
    let site = Site::new();
    let mount = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
    site.root("POST", "sys/mounts/below", mount);
    let made = site.root(
        "POST",
        "below/intermediate/generate/internal",
        json!({"common_name": "below", "key_type": "ec"}),
    );
    let body = json!({"csr": made["csr"], "common_name": "below", "ttl": "8760h", "max_path_length": 0, "permitted_dns_domains": "example.com"});
    let signed = site.root("POST", "pki/root/sign-intermediate", body);
    let before = site.vault.root(
        "POST",
        "below/issue/web",
        json!({"common_name": "a.example.com"}),
    );
    assert_eq!(before.status, 400);
    let chain = format!(
        "{}\n{}",
        text(&signed["certificate"]),
        text(&signed["issuing_ca"])
    );
    let imported = site.root(
        "POST",
        "below/intermediate/set-signed",
        json!({"certificate": chain}),
    );
    assert_eq!(imported["imported_issuers"].as_array().unwrap().len(), 2);
    let role = json!({"allow_any_name": true, "key_type": "ec"});
    site.root("POST", "below/roles/web", role);
    let leaf = site.root(
        "POST",
        "below/issue/web",
        json!({"common_name": "a.example.com", "ttl": "1h"}),
    );
    let chain = leaf["ca_chain"].as_array().unwrap();
    assert_eq!(chain.len(), 2, "{leaf}");
    site.write("below.pem", &text(&chain[0]));
    site.write("leaf.pem", &text(&leaf["certificate"]));
    site.openssl("verify -x509_strict -CAfile root.pem -untrusted below.pem leaf.pem");
    // A path length of 0 allows no authority below, and name constraints hold.
    let csr = json!({"csr": made["csr"], "common_name": "third"});
    assert!(
        site.refused("below/root/sign-intermediate", csr)
            .contains("path length")
    );
    for name in [
        "a.evil.org",
        "*.evil.org",
        "example.com.evil.org",
        "badexample.com",
    ] {
        let outside = json!({"common_name": name, "ttl": "1h"});
        let refused = site.refused("below/issue/web", outside);
        assert!(refused.contains("name constraints"), "{name}: {refused}");
    }
    let short = site.root(
        "POST",
        "below/issue/web",
        json!({"common_name": "a.example.com", "remove_roots_from_chain": true, "ttl": "1h"}),
    );
    assert_eq!(short["ca_chain"].as_array().unwrap().len(), 1);
}

/// GHSA-g892 and CVE-2022-25243: limits hold for what a CSR brings too.
#[test]
fn ghsa_g892_limits_of_a_role_hold_for_every_way_in() {
    let site = Site::new();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
    let sign = |csr: &str, more: Value| {
        let mut body = json!({"csr": csr});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        site.vault.root("POST", "pki/sign/web", body)
    };
    let good = site.csr(&format!(
        "{key} -subj /CN=a.example.com -addext subjectAltName=DNS:b.example.com"
    ));
    let answer = sign(&good, json!({})).expect(200);
    site.write("a.pem", &text(&answer.data()["certificate"]));
    site.openssl("verify -x509_strict -CAfile root.pem -verify_hostname b.example.com a.pem");
    for (subject, names) in [
        ("/CN=evil.org", "DNS:b.example.com"),
        ("/CN=a.example.com", "DNS:evil.org"),
        ("/CN=a.example.com", "DNS:example.com.evil.org"),
        ("/CN=a.example.com", "DNS:a.example.com."),
        ("/CN=a.example.com", "email:root@evil.org"),
        ("/CN=a.example.com", "URI:spiffe://evil/a"),
        (
            "/CN=a.example.com",
            "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:root@evil.org",
        ),
        ("/CN=a.example.com", "RID:1.2.3"),
        ("/CN=*.*.example.com", "DNS:b.example.com"),
    ] {
        let csr = site.csr(&format!(
            "{key} -subj {subject} -addext subjectAltName={names}"
        ));
        let answer = sign(&csr, json!({}));
        assert_eq!(answer.status, 400, "{subject} {names}: {}", answer.text);
        assert!(!answer.errors().contains("evil"), "a name is echoed");
    }
    // An authority is never made in passing, nor are the role's usages widened.
    let csr = site.csr(&format!("{key} -subj /CN=a.example.com -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign"));
    let answer = sign(&csr, json!({})).expect(200);
    site.write("a.pem", &text(&answer.data()["certificate"]));
    let shown = site.openssl("x509 -in a.pem -noout -text");
    assert!(
        !shown.contains("CA:TRUE") && !shown.contains("Certificate Sign"),
        "{shown}"
    );
    let refused = site.refused("pki/sign-verbatim", json!({"csr": csr}));
    assert!(refused.contains("authority"), "{refused}");
    for (field, value) in [
        ("alt_names", "evil.org"),
        ("alt_names", "root@evil.org"),
        ("uri_sans", "https://evil.org"),
        ("ip_sans", "300.1.1.1"),
        ("alt_names", "a\u{0}.example.com"),
        ("alt_names", "ex\u{430}mple.com"),
        ("serial_number", "1"),
        ("user_ids", "root"),
    ] {
        let body = json!({"common_name": "a.example.com", field: value});
        site.refused("pki/issue/web", body);
    }
    let rsa = site.csr("-newkey rsa:2048 -subj /CN=a.example.com");
    let answer = sign(&rsa, json!({}));
    assert!(
        answer.errors().contains("keys of type ec"),
        "{}",
        answer.text
    );
}

#[test]
fn a_csr_that_is_none_is_refused_at_once() {
    let site = Site::new();
    let (good, start) = (
        site.csr("-newkey ed25519 -subj /CN=a.example.com"),
        std::time::Instant::now,
    );
    let names: Vec<String> = (0..3000).map(|n| format!("DNS:n{n}.example.com")).collect();
    site.write(
        "names.cnf",
        &format!(
            "[req]\ndistinguished_name=d\nreq_extensions=e\n[d]\n[e]\nsubjectAltName={}",
            names.join(",")
        ),
    );
    let many = site.csr("-newkey ed25519 -subj /CN=a.example.com -config names.cnf");
    let nul = good.replace("MI", "AI");
    let mut cases = vec![
        String::new(),
        "x".to_owned(),
        nul,
        many,
        "A".repeat(400_000),
    ];
    let huge = site.csr("-newkey rsa:8224 -subj /CN=a.example.com -pkeyopt rsa_keygen_primes:5");
    cases.push(huge);
    let mut spoiled = good.clone().into_bytes();
    let at = spoiled.len() - 60;
    spoiled[at] = if spoiled[at] == b'A' { b'B' } else { b'A' };
    cases.push(String::from_utf8(spoiled).unwrap());
    for csr in cases {
        let begin = start();
        let answer = site.vault.root("POST", "pki/sign/web", json!({"csr": csr}));
        let took = begin.elapsed();
        assert!(matches!(answer.status, 400 | 413), "{}", answer.text);
        // A bound that only a quadratic or unbounded reader breaks on a loaded machine.
        assert!(took.as_secs() < 2, "{took:?}");
    }
}

/// A CSR with one alternative name of this kind, byte for byte.
fn raw_csr(site: &Site, tag: u8, name: &[u8]) -> String {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let name = [&[tag, length(name)], name].concat();
    let names = [&[0x30, length(&name)], name.as_slice()].concat();
    let hex: Vec<String> = names.iter().map(|byte| format!("{byte:02x}")).collect();
    let config = format!(
        "[req]\ndistinguished_name=d\nreq_extensions=e\nprompt=no\n[d]\nCN=a.example.com\n[e]\nsubjectAltName=DER:{}",
        hex.join(":")
    );
    site.write("raw.cnf", &config);
    site.csr("-newkey ed25519 -config raw.cnf")
}

#[test]
fn names_that_are_not_one_name_to_everybody_are_refused() {
    const DNS: u8 = 0x82;
    let site = Site::new();
    let sign = |csr: &str| site.vault.root("POST", "pki/sign/ed", json!({"csr": csr}));
    let role =
        json!({"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "any"});
    site.root("POST", "pki/roles/ed", role);
    sign(&raw_csr(&site, DNS, b"b.example.com")).expect(200);
    sign(&raw_csr(&site, DNS, b"xn--bcher-kva.example.com")).expect(200);
    for name in [
        &b"evil.org\0.example.com"[..],
        b"a.example.com\0",
        b"\0.example.com",
        b"a.example.com\n",
        b"a b.example.com",
        b"a..example.com",
        b".example.com",
        b"a.example.com.",
        b"a.example.com,evil.org",
        b"*.*.example.com",
        b"a_b.example.com",
        // Letters of other scripts, as such and encoded: e, x, Cyrillic a, m, p, l, e.
        "a.ex\u{430}mple.com".as_bytes(),
        "\u{430}.example.com".as_bytes(),
        b"a.xn--exmple-4nf.com",
        // Encoded names that stand for nothing, for plain letters, or are not the only way to write it.
        b"xn--a.example.com",
        b"xn--example-.example.com",
        b"xn--.example.com",
        b"xn--BCHER-KVB.example.com",
        b"\xff\xfe.example.com",
        b"",
    ] {
        let answer = sign(&raw_csr(&site, DNS, name));
        let shown = String::from_utf8_lossy(name);
        assert_eq!(answer.status, 400, "{shown:?}: {}", answer.text);
    }
    // Kinds of names that nobody checks: a directory name, a registered id, an address of five bytes.
    for (tag, name) in [
        (0xa4, &b"\x30\x00"[..]),
        (0x88, b"\x2a\x03"),
        (0x87, b"\x01\x02\x03\x04\x05"),
    ] {
        let answer = sign(&raw_csr(&site, tag, name));
        assert_eq!(answer.status, 400, "{tag:x}: {}", answer.text);
    }
    let look_alike = site.csr("-newkey ed25519 -utf8 -subj /CN=a.ex\u{430}mple.com");
    sign(&look_alike).expect(400);
    let nul = json!({"common_name": "evil.org\0.example.com"});
    site.refused("pki/issue/web", nul);
}

#[test]
fn a_revoked_certificate_is_on_the_list_and_in_the_responders_answers() {
    let site = Site::new();
    let (one, two) = (
        site.issue("web", "one", json!({})),
        site.issue("web", "two", json!({})),
    );
    assert_ne!(one, two);
    let list = |path: &str, file: &str| {
        let answer = site.vault.call("GET", path, None, None);
        assert_eq!(answer.status, 200, "{}", answer.text);
        site.write(file, &answer.text);
    };
    list("pki/crl/pem", "before.crl");
    assert!(
        site.openssl("crl -in before.crl -noout -text -CAfile root.pem")
            .contains("No Revoked Certificates")
    );
    let revoked = site.root("POST", "pki/revoke", json!({"serial_number": one}));
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(
        site.root("POST", "pki/revoke", json!({"serial_number": one})),
        revoked
    );
    list("pki/crl/pem", "after.crl");
    site.openssl("crl -in after.crl -noout -CAfile root.pem");
    let check = "verify -x509_strict -crl_check -CRLfile after.crl -CAfile root.pem";
    site.openssl(&format!("{check} two.pem"));
    let (ok, printed) = openssl(site.dir.path(), &format!("{check} one.pem"));
    assert!(!ok && printed.contains("certificate revoked"), "{printed}");
    let address = &site.vault.addr;
    let (_, printed) = openssl(
        site.dir.path(),
        &format!(
            "ocsp -issuer root.pem -cert one.pem -cert two.pem -CAfile root.pem -url {address}/v1/pki/ocsp"
        ),
    );
    for part in ["Response verify OK", "one.pem: revoked", "two.pem: good"] {
        assert!(printed.contains(part), "{printed}");
    }
    let read = site.root("GET", &format!("pki/cert/{one}"), json!(null));
    assert!(read["revocation_time"].as_i64().unwrap() > 0, "{read}");
    // Who has the key may revoke, who has another may not.
    let read = |file: &str| std::fs::read_to_string(site.dir.path().join(file)).unwrap();
    let body = |key: &str| json!({"certificate": read("two.pem"), "private_key": read(key)});
    site.refused("pki/revoke-with-key", body("one.key"));
    site.root("POST", "pki/revoke-with-key", body("two.key"));
    list("pki/crl/pem", "after.crl");
    assert!(
        site.openssl("crl -in after.crl -noout -text")
            .contains("Key Compromise")
    );
    assert!(
        site.refused("pki/revoke", json!({"serial_number": "ff:ff"}))
            .contains("not found")
    );
}

#[test]
fn a_delta_says_what_changed_since_the_list() {
    let site = Site::new();
    site.refused("pki/config/crl", json!({"enable_delta": true}));
    site.root(
        "POST",
        "pki/config/crl",
        json!({"enable_delta": true, "auto_rebuild": true, "delta_rebuild_interval": 0}),
    );
    let fetch = |path: &str, file: &str| {
        let answer = site.vault.call("GET", path, None, None);
        site.write(file, &answer.text);
        answer.status
    };
    assert_eq!(fetch("pki/crl/delta/pem", "delta.crl"), 404);
    assert_eq!(fetch("pki/crl/pem", "whole.crl"), 200);
    let serial = site.issue("web", "one", json!({}));
    site.root("POST", "pki/revoke", json!({"serial_number": serial}));
    assert_eq!(fetch("pki/crl/pem", "whole.crl"), 200);
    assert!(
        site.openssl("crl -in whole.crl -noout -text")
            .contains("No Revoked")
    );
    assert_eq!(fetch("pki/crl/delta/pem", "delta.crl"), 200);
    let shown = site.openssl("crl -in delta.crl -noout -text -CAfile root.pem");
    assert!(
        shown.contains("Delta CRL Indicator")
            && shown.to_lowercase().contains(&serial.replace(':', "")),
        "{shown}"
    );
    site.root("GET", "pki/crl/rotate", json!(null));
    assert_eq!(fetch("pki/crl/pem", "whole.crl"), 200);
    assert!(
        !site
            .openssl("crl -in whole.crl -noout -text")
            .contains("No Revoked")
    );
}

#[test]
fn nothing_outlives_its_issuer_unless_the_issuer_says_so() {
    let site = Site::without_root();
    site.root(
        "POST",
        "pki/root/generate/internal",
        json!({"common_name": "short", "key_type": "ec", "ttl": "1h"}),
    );
    site.root(
        "POST",
        "pki/roles/any",
        json!({"allow_any_name": true, "key_type": "ec", "max_ttl": "48h"}),
    );
    let body = json!({"common_name": "a.example.com", "ttl": "2h"});
    assert!(
        site.refused("pki/issue/any", body.clone())
            .contains("beyond the expiration")
    );
    site.root(
        "PATCH",
        "pki/issuer/default",
        json!({"leaf_not_after_behavior": "truncate"}),
    );
    let cut = site
        .vault
        .root("POST", "pki/issue/any", body.clone())
        .expect(200);
    assert!(cut.text.contains("ends with its issuer"), "{}", cut.text);
    site.root(
        "PATCH",
        "pki/issuer/default",
        json!({"leaf_not_after_behavior": "permit"}),
    );
    let long = site.root("POST", "pki/issue/any", body);
    assert!(long["expiration"].as_i64() > cut.data()["expiration"].as_i64());
    let much = site.vault.root(
        "POST",
        "pki/issue/any",
        json!({"common_name": "a.example.com", "ttl": "480h"}),
    );
    assert!(much.expect(200).text.contains("maxTTL"));
    let csr = site.csr("-newkey ed25519 -subj /CN=below");
    let body = |enforce: bool| json!({"csr": csr, "common_name": "below", "ttl": "2h", "enforce_leaf_not_after_behavior": enforce});
    site.root("POST", "pki/issuer/default", json!({}));
    assert!(
        site.refused("pki/root/sign-intermediate", body(true))
            .contains("beyond")
    );
    let below = site
        .vault
        .root("POST", "pki/root/sign-intermediate", body(false));
    assert!(below.expect(200).text.contains("outlives its issuer"));
}

#[test]
fn a_last_moment_is_bounded_like_a_ttl() {
    let site = Site::new();
    let far = "2036-01-01T00:00:00Z";
    let role = |name: &str, field: &str, value: Value| {
        let mut role = json!({"allow_any_name": true, "key_type": "ec"});
        role[field] = value;
        site.root("POST", &format!("pki/roles/{name}"), role);
    };
    let hours = |name: &str, body: Value| {
        let answer = site
            .vault
            .root("POST", &format!("pki/issue/{name}"), body)
            .expect(200);
        let span = |field: &str| answer.data()[field].as_i64().unwrap();
        (span("expiration") - span("not_before")) / 3600
    };
    site.root(
        "POST",
        "sys/mounts/pki/tune",
        json!({"max_lease_ttl": "100h"}),
    );
    role("brief", "max_ttl", json!("10h"));
    role("mount", "ou", json!("any"));
    role("own", "not_after", json!(far));
    let body = json!({"common_name": "a.example.com", "not_after": far});
    assert_eq!(hours("brief", body.clone()), 10);
    assert_eq!(hours("mount", body.clone()), 100);
    // What a role itself says is its author's word.
    assert!(hours("own", json!({"common_name": "a.example.com"})) > 20_000);
    let over = json!({"common_name": "a.example.com", "not_after": "2020-01-01T00:00:00Z"});
    assert!(
        site.refused("pki/issue/mount", over)
            .contains("over already")
    );
}

#[test]
fn a_csr_without_a_common_name_leaves_it_to_the_request() {
    let site = Site::new();
    let csr = site.csr(
        "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /O=Acme -addext subjectAltName=DNS:b.example.com",
    );
    let body = |name: &str| json!({"csr": csr, "common_name": name});
    assert!(
        site.refused("pki/sign/web", body(""))
            .contains("common_name")
    );
    let made = site.root("POST", "pki/sign/web", body("a.example.com"));
    site.write("a.pem", &text(&made["certificate"]));
    site.openssl("verify -x509_strict -CAfile root.pem -verify_hostname a.example.com a.pem");
    site.refused("pki/sign/web", body("evil.org"));
}

#[test]
fn roots_change_while_both_are_known() {
    let site = Site::new();
    let next = site.root("POST", "pki/root/rotate/internal", json!({"common_name": "root two", "key_type": "ec", "issuer_name": "next", "ttl": "80000h"}));
    site.write("next.pem", &text(&next["certificate"]));
    site.issue("web", "old", json!({}));
    site.openssl("verify -x509_strict -CAfile root.pem old.pem");
    site.root("POST", "pki/root/replace", json!({"default": "next"}));
    site.issue("web", "new", json!({}));
    site.openssl("verify -x509_strict -CAfile next.pem new.pem");
    // The old one still answers for what it signed; revoked, it signs no more.
    let by_old = "pki/issuer/root/issue/web";
    site.root("POST", by_old, json!({"common_name": "b.example.com"}));
    site.root("POST", "pki/issuer/root/revoke", json!({}));
    assert!(
        site.refused(by_old, json!({"common_name": "b.example.com"}))
            .contains("revoked")
    );
    let answer = site
        .vault
        .call("GET", "pki/issuer/root/crl/pem", None, None);
    assert_eq!(answer.status, 200);
    // Cross-signed: who trusts only the next one trusts the first.
    let body =
        json!({"certificate": std::fs::read_to_string(site.dir.path().join("root.pem")).unwrap()});
    let cross = site.root("POST", "pki/issuer/next/sign-self-issued", body);
    site.write("cross.pem", &text(&cross["certificate"]));
    site.openssl("verify -CAfile next.pem -untrusted cross.pem old.pem");
}

#[test]
fn keys_and_certificates_from_elsewhere_are_taken_over() {
    let site = Site::without_root();
    site.openssl("req -x509 -nodes -newkey rsa:2048 -keyout ca.key -out ca.pem -subj /CN=elsewhere -days 30 -addext keyUsage=critical,keyCertSign,cRLSign");
    let read = |file: &str| std::fs::read_to_string(site.dir.path().join(file)).unwrap();
    let bundle = read("ca.pem") + &read("ca.key");
    let done = site.root("POST", "pki/config/ca", json!({"pem_bundle": bundle}));
    assert_eq!(done["imported_issuers"].as_array().unwrap().len(), 1);
    let again = site.root("POST", "pki/config/ca", json!({"pem_bundle": bundle}));
    assert_eq!(again["existing_issuers"], done["imported_issuers"]);
    site.root(
        "POST",
        "pki/roles/any",
        json!({"allow_any_name": true, "key_type": "ec"}),
    );
    site.issue("any", "a", json!({"ttl": "1h"}));
    site.openssl("verify -CAfile ca.pem a.pem");
    let refused = site.refused("pki/issuers/import/cert", json!({"pem_bundle": bundle}));
    assert!(refused.contains("not allowed"), "{refused}");
    site.issue("any", "leaf", json!({"ttl": "1h"}));
    site.refused("pki/config/ca", json!({"pem_bundle": read("leaf.pem")}));
}

#[test]
fn der_and_bundles_are_given_as_asked() {
    let site = Site::new();
    let body = |format: &str| json!({"common_name": "a.example.com", "format": format, "private_key_format": "pkcs8"});
    let der = site.root("POST", "pki/issue/web", body("der"));
    let bytes = STANDARD.decode(text(&der["certificate"])).unwrap();
    std::fs::write(site.dir.path().join("a.der"), bytes).unwrap();
    site.openssl("x509 -inform DER -in a.der -noout");
    let bundle = site.root("POST", "pki/issue/web", body("pem_bundle"));
    let all = text(&bundle["certificate"]);
    assert!(
        all.starts_with("-----BEGIN PRIVATE KEY") && all.matches("BEGIN CERTIFICATE").count() == 2,
        "{all}"
    );
    site.refused("pki/issue/web", body("jks"));
    for path in ["pki/ca", "pki/issuer/default/der"] {
        let answer = site.vault.call("GET", path, None, None);
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[test]
fn what_ended_long_ago_is_tidied_and_what_counts_stays() {
    let site = Site::new();
    site.root(
        "POST",
        "pki/roles/brief",
        json!({"allow_any_name": true, "key_type": "ec", "max_ttl": "72h"}),
    );
    let brief = site.issue("brief", "a", json!({"ttl": "1s"}));
    let long = site.issue("web", "b", json!({}));
    std::thread::sleep(std::time::Duration::from_secs(3));
    let answer = site.vault.root(
        "POST",
        "pki/tidy",
        json!({"tidy_cert_store": true, "safety_buffer": "1s"}),
    );
    assert_eq!(answer.status, 202, "{}", answer.text);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while site.root("GET", "pki/tidy-status", json!(null))["state"] != "Finished" {
        assert!(std::time::Instant::now() < end, "tidy does not end");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    site.vault
        .root("GET", &format!("pki/cert/{brief}"), json!(null))
        .expect(404);
    site.root("GET", &format!("pki/cert/{long}"), json!(null));
}

#[test]
fn fields_that_could_not_be_kept_are_refused() {
    let site = Site::new();
    for (field, value) in [
        ("key_usage", json!(["Everything"])),
        ("key_type", json!("dsa")),
        ("key_bits", json!(1024)),
        ("ext_key_usage_oids", json!("x.y")),
        ("not_after", json!("tomorrow")),
    ] {
        site.refused("pki/roles/odd", json!({field: value}));
    }
    for name in ["a,b", "..", "-a"] {
        let answer = site
            .vault
            .root("POST", &format!("pki/roles/{name}"), json!({}));
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
    }
}

#[test]
fn more_certificates_than_one_transaction_reads_are_listed_and_tidied() {
    const MANY: usize = 150;
    let site = Site::new();
    let issue = |name: &str, ttl: &str| {
        let body = json!({"common_name": format!("{name}.example.com"), "ttl": ttl});
        text(&site.root("POST", "pki/issue/web", body)["serial_number"])
    };
    let brief: Vec<String> = (0..MANY).map(|i| issue(&format!("b{i}"), "2s")).collect();
    let long: Vec<String> = (0..MANY).map(|i| issue(&format!("l{i}"), "1h")).collect();
    for serial in &long {
        site.root("POST", "pki/revoke", json!({"serial_number": serial}));
    }
    let list = site
        .vault
        .root("GET", "pki/crl/pem", json!(null))
        .expect(200);
    site.write("crl.pem", &list.text);
    let shown = site.openssl("crl -in crl.pem -noout -text -CAfile root.pem");
    assert!(shown.contains("verify OK"), "{shown}");
    assert_eq!(shown.matches("Serial Number:").count(), MANY);

    let unified = site.vault.root("GET", "pki/unified-crl/pem", json!(null));
    assert_eq!(unified.expect(200).text, list.text);
    let counting = json!({"maintain_stored_certificate_counts": true});
    site.root("POST", "pki/config/auto-tidy", counting);
    let counts = site.root("GET", "pki/tidy-status", json!(null));
    assert_eq!(counts["current_cert_store_count"], 2 * MANY + 1);
    assert_eq!(counts["current_revoked_cert_count"], MANY);

    let tidy = json!({"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1s"});
    site.vault.root("POST", "pki/tidy", tidy).expect(202);
    let gone = until(Duration::from_secs(60), || {
        let status = site.root("GET", "pki/tidy-status", json!(null));
        let is_over = status["state"] == "Finished";
        if is_over && status["cert_store_deleted_count"] != MANY {
            let again = json!({"tidy_cert_store": true, "safety_buffer": "1s"});
            site.vault.root("POST", "pki/tidy", again).expect(202);
        }
        let left = site.vault.root("LIST", "pki/certs", json!(null));
        let left = left.data()["keys"].as_array().unwrap().len();
        (left == MANY + 1).then_some(())
    });
    assert!(gone.is_some());
    let (first, last) = (&brief[0], &long[MANY - 1]);
    site.vault
        .root("GET", &format!("pki/cert/{first}"), json!(null))
        .expect(404);
    assert_ne!(
        site.root("GET", &format!("pki/cert/{last}"), json!(null))["revocation_time"],
        0
    );
}
