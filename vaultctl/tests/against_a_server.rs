//! The real binary against a server that answers as Vault does: what is sent, what is printed,
//! what is kept, and what never is.

#![expect(clippy::unwrap_used)]

mod fake;

use std::os::unix::fs::MetadataExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fake::{Asked, Fake, finish};
use serde_json::{Value, json};

const TOKEN: &str = "hvs.fresh-token-marker";

fn mount(version: u8) -> (u16, Value) {
    (
        200,
        json!({"data": {"path": "secret/", "type": "kv", "options": {"version": version.to_string()}}}),
    )
}

fn kv2(asked: &Asked) -> (u16, Value) {
    let envelope = |data: Value, version: u64| {
        let metadata = json!({"version": version, "created_time": "T", "deletion_time": "", "destroyed": false, "custom_metadata": null});
        (
            200,
            json!({"request_id": "r", "data": {"data": data, "metadata": metadata}}),
        )
    };
    match (asked.verb.as_str(), asked.path.as_str()) {
        ("GET", p) if p.starts_with("sys/internal/ui/mounts/") => mount(2),
        ("GET", "secret/data/app" | "secret/data/app?version=2") => {
            envelope(json!({"password": "hunter2\n", "user": "u", "n": 7}), 2)
        }
        ("GET", "secret/data/app?version=1") => {
            envelope(json!({"password": "old", "gone": "x"}), 1)
        }
        ("GET", "secret/data/bad") => envelope(json!({"LD_PRELOAD": "/x.so"}), 1),
        ("GET", "secret/data/deleted") => (
            404,
            json!({"data": {"data": null, "metadata": {"version": 3, "deletion_time": "T", "destroyed": false}}}),
        ),
        ("GET", "secret/metadata/app") => {
            (200, json!({"data": {"current_version": 2, "versions": {}}}))
        }
        ("GET", p) if p.starts_with("secret/metadata/?") || p.starts_with("secret/metadata?") => {
            (200, json!({"data": {"keys": ["app", "team/"]}}))
        }
        ("GET", p) if p.starts_with("secret/metadata/team") => {
            (200, json!({"data": {"keys": ["a", "b"]}}))
        }
        ("PUT" | "POST" | "PATCH", "secret/data/app") => {
            (200, json!({"data": {"version": 3, "created_time": "T"}}))
        }
        _ => (404, json!({"errors": []})),
    }
}

#[test]
fn a_value_is_printed_raw_into_a_pipe() {
    let fake = Fake::start(kv2);
    assert_eq!(
        fake.run(&["get", "secret/app#password"]),
        (0, "hunter2\n".into(), String::new())
    );
    assert_eq!(fake.run(&["kv", "get", "-field=user", "secret/app"]).1, "u");
    assert_eq!(
        fake.run(&["kv", "get", "--mount", "secret", "--field", "n", "app"])
            .1,
        "7"
    );
    let (code, out, err) = fake.run(&["get", "vault://secret/data/app#user"]);
    assert_eq!((code, out.as_str()), (0, "u"));
    assert!(err.contains("read as secret/app"), "{err}");
}

#[test]
fn json_keeps_the_envelope_and_yaml_its_types() {
    let fake = Fake::start(kv2);
    let parsed: Value =
        serde_json::from_str(&fake.run(&["kv", "get", "-o", "json", "secret/app"]).1).unwrap();
    assert_eq!(parsed["data"]["data"]["n"], 7);
    assert_eq!(parsed["request_id"], "r");
    let yaml = fake.run(&["kv", "get", "-o", "yaml", "secret/app"]).1;
    assert!(
        yaml.contains("    password: \"hunter2\\n\"\n    user: \"u\"\n"),
        "{yaml}"
    );
}

