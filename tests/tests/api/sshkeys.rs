//! Managed SSH keys: their halves, and logins that the server signs. What they open is OpenSSH's.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_tests::Vault;

fn mounted() -> Vault {
    let vault = Vault::ready();
    let body = json!({"type": "sshkeys"});
    vault.root("POST", "sys/mounts/sshkeys", body).expect(204);
    vault
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What `ssh-keygen -y` makes of a private half: the public one.
fn public_of(private: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(private.as_bytes()).unwrap();
    let out = Command::new("ssh-keygen")
        .args(["-y", "-P", "", "-f"])
        .arg(file.path())
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{problem}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[test]
fn both_halves_of_every_type_in_both_formats_as_ssh_keygen_reads_them() {
    let vault = mounted();
    for kind in [
        "ed25519",
        "ecdsa-p256",
        "ecdsa-p384",
        "ecdsa-p521",
        "rsa-2048",
    ] {
        let made = json!({"key_type": kind, "comment": "a deploy key"});
        let made = vault
            .root("POST", &format!("sshkeys/keys/{kind}"), made)
            .expect(200);
        assert!(!made.text.contains("PRIVATE"), "{}", made.text);
        let public = vault.root("GET", &format!("sshkeys/public/{kind}"), json!(null));
        let public = text(&public.expect(200).data()["public_key"]);
        for format in ["openssh", "pem"] {
            let path = format!("sshkeys/creds/{kind}?format={format}");
            let creds = vault.root("GET", &path, json!(null)).expect(200);
            assert_eq!(creds.data()["version"], 1);
            assert_eq!(creds.data()["public_key"], public.as_str());
            let private = text(&creds.data()["private_key"]);
            // OpenSSH reads no PEM of Ed25519.
            let found = match (kind, format) {
                ("ed25519", "pem") => {
                    let key = vault_ssh::PrivateKey::parse(&private).unwrap();
                    key.public().line()
                }
                _ => public_of(&private),
            };
            let words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
            assert_eq!(words(&found), words(&public), "{kind} {format}");
        }
    }
    let path = "sshkeys/creds/ed25519?format=pkcs12";
    let refused = vault.root("GET", path, json!(null)).expect(400);
    assert!(
        refused.errors().contains("openssh or pem"),
        "{}",
        refused.errors()
    );
}

#[test]
fn a_key_that_was_made_elsewhere_is_taken_over() {
    let (vault, dir) = (mounted(), tempfile::tempdir().unwrap());
    let file = dir.path().join("id");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "by hand", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let private = std::fs::read_to_string(&file).unwrap();
    let body = json!({"private_key": private});
    vault
        .root("POST", "sshkeys/keys/old", body.clone())
        .expect(200);
    let public = vault
        .root("GET", "sshkeys/public/old", json!(null))
        .expect(200);
    let line = std::fs::read_to_string(dir.path().join("id.pub")).unwrap();
    assert!(line.starts_with(&text(&public.data()["public_key"])));
    let again = vault.root("POST", "sshkeys/keys/old", body).expect(400);
    assert!(again.errors().contains("new name"), "{}", again.errors());
    let odd = json!({"private_key": "-----BEGIN RUBBISH-----"});
    vault.root("POST", "sshkeys/keys/odd", odd).expect(400);
    vault
        .root("GET", "sshkeys/keys/odd", json!(null))
        .expect(404);
}

#[test]
fn comments_and_names_that_would_be_read_otherwise_are_refused() {
    let vault = mounted();
    for comment in ["a\nssh-ed25519 AAAA", "a\rb", "a\u{0}b", &"a".repeat(201)] {
        vault
            .root("POST", "sshkeys/keys/a", json!({"comment": comment}))
            .expect(400);
    }
    for name in ["-a", "a%20b", "%2e%2e", "a%0ab", "$(id)"] {
        let answer = vault.root("POST", &format!("sshkeys/keys/{name}"), json!({}));
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
    }
    for kind in ["dsa", "ED25519", ""] {
        vault
            .root("POST", "sshkeys/keys/a", json!({"key_type": kind}))
            .expect(400);
    }
    vault.root("GET", "sshkeys/keys/a", json!(null)).expect(404);
}

fn push(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    into.extend_from_slice(bytes);
}

/// What a client signs to log in with a public key.
fn login(public: &str, algorithm: &str) -> Vec<u8> {
    let blob = STANDARD.decode(public.split(' ').nth(1).unwrap()).unwrap();
    let mut data = Vec::new();
    push(&mut data, &[1; 32]);
    data.push(50);
    for field in [&b"git"[..], b"ssh-connection", b"publickey"] {
        push(&mut data, field);
    }
    data.push(1);
    push(&mut data, algorithm.as_bytes());
    push(&mut data, &blob);
    data
}

#[test]
fn the_server_signs_logins_with_that_key_and_nothing_else() {
    let vault = mounted();
    let create = |name: &str, kind: &str| {
        let path = format!("sshkeys/keys/{name}");
        vault
            .root("POST", &path, json!({"key_type": kind}))
            .expect(200);
        let public = vault.root("GET", &format!("sshkeys/public/{name}"), json!(null));
        text(&public.expect(200).data()["public_key"])
    };
    let (own, other, rsa) = (
        create("a", "ed25519"),
        create("b", "ed25519"),
        create("c", "rsa-2048"),
    );
    let sign = |name: &str, data: &[u8], flags: u32| {
        let body = json!({"data": STANDARD.encode(data), "flags": flags});
        vault.root("POST", &format!("sshkeys/sign/{name}"), body)
    };
    for (name, public, algorithm, flags) in [
        ("a", &own, "ssh-ed25519", 0),
        ("c", &rsa, "rsa-sha2-512", 4),
        ("c", &rsa, "rsa-sha2-256", 2),
    ] {
        let data = login(public, algorithm);
        let signed = sign(name, &data, flags).expect(200);
        let signature = STANDARD.decode(text(&signed.data()["signature"])).unwrap();
        let key = vault_ssh::Key::from_line(public).unwrap();
        assert!(key.verify(&data, &signature).is_ok(), "{algorithm}");
    }
    let mut file = b"SSHSIG".to_vec();
    push(&mut file, b"git");
    for (name, data, flags) in [
        ("a", b"a commit".to_vec(), 0),
        ("a", file, 0),
        ("a", login(&other, "ssh-ed25519"), 0),
        ("a", login(&own, "rsa-sha2-512"), 0),
        ("c", login(&rsa, "ssh-rsa"), 0),
        ("c", login(&rsa, "rsa-sha2-512"), 2),
    ] {
        sign(name, &data, flags).expect(400);
    }
}
