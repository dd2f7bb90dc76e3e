//! Values that live in git on purpose: made by anyone, opened by the server alone; and files of values
//! in the forms that people have, imported.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vault_tests::{Answer, Said, Vault, Vaultctl};

use crate::setup::{durable, quick, text, token_with};

const PASSWORD: &str = "h4Kq9Zx/W2mP+7vB3sL6";
const NOWHERE: &str = "http://127.0.0.1:1";

fn mounted(vault: &Vault) {
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
}

/// With the root token, in a folder.
fn vaultctl(vault: &Vault, dir: &Path, arguments: &[&str]) -> Said {
    let said = Vaultctl::new(dir, &vault.addr)
        .env("VAULT_TOKEN", &vault.root)
        .run(arguments, "");
    assert!(!said.err.contains(PASSWORD));
    said
}

fn stored(vault: &Vault, path: &str) -> Value {
    let answer = vault.root("GET", &format!("kv/data/{path}"), Value::Null);
    answer.expect(200).data()["data"].clone()
}

fn version(vault: &Vault, path: &str) -> Value {
    let answer = vault.root("GET", &format!("kv/metadata/{path}"), Value::Null);
    answer.expect(200).data()["current_version"].clone()
}

/// Encrypted for `kv/web`; the text of the file.
fn encrypted(vault: &Vault, dir: &Path) -> String {
    let plain = json!({"password": PASSWORD, "port": 5432, "nested": {"a": ["b"]}});
    fs::write(dir.join("web.json"), plain.to_string()).unwrap();
    let said = vaultctl(vault, dir, &["encrypt", "web.json", "--for", "kv/web"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("still holds the values in plain"));
    let text = fs::read_to_string(dir.join("web.json.vault")).unwrap();
    assert!(!text.contains(PASSWORD) && !text.contains("5432"));
    text
}

#[test]
fn anyone_can_add_a_value_and_only_the_server_opens_it() {
    let vault = durable();
    mounted(&vault);
    let dir = tempfile::tempdir().unwrap();
    let text = encrypted(&vault, dir.path());
    let file = dir.path().join("web.json.vault");

    // Without a server and without a token; other lines stay as they are.
    fs::write(&file, format!("{text}# by hand\nADDED=\"two words\"\n")).unwrap();
    let said = Vaultctl::new(dir.path(), NOWHERE).run(&["encrypt", "web.json.vault"], "");
    assert_eq!(said.code, 0, "{said:?}");
    let after = fs::read_to_string(&file).unwrap();
    assert!(after.starts_with(&text) && after.contains("\n# by hand\nADDED=vaultd:1:"));
    assert!(!after.contains("two words"));

    let said = vaultctl(
        &vault,
        dir.path(),
        &["decrypt", "-o", "json", "web.json.vault"],
    );
    let expected =
        json!({"password": PASSWORD, "port": 5432, "nested": {"a": ["b"]}, "ADDED": "two words"});
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap(), expected);

    let said = vaultctl(
        &vault,
        dir.path(),
        &["kv", "import", "--yes", "web.json.vault"],
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(stored(&vault, "web"), expected);
    let said = vaultctl(&vault, dir.path(), &["import", "--yes", "web.json.vault"]);
    assert_eq!(
        (said.code, said.out.trim()),
        (0, "same     kv/web"),
        "{said:?}"
    );
    assert_eq!(version(&vault, "web"), 1);
    let audit = serde_json::to_string(&vault.audit()).unwrap();
    assert!(!audit.contains(PASSWORD) && !audit.contains("two words"));
}

fn write(vault: &Vault, token: &str, path: &str, values: &Value) -> Answer {
    let body = json!({"data": values, "options": {"encrypted": true}});
    vault.call("POST", &format!("kv/data/{path}"), Some(token), Some(&body))
}

#[test]
fn a_value_opens_for_its_own_path_name_and_server_only() {
    let (vault, other) = (quick(), quick());
    mounted(&vault);
    mounted(&other);
    let dir = tempfile::tempdir().unwrap();
    let text = encrypted(&vault, dir.path());
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("password="))
        .unwrap();
    let mut altered = line.to_owned();
    let last = if altered.pop() == Some('A') { 'Q' } else { 'A' };
    altered.push(last);
    let root = &vault.root;
    write(&vault, root, "web", &json!({"password": line})).expect(200);
    for (path, values) in [
        ("other", json!({"password": line})),
        ("web", json!({"name": line})),
        ("web", json!({"password": altered})),
        ("web", json!({"password": "in plain"})),
        ("web", json!({"password": 5})),
    ] {
        let refused = write(&vault, root, path, &values).expect(400);
        assert!(!refused.text.contains(PASSWORD) && !refused.text.contains("in plain"));
    }
    write(&other, &other.root, "web", &json!({"password": line})).expect(400);
    assert_eq!(version(&vault, "web"), 1);
    vault.root("GET", "kv/data/other", Value::Null).expect(404);

    // As it is, it is just text.
    let body = json!({"data": {"password": line}});
    vault.root("POST", "kv/data/text", body).expect(200);
    assert_eq!(stored(&vault, "text")["password"], *line);
}

