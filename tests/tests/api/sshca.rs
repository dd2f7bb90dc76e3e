//! The SSH CA: what it signs, what it refuses to sign, passwords, and the list of what is revoked.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_tests::sshd::keygen;
use vault_tests::{Answer, Request, Vault};

use crate::setup::{durable, quick, text, together, token, with_status};

/// With a CA key.
fn mounted() -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/mounts/ssh", json!({"type": "ssh"}))
        .expect(204);
    vault
        .root("POST", "ssh/config/ca", json!({"key_type": "ed25519"}))
        .expect(200);
    vault
}

#[track_caller]
fn role(vault: &Vault, name: &str, more: Value) {
    let mut body =
        json!({"key_type": "ca", "allow_user_certificates": true, "allowed_users": "ada,ops"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = vault.root("POST", &format!("ssh/roles/{name}"), body);
    assert!(matches!(answer.status, 200 | 204), "{}", answer.text);
}

fn own_key() -> String {
    let dir = tempfile::tempdir().unwrap();
    keygen(&dir.path().join("key"))
}

fn sign(vault: &Vault, role: &str, key: &str, more: Value) -> Answer {
    let mut body = json!({"public_key": key, "valid_principals": "ada"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    vault.root("POST", &format!("ssh/sign/{role}"), body)
}

#[track_caller]
fn signed(answer: Answer) -> String {
    text(&answer.expect(200).data()["signed_key"])
}

/// What `ssh-keygen -L` says.
#[track_caller]
fn shown(certificate: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cert"), certificate).unwrap();
    let mut command = Command::new("ssh-keygen");
    command.current_dir(dir.path()).args(["-L", "-f", "cert"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?} {certificate}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.errors().contains(why), "{why}: {}", answer.text);
}

fn raw(vault: &Vault, path: &str) -> Answer {
    vault.send(&Request::new("GET", path)).expect(200)
}

#[test]
fn a_certificate_says_what_the_role_said() {
    let vault = mounted();
    role(
        &vault,
        "ops",
        json!({
            "default_extensions": {"permit-pty": ""},
            "default_critical_options": {"source-address": "10.0.0.0/8"},
            "allowed_critical_options": "force-command",
            "allowed_extensions": "permit-port-forwarding",
            "allow_user_key_ids": true,
            "ttl": "1h", "max_ttl": "2h",
        }),
    );
    let key = own_key();
    let first = sign(&vault, "ops", &key, json!({})).expect(200);
    let text = shown(first.data()["signed_key"].as_str().unwrap());
    for part in [
        "user certificate",
        "                ada\n",
        "permit-pty",
        "source-address 10.0.0.0/8",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(text.contains("Key ID: \"vault-root-"), "{text}");
    let serial = first.data()["serial_number"].as_str().unwrap();
    let serial = u64::from_str_radix(serial, 16).unwrap();
    assert!(text.contains(&format!("Serial: {serial}\n")), "{text}");

    let asked = json!({
        "key_id": "ticket-7", "valid_principals": "ops,ada", "ttl": 600,
        "critical_options": {"force-command": "/usr/bin/uptime"},
        "extensions": {"permit-port-forwarding": ""},
    });
    let text = shown(&signed(sign(&vault, "ops", &key, asked)));
    for part in [
        "Key ID: \"ticket-7\"",
        "                ada\n                ops\n",
        "force-command /usr/bin/uptime",
        "source-address 10.0.0.0/8",
        "permit-port-forwarding",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("permit-pty"), "{text}");
    refused(
        &sign(&vault, "ops", &key, json!({"ttl": "3h"})),
        "larger than maximum",
    );
    refused(
        &sign(
            &vault,
            "ops",
            &key,
            json!({"extensions": {"permit-pty": ""}}),
        ),
        "allowed_extensions",
    );
    refused(
        &sign(
            &vault,
            "ops",
            &key,
            json!({"critical_options": {"verify-required": ""}}),
        ),
        "allowed_critical_options",
    );
    refused(&sign(&vault, "none", &key, json!({})), "unknown role");
}

#[test]
fn a_certificate_without_principals_is_never_made() {
    let vault = mounted();
    let key = own_key();
    role(&vault, "any", json!({"allowed_users": "*"}));
    role(
        &vault,
        "host",
        json!({"allow_host_certificates": true, "allowed_domains": "*"}),
    );
    for none in [json!(""), json!(","), json!([]), json!(null), json!(" , ")] {
        for (name, kind) in [("any", "user"), ("host", "host")] {
            let asked = json!({"valid_principals": none, "cert_type": kind});
            refused(&sign(&vault, name, &key, asked), "empty valid_principals");
        }
    }
    for odd in [
        "*",
        "../root",
        "a/b",
        "ada\nroot",
        "ada\u{0}",
        "-x",
        "a b",
        "ada\n",
    ] {
        let answer = sign(&vault, "any", &key, json!({ "valid_principals": [odd] }));
        refused(&answer, "valid_principals");
    }
    let body =
        json!({"key_type": "ca", "allow_user_certificates": true, "allow_empty_principals": true});
    refused(
        &vault.root("POST", "ssh/roles/x", body),
        "allow_empty_principals",
    );
    // One that the role does not have, with and without a list.
    role(&vault, "ops", json!({}));
    refused(
        &sign(&vault, "ops", &key, json!({"valid_principals": "root"})),
        "does not allow",
    );
    refused(
        &sign(&vault, "ops", &key, json!({"valid_principals": "ada,root"})),
        "does not allow",
    );
    role(
        &vault,
        "default",
        json!({"allowed_users": "", "default_user": "ada"}),
    );
    signed(sign(
        &vault,
        "default",
        &key,
        json!({"valid_principals": ""}),
    ));
    refused(
        &sign(&vault, "default", &key, json!({"valid_principals": "ops"})),
        "does not allow",
    );
}

#[test]
fn a_forced_command_cannot_be_broken_out_of() {
    let vault = mounted();
    let key = own_key();
    role(
        &vault,
        "forced",
        json!({"default_critical_options": {"force-command": "/usr/bin/uptime"}}),
    );
    role(&vault, "free", json!({"allowed_users": "*"}));
    let asked = |options: Value| json!({ "critical_options": options });
    // Other options beside it do not lift it.
    let added = sign(
        &vault,
        "forced",
        &key,
        asked(json!({"source-address": "10.0.0.1"})),
    );
    assert!(shown(&signed(added)).contains("force-command /usr/bin/uptime"));
    for command in ["/bin/sh", ""] {
        let answer = sign(
            &vault,
            "forced",
            &key,
            asked(json!({ "force-command": command })),
        );
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    for command in [
        "uptime\nsh",
        "uptime\r",
        "echo \"x\" sh",
        "echo 'x'",
        "a\\b",
        "`id`",
        " ",
    ] {
        let answer = sign(
            &vault,
            "free",
            &key,
            asked(json!({ "force-command": command })),
        );
        refused(&answer, "critical_options");
    }
    for address in [
        "10.0.0.1\n",
        "10.0.0.1 ",
        "10.0.0.1\",command=\"sh",
        "*",
        "",
        "10.0.0.0/33",
    ] {
        let answer = sign(
            &vault,
            "free",
            &key,
            asked(json!({ "source-address": address })),
        );
        refused(&answer, "critical_options");
    }
    refused(
        &sign(&vault, "free", &key, asked(json!({"a\nb": ""}))),
        "critical_options",
    );
    let body = json!({
        "key_type": "ca", "allow_user_certificates": true,
        "default_critical_options": {"force-command": "a\nb"},
    });
    refused(
        &vault.root("POST", "ssh/roles/x", body),
        "default_critical_options",
    );
}

#[test]
fn line_ends_in_keys_comments_and_key_ids_are_refused() {
    let vault = mounted();
    let key = own_key();
    role(&vault, "ops", json!({"allow_user_key_ids": true}));
    signed(sign(
        &vault,
        "ops",
        &format!("{key} ada@laptop\n"),
        json!({}),
    ));
    for odd in [
        format!("{key} a\nssh-ed25519 AAAA"),
        format!("\n{key}"),
        key.replace(' ', "\n"),
        format!("{key} a\u{7f}"),
        format!("{key}\0"),
    ] {
        refused(&sign(&vault, "ops", &odd, json!({})), "public_key");
    }
    for odd in ["a\nAccepted publickey for root", "a\u{1b}[2J"] {
        refused(
            &sign(&vault, "ops", &key, json!({ "key_id": odd })),
            "key_id",
        );
    }
    role(&vault, "plain", json!({}));
    refused(
        &sign(&vault, "plain", &key, json!({"key_id": "x"})),
        "key_id",
    );
}

#[test]
fn weak_keys_and_sha1_are_refused() {
    let vault = mounted();
    role(&vault, "ops", json!({}));
    let dir = tempfile::tempdir().unwrap();
    let short = dir.path().join("short");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"])
        .arg(&short)
        .status();
    assert!(made.unwrap().success());
    let short = fs::read_to_string(short.with_extension("pub")).unwrap();
    refused(&sign(&vault, "ops", &short, json!({})), "2048 bits");
    refused(
        &sign(&vault, "ops", "ssh-dss AAAAB3NzaC1kc3MAAACB", json!({})),
        "DSA",
    );
    let certificate = signed(sign(&vault, "ops", &own_key(), json!({})));
    refused(&sign(&vault, "ops", &certificate, json!({})), "certificate");
    refused(&sign(&vault, "ops", "rubbish", json!({})), "public_key");
    let body =
        json!({"key_type": "ca", "allow_user_certificates": true, "algorithm_signer": "ssh-rsa"});
    refused(&vault.root("POST", "ssh/roles/x", body), "SHA-1");
    role(
        &vault,
        "rsa",
        json!({"allowed_user_key_lengths": {"rsa": [2048, 4096]}}),
    );
    refused(
        &sign(&vault, "rsa", &own_key(), json!({})),
        "allowed_user_key_lengths",
    );
}

/// In software: what counts here is what the CA makes of the public half.
#[test]
fn keys_on_security_keys_are_signed_too() {
    let vault = mounted();
    role(&vault, "ops", json!({}));
    let mut blob = Vec::new();
    for part in [&b"sk-ssh-ed25519@openssh.com"[..], &[9; 32], b"ssh:"] {
        blob.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend_from_slice(part);
    }
    let line = format!("sk-ssh-ed25519@openssh.com {}", STANDARD.encode(blob));
    let text = shown(&signed(sign(&vault, "ops", &line, json!({}))));
    assert!(
        text.contains("sk-ssh-ed25519-cert-v01@openssh.com"),
        "{text}"
    );
    role(
        &vault,
        "plain",
        json!({"allowed_user_key_lengths": {"ed25519": 0}}),
    );
    refused(
        &sign(&vault, "plain", &line, json!({})),
        "allowed_user_key_lengths",
    );
}

/// GHSA-59w7: a comma in metadata made of one allowed user two.
#[test]
fn ghsa_59w7_a_value_in_a_template_cannot_add_names() {
    let vault = mounted();
    vault
        .root("POST", "sys/auth/userpass", json!({"type": "userpass"}))
        .expect(204);
    vault
        .root(
            "POST",
            "sys/policies/acl/ssh",
            json!({"policy": "path \"ssh/*\" { capabilities = [\"update\"] }"}),
        )
        .expect(204);
    let user = json!({"password": "p", "policies": "ssh"});
    vault
        .root("POST", "auth/userpass/users/ada", user)
        .expect(204);
    let login = || {
        let answer = vault.call(
            "POST",
            "auth/userpass/login/ada",
            None,
            Some(&json!({"password": "p"})),
        );
        answer.expect(200)
    };
    let first = login();
    let entity = text(&first.body["auth"]["entity_id"]);
    role(
        &vault,
        "own",
        json!({
            "allowed_users_template": true,
            "allowed_users": "{{identity.entity.metadata.unix}}",
            "default_user_template": true,
            "default_user": "{{identity.entity.metadata.unix}}",
            "default_extensions_template": true,
            "default_extensions": {"login@github.com": "{{identity.entity.metadata.unix}}"},
        }),
    );
    let key = own_key();
    let call = |unix: &str, body: Value| {
        let metadata = json!({"metadata": {"unix": unix}});
        let path = format!("identity/entity/id/{entity}");
        let answer = vault.root("POST", &path, metadata);
        assert!(answer.status < 300, "{}", answer.text);
        let token = text(&login().body["auth"]["client_token"]);
        vault.call("POST", "ssh/sign/own", Some(&token), Some(&body))
    };
    let body = |name: &str| json!({"public_key": key, "valid_principals": name});
    let text = shown(&signed(call("u1", body("u1"))));
    assert!(
        text.contains("                u1\n") && text.contains("login@github.com"),
        "{text}"
    );
    signed(call("u1", body("")));
    refused(&call("u1", body("u2")), "does not allow");
    for odd in ["u1,root", "*", "u1 root", "../u1", "u1\nroot"] {
        for name in ["root", "u1", ""] {
            refused(&call(odd, body(name)), "template");
        }
    }
    // Whoever has no entity has no name.
    refused(
        &sign(&vault, "own", &key, json!({"valid_principals": "u1"})),
        "template",
    );
}

#[test]
fn hosts_get_certificates_for_their_domains_only() {
    let vault = mounted();
    let key = own_key();
    let host = json!({
        "allow_user_certificates": false, "allow_host_certificates": true, "allowed_users": "",
        "allowed_domains": "corp.example.com", "allow_subdomains": true,
    });
    role(&vault, "host", host);
    let asked = |name: &str| json!({"cert_type": "host", "valid_principals": name});
    let text = shown(&signed(sign(
        &vault,
        "host",
        &key,
        asked("db.corp.example.com"),
    )));
    assert!(text.contains("host certificate"), "{text}");
    for odd in [
        "corp.example.com",
        "evilcorp.example.com",
        "corp.example.com,x",
        "db.corp.example.com,x",
        "*.corp.example.com",
        ".corp.example.com",
        "a..corp.example.com",
    ] {
        refused(&sign(&vault, "host", &key, asked(odd)), "valid_principals");
    }
    refused(&sign(&vault, "host", &key, json!({})), "cert_type");
    let body = json!({
        "key_type": "ca", "allow_host_certificates": true, "allowed_domains": "*.example.com",
    });
    refused(&vault.root("POST", "ssh/roles/x", body), "allowed_domains");
}

#[test]
fn keys_are_made_with_their_certificate() {
    let vault = mounted();
    role(&vault, "ops", json!({}));
    for (kind, bits) in [("ed25519", 0), ("ec", 384), ("rsa", 2048)] {
        let body = json!({"key_type": kind, "key_bits": bits, "valid_principals": "ada"});
        let answer = vault.root("POST", "ssh/issue/ops", body).expect(200);
        let dir = tempfile::tempdir().unwrap();
        keep(
            &dir.path().join("key"),
            &text(&answer.data()["private_key"]),
        );
        let said = Command::new("ssh-keygen")
            .args(["-y", "-f"])
            .arg(dir.path().join("key"))
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
        let public = String::from_utf8(said.stdout).unwrap();
        fs::write(dir.path().join("key.pub"), public).unwrap();
        let said = Command::new("ssh-keygen")
            .args(["-l", "-f"])
            .arg(dir.path().join("key.pub"))
            .output()
            .unwrap();
        let line = String::from_utf8(said.stdout).unwrap();
        let fingerprint = line.split(' ').nth(1).unwrap();
        assert!(shown(&text(&answer.data()["signed_key"])).contains(fingerprint));
    }
    let body = json!({"key_type": "rsa", "key_bits": 1024, "valid_principals": "ada"});
    refused(&vault.root("POST", "ssh/issue/ops", body), "key_bits");
}

fn keep(path: &Path, key: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, key).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_ca_is_taken_over_renamed_replaced_and_deleted() {
    let vault = mounted();
    role(&vault, "ops", json!({}));
    role(&vault, "old", json!({"issuer_ref": "old"}));
    let key = own_key();
    let dir = tempfile::tempdir().unwrap();
    let public = keygen(&dir.path().join("ca"));
    let private = fs::read_to_string(dir.path().join("ca")).unwrap();
    // As Vault: the one CA is not replaced by mistake.
    refused(
        &vault.root("POST", "ssh/config/ca", json!({})),
        "already configured",
    );
    let first = text(
        &vault
            .root("GET", "ssh/config/ca", json!(null))
            .expect(200)
            .data()["issuer_id"],
    );
    let renamed = vault.root(
        "POST",
        &format!("ssh/issuer/{first}"),
        json!({"issuer_name": "old"}),
    );
    assert_eq!(renamed.expect(200).data()["issuer_name"], "old");
    let wrong = json!({"private_key": private, "public_key": own_key()});
    refused(
        &vault.root("POST", "ssh/issuers/import/new", wrong),
        "not the public half",
    );
    let body = json!({"private_key": private, "public_key": public});
    vault
        .root("POST", "ssh/issuers/import/new", body.clone())
        .expect(200);
    refused(
        &vault.root("POST", "ssh/issuers/import/again", body),
        "there already",
    );
    // Both are offered to hosts; the old one signs until the default changes.
    let lines = raw(&vault, "ssh/public_keys").text;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains(&format!("{public} new\n")), "{lines}");
    let signer = |role: &str| shown(&signed(sign(&vault, role, &key, json!({}))));
    let before = signer("ops");
    vault
        .root("POST", "ssh/config/issuers", json!({"default": "new"}))
        .expect(200);
    let after = signer("ops");
    let line = |text: &str| {
        let lines = text.lines();
        lines
            .map(str::trim)
            .find(|line| line.starts_with("Signing CA"))
            .unwrap()
            .to_owned()
    };
    assert_ne!(line(&before), line(&after));
    assert_eq!(line(&signer("old")), line(&before));
    assert_eq!(raw(&vault, "ssh/public_key").text, format!("{public}\n"));
    assert_eq!(
        raw(&vault, "ssh/issuer/new/public_key").text,
        format!("{public}\n")
    );
    let listed = vault.root("LIST", "ssh/issuers", json!(null)).expect(200);
    assert_eq!(listed.data()["keys"].as_array().unwrap().len(), 2);
    vault
        .root("DELETE", "ssh/issuer/old", json!(null))
        .expect(204);
    refused(&sign(&vault, "old", &key, json!({})), "no such issuer");
    vault
        .root("DELETE", "ssh/config/ca", json!(null))
        .expect(204);
    refused(&sign(&vault, "ops", &key, json!({})), "config/ca");
    // No route gives a private key back.
    vault.root("GET", "ssh/public_key", json!(null)).expect(404);
}

#[test]
fn what_is_revoked_is_on_the_list_that_ssh_keygen_reads() {
    let vault = mounted();
    role(&vault, "ops", json!({"allow_user_key_ids": true}));
    let dir = tempfile::tempdir().unwrap();
    let certificate = |name: &str, key: &str, id: &str| {
        let answer = sign(&vault, "ops", key, json!({ "key_id": id })).expect(200);
        fs::write(dir.path().join(name), text(&answer.data()["signed_key"])).unwrap();
        text(&answer.data()["serial_number"])
    };
    let (key, lost) = (own_key(), own_key());
    let number = certificate("number", &key, "a");
    certificate("whole", &key, "b");
    certificate("id", &key, "mallory");
    certificate("key", &lost, "c");
    certificate("good", &key, "d");
    let revoked = |name: &str| {
        fs::write(dir.path().join("krl"), krl(&vault)).unwrap();
        let mut command = Command::new("ssh-keygen");
        command
            .current_dir(dir.path())
            .args(["-Q", "-f", "krl", name]);
        let said = command.output().unwrap();
        assert!(said.stderr.is_empty(), "{said:?}");
        !said.status.success()
    };
    assert!(!revoked("number"), "an empty list is a list");
    let revoke = |body: Value| vault.root("POST", "ssh/revoke", body);
    revoke(json!({ "serial_number": number })).expect(200);
    let whole = fs::read_to_string(dir.path().join("whole")).unwrap();
    let id = text(&revoke(json!({ "certificate": whole })).expect(200).data()["id"]);
    revoke(json!({"key_id": "mallory"})).expect(200);
    let last = revoke(json!({ "public_key": lost })).expect(200);
    assert_eq!(last.data()["krl_version"], 4);
    // The same again changes nothing.
    let again = revoke(json!({ "public_key": lost })).expect(200);
    assert_eq!(again.data()["krl_version"], 4);
    for name in ["number", "whole", "id", "key"] {
        assert!(revoked(name), "{name}");
    }
    assert!(!revoked("good"));
    let listed = vault.root("LIST", "ssh/revoked", json!(null)).expect(200);
    assert_eq!(listed.data()["keys"].as_array().unwrap().len(), 4);
    vault
        .root("DELETE", &format!("ssh/revoked/{id}"), json!(null))
        .expect(204);
    assert!(!revoked("whole") && revoked("id"));
    for odd in [
        json!({}),
        json!({"serial": "0"}),
        json!({"serial": "x"}),
        json!({"serial": "1", "key_id": "a"}),
        json!({"key_id": "a\nb"}),
        json!({"certificate": key}),
        json!({"public_key": "x"}),
    ] {
        assert_eq!(revoke(odd).status, 400);
    }
    let other = mounted();
    let elsewhere = text(&sign_elsewhere(&other).data()["signed_key"]);
    refused(
        &revoke(json!({ "certificate": elsewhere })),
        "CA of this mount",
    );
}

#[test]
fn what_is_changed_at_the_same_time_is_all_kept() {
    let vault = mounted();
    let answers = together(12, |number| match number % 2 {
        0 => vault.root(
            "POST",
            "ssh/revoke",
            json!({ "key_id": format!("id-{number}") }),
        ),
        _ => {
            let path = format!("ssh/issuers/import/ca-{number}");
            vault.root("POST", &path, json!({"key_type": "ed25519"}))
        }
    });
    assert_eq!(with_status(&answers, 200), 12, "{answers:?}");
    let count = |path: &str| {
        let listed = vault.root("LIST", path, json!(null)).expect(200);
        listed.data()["keys"].as_array().unwrap().len()
    };
    assert_eq!((count("ssh/revoked"), count("ssh/issuers")), (6, 7));
}

#[test]
fn cas_roles_and_revocations_outlive_a_restart() {
    let mut vault = durable();
    vault
        .root("POST", "sys/mounts/ssh", json!({"type": "ssh"}))
        .expect(204);
    vault
        .root("POST", "ssh/config/ca", json!({"key_type": "ed25519"}))
        .expect(200);
    role(&vault, "ops", json!({}));
    vault
        .root("POST", "ssh/revoke", json!({"key_id": "mallory"}))
        .expect(200);
    let (keys, list) = (raw(&vault, "ssh/public_keys").text, krl(&vault));
    vault.kill9();
    vault.restart();
    vault.unseal();
    assert_eq!(
        (raw(&vault, "ssh/public_keys").text, krl(&vault)),
        (keys, list)
    );
    signed(sign(&vault, "ops", &own_key(), json!({})));
    // A private key is in the answer that made it, and not in the audit log.
    let body = json!({"key_type": "ed25519", "valid_principals": "ada"});
    let issued = vault.root("POST", "ssh/issue/ops", body).expect(200);
    let private = text(&issued.data()["private_key"]);
    let line = private.lines().nth(2).unwrap();
    assert!(issued.text.contains(line) && line.len() > 20);
    let log = format!("{:?}", vault.audit());
    assert!(log.contains("ssh/issue/ops") && !log.contains(line));
}

fn sign_elsewhere(vault: &Vault) -> Answer {
    role(vault, "ops", json!({}));
    sign(vault, "ops", &own_key(), json!({})).expect(200)
}

/// As bytes: `Answer` has text.
fn krl(vault: &Vault) -> Vec<u8> {
    let request = "GET /v1/ssh/krl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let bytes = vault.endpoint.raw(request.as_bytes()).unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    bytes[end + 4..].to_vec()
}

#[test]
fn a_one_time_password_is_for_its_address_and_good_once() {
    let vault = mounted();
    let body = json!({
        "key_type": "otp", "default_user": "ada", "cidr_list": "10.0.0.0/8",
        "exclude_cidr_list": "10.9.0.0/16",
    });
    vault.root("POST", "ssh/roles/otp", body).expect(204);
    let creds = |ip: &str, user: &str| {
        vault.root("POST", "ssh/creds/otp", json!({"ip": ip, "username": user}))
    };
    for (ip, user) in [
        ("11.0.0.1", ""),
        ("10.9.0.1", ""),
        ("10.0.0.1", "root"),
        ("x", ""),
        ("", ""),
    ] {
        assert_eq!(creds(ip, user).status, 400, "{ip} {user}");
    }
    let password = text(&creds("10.0.0.1", "").expect(200).data()["key"]);
    let verify = |otp: &str| vault.call("POST", "ssh/verify", None, Some(&json!({ "otp": otp })));
    assert_eq!(
        verify("verify-echo-request").expect(200).data()["message"],
        "verify-echo-response"
    );
    refused(&verify("rubbish"), "OTP not found");
    let answers = together(8, |_| verify(&password));
    assert_eq!(
        (with_status(&answers, 200), with_status(&answers, 400)),
        (1, 7)
    );
    let good = answers.iter().find(|answer| answer.status == 200).unwrap();
    assert_eq!(
        *good.data(),
        json!({"username": "ada", "ip": "10.0.0.1", "role_name": "otp"})
    );
    // Another mount does not know it.
    vault
        .root("POST", "sys/mounts/two", json!({"type": "ssh"}))
        .expect(204);
    let password = text(&creds("10.0.0.1", "").expect(200).data()["key"]);
    let other = vault.call(
        "POST",
        "two/verify",
        None,
        Some(&json!({ "otp": password })),
    );
    refused(&other, "OTP not found");
    let found = vault
        .root("POST", "ssh/lookup", json!({"ip": "10.0.0.1"}))
        .expect(200);
    assert_eq!(found.data()["roles"], json!(["otp"]));
    vault
        .root("POST", "ssh/config/zeroaddress", json!({"roles": "otp"}))
        .expect(204);
    creds("11.0.0.1", "").expect(200);
    assert_eq!(creds("10.9.0.1", "").status, 400, "excluded is excluded");
    refused(
        &vault.root("POST", "ssh/config/zeroaddress", json!({"roles": "none"})),
        "roles",
    );
}

#[test]
fn a_one_time_password_ends_by_itself() {
    let vault = mounted();
    let tune = json!({"default_lease_ttl": "1s"});
    vault.root("POST", "sys/mounts/ssh/tune", tune).expect(204);
    let body = json!({"key_type": "otp", "default_user": "ada", "cidr_list": "0.0.0.0/0"});
    vault.root("POST", "ssh/roles/otp", body).expect(204);
    let made = vault
        .root("POST", "ssh/creds/otp", json!({"ip": "10.0.0.1"}))
        .expect(200);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let otp = json!({"otp": made.data()["key"]});
    refused(
        &vault.call("POST", "ssh/verify", None, Some(&otp)),
        "OTP not found",
    );
}

#[test]
fn a_role_signs_for_whom_its_policy_says_only() {
    let vault = mounted();
    role(&vault, "ops", json!({}));
    role(&vault, "root", json!({"allowed_users": "root"}));
    vault
        .root(
            "POST",
            "sys/policies/acl/ops",
            json!({"policy": "path \"ssh/sign/ops\" { capabilities = [\"update\"] }"}),
        )
        .expect(204);
    let token = token(
        &vault,
        json!({"policies": ["ops"], "no_default_policy": true}),
    );
    let call = |path: &str, name: &str| {
        let body = json!({"public_key": own_key(), "valid_principals": name});
        vault.call("POST", path, Some(&token), Some(&body)).status
    };
    assert_eq!(call("ssh/sign/ops", "ada"), 200);
    assert_eq!(call("ssh/sign/root", "root"), 403);
}
