//! What every certificate has to be like, whoever asks: the basics of the CA/Browser Forum's Baseline
//! Requirements and of RFC 5280, read with another parser than the one that wrote them.

use std::collections::HashSet;

use serde_json::{Value, json};
use vault_tests::Vault;
use vault_x509::Facts;
use vault_x509::x509_parser::prelude::*;

fn der(pem: &Value) -> Vec<u8> {
    parse_x509_pem(pem.as_str().unwrap().as_bytes())
        .unwrap()
        .1
        .contents
}

fn mounted(key_type: &str, bits: u64) -> Vault {
    let vault = Vault::ready();
    vault
        .root("POST", "sys/mounts/pki", json!({"type": "pki"}))
        .expect(204);
    let root = json!({"common_name": "root", "key_type": key_type, "key_bits": bits});
    vault
        .root("POST", "pki/root/generate/internal", root)
        .expect(200);
    let urls = json!({"issuing_certificates": "http://ca.example.com/ca", "ocsp_servers": "http://ca.example.com/ocsp", "crl_distribution_points": "http://ca.example.com/crl"});
    vault.root("POST", "pki/config/urls", urls);
    let role = json!({"allowed_domains": "example.com", "allow_subdomains": true, "key_type": key_type, "key_bits": bits, "max_ttl": "72h", "ttl": "1h", "no_store": true});
    vault.root("POST", "pki/roles/web", role).expect(200);
    vault
}

fn issue(vault: &Vault, body: Value) -> Vec<u8> {
    let made = vault.root("POST", "pki/issue/web", body).expect(200);
    der(&made.data()["certificate"])
}

#[test]
fn certificates_of_servers_meet_the_baseline() {
    for (key_type, bits) in [("ec", 256), ("ec", 384), ("ed25519", 0), ("rsa", 2048)] {
        let vault = mounted(key_type, bits);
        let root = vault
            .root("GET", "pki/ca/pem", json!(null))
            .expect(200)
            .text;
        let root_der = der(&json!(root));
        let (_, root) = X509Certificate::from_der(&root_der).unwrap();
        let body =
            json!({"common_name": "a.example.com", "alt_names": "b.example.com", "ttl": "2h"});
        let bytes = issue(&vault, body);
        let (rest, leaf) = X509Certificate::from_der(&bytes).unwrap();
        assert!(rest.is_empty() && leaf.version() == X509Version::V3);
        assert!(Facts::from_der(&root_der).unwrap().signed(&bytes));
        assert_eq!(leaf.signature_algorithm, leaf.tbs_certificate.signature);
        assert_eq!(leaf.issuer().as_raw(), root.subject().as_raw());

        let validity = leaf.validity();
        let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert!((7200..=7200 + 60).contains(&seconds), "{seconds}");

        // Every name is an alternative name, and the common name is one of them.
        let names = leaf.subject_alternative_name().unwrap().unwrap();
        assert!(!names.critical, "the subject is not empty");
        let hosts: Vec<_> = names.value.general_names.iter().collect();
        assert!(hosts.contains(&&GeneralName::DNSName("a.example.com")));
        assert!(hosts.contains(&&GeneralName::DNSName("b.example.com")));

        let usage = leaf.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.digital_signature());
        assert!(!usage.value.key_cert_sign() && !usage.value.crl_sign());
        let is_rsa = key_type == "rsa";
        assert_eq!(usage.value.key_encipherment(), is_rsa, "{key_type}");
        assert_eq!(usage.value.key_agreement(), key_type == "ec", "{key_type}");
        let purposes = leaf.extended_key_usage().unwrap().unwrap();
        assert!(purposes.value.server_auth && purposes.value.client_auth);
        assert!(!purposes.value.any && purposes.value.other.is_empty());
        assert!(!leaf.is_ca());

        let mut seen = HashSet::new();
        for extension in leaf.extensions() {
            assert!(
                seen.insert(extension.oid.to_id_string()),
                "{extension:?} twice"
            );
            assert!(!extension.parsed_extension().unsupported(), "{extension:?}");
            assert!(
                extension.parsed_extension().error().is_none(),
                "{extension:?}"
            );
        }
        for needed in ["2.5.29.14", "2.5.29.35", "2.5.29.31", "1.3.6.1.5.5.7.1.1"] {
            assert!(seen.contains(needed), "{needed} is missing");
        }

        let constraints = root.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        let usage = root.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert_eq!(usage.value.flags.count_ones(), 2);
        assert!(root.extended_key_usage().unwrap().is_none());
    }
}

#[test]
fn serial_numbers_are_positive_unique_and_random_in_every_bit() {
    const MANY: usize = 256;
    let vault = mounted("ec", 256);
    let mut serials = HashSet::new();
    let mut ones = [0_usize; 160];
    for n in 0..MANY {
        let bytes = issue(&vault, json!({"common_name": format!("n{n}.example.com")}));
        let (_, leaf) = X509Certificate::from_der(&bytes).unwrap();
        let serial = leaf.raw_serial().to_vec();
        assert!(
            serial.len() <= 20 && serial[0] & 0x80 == 0 && serial[0] != 0,
            "{serial:?}"
        );
        for (at, count) in ones.iter_mut().enumerate() {
            *count += usize::from(serial[at / 8] >> (7 - at % 8) & 1);
        }
        assert!(serials.insert(serial));
    }
    // A fair bit is outside of these bounds once in 10^15 times.
    let random = ones
        .iter()
        .filter(|ones| (MANY / 4..=MANY * 3 / 4).contains(*ones));
    assert!(random.count() >= 158, "{ones:?}");
}

#[test]
fn an_empty_subject_makes_the_names_critical() {
    let vault = mounted("ec", 256);
    let role = json!({"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "require_cn": false, "ttl": "1h"});
    vault.root("POST", "pki/roles/web", role).expect(200);
    let bytes = issue(&vault, json!({"alt_names": "a.example.com"}));
    let (_, leaf) = X509Certificate::from_der(&bytes).unwrap();
    assert_eq!(leaf.subject().iter().count(), 0);
    assert!(leaf.subject_alternative_name().unwrap().unwrap().critical);
}

#[test]
fn a_key_that_can_do_nothing_of_a_role_gets_no_certificate() {
    let vault = mounted("ed25519", 0);
    let role = json!({"allow_any_name": true, "key_type": "ed25519", "key_usage": "KeyEncipherment", "ttl": "1h"});
    vault.root("POST", "pki/roles/web", role).expect(200);
    let refused = vault.root("POST", "pki/issue/web", json!({"common_name": "a"}));
    assert!(refused.expect(400).errors().contains("key_usage"));
}
