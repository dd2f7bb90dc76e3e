//! Certificates and lists, as OpenSSH's `ssh-keygen` reads them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use proptest::prelude::*;
use vault_crypto::Seeded;

use super::*;
use crate::{Certificate, KeyKind, Revoked, krl};

fn key(kind: KeyKind, seed: u64) -> PrivateKey {
    PrivateKey::generate(kind, &Seeded::new(seed)).unwrap()
}

fn claims(key: &Key) -> Claims {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Claims {
        key: key.clone(),
        subject: Subject::User,
        serial: 77,
        key_id: "ada@laptop".to_owned(),
        principals: vec!["ada".to_owned(), "ops".to_owned()],
        valid_after: 1_767_225_600,
        valid_before: 1_798_761_600,
        critical_options: [
            ("source-address", "10.0.0.0/8"),
            ("force-command", "uptime"),
        ]
        .map(pair)
        .into(),
        extensions: [("permit-pty", ""), ("login@github.com", "ada")]
            .map(pair)
            .into(),
    }
}

fn keygen(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("ssh-keygen");
    command.current_dir(dir).env("TZ", "UTC").args(arguments);
    command
        .output()
        .expect("ssh-keygen (Debian: openssh-client)")
}

fn shown(line: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cert.pub"), line).unwrap();
    let said = keygen(dir.path(), &["-L", "-f", "cert.pub"]);
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap()
}