#[test]
fn policies_say_who_decrypts_and_who_applies() {
    let vault = quick();
    mounted(&vault);
    let dir = tempfile::tempdir().unwrap();
    let text = encrypted(&vault, dir.path());
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("password="))
        .unwrap();
    let values = json!({"password": line});
    let writer = token_with(
        &vault,
        "writer",
        "path \"kv/data/*\" { capabilities = [\"create\", \"update\"] }",
    );
    let reader = token_with(
        &vault,
        "reader",
        "path \"kv/decrypt/web\" { capabilities = [\"update\"] }",
    );
    let decrypt = |token: &str, path: &str| {
        let body = json!({ "values": values });
        vault.call(
            "POST",
            &format!("kv/decrypt/{path}"),
            Some(token),
            Some(&body),
        )
    };
    decrypt(&writer, "web").expect(403);
    write(&vault, &reader, "web", &values).expect(403);
    let opened = decrypt(&reader, "web").expect(200);
    assert_eq!(opened.data()["values"]["password"], PASSWORD);
    decrypt(&reader, "other").expect(403);
    // Who may write and not read applies it, twice without a second version.
    let options = json!({"encrypted": true, "unless_same": true});
    let body = json!({"data": values, "options": options});
    for _ in 0..2 {
        let written = vault.call("POST", "kv/data/web", Some(&writer), Some(&body));
        assert_eq!(written.expect(200).data()["version"], 1);
    }
    // The public key is for anyone with a token, and is always the same.
    let key = |token: &str| {
        let answer = vault.call("GET", "kv/encryption-key/web", Some(token), None);
        text_of(&answer.expect(200))
    };
    assert_eq!(key(&writer), key(&reader));
    vault
        .call("GET", "kv/encryption-key/web", None, None)
        .expect(403);
}

fn text_of(answer: &Answer) -> String {
    text(&answer.data()["public_key"])
}

#[test]
fn files_are_imported_after_a_plan_once_and_over_nothing_that_changed() {
    let vault = quick();
    mounted(&vault);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("apps/deep");
    fs::create_dir_all(&folder).unwrap();
    let env = format!("# comment\nexport USER=u\nPASSWORD='{PASSWORD}'\n");
    fs::write(dir.path().join("apps/web.env"), env).unwrap();
    fs::write(
        folder.join("db.yaml"),
        "pin: 0123\nport: 5432\nkey: |\n  a\n  b\n",
    )
    .unwrap();
    vault
        .root(
            "POST",
            "kv/data/in/web",
            json!({"data": {"USER": "old", "GONE": "x"}}),
        )
        .expect(200);

    let plan = vaultctl(
        &vault,
        dir.path(),
        &["import", "apps", "--to", "kv/in", "--dry-run"],
    );
    assert_eq!(
        plan.out.lines().collect::<Vec<_>>(),
        [
            "new      kv/in/deep/db  +key +pin +port",
            "changed  kv/in/web  -GONE +PASSWORD ~USER"
        ],
        "{plan:?}"
    );
    vault
        .root("GET", "kv/data/in/deep/db", Value::Null)
        .expect(404);
    // Nobody is there to confirm.
    let said = vaultctl(&vault, dir.path(), &["import", "apps", "--to", "kv/in"]);
    assert_eq!(said.code, 1);
    assert_eq!(version(&vault, "in/web"), 1);
    let said = vaultctl(
        &vault,
        dir.path(),
        &["import", "apps", "--to", "kv/in", "--yes"],
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        stored(&vault, "in/deep/db"),
        json!({"pin": "0123", "port": 5432, "key": "a\nb\n"})
    );
    assert_eq!(
        stored(&vault, "in/web"),
        json!({"USER": "u", "PASSWORD": PASSWORD})
    );
    let said = vaultctl(
        &vault,
        dir.path(),
        &["import", "apps", "--to", "kv/in", "--yes"],
    );
    assert_eq!(said.out.matches("same").count(), 2, "{said:?}");
    assert_eq!(version(&vault, "in/web"), 2);

    let split = json!({"one": {"a": "1"}, "two": {"b": "2"}});
    fs::write(dir.path().join("all.json"), split.to_string()).unwrap();
    let arguments = ["import", "all.json", "--split", "--to", "kv/s", "--yes"];
    assert_eq!(vaultctl(&vault, dir.path(), &arguments).code, 0);
    assert_eq!(stored(&vault, "s/two"), json!({"b": "2"}));

    for (name, content) in [
        ("bad.json", "{\"a\": "),
        ("bad.yaml", "- a\n"),
        ("bad.env", "no equals\n"),
    ] {
        fs::write(dir.path().join(name), content).unwrap();
        let said = vaultctl(
            &vault,
            dir.path(),
            &["import", name, "--to", "kv/x", "--yes"],
        );
        assert!(said.code == 1 && said.err.contains(name), "{said:?}");
    }
    let said = vaultctl(&vault, dir.path(), &["import", "apps/web.env", "--yes"]);
    assert!(said.code == 1 && said.err.contains("--to"), "{said:?}");
}