#[test]
fn missing_and_deleted_secrets_exit_2_and_say_what_to_do() {
    let fake = Fake::start(kv2);
    let (code, _, err) = fake.run(&["kv", "get", "secret/none"]);
    assert!(
        code == 2 && err.contains("no value found at secret/none"),
        "{err}"
    );
    let (code, _, err) = fake.run(&["kv", "get", "secret/deleted"]);
    assert!(
        code == 2 && err.contains("kv undelete --versions 3 secret/deleted"),
        "{err}"
    );
    let (code, _, err) = fake.run(&["get", "secret/app#nokey"]);
    assert!(
        code == 2 && err.contains("password") && !err.contains("hunter2"),
        "{err}"
    );
}

#[test]
fn writes_send_values_verbatim() {
    let fake = Fake::start(kv2);
    let file = fake.file("pem", "-----BEGIN\nx\n");
    let words = [
        "kv",
        "put",
        "-cas=2",
        "secret/app",
        "a=b=c",
        &format!("pem=@{file}"),
    ];
    assert_eq!(fake.run(&words).0, 0);
    let sent = fake.asked().pop().unwrap();
    assert_eq!(
        sent.body,
        json!({"data": {"a": "b=c", "pem": "-----BEGIN\nx\n"}, "options": {"cas": 2}})
    );
    assert_eq!(sent.token, "s.in-use");
}

#[test]
fn a_rollback_writes_the_old_values_even_when_wrapping_is_on() {
    let fake = Fake::start(kv2);
    let mut command = fake.command(&["kv", "rollback", "--version", "1", "secret/app"]);
    command.env("VAULT_WRAP_TTL", "60");
    assert_eq!(finish(command).0, 0);
    let sent = fake.asked().pop().unwrap();
    assert_eq!(
        sent.body,
        json!({"data": {"password": "old", "gone": "x"}, "options": {"cas": 2}})
    );
}

#[test]
fn a_diff_hides_values_even_in_a_pipe() {
    let fake = Fake::start(kv2);
    let (code, out, _) = fake.run(&["kv", "diff", "secret/app", "1", "2"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("gone")
            && out.contains("password")
            && !out.contains("hunter2")
            && !out.contains("old"),
        "{out}"
    );
    assert!(
        fake.run(&["kv", "diff", "--reveal", "secret/app", "1"])
            .1
            .contains("hunter2")
    );
}

#[test]
fn a_recursive_list_has_whole_paths() {
    let fake = Fake::start(kv2);
    let (code, out, err) = fake.run(&["kv", "list", "-R", "secret"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "secret/app\nsecret/team/a\nsecret/team/b\n"),
        "{err}"
    );
}

#[test]
fn an_edit_writes_with_compare_and_set_and_leaves_nothing_behind() {
    let fake = Fake::start(kv2);
    let editor = fake.file("editor.sh", "#!/bin/sh\nls -ld \"$1\" > seen\necho \"$VAULT_TOKEN\" >> seen\nprintf '{\"a\": 1}' > \"$1\"\n");
    let mut command = fake.command(&["kv", "edit", "secret/app"]);
    command.env("EDITOR", format!("sh {editor}"));
    let (code, _, err) = finish(command);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        fake.asked().pop().unwrap().body,
        json!({"data": {"a": 1}, "options": {"cas": 2}})
    );
    let seen = std::fs::read_to_string(fake.home().join("seen")).unwrap();
    assert!(
        seen.starts_with("-rw-------") && !seen.contains("s.in-use"),
        "{seen}"
    );
    let path = seen.lines().next().unwrap().rsplit(' ').next().unwrap();
    assert!(
        path.starts_with("/dev/shm/") && !std::path::Path::new(path).parent().unwrap().exists(),
        "{path}"
    );
}

#[test]
fn an_unchanged_edit_writes_nothing() {
    let fake = Fake::start(kv2);
    let mut command = fake.command(&["kv", "edit", "secret/app"]);
    command.env("EDITOR", "true");
    let (code, out, _) = finish(command);
    assert!(code == 0 && out.contains("Unchanged"));
    assert!(fake.asked().iter().all(|asked| asked.verb == "GET"));
}