/// `ssh-keygen -L` also checks the authority's signature.
#[test]
fn ssh_keygen_shows_what_was_claimed_for_all_kinds_of_keys() {
    let kinds = [
        (KeyKind::Ed25519, "ssh-ed25519", "ED25519"),
        (KeyKind::P256, "ecdsa-sha2-nistp256", "ECDSA"),
        (KeyKind::P384, "ecdsa-sha2-nistp384", "ECDSA"),
        (KeyKind::P521, "ecdsa-sha2-nistp521", "ECDSA"),
        (KeyKind::Rsa2048, "rsa-sha2-256", "RSA"),
        (KeyKind::Rsa2048, "rsa-sha2-512", "RSA"),
    ];
    for (seed, (kind, algorithm, name)) in (0..).zip(kinds) {
        let (own, authority) = (key(kind, 50 + seed), key(kind, seed));
        let claims = claims(own.public());
        let line = claims.sign_line(&authority, algorithm, &[7; 32]).unwrap();
        let text = shown(&line);
        let signer = format!(
            "Signing CA: {name} {} (using {algorithm})",
            authority.public().fingerprint()
        );
        for part in [
            "user certificate",
            &format!("Public key: {name}-CERT {}", claims.key.fingerprint()),
            &signer,
            "Key ID: \"ada@laptop\"",
            "Serial: 77",
            "Valid: from 2026-01-01T00:00:00 to 2027-01-01T00:00:00",
            "Principals: \n                ada\n                ops\n",
            "Critical Options: \n                force-command uptime\n                source-address 10.0.0.0/8\n",
            "permit-pty\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}

#[test]
fn hosts_have_certificates_too() {
    let (own, authority) = (key(KeyKind::Ed25519, 1), key(KeyKind::Ed25519, 2));
    let claims = Claims {
        subject: Subject::Host,
        principals: vec!["db1.example.com".to_owned()],
        critical_options: BTreeMap::new(),
        extensions: BTreeMap::new(),
        ..claims(own.public())
    };
    let line = claims.sign_line(&authority, "ssh-ed25519", &[7; 32]);
    let text = shown(&line.unwrap());
    for part in [
        "host certificate",
        "db1.example.com",
        "Critical Options: (none)",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn what_openssh_would_take_for_more_than_it_says_is_never_signed() {
    let (own, authority) = (key(KeyKind::Ed25519, 1), key(KeyKind::Ed25519, 2));
    let good = claims(own.public());
    let refused = |claims: Claims| {
        let signed = claims.sign(&authority, "ssh-ed25519", &[7; 32]);
        signed.map(|_| ()).unwrap_err()
    };
    let principals = |names: &[&str]| Claims {
        principals: names.iter().map(|name| (*name).to_owned()).collect(),
        ..good.clone()
    };
    assert_eq!(refused(principals(&[])), BadClaims::NoPrincipals);
    for odd in ["", "ada,root", "ada root", "ada\nroot", "ada\0"] {
        assert_eq!(refused(principals(&["ada", odd])), BadClaims::Principal);
    }
    let mut broken = good.clone();
    broken.key_id = "ada\nAccepted publickey for root".to_owned();
    assert!(matches!(refused(broken), BadClaims::Control(_)));
    let mut broken = good.clone();
    let command = "uptime\nrm -rf x".to_owned();
    broken
        .critical_options
        .insert("force-command".to_owned(), command);
    assert!(matches!(refused(broken), BadClaims::Control(_)));
    assert_eq!(
        refused(Claims {
            serial: 0,
            ..good.clone()
        }),
        BadClaims::Serial
    );
    let backwards = Claims {
        valid_before: good.valid_after,
        ..good.clone()
    };
    assert_eq!(refused(backwards), BadClaims::Times);
    let sha1 = good.sign(&key(KeyKind::Rsa2048, 3), "ssh-rsa", &[7; 32]);
    assert_eq!(sha1, Err(BadClaims::Algorithm));
}

#[test]
fn ssh_keygen_finds_in_a_list_what_it_revokes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let authorities = [key(KeyKind::Ed25519, 1), key(KeyKind::P256, 2)];
    let own = key(KeyKind::Ed25519, 3);
    let other = key(KeyKind::Ed25519, 4);
    let write = |name: &str, ca: usize, key: &PrivateKey, serial, id: &str| {
        let claims = Claims {
            serial,
            key_id: id.to_owned(),
            ..claims(key.public())
        };
        let algorithm = authorities[ca].public().algorithm();
        let line = claims.sign_line(&authorities[ca], algorithm, &[7; 32]);
        fs::write(dir.path().join(name), line.unwrap()).unwrap();
    };
    write("serial", 0, &own, 1, "a");
    write("serial-of-other-ca", 1, &own, 1, "a");
    write("serial-of-any-ca", 1, &own, u64::MAX, "a");
    write("id", 1, &own, 9, "mallory");
    write("key", 0, &other, 9, "a");
    write("good", 0, &own, 9, "a");
    let list = krl(
        3,
        1_767_225_600,
        &[
            Revoked::Serial(Some(authorities[0].public().clone()), 1),
            Revoked::Serial(Some(authorities[0].public().clone()), 2),
            Revoked::Serial(None, u64::MAX),
            Revoked::KeyId("mallory".to_owned()),
            Revoked::Key(other.public().clone()),
        ],
    );
    fs::write(dir.path().join("krl"), list).unwrap();
    let revoked = |name: &str| {
        let said = keygen(dir.path(), &["-Q", "-f", "krl", name]);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.stderr.is_empty(), "{said:?}");
        assert_eq!(said.status.success(), !text.contains("REVOKED"), "{text}");
        text.contains("REVOKED")
    };
    for name in ["serial", "serial-of-any-ca", "id", "key"] {
        assert!(revoked(name), "{name}");
    }
    for name in ["good", "serial-of-other-ca"] {
        assert!(!revoked(name), "{name}");
    }
    // A whole authority.
    let all = krl(4, 0, &[Revoked::Key(authorities[0].public().clone())]);
    fs::write(dir.path().join("krl"), all).unwrap();
    assert!(revoked("good") && !revoked("serial-of-other-ca"));
    fs::write(dir.path().join("krl"), krl(0, 0, &[])).unwrap();
    assert!(!revoked("good"));
}

proptest! {
    #[test]
    fn a_certificate_says_what_was_claimed(
        serial in 1..u64::MAX,
        key_id in "[^\\pC]{0,80}",
        principals in prop::collection::vec("[a-z0-9._@-]{1,20}", 1..6),
        times in (0..u64::MAX / 2, 1..u64::MAX / 2),
        options in prop::collection::btree_map("[a-z-]{1,12}", "[^\\pC]{0,20}", 0..5),
        nonce in any::<[u8; 32]>(),
    ) {
        let (own, authority) = (key(KeyKind::Ed25519, 1), key(KeyKind::Ed25519, 2));
        let claims = Claims {
            key: own.public().clone(),
            subject: Subject::User,
            serial,
            key_id,
            principals,
            valid_after: times.0,
            valid_before: times.0 + times.1,
            critical_options: options.clone(),
            extensions: options,
        };
        let blob = claims.sign(&authority, "ssh-ed25519", &nonce).unwrap();
        let read = Certificate::from_blob(&blob).unwrap();
        prop_assert_eq!(&read.key, own.public());
        prop_assert_eq!(&read.authority, authority.public());
        prop_assert_eq!(read.serial, claims.serial);
        prop_assert_eq!(&read.key_id, &claims.key_id);
        prop_assert_eq!(&read.principals, &claims.principals);
        prop_assert_eq!(read.valid_before(), claims.valid_before);
    }
}
