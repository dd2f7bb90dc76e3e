//! Logins with SSH keys and certificates, made by the real `ssh-keygen` and `ssh-agent`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::process::until;
use vault_tests::{Answer, Request, Vault, program};

use crate::setup::{policy, quick, text, together, with_status};

const NAMESPACE: &str = "login@vaultd";

/// A folder with keys.
struct Keys(TempDir);

impl Keys {
    fn new() -> Keys {
        Keys(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    fn keygen(&self, arguments: &[&str]) -> String {
        let output = Command::new("ssh-keygen")
            .current_dir(self.0.path())
            .args(arguments)
            .output()
            .expect("ssh-keygen is missing: install openssh-client");
        assert!(output.status.success(), "{arguments:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes a key and returns its public line.
    #[track_caller]
    fn make(&self, name: &str, kind: &[&str]) -> String {
        let arguments = [&["-q", "-N", "", "-C", name, "-f", name, "-t"], kind].concat();
        self.keygen(&arguments);
        self.line(&format!("{name}.pub"))
    }

    fn line(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    /// Certifies a key, and returns the certificate.
    #[track_caller]
    fn certify(&self, ca: &str, key: &str, options: &[&str]) -> String {
        let public = format!("{key}.pub");
        self.keygen(
            &[
                &["-q", "-s", ca, "-I", "id-of-ada"],
                options,
                &[public.as_str()],
            ]
            .concat(),
        );
        self.line(&format!("{key}-cert.pub"))
    }

    #[track_caller]
    fn sign(&self, key: &str, namespace: &str, message: &str) -> String {
        let mut child = Command::new("ssh-keygen")
            .current_dir(self.0.path())
            .args(["-q", "-Y", "sign", "-n", namespace, "-f", key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(message.as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    fn fingerprint(&self, key: &str) -> String {
        let shown = self.keygen(&["-l", "-f", &format!("{key}.pub")]);
        shown.split(' ').nth(1).unwrap().to_owned()
    }
}

fn ready() -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/auth/ssh", json!({"type": "ssh"}))
        .expect(204);
    policy(&vault, "ops", r#"path "kv/*" { capabilities = ["read"] }"#);
    vault
}

#[track_caller]
fn role(vault: &Vault, name: &str, body: Value) {
    let path = format!("auth/ssh/role/{name}");
    vault.root("POST", &path, body).expect(204);
}

#[track_caller]
fn challenge(vault: &Vault, role: &str) -> String {
    let answer = vault.call(
        "POST",
        "auth/ssh/challenge",
        None,
        Some(&json!({ "role": role })),
    );
    text(&answer.expect(200).data()["challenge"])
}

fn login(vault: &Vault, body: Value) -> Answer {
    vault.call("POST", "auth/ssh/login", None, Some(&body))
}

/// Signs a fresh challenge as the role expects it.
fn enter(vault: &Vault, keys: &Keys, key: &str, role: &str, certificate: Option<&str>) -> Answer {
    let challenge = challenge(vault, role);
    let signature = keys.sign(key, NAMESPACE, &challenge);
    login(
        vault,
        json!({"role": role, "challenge": challenge, "signature": signature, "certificate": certificate}),
    )
}

#[track_caller]
fn refuses(answer: Answer, why: &str) {
    let answer = answer.expect(400);
    assert!(answer.errors().contains(why), "{}", answer.text);
    assert!(answer.body["auth"].is_null());
}

#[test]
fn a_key_of_each_kind_logs_in() {
    let (vault, keys) = (ready(), Keys::new());
    let kinds: [&[&str]; 5] = [
        &["ed25519"],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "2048"],
    ];
    let names = ["ed", "p256", "p384", "p521", "rsa"];
    let lines: Vec<String> = kinds
        .iter()
        .zip(names)
        .map(|(kind, name)| keys.make(name, kind))
        .collect();
    let body = json!({"public_keys": lines.concat(), "token_policies": "ops", "token_ttl": "10m"});
    role(&vault, "ops", body);
    for name in names {
        let answer = enter(&vault, &keys, name, "ops", None).expect(200);
        let auth = &answer.body["auth"];
        assert_eq!(auth["policies"], json!(["default", "ops"]));
        assert_eq!(auth["lease_duration"], json!(600));
        let fingerprint = keys.fingerprint(name);
        assert_eq!(
            auth["metadata"],
            json!({"role": "ops", "key_fingerprint": fingerprint})
        );
        let own = Request::new("GET", "auth/token/lookup-self").token(&text(&auth["client_token"]));
        let own = vault.send(&own).expect(200);
        assert_eq!(
            own.data()["display_name"],
            json!(format!("ssh-{fingerprint}"))
        );
    }
}

#[test]
fn a_challenge_is_good_once_and_only_for_what_it_was_made_for() {
    let (vault, keys) = (ready(), Keys::new());
    let line = keys.make("ada", &["ed25519"]);
    for name in ["ops", "other"] {
        role(&vault, name, json!({ "public_keys": line }));
    }
    let first = challenge(&vault, "ops");
    let body = |role: &str, challenge: &str, signature: &str| json!({"role": role, "challenge": challenge, "signature": signature});
    let signature = keys.sign("ada", NAMESPACE, &first);
    let stale = "ask for a new one";
    refuses(login(&vault, body("other", &first, &signature)), stale);
    let changed = first.replace(" ops ", " other ");
    let forged = keys.sign("ada", NAMESPACE, &changed);
    refuses(login(&vault, body("other", &changed, &forged)), stale);
    let last = first.replace(' ', "  ");
    refuses(login(&vault, body("ops", &last, &signature)), stale);
    login(&vault, body("ops", &first, &signature)).expect(200);
    refuses(login(&vault, body("ops", &first, &signature)), stale);
    let again = keys.sign("ada", NAMESPACE, &first);
    refuses(login(&vault, body("ops", &first, &again)), stale);

    // As a shell sends it: with a line break at the end.
    let second = challenge(&vault, "ops");
    let broken = keys.sign("ada", NAMESPACE, &format!("{second}\n"));
    login(&vault, body("ops", &second, &broken)).expect(200);

    // Of another mount of the method.
    vault
        .root("POST", "sys/auth/elsewhere", json!({"type": "ssh"}))
        .expect(204);
    vault
        .root(
            "POST",
            "auth/elsewhere/role/ops",
            json!({ "public_keys": line }),
        )
        .expect(204);
    let third = challenge(&vault, "ops");
    let signature = keys.sign("ada", NAMESPACE, &third);
    let moved = body("ops", &third, &signature);
    let answer = vault.call("POST", "auth/elsewhere/login", None, Some(&moved));
    refuses(answer, stale);
}

#[test]
fn a_challenge_expires() {
    let (vault, keys) = (ready(), Keys::new());
    role(
        &vault,
        "ops",
        json!({"public_keys": keys.make("ada", &["ed25519"])}),
    );
    vault
        .root("POST", "auth/ssh/config", json!({"challenge_ttl": "1s"}))
        .expect(204);
    let challenge = challenge(&vault, "ops");
    let signature = keys.sign("ada", NAMESPACE, "something else");
    let body = json!({"role": "ops", "challenge": challenge, "signature": signature});
    // A wrong signature uses nothing up, so the answer changes only when the time is over.
    let expired = until(Duration::from_secs(20), || {
        let answer = login(&vault, body.clone()).expect(400);
        answer.errors().contains("ask for a new one").then_some(())
    });
    assert!(expired.is_some());
}

#[test]
fn of_logins_with_one_challenge_at_once_one_wins() {
    let (vault, keys) = (ready(), Keys::new());
    role(
        &vault,
        "ops",
        json!({"public_keys": keys.make("ada", &["ed25519"])}),
    );
    let challenge = challenge(&vault, "ops");
    let signature = keys.sign("ada", NAMESPACE, &challenge);
    let body = json!({"role": "ops", "challenge": challenge, "signature": signature});
    let answers = together(20, |_| login(&vault, body.clone()));
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 400), 19);
}

#[test]
fn a_signature_for_something_else_is_no_login() {
    let (vault, keys) = (ready(), Keys::new());
    let line = keys.make("ada", &["ed25519"]);
    keys.make("eve", &["ed25519"]);
    role(&vault, "ops", json!({ "public_keys": line }));
    let challenge = challenge(&vault, "ops");
    let send = |signature: String| {
        login(
            &vault,
            json!({"role": "ops", "challenge": challenge, "signature": signature}),
        )
    };
    refuses(
        send(keys.sign("ada", "git", &challenge)),
        "signature: expected",
    );
    refuses(
        send(keys.sign("ada", "file", &challenge)),
        "signature: expected",
    );
    let other = "the signature is not of this challenge";
    refuses(send(keys.sign("ada", NAMESPACE, "hello")), other);
    let key = "the role does not take this key";
    refuses(send(keys.sign("eve", NAMESPACE, &challenge)), key);
    for garbage in ["", "hunter2", "-----BEGIN SSH SIGNATURE-----"] {
        let answer = send(garbage.to_owned()).expect(400);
        assert!(!answer.text.contains("hunter2"));
    }
    // A role that is not there looks like one that does not take the key.
    let unknown = self::challenge(&vault, "nobody");
    let signature = keys.sign("ada", NAMESPACE, &unknown);
    let body = json!({"role": "nobody", "challenge": unknown, "signature": signature});
    refuses(login(&vault, body), key);
    send(keys.sign("ada", NAMESPACE, &challenge)).expect(200);
}

#[test]
fn a_certificate_logs_in_as_its_principal() {
    let (vault, keys) = (ready(), Keys::new());
    keys.make("ada", &["ed25519"]);
    let ca = keys.make("ca", &["rsa", "-b", "2048"]);
    let body =
        json!({"trusted_ca_keys": ca, "allowed_principals": "ops,ada", "token_policies": "ops"});
    role(&vault, "ops", body);
    let certificate = keys.certify(
        "ca",
        "ada",
        &["-n", "someone,ada", "-z", "7", "-V", "-5m:+10m"],
    );
    let answer = enter(&vault, &keys, "ada", "ops", Some(&certificate)).expect(200);
    let auth = &answer.body["auth"];
    assert_eq!(auth["metadata"]["principal"], json!("ada"));
    assert_eq!(auth["metadata"]["key_id"], json!("id-of-ada"));
    assert_eq!(auth["metadata"]["serial"], json!("7"));
    assert_eq!(
        auth["metadata"]["ca_fingerprint"],
        json!(keys.fingerprint("ca"))
    );
    // The token ends with the certificate.
    let left = auth["lease_duration"].as_u64().unwrap();
    assert!((1..=600).contains(&left), "{left}");
    let token = text(&auth["client_token"]);
    let renewed = Request::new("POST", "auth/token/renew-self").token(&token);
    let renewed = vault
        .send(&renewed.json(&json!({"increment": "1h"})))
        .expect(200);
    assert!(renewed.body["auth"]["lease_duration"].as_u64().unwrap() <= 600);
}

#[test]
fn a_certificate_that_does_not_allow_it_does_not_log_in() {
    let (vault, keys) = (ready(), Keys::new());
    keys.make("ada", &["ed25519"]);
    keys.make("eve", &["ed25519"]);
    keys.make("other-ca", &["ed25519"]);
    let ca = keys.make("ca", &["ed25519"]);
    role(
        &vault,
        "ops",
        json!({"trusted_ca_keys": ca, "allowed_principals": "ada"}),
    );
    let with = |ca: &str, options: &[&str]| {
        let certificate = keys.certify(ca, "ada", options);
        enter(&vault, &keys, "ada", "ops", Some(&certificate))
    };
    with("ca", &["-n", "ada"]).expect(200);
    with("ca", &["-n", "ada", "-O", "source-address=127.0.0.0/8"]).expect(200);
    let cases: [(&str, &[&str], &str); 10] = [
        ("other-ca", &["-n", "ada"], "does not trust who signed it"),
        ("ca", &["-n", "eve"], "none of its principals"),
        ("ca", &["-n", "Ada"], "none of its principals"),
        ("ca", &[], "none of its principals"),
        (
            "ca",
            &["-n", "ada", "-V", "20200101:20200102"],
            "it has expired",
        ),
        ("ca", &["-n", "ada", "-V", "+1d:+2d"], "it is not valid yet"),
        ("ca", &["-n", "ada", "-h"], "not a certificate of a user"),
        (
            "ca",
            &["-n", "ada", "-O", "source-address=10.0.0.0/8"],
            "other addresses",
        ),
        (
            "ca",
            &["-n", "ada", "-O", "force-command=/bin/true"],
            "one command",
        ),
        (
            "ca",
            &["-n", "ada", "-O", "critical:new@example.com=x"],
            "not known",
        ),
    ];
    for (ca, options, why) in cases {
        refuses(with(ca, options), why);
    }
    let of_eve = keys.certify("ca", "eve", &["-n", "ada"]);
    refuses(
        enter(&vault, &keys, "ada", "ops", Some(&of_eve)),
        "for another key",
    );
    // The key alone is not in the role.
    refuses(
        enter(&vault, &keys, "ada", "ops", None),
        "does not take this key",
    );
    let fingerprint = keys.fingerprint("ada");
    role(&vault, "ops", json!({"revoked_keys": fingerprint}));
    refuses(with("ca", &["-n", "ada"]), "revoked");
}

#[test]
fn a_signature_names_the_server_if_the_server_wants_it() {
    let (vault, keys) = (ready(), Keys::new());
    role(
        &vault,
        "ops",
        json!({"public_keys": keys.make("ada", &["ed25519"])}),
    );
    vault
        .root(
            "POST",
            "auth/ssh/config",
            json!({"origins": "https://vault.example:8200/"}),
        )
        .expect(204);
    let enter = |origin: Option<&str>, signed: Option<&str>| {
        let challenge = challenge(&vault, "ops");
        let message = signed.map_or(challenge.clone(), |origin| format!("{challenge}\n{origin}"));
        let signature = keys.sign("ada", NAMESPACE, &message);
        login(
            &vault,
            json!({"role": "ops", "challenge": challenge, "signature": signature, "origin": origin}),
        )
    };
    let (here, evil) = ("https://vault.example:8200", "https://evil.example");
    enter(Some(here), Some(here)).expect(200);
    refuses(enter(None, None), "origin");
    refuses(enter(Some(evil), Some(evil)), "origin");
    // What a false server would pass on.
    refuses(enter(Some(here), Some(evil)), "not of this challenge");
    refuses(enter(Some(here), None), "not of this challenge");
}

#[test]
fn a_token_is_renewed_while_the_role_takes_the_key() {
    let (vault, keys) = (ready(), Keys::new());
    let (ada, eve) = (
        keys.make("ada", &["ed25519"]),
        keys.make("eve", &["ed25519"]),
    );
    let both = json!({"public_keys": [ada, eve], "token_policies": "ops"});
    role(&vault, "ops", both.clone());
    let issued = enter(&vault, &keys, "ada", "ops", None).expect(200);
    let token = text(&issued.body["auth"]["client_token"]);
    let renew = || {
        let request = Request::new("POST", "auth/token/renew-self").token(&token);
        vault.send(&request.json(&json!({})))
    };
    renew().expect(200);
    role(&vault, "ops", json!({ "public_keys": eve }));
    renew().expect(403);
    role(&vault, "ops", both);
    renew().expect(200);
    role(
        &vault,
        "ops",
        json!({"revoked_keys": keys.fingerprint("ada")}),
    );
    renew().expect(403);
    role(
        &vault,
        "ops",
        json!({"revoked_keys": "", "token_policies": "other"}),
    );
    renew().expect(403);
    vault
        .root("DELETE", "auth/ssh/role/ops", Value::Null)
        .expect(204);
    renew().expect(400);
}

#[test]
fn what_makes_no_sense_is_refused_when_a_role_is_written() {
    let (vault, keys) = (ready(), Keys::new());
    let line = keys.make("ada", &["ed25519"]);
    let short = keys.make("short", &["rsa", "-b", "1024"]);
    let bodies = [
        json!({}),
        json!({"public_keys": "hunter2"}),
        json!({"public_keys": ["ssh-ed25519 hunter2"]}),
        json!({"public_keys": format!("command=\"x\" {line}")}),
        json!({ "public_keys": short }),
        json!({ "trusted_ca_keys": line }),
        json!({"public_keys": line, "revoked_keys": "hunter2"}),
        json!({"public_keys": line, "token_policies": "root"}),
    ];
    for body in bodies {
        let answer = vault.root("POST", "auth/ssh/role/ops", body.clone());
        assert_eq!(answer.status, 400, "{body} {}", answer.text);
        assert!(!answer.text.contains("hunter2"));
    }
    for ttl in ["0", "1h"] {
        vault
            .root("POST", "auth/ssh/config", json!({ "challenge_ttl": ttl }))
            .expect(400);
    }
    role(
        &vault,
        "ops",
        json!({"public_keys": line, "token_bound_cidrs": "10.0.0.0/8"}),
    );
    enter(&vault, &keys, "ada", "ops", None).expect(403);
}

/// `ssh-agent` with some keys. Ends with the value.
struct Agent(Child, PathBuf);

impl Agent {
    fn with(keys: &Keys, names: &[&str]) -> Agent {
        let socket = keys.path("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent is missing: install openssh-client");
        let agent = Agent(child, socket);
        until(Duration::from_secs(20), || agent.1.exists().then_some(())).unwrap();
        for name in names {
            let mut add = Command::new("ssh-add");
            add.arg("-q").arg(keys.path(name));
            let added = until(Duration::from_secs(20), || {
                let done = add.env("SSH_AUTH_SOCK", &agent.1).output().unwrap();
                done.status.success().then_some(())
            });
            assert!(added.is_some());
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn vaultctl(vault: &Vault, agent: Option<&Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("vaultctl"));
    command
        .args(["login", "--no-store", "--method", "ssh"])
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", vault.dir.path())
        .env("VAULT_ADDR", &vault.addr);
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    command.output().unwrap()
}

#[test]
fn vaultctl_signs_with_an_agent_or_a_key_file() {
    let (vault, keys) = (ready(), Keys::new());
    let ca = keys.make("ca", &["ed25519"]);
    let [ada, rsa] = [("ada", &["ed25519"][..]), ("rsa", &["rsa", "-b", "2048"])]
        .map(|(name, kind)| keys.make(name, kind));
    keys.make("eve", &["ecdsa"]);
    keys.make("grace", &["ecdsa"]);
    keys.certify("ca", "grace", &["-n", "grace"]);
    role(
        &vault,
        "ops",
        json!({"public_keys": [ada, rsa], "token_policies": "ops"}),
    );
    role(&vault, "rsa", json!({ "public_keys": rsa }));
    role(
        &vault,
        "certified",
        json!({"trusted_ca_keys": ca, "allowed_principals": "grace"}),
    );
    vault
        .root("POST", "auth/ssh/config", json!({"origins": vault.addr}))
        .expect(204);
    let agent = Agent::with(&keys, &["eve", "ada", "rsa", "grace"]);
    let succeeds = |agent: Option<&Path>, arguments: &[&str]| {
        let output = vaultctl(&vault, agent, &[arguments, &["--print-token"]].concat());
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).unwrap();
        let own = Request::new("GET", "auth/token/lookup-self").token(token.trim());
        vault.send(&own).expect(200).data()["meta"].clone()
    };
    let path = |name: &str| keys.path(name).to_str().unwrap().to_owned();
    // The agent's first key is of no use here.
    let meta = succeeds(Some(&agent.1), &["--role", "ops"]);
    assert_eq!(meta["key_fingerprint"], json!(keys.fingerprint("ada")));
    let meta = succeeds(Some(&agent.1), &["--role", "rsa"]);
    assert_eq!(meta["key_fingerprint"], json!(keys.fingerprint("rsa")));
    let meta = succeeds(Some(&agent.1), &["--role", "certified"]);
    assert_eq!(meta["principal"], json!("grace"));
    succeeds(None, &["--role", "ops", "--key", &path("ada")]);
    succeeds(
        Some(&agent.1),
        &["--role", "ops", "--key", &path("ada.pub")],
    );
    // The certificate lies beside the key.
    succeeds(None, &["--role", "certified", "--key", &path("grace")]);

    let fails = |agent: Option<&Path>, arguments: &[&str], why: &str| {
        let output = vaultctl(&vault, agent, arguments);
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(why), "{said}");
    };
    fails(None, &["--role", "ops"], "SSH_AUTH_SOCK is not set");
    fails(
        None,
        &["--role", "ops", "--key", &path("eve")],
        "does not take this key",
    );
    fails(
        None,
        &["--role", "ops", "--key", &path("nobody")],
        "ssh-keygen cannot sign",
    );
    fails(None, &[], "role is missing");
}