#[test]
fn run_gets_secrets_from_references_options_and_files() {
    let fake = Fake::start(kv2);
    let file = fake.file("vars", "FROM_FILE=vault://secret/app#user\nPLAIN=1\n");
    let words = [
        "run",
        "-s",
        "secret/app",
        "-s",
        "DB=secret/app#password",
        "--only",
        "user",
        "--prefix",
        "APP_",
        "--upper",
        "--env-file",
        &file,
        "--",
        "env",
    ];
    let (code, out, err) = fake.run(&words);
    assert_eq!(code, 0, "{err}");
    for line in ["APP_USER=u", "DB=hunter2", "FROM_FILE=u", "PLAIN=1"] {
        assert!(out.lines().any(|l| l == line), "{line}: {out}");
    }
    assert!(
        !out.contains("APP_PASSWORD") && !out.contains("s.in-use"),
        "{out}"
    );
    let reads = fake
        .asked()
        .iter()
        .filter(|a| a.path == "secret/data/app")
        .count();
    assert_eq!(reads, 1);
}

#[test]
fn run_starts_nothing_when_a_secret_is_missing_or_a_name_is_refused() {
    let fake = Fake::start(kv2);
    let (code, out, err) = fake.run(&[
        "run",
        "-s",
        "secret/none",
        "-s",
        "secret/nada",
        "--",
        "echo",
        "ran",
    ]);
    assert!(
        code == 125 && out.is_empty() && err.contains("secret/none") && err.contains("secret/nada"),
        "{err}"
    );
    let (code, out, err) = fake.run(&["run", "-s", "secret/bad", "--", "echo", "ran"]);
    assert!(
        code == 125 && out.is_empty() && err.contains("LD_PRELOAD") && !err.contains("x.so"),
        "{err}"
    );
}

#[test]
fn run_names_keys_that_no_secret_has() {
    let fake = Fake::start(kv2);
    for option in ["--only=nokey", "--map=nokey=X"] {
        let (code, out, err) = fake.run(&["run", "-s", "secret/app", option, "--", "echo", "ran"]);
        assert!(
            code == 125 && out.is_empty() && err.contains("nokey") && !err.contains("hunter2"),
            "{err}"
        );
    }
}

#[test]
fn run_resolves_references_in_the_environment() {
    let fake = Fake::start(kv2);
    let mut command = fake.command(&[
        "run",
        "--resolve-env",
        "--on-conflict",
        "error",
        "--",
        "env",
    ]);
    command.env("DB_USER", "vault://secret/app#user");
    let (code, out, err) = finish(command);
    assert!(code == 0 && out.lines().any(|l| l == "DB_USER=u"), "{err}");
}

fn login(asked: &Asked) -> (u16, Value) {
    match asked.path.as_str() {
        "auth/approle/login" => (
            200,
            json!({"auth": {"client_token": TOKEN, "accessor": "acc", "policies": ["app"], "lease_duration": 60, "renewable": true}}),
        ),
        "auth/token/lookup-self" => (
            200,
            json!({"data": {"id": asked.token, "policies": ["root"], "ttl": 0}}),
        ),
        "auth/token/revoke-self" => (204, Value::Null),
        _ => (404, json!({"errors": []})),
    }
}

