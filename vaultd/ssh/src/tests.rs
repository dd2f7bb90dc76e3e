//! Keys, certificates and signatures that OpenSSH 9.2 made, and the same spoiled.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::wire::push_string;
use crate::{Certificate, Key, Signature};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIApACPMQ+ShCJ8ey4VvYrUTrzUtPGc1lwWOKQfCYlccc ada";
const CA: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDsTecm5/ClPtgPn/NV1MhV6rahRvmlY+p3PsuHti/w ca";
const NAMESPACE: &str = "login@vaultd";
const MESSAGE: &[u8] = b"vaultd-ssh-login 1 auth/ssh ops 1 2 3";
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgCkAI8xD5KEInx7LhW9itROvNS0
8ZzWXBY4pB8JiVxxwAAAAMbG9naW5AdmF1bHRkAAAAAAAAAAZzaGE1MTIAAABTAAAAC3Nz
aC1lZDI1NTE5AAAAQCnDUmzFMFvaWEfz/mrYw+f7zRH5rubq2sokbFcFVVF/YBWkMpJHbu
3JxFin9TB3v8wJxoA8p4F5dwyWuagrMAU=
-----END SSH SIGNATURE-----
";
/// `ssh-keygen -s ca -I ada@laptop -n ada,ops -z 7 -V 20260101000000Z:20270101000000Z`
const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIKCRD10XEA6/0Ml1aBYdm0V8+E3z7lm2OBblf/OVXF7IAAAAIApACPMQ+ShCJ8ey4VvYrUTrzUtPGc1lwWOKQfCYlcccAAAAAAAAAAcAAAABAAAACmFkYUBsYXB0b3AAAAAOAAAAA2FkYQAAAANvcHMAAAAAaVW5AAAAAABrNuyAAAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgkOxN5ybn8KU+2A+f81XUyFXqtqFG+aVj6nc+y4e2L/AAAABTAAAAC3NzaC1lZDI1NTE5AAAAQJ7X5kVKgd/fAQ5g8Qk2HD8LrjjcXbMhB73ixuCTVXN9qnY2LUkjUliq3XOkSqWxtZAfHNXYFS9ufPNNnbiytw4= ada";

fn blob(line: &str) -> Vec<u8> {
    let word = line.split_ascii_whitespace().nth(1).unwrap();
    STANDARD.decode(word).unwrap()
}

/// The bytes between the armor.
fn inner(armored: &str) -> Vec<u8> {
    let lines = armored.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

#[test]
fn a_key_is_read_shown_and_named_as_openssh_does() {
    let key = Key::from_line(KEY).unwrap();
    assert_eq!(format!("{} ada", key.line()), KEY);
    assert_eq!(
        key.fingerprint(),
        "SHA256:vEMozBJ+LfSbgcRVPOyJ+lFSt3a8498mmCUhGm2NGBU"
    );
    for odd in [
        "",
        "ssh-ed25519",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIApACPMQ+ShCJ8ey4VvYrUTrzUtPGc1lwWOKQfCYlccc",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIApACPMQ",
        "ssh-dss AAAAB3NzaC1kc3M=",
        CERTIFICATE,
    ] {
        assert!(Key::from_line(odd).is_err(), "{odd}");
    }
}

#[test]
fn a_signature_holds_for_its_message_only() {
    let signature = Signature::parse(SIGNATURE, NAMESPACE).unwrap();
    let (key, flags) = signature.verify(MESSAGE).unwrap();
    assert_eq!((key, flags), (&Key::from_line(KEY).unwrap(), 0));
    assert!(
        signature
            .verify(b"vaultd-ssh-login 1 auth/ssh ops 1 2 4")
            .is_err()
    );
    assert!(Signature::parse(SIGNATURE, "git").is_err());
    let bare = STANDARD.encode(inner(SIGNATURE));
    assert!(
        Signature::parse(&bare, NAMESPACE)
            .unwrap()
            .verify(MESSAGE)
            .is_ok()
    );
}

#[test]
fn any_changed_or_missing_byte_spoils_a_signature() {
    let good = inner(SIGNATURE);
    let verifies = |bytes: &[u8]| {
        let parsed = Signature::parse(&STANDARD.encode(bytes), NAMESPACE);
        parsed.is_ok_and(|signature| signature.verify(MESSAGE).is_ok())
    };
    assert!(verifies(&good));
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert!(!verifies(&changed), "byte {at}");
        assert!(!verifies(&good[..at]), "cut at {at}");
    }
    assert!(!verifies(&[&good[..], &[0]].concat()));
}