#[test]
fn an_import_that_stopped_goes_on_where_it_was() {
    let vault = quick();
    mounted(&vault);
    let dir = tempfile::tempdir().unwrap();
    let all = json!({"a": {"v": "1"}, "b": {"v": "2"}, "c": {"v": "3"}});
    fs::write(dir.path().join("all.json"), all.to_string()).unwrap();
    let token = token_with(
        &vault,
        "most",
        "path \"kv/data/*\" { capabilities = [\"create\", \"update\", \"read\"] }\npath \"kv/data/b\" { capabilities = [\"read\"] }",
    );
    let arguments = ["import", "all.json", "--split", "--to", "kv", "--yes"];
    let said = Vaultctl::new(dir.path(), &vault.addr)
        .env("VAULT_TOKEN", &token)
        .run(&arguments, "");
    assert!(
        said.code == 2 && said.err.contains("1 of 3 are written"),
        "{said:?}"
    );
    let said = vaultctl(&vault, dir.path(), &arguments);
    assert!(
        said.out.contains("same     kv/a") && said.out.contains("2 secrets written"),
        "{said:?}"
    );
    assert_eq!(
        (version(&vault, "a"), version(&vault, "c")),
        (json!(1), json!(1))
    );
}

/// A home of GPG's with one key.
fn gpg_home(dir: &Path) -> impl Fn(&str, &[&str]) -> bool + '_ {
    let run = move |program: &str, arguments: &[&str]| {
        let done = Command::new(program)
            .args(arguments)
            .current_dir(dir)
            .env("GNUPGHOME", dir.join("gpg"))
            .output();
        done.is_ok_and(|output| output.status.success())
    };
    fs::create_dir(dir.join("gpg")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(dir.join("gpg"), mode).unwrap();
    let key = [
        "--batch",
        "--passphrase",
        "",
        "--quick-generate-key",
        "t@localhost",
        "default",
        "default",
        "never",
    ];
    assert!(run("gpg", &key), "gpg makes no key");
    run
}

fn import_with_gpg(vault: &Vault, dir: &Path, name: &str, to: &str) -> Said {
    Vaultctl::new(dir, &vault.addr)
        .env("VAULT_TOKEN", &vault.root)
        .env("GNUPGHOME", &dir.join("gpg").display().to_string())
        .run(&["import", name, "--to", to, "--yes"], "")
}

#[test]
fn files_of_blackbox_and_sops_are_opened_by_the_programs_that_made_them() {
    let vault = quick();
    mounted(&vault);
    let dir = tempfile::tempdir().unwrap();
    let run = gpg_home(dir.path());
    fs::write(dir.path().join("app.env"), format!("PASSWORD={PASSWORD}\n")).unwrap();
    assert!(run(
        "gpg",
        &["--batch", "-r", "t@localhost", "-e", "app.env"]
    ));
    let said = import_with_gpg(&vault, dir.path(), "app.env.gpg", "kv/blackbox");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(stored(&vault, "blackbox"), json!({"PASSWORD": PASSWORD}));
    assert!(!said.out.contains(PASSWORD));

    if run("sops", &["--version"]) {
        for (name, content) in [
            ("s.yaml", format!("password: {PASSWORD}\n")),
            ("s.json", json!({"password": PASSWORD}).to_string()),
            ("s.env", format!("password={PASSWORD}\n")),
        ] {
            fs::write(dir.path().join(name), content).unwrap();
            assert!(run(
                "sops",
                &[
                    "--encrypt",
                    "--in-place",
                    "--pgp",
                    &fingerprint(dir.path()),
                    name
                ]
            ));
            let to = format!("kv/{name}");
            let said = import_with_gpg(&vault, dir.path(), name, &to);
            assert_eq!(said.code, 0, "{said:?}");
            assert_eq!(stored(&vault, name), json!({"password": PASSWORD}));
        }
    } else {
        eprintln!("sops is not installed: its files were not tried");
    }
    // Not ours to open any more.
    assert!(run("gpgconf", &["--kill", "all"]));
    fs::remove_dir_all(dir.path().join("gpg")).unwrap();
    let said = import_with_gpg(&vault, dir.path(), "app.env.gpg", "kv/again");
    assert!(
        said.code == 1 && said.err.contains("gpg cannot open"),
        "{said:?}"
    );
}

fn fingerprint(dir: &Path) -> String {
    let output = Command::new("gpg")
        .args(["--with-colons", "--list-keys"])
        .env("GNUPGHOME", dir.join("gpg"))
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let line = listed
        .lines()
        .find(|line| line.starts_with("fpr:"))
        .unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}