#[test]
fn a_login_keeps_the_token_and_never_prints_it() {
    let fake = Fake::start(login);
    let secret_id = fake.file("secret-id", "sid");
    let (code, out, err) = fake.run(&[
        "login",
        "-method=approle",
        "role_id=rid",
        &format!("secret_id=@{secret_id}"),
    ]);
    assert_eq!(code, 0, "{err}");
    assert!(
        !out.contains(TOKEN) && !err.contains(TOKEN) && out.contains("app"),
        "{out}"
    );
    let path = fake.home().join(".vault-token");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), TOKEN);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let sent = fake.asked().pop().unwrap();
    assert_eq!(
        (sent.token.as_str(), sent.body),
        ("", json!({"role_id": "rid", "secret_id": "sid"}))
    );
    let mut command = fake.command(&["logout"]);
    command.env_remove("VAULT_TOKEN");
    assert_eq!(finish(command).0, 0);
    assert_eq!(fake.asked().pop().unwrap().token, TOKEN);
    assert!(!path.exists());
}

#[test]
fn a_token_that_cannot_be_stored_is_an_error_without_the_token() {
    let fake = Fake::start(login);
    std::fs::create_dir(fake.home().join(".vault-token")).unwrap();
    let (code, out, err) = fake.run(&["login", "token=s.given-marker"]);
    assert_eq!(code, 1, "{err}");
    assert!(
        !out.contains("marker") && !err.contains("marker"),
        "{out}{err}"
    );
}

#[test]
fn print_token_is_the_only_way_to_see_it() {
    let fake = Fake::start(login);
    let words = [
        "login",
        "-method=approle",
        "--no-store",
        "--print-token",
        "role_id=r",
        "secret_id=s",
    ];
    assert_eq!(fake.run(&words).1, TOKEN);
    assert!(
        !fake
            .run(&[
                "login",
                "-o",
                "json",
                "-method=approle",
                "role_id=r",
                "secret_id=s"
            ])
            .1
            .contains(TOKEN)
    );
}

#[test]
fn status_says_sealed_by_its_exit_code() {
    for (sealed, code) in [(false, 0), (true, 2)] {
        let fake = Fake::start(move |_| {
            (
                200,
                json!({"type": "shamir", "initialized": true, "sealed": sealed, "t": 2, "n": 3, "progress": 1, "version": "1.16.3"}),
            )
        });
        assert_eq!(fake.run(&["status"]).0, code);
        assert_eq!(fake.run(&["status", "-format=json"]).0, code);
    }
    let broken = Fake::start(|_| (500, json!({"errors": ["x"]})));
    assert_eq!(broken.run(&["status"]).0, 1);
}

#[test]
fn init_status_has_its_own_codes() {
    for (initialized, code) in [(true, 0), (false, 2)] {
        let fake = Fake::start(move |_| (200, json!({ "initialized": initialized })));
        assert_eq!(fake.run(&["operator", "init", "-status"]).0, code);
    }
}

/// Three real shares, handed out at init and expected back at unseal.
fn sealed_server() -> (Fake, Vec<String>) {
    let (_, shares) = vault_crypto::split(&[9; 32], 2, 3, &vault_crypto::Seeded::new(3)).unwrap();
    let shares: Vec<String> = shares
        .iter()
        .map(|s| STANDARD.encode(&*s.to_bytes()))
        .collect();
    let keys = shares.clone();
    let fake = Fake::start(
        move |asked| match (asked.verb.as_str(), asked.path.as_str()) {
            ("GET", "sys/init") => (200, json!({"initialized": false})),
            ("PUT", "sys/init") => (
                200,
                json!({"keys_base64": keys, "keys": [], "root_token": TOKEN}),
            ),
            ("PUT", "sys/unseal") if asked.body["key"] == keys[2] => {
                (400, json!({"errors": ["share 3 belongs to another set"]}))
            }
            ("PUT", "sys/unseal") => (200, json!({"sealed": true, "t": 2, "n": 3, "progress": 1})),
            ("GET", "sys/seal-status") => (
                200,
                json!({"initialized": true, "sealed": true, "t": 2, "n": 3, "progress": 0}),
            ),
            _ => (404, json!({"errors": []})),
        },
    );
    (fake, shares)
}