#[test]
fn a_certificate_says_who_until_when() {
    let certificate = Certificate::from_line(CERTIFICATE).unwrap();
    assert_eq!(certificate.key, Key::from_line(KEY).unwrap());
    assert_eq!(certificate.authority, Key::from_line(CA).unwrap());
    assert_eq!(certificate.principals, ["ada", "ops"]);
    assert_eq!(
        (certificate.serial, certificate.key_id.as_str()),
        (7, "ada@laptop")
    );
    let (start, end) = (1_767_225_600, 1_798_761_600);
    assert_eq!(
        certificate.seconds_left(start - 1),
        Err("it is not valid yet")
    );
    assert_eq!(certificate.seconds_left(start), Ok(31_536_000));
    assert_eq!(certificate.seconds_left(end - 1), Ok(1));
    assert_eq!(certificate.seconds_left(end), Err("it has expired"));
}

#[test]
fn any_changed_or_missing_byte_spoils_a_certificate() {
    let good = blob(CERTIFICATE);
    assert!(Certificate::from_blob(&good).is_ok());
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert!(Certificate::from_blob(&changed).is_err(), "byte {at}");
        assert!(Certificate::from_blob(&good[..at]).is_err(), "cut at {at}");
    }
}

/// A security key in software.
fn security_key(flags: u8, message: &[u8]) -> (Key, Vec<u8>) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let algorithm = b"sk-ssh-ed25519@openssh.com";
    let mut blob = Vec::new();
    for part in [&algorithm[..], pair.public_key().as_ref(), b"ssh:"] {
        push_string(&mut blob, part);
    }
    let mut signed = digest(&SHA256, b"ssh:").as_ref().to_vec();
    signed.push(flags);
    signed.extend([0, 0, 0, 9]);
    signed.extend_from_slice(digest(&SHA256, message).as_ref());
    let mut signature = Vec::new();
    push_string(&mut signature, algorithm);
    push_string(&mut signature, pair.sign(&signed).as_ref());
    signature.push(flags);
    signature.extend([0, 0, 0, 9]);
    (Key::from_blob(&blob).unwrap(), signature)
}

#[test]
fn a_security_key_has_to_be_touched() {
    for (flags, good) in [(1, true), (5, true), (0, false), (4, false)] {
        let (key, signature) = security_key(flags, MESSAGE);
        let verified = key.verify(MESSAGE, &signature);
        assert_eq!(verified.ok(), good.then_some(flags));
    }
    // Flags that were not signed.
    let (key, mut signature) = security_key(0, MESSAGE);
    let at = signature.len() - 5;
    signature[at] = 1;
    assert!(key.verify(MESSAGE, &signature).is_err());
}

#[test]
fn rsa_signs_with_sha2_only() {
    let mut rsa = Vec::new();
    push_string(&mut rsa, b"ssh-rsa");
    push_string(&mut rsa, &[1, 0, 1]);
    push_string(&mut rsa, &[0x7f; 256]);
    let key = Key::from_blob(&rsa).unwrap();
    assert!(key.is_strong());
    let mut sha1 = Vec::new();
    push_string(&mut sha1, b"ssh-rsa");
    push_string(&mut sha1, &[1; 256]);
    assert!(key.verify(MESSAGE, &sha1).is_err());
    let mut short = Vec::new();
    push_string(&mut short, b"ssh-rsa");
    push_string(&mut short, &[1, 0, 1]);
    push_string(&mut short, &[0x7f; 128]);
    assert!(!Key::from_blob(&short).unwrap().is_strong());
}

proptest! {
    #[test]
    fn garbage_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        prop_assert!(Certificate::from_blob(&bytes).is_err());
        prop_assert!(Signature::parse(&text, NAMESPACE).is_err());
        let mut framed = b"SSHSIG\0\0\0\x01".to_vec();
        framed.extend_from_slice(&bytes);
        prop_assert!(Signature::parse(&STANDARD.encode(framed), NAMESPACE).is_err());
        let key = Key::from_line(KEY).unwrap();
        prop_assert!(key.verify(MESSAGE, &bytes).is_err());
    }
}
