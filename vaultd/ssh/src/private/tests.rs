//! Private keys as OpenSSH reads and writes them (the tests need `ssh-keygen`).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use vault_crypto::Seeded;

use crate::{BadPrivateKey, Key, KeyKind, PrivateKey};

const KINDS: [KeyKind; 5] = [
    KeyKind::Ed25519,
    KeyKind::P256,
    KeyKind::P384,
    KeyKind::P521,
    KeyKind::Rsa2048,
];

fn keygen(args: &[&str], file: &Path) -> String {
    let output = Command::new("ssh-keygen")
        .args(args)
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn openssh_reads_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    for kind in KINDS {
        let key = PrivateKey::generate(kind, &Seeded::new(3)).unwrap();
        let openssh = key.to_openssh("deploy key", &Seeded::new(4)).unwrap();
        write(&file, &openssh);
        let public = keygen(&["-y", "-f"], &file);
        assert_eq!(public.trim(), format!("{} deploy key", key.public().line()));
        // OpenSSH reads Ed25519 in its own format only.
        if kind != KeyKind::Ed25519 {
            write(&file, &key.to_pem().unwrap());
            let public = keygen(&["-y", "-f"], &file);
            assert_eq!(public.trim(), key.public().line());
        }
    }
}

#[test]
fn what_openssh_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let made = [
        ("ed25519", &[][..]),
        ("ecdsa", &["-b", "256"]),
        ("ecdsa", &["-b", "521"]),
        ("ecdsa", &["-b", "384", "-m", "PEM"]),
        ("rsa", &["-b", "2048", "-m", "PEM"]),
        ("rsa", &["-b", "2048", "-m", "PKCS8"]),
    ];
    for (at, (kind, options)) in made.into_iter().enumerate() {
        let file = dir.path().join(format!("key{at}"));
        let args = [&["-q", "-N", "", "-t", kind][..], options, &["-f"]].concat();
        keygen(&args, &file);
        let key = PrivateKey::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        assert_eq!(*key.public(), Key::from_line(&public).unwrap());
        let signature = key.sign(b"message").unwrap();
        assert_eq!(key.public().verify(b"message", &signature), Ok(0));
        assert!(key.public().verify(b"massage", &signature).is_err());
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (
            &["-t", "ed25519", "-N", "secret"][..],
            BadPrivateKey::Encrypted,
        ),
        (
            &["-t", "rsa", "-b", "2048", "-N", "secret", "-m", "PEM"],
            BadPrivateKey::Encrypted,
        ),
        (
            &["-t", "rsa", "-b", "2048", "-N", ""],
            BadPrivateKey::RsaInOpenSsh,
        ),
        (
            &["-t", "rsa", "-b", "1024", "-N", "", "-m", "PEM"],
            BadPrivateKey::Malformed,
        ),
    ];
    for (at, (options, why)) in cases.into_iter().enumerate() {
        let file = dir.path().join(format!("key{at}"));
        keygen(&[&["-q"][..], options, &["-f"]].concat(), &file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(PrivateKey::parse(&text).unwrap_err(), why);
    }
}

#[test]
fn every_form_comes_back_the_same() {
    for kind in KINDS {
        let key = PrivateKey::generate(kind, &Seeded::new(5)).unwrap();
        let same = PrivateKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(same.public(), key.public());
        let same = PrivateKey::parse(&key.to_pem().unwrap()).unwrap();
        assert_eq!(same.public(), key.public());
        if kind != KeyKind::Rsa2048 {
            let text = key.to_openssh("", &Seeded::new(6)).unwrap();
            assert_eq!(PrivateKey::parse(&text).unwrap().public(), key.public());
        }
    }
}

#[test]
fn a_spoiled_key_is_refused_without_panic() {
    let key = PrivateKey::generate(KeyKind::P256, &Seeded::new(7)).unwrap();
    let text = key.to_openssh("c", &Seeded::new(8)).unwrap();
    for end in 0..text.len() - 1 {
        assert!(PrivateKey::parse(&text[..end]).is_err());
    }
    let der = key.to_pkcs8().unwrap();
    for end in 0..der.len() {
        assert!(PrivateKey::from_pkcs8(&der[..end]).is_err());
    }
}