fn init_words<'a>(threshold: &'a str, passphrases: &'a [String; 3]) -> Vec<&'a str> {
    let mut words = vec![
        "operator",
        "init",
        "--threshold",
        threshold,
        "--share-dir",
        "shares",
        "--root-token-file",
        "root",
    ];
    for (name, passphrase) in ["alice", "bob", "carol"].iter().zip(passphrases) {
        words.extend(["--operator", name, "--passphrase-file", passphrase]);
    }
    words
}

fn passphrases(fake: &Fake) -> [String; 3] {
    ["alice", "bob", "carol"].map(|name| {
        format!(
            "{name}={}",
            fake.file(name, &format!("the passphrase of {name}\n"))
        )
    })
}

#[test]
fn share_files_hold_what_operators_unseal_with() {
    let (fake, shares) = sealed_server();
    let passphrases = passphrases(&fake);
    let (code, out, err) = fake.run(&init_words("2", &passphrases));
    assert_eq!(code, 0, "{err}");
    assert!(
        shares.iter().all(|s| !out.contains(s) && !err.contains(s)) && !out.contains(TOKEN),
        "{out}"
    );
    let root = fake.home().join("root");
    assert_eq!(std::fs::read_to_string(&root).unwrap().trim(), TOKEN);
    assert_eq!(std::fs::metadata(&root).unwrap().mode() & 0o777, 0o600);
    let bob = fake.home().join("shares/bob.share");
    let text = std::fs::read_to_string(&bob).unwrap();
    assert!(
        !text.contains(&shares[1]) && text.contains("\"memory_kib\": 262144"),
        "{text}"
    );
    let (code, out, err) = fake.run(&[
        "operator",
        "unseal",
        "--passphrase-file",
        &passphrases[1],
        "shares/bob.share",
    ]);
    assert_eq!(
        (code, out.as_str()),
        (0, "1 of 2 shares given; the server is still sealed.\n"),
        "{err}"
    );
    assert_eq!(fake.asked().pop().unwrap().body, json!({"key": shares[1]}));
    let (code, _, err) = fake.run(&[
        "operator",
        "unseal",
        "--passphrase-file",
        &passphrases[2],
        "shares/carol.share",
    ]);
    assert!(
        code == 2
            && err.contains("share 3 of set")
            && err.contains("carol")
            && err.contains("another set"),
        "{err}"
    );
}

#[test]
fn init_refuses_before_the_server_makes_anything() {
    let (fake, _) = sealed_server();
    let mut weak = passphrases(&fake);
    let refused = |words: &[&str], part: &str| {
        let (code, _, err) = fake.run(words);
        assert!(code == 1 && err.contains(part), "{words:?}: {err}");
    };
    refused(&init_words("4", &weak), "4 of 3");
    std::fs::create_dir(fake.home().join("shares")).unwrap();
    std::fs::write(fake.home().join("shares/bob.share"), "x").unwrap();
    refused(&init_words("2", &weak), "exists already");
    std::fs::remove_file(fake.home().join("shares/bob.share")).unwrap();
    weak[0] = format!("alice={}", fake.file("weak", "short\n"));
    refused(&init_words("2", &weak), "at least 12");
    refused(
        &[
            "operator",
            "init",
            "--operator",
            "../x",
            "--threshold",
            "1",
            "--share-dir",
            "d",
        ],
        "operator's name",
    );
    assert!(fake.asked().iter().all(|asked| asked.verb == "GET"));
}

#[test]
fn plain_init_prints_what_scripts_parse() {
    let (fake, shares) = sealed_server();
    let (code, out, _) = fake.run(&["operator", "init", "-key-shares=3", "-key-threshold=2"]);
    assert_eq!(code, 0);
    assert!(
        out.contains(&format!("Unseal Key 1: {}\n", shares[0]))
            && out.contains(&format!("Initial Root Token: {TOKEN}\n")),
        "{out}"
    );
    let parsed: Value = serde_json::from_str(
        &fake
            .run(&["operator", "init", "-format=json", "-n", "3", "-t", "2"])
            .1,
    )
    .unwrap();
    assert_eq!(parsed["unseal_keys_b64"][2], shares[2]);
    assert_eq!(parsed["root_token"], TOKEN);
}

#[test]
fn a_damaged_store_is_named_and_exits_2() {
    let fake = Fake::start(|_| {
        (
            200,
            json!({"data": {"healthy": false, "rows": 5, "damaged": [{"path": "secret/a", "mount": "secret/", "problem": "altered"}]}}),
        )
    });
    let (code, out, _) = fake.run(&["operator", "verify"]);
    assert!(
        code == 2 && out.contains("secret/a") && out.contains("altered"),
        "{out}"
    );
    let sound = Fake::start(|_| {
        (
            200,
            json!({"data": {"healthy": true, "rows": 5, "damaged": []}}),
        )
    });
    assert_eq!(sound.run(&["operator", "verify"]).0, 0);
}

#[test]
fn server_text_reaches_stderr_without_the_token() {
    let denied = "1 error occurred:\n\t* permission denied\n\n";
    for (text, said) in [
        (denied, "permission denied on secret/x"),
        ("permission denied", "does not accept the token"),
    ] {
        let fake = Fake::start(move |_| (403, json!({ "errors": [text] })));
        let (code, out, err) = fake.run(&["read", "secret/x"]);
        assert!(code == 2 && err.contains(said), "{err}");
        assert!(!format!("{out}{err}").contains("s.in-use"));
    }
}

fn browser_login(asked: &Asked) -> (u16, Value) {
    match asked.path.split('?').next().unwrap() {
        "auth/oidc/oidc/auth_url" => (
            200,
            json!({"data": {"auth_url": "https://idp.example/authorize?client_id=c&state=given.state"}}),
        ),
        "auth/oidc/oidc/callback" => (
            200,
            json!({"auth": {"client_token": TOKEN, "accessor": "acc", "policies": ["app"], "lease_duration": 60, "renewable": true}}),
        ),
        _ => (404, json!({"errors": []})),
    }
}

/// What a browser is answered, once somebody listens.
fn visit(port: u16, target: &str) -> String {
    use std::io::{Read, Write};
    let stream = (0..6000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let mut stream = stream.expect("nobody listens");
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_browser_login_takes_the_answer_that_belongs_to_it_and_no_other() {
    let fake = Fake::start(browser_login);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let number = format!("port={port}");
    let words = [
        "login",
        "-method=oidc",
        "role=app",
        "skip_browser=true",
        &number,
    ];
    let mut command = fake.command(&words);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let running = command.spawn().unwrap();
    for other in [
        "/",
        "/oidc/callback?code=x",
        "/oidc/callback?state=other&code=x",
    ] {
        assert!(visit(port, other).starts_with("HTTP/1.1 404"), "{other}");
    }
    let page = visit(port, "/oidc/callback?code=the%2Fcode&state=given.state");
    assert!(
        page.contains("You are logged in") && !page.contains(TOKEN),
        "{page}"
    );
    let output = running.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{err}");
    assert!(
        err.contains("https://idp.example/authorize") && !out.contains(TOKEN),
        "{out} {err}"
    );
    let asked = fake.asked();
    assert_eq!(
        asked[0].body["redirect_uri"],
        format!("http://localhost:{port}/oidc/callback")
    );
    let nonce = asked[0].body["client_nonce"].as_str().unwrap();
    assert_eq!(nonce.len(), 32);
    let callback = &asked.last().unwrap().path;
    for part in [
        "state=given.state",
        "code=the%2Fcode",
        &format!("client_nonce={nonce}"),
    ] {
        assert!(callback.contains(part), "{callback} lacks {part}");
    }
    let kept = std::fs::read_to_string(fake.home().join(".vault-token")).unwrap();
    assert_eq!(kept, TOKEN);
}
