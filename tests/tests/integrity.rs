//! Somebody edits the database file while the server is stopped. Every read then gives the right
//! value or an error: never wrong data, never a silent "not found"; and verification names what is
//! damaged.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use vault_tests::http::{Answer, Endpoint, Request};
use vault_tests::process::until;
use vault_tests::{Options, Process, Vault, program};

const MOUNTS: [(&str, &str); 3] = [("one", "1"), ("two", "2"), ("three", "1")];
const EACH: usize = 67;
const MARKER: &str = "xylophone";

type Rows = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

struct Secret {
    /// `one/dir3/xylophone7`
    path: String,
    /// Of the API: with `data/` in a versioned mount.
    api: String,
    value: String,
    /// The rows that writing it added: value and listing rows.
    rows: Vec<Vec<u8>>,
}

impl Secret {
    fn value_row(&self) -> &[u8] {
        self.rows.iter().find(|key| key[0] == b'V').unwrap()
    }

    fn listing_row(&self) -> &[u8] {
        self.rows.iter().rfind(|key| key[0] == b'L').unwrap()
    }
}

/// A stopped server's data, to be edited and started again and again.
struct Store {
    dir: TempDir,
    whole: PathBuf,
    older: Rows,
    secrets: Vec<Secret>,
    /// A secret that was written three times; `older` is from between.
    updated: usize,
    root: String,
    key: String,
}

fn database(dir: &Path) -> PathBuf {
    dir.join("data/vaultd.db")
}

fn rows(path: &Path) -> Rows {
    let db = Connection::open(path).unwrap();
    let mut select = db.prepare("SELECT k, rev, v FROM kv").unwrap();
    let found = select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))));
    found.unwrap().map(Result::unwrap).collect()
}

impl Store {
    fn new() -> Store {
        let options = Options {
            top: "verify_every = \"1s\"".to_owned(),
            ..Options::plain()
        };
        let mut vault = Vault::ready_with(options);
        for (mount, version) in MOUNTS {
            let body = json!({"type": "kv", "options": {"version": version}});
            vault
                .root("POST", &format!("sys/mounts/{mount}"), body)
                .expect(204);
        }
        let mut secrets = Vec::new();
        let mut before = rows(&database(vault.dir.path()));
        for number in 0..MOUNTS.len() * EACH {
            let (mount, version) = MOUNTS[number % MOUNTS.len()];
            let name = format!("dir{}/{MARKER}{number}", number % 5);
            let infix = if version == "2" { "data/" } else { "" };
            let secret = Secret {
                path: format!("{mount}/{name}"),
                api: format!("{mount}/{infix}{name}"),
                value: format!("{MARKER}-value-{number}"),
                rows: Vec::new(),
            };
            write(&vault, &secret, &secret.value);
            let after = rows(&database(vault.dir.path()));
            let new = |key: &&Vec<u8>| matches!(key[0], b'V' | b'L') && !before.contains_key(*key);
            let rows = after.keys().filter(new).cloned().collect();
            secrets.push(Secret { rows, ..secret });
            before = after;
        }
        let updated = 90;
        assert!(secrets[updated].path.starts_with("one/"));
        write(&vault, &secrets[updated], "an older value");
        let older = rows(&database(vault.dir.path()));
        write(&vault, &secrets[updated], &secrets[updated].value);
        assert!(vault.terminate().success());
        let (root, key) = (vault.root.clone(), vault.keys[0].clone());
        let dir = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(vault.dir.path())
            .arg(dir.path().join("home"))
            .status();
        assert!(copied.unwrap().success());
        let home = dir.path().join("home");
        let config = std::fs::read_to_string(home.join("vaultd.toml")).unwrap();
        let (from, to) = (vault.dir.path().to_str().unwrap(), home.to_str().unwrap());
        let config = config
            .replace(from, to)
            .replace(&vault.endpoint.address, "127.0.0.1:0");
        std::fs::write(home.join("vaultd.toml"), config).unwrap();
        // What is still in the log belongs to the store.
        let db = Connection::open(database(&home)).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        drop(db);
        let whole = dir.path().join("whole.db");
        std::fs::copy(database(&home), &whole).unwrap();
        Store {
            dir,
            whole,
            older,
            secrets,
            updated,
            root,
            key,
        }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn restore(&self) {
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(self.home().join(format!("data/vaultd.db{end}")));
        }
        std::fs::copy(&self.whole, database(&self.home())).unwrap();
    }

    /// The whole store, edited, with a server on it if one can be had.
    fn edited(&self, edit: impl FnOnce(&Connection)) -> Option<Server<'_>> {
        self.restore();
        let db = Connection::open(database(&self.home())).unwrap();
        edit(&db);
        drop(db);
        Server::start(self)
    }

    fn secret(&self, mount: &str, at: usize) -> &Secret {
        let wanted = format!("{mount}/");
        self.secrets
            .iter()
            .filter(|secret| secret.path.starts_with(&wanted))
            .nth(at)
            .unwrap()
    }
}

fn write(vault: &Vault, secret: &Secret, value: &str) {
    let plain = json!({"value": value});
    let body = if secret.api.contains("/data/") {
        json!({"data": plain})
    } else {
        plain
    };
    let status = vault.root("POST", &secret.api, body).status;
    assert!(matches!(status, 200 | 204));
}

fn delete(db: &Connection, key: &[u8]) {
    assert_eq!(db.execute("DELETE FROM kv WHERE k = ?1", [key]).unwrap(), 1);
}

fn put(db: &Connection, key: &[u8], (rev, value): &(i64, Vec<u8>)) {
    let sql =
        "INSERT INTO kv(k, rev, v) VALUES (?1, ?2, ?3) ON CONFLICT(k) DO UPDATE SET v = excluded.v";
    db.execute(sql, (key, rev, value)).unwrap();
}

fn value_of(db: &Connection, key: &[u8]) -> Vec<u8> {
    db.query_row("SELECT v FROM kv WHERE k = ?1", [key], |row| row.get(0))
        .unwrap()
}

fn flip(db: &Connection, key: &[u8], bit: usize) {
    let mut value = value_of(db, key);
    let bit = bit % (value.len() * 8);
    value[bit / 8] ^= 1 << (bit % 8);
    db.execute("UPDATE kv SET v = ?2 WHERE k = ?1", (key, value))
        .unwrap();
}

/// A server on the edited data, unsealed.
struct Server<'s> {
    store: &'s Store,
    process: Process,
    endpoint: Endpoint,
}

impl<'s> Server<'s> {
    /// `None` if it refuses to start or to unseal.
    fn start(store: &'s Store) -> Option<Server<'s>> {
        let home = store.home();
        let _ = std::fs::remove_file(home.join("err"));
        let mut command = Command::new(program("vaultd"));
        command
            .arg("server")
            .arg("--config")
            .arg(home.join("vaultd.toml"));
        let mut process = Process::spawn(command, &home);
        let address = until(Duration::from_secs(20), || {
            let log = process.log();
            let listens = log
                .split_once("listening on http://")
                .and_then(|(_, rest)| rest.split_once('\n'));
            let listens = listens.map(|(address, _)| Some(address.to_owned()));
            listens.or_else(|| process.ended().map(|_| None))
        });
        let endpoint = Endpoint::new(&address.expect("neither listens nor ends")?, None);
        let unseal = Request::new("PUT", "sys/unseal").json(&json!({"key": store.key}));
        let answer = endpoint.send(&unseal).unwrap();
        assert!(matches!(answer.status, 200 | 500), "{}", answer.text);
        (answer.status == 200).then_some(Server {
            store,
            process,
            endpoint,
        })
    }

    fn send(&self, method: &str, path: &str) -> Answer {
        self.endpoint
            .send(&Request::new(method, path).token(&self.store.root))
            .unwrap()
    }

    fn read(&self, secret: &Secret) -> Answer {
        self.send("GET", &secret.api)
    }

    /// Reads and lists everything; how many answers were errors.
    fn sweep(&self) -> usize {
        let mut errors = 0;
        for secret in &self.store.secrets {
            let answer = self.read(secret);
            let data = answer.data();
            let value = if secret.api.contains("/data/") {
                &data["data"]["value"]
            } else {
                &data["value"]
            };
            match answer.status {
                200 => assert_eq!(*value, json!(secret.value), "wrong data at {}", secret.path),
                403 | 500..=599 => errors += 1,
                other => panic!("{} answers {other}: {}", secret.path, answer.text),
            }
        }
        errors + self.lists()
    }

    fn lists(&self) -> usize {
        let mut errors = 0;
        for (mount, version) in MOUNTS {
            let infix = if version == "2" { "/metadata" } else { "" };
            for dir in 0..5 {
                let answer = self.send("LIST", &format!("{mount}{infix}/dir{dir}/"));
                let wanted = format!("{mount}/dir{dir}/");
                let expected = self
                    .store
                    .secrets
                    .iter()
                    .filter(|secret| secret.path.starts_with(&wanted))
                    .count();
                match answer.status {
                    200 => assert_eq!(
                        answer.data()["keys"].as_array().unwrap().len(),
                        expected,
                        "{wanted}"
                    ),
                    403 | 500..=599 => errors += 1,
                    other => panic!("list of {wanted} answers {other}: {}", answer.text),
                }
            }
        }
        errors
    }

    /// Whether verification finds something, for damage that may have reached the caller's own token.
    fn is_found(&self) -> bool {
        let answer = self.send("POST", "sys/integrity/verify");
        answer.status != 200 || answer.data()["healthy"] == json!(false)
    }

    /// `(path, problem)` of what verification finds.
    fn verify(&self) -> (bool, Vec<(String, String)>) {
        let answer = self.send("POST", "sys/integrity/verify").expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let damaged = answer.data()["damaged"].as_array().unwrap().iter();
        let damaged = damaged
            .map(|one| (text(&one["path"]), text(&one["problem"])))
            .collect();
        (answer.data()["healthy"] == json!(true), damaged)
    }

    #[track_caller]
    fn finds_exactly(&self, path: &str, problem: &str) {
        let (healthy, damaged) = self.verify();
        assert!(!healthy);
        assert_eq!(damaged, [(path.to_owned(), problem.to_owned())]);
    }

    #[track_caller]
    fn refuses(&self, secret: &Secret) {
        let answer = self.read(secret);
        assert_eq!(answer.status, 500, "{}", answer.text);
        assert!(answer.errors().contains("damaged"), "{}", answer.text);
    }
}

/// The same numbers in every run: a failure can be looked at.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn an_untouched_store_is_whole() {
    let store = Store::new();
    let server = store.edited(|_| {}).unwrap();
    assert_eq!(server.verify(), (true, Vec::new()));
    assert_eq!(server.sweep(), 0);
    // Absence is an answer again.
    assert_eq!(server.send("GET", "one/never/written").status, 404);
}

#[test]
fn flipped_bit_in_a_value_is_named_and_nothing_else_is() {
    let store = Store::new();
    let mut numbers = Numbers(1);
    for case in 0..40 {
        let secret = store.secret(["one", "three"][case % 2], numbers.below(EACH));
        // The first cases flip the header: term, generation.
        let bit = if case < 13 {
            case * 8 + 3
        } else {
            numbers.below(1 << 20)
        };
        let server = store
            .edited(|db| flip(db, secret.value_row(), bit))
            .unwrap();
        server.refuses(secret);
        server.finds_exactly(&secret.path, "altered");
        if case % 10 == 0 {
            assert_eq!(server.sweep(), 1);
        }
    }
}

#[test]
fn flipped_bits_in_any_rows_never_give_wrong_data() {
    let store = Store::new();
    let keys: Vec<Vec<u8>> = rows(&store.whole)
        .into_keys()
        .filter(|key| matches!(key[0], b'V' | b'L' | b'E'))
        .collect();
    let mut numbers = Numbers(2);
    let mut found = 0;
    for round in 0..20 {
        let edit = |db: &Connection| {
            for _ in 0..[1, 4, 10][round % 3] {
                let key = &keys[numbers.below(keys.len())];
                flip(db, key, numbers.below(1 << 20));
            }
        };
        if let Some(server) = store.edited(edit) {
            found += server.sweep();
            assert!(server.is_found());
        }
    }
    assert!(found > 0, "the flips did not reach anything that is read");
}

#[test]
fn flipped_bits_in_row_keys_never_hide_a_secret() {
    let store = Store::new();
    let keys: Vec<Vec<u8>> = rows(&store.whole)
        .into_keys()
        .filter(|key| matches!(key[0], b'V' | b'L'))
        .collect();
    let mut numbers = Numbers(3);
    for _ in 0..20 {
        let key = &keys[numbers.below(keys.len())];
        let mut other = key.clone();
        // Not the keyspace itself.
        let bit = 8 + numbers.below((key.len() - 1) * 8);
        other[bit / 8] ^= 1 << (bit % 8);
        let edit = |db: &Connection| {
            db.execute("UPDATE kv SET k = ?2 WHERE k = ?1", (key, other))
                .unwrap();
        };
        if let Some(server) = store.edited(edit) {
            assert!(server.is_found());
            server.sweep();
        }
    }
}

#[test]
fn flipped_bits_anywhere_in_the_file_never_give_wrong_data() {
    let store = Store::new();
    let size = std::fs::metadata(&store.whole).unwrap().len() as usize;
    let mut numbers = Numbers(4);
    let mut served = 0;
    for round in 0..40 {
        store.restore();
        let file = database(&store.home());
        let mut bytes = std::fs::read(&file).unwrap();
        for _ in 0..[1, 3, 9][round % 3] {
            let bit = numbers.below(size * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        std::fs::write(&file, bytes).unwrap();
        if let Some(server) = Server::start(&store) {
            server.sweep();
            served += 1;
        }
    }
    assert!(
        served > 5,
        "only {served} servers came up: nothing was tried"
    );
}

#[test]
fn swapped_values_do_not_open() {
    let store = Store::new();
    // Within a mount and between mounts of the same kind.
    for (a, b) in [
        (store.secret("one", 3), store.secret("one", 8)),
        (store.secret("one", 5), store.secret("three", 5)),
    ] {
        let edit = |db: &Connection| {
            let (x, y) = (value_of(db, a.value_row()), value_of(db, b.value_row()));
            put(db, a.value_row(), &(1, y));
            put(db, b.value_row(), &(1, x));
        };
        let server = store.edited(edit).unwrap();
        server.refuses(a);
        server.refuses(b);
        let mut expected = [a, b].map(|secret| (secret.path.clone(), "altered".to_owned()));
        expected.sort();
        let (_, mut damaged) = server.verify();
        damaged.sort();
        assert_eq!(damaged, expected);
        assert_eq!(server.sweep(), 2);
    }
}

#[test]
fn row_moved_to_another_key_does_not_open_there() {
    let store = Store::new();
    let (from, to) = (store.secret("one", 2), store.secret("three", 2));
    let edit = |db: &Connection| {
        delete(db, to.value_row());
        db.execute(
            "UPDATE kv SET k = ?2 WHERE k = ?1",
            (from.value_row(), to.value_row()),
        )
        .unwrap();
    };
    let server = store.edited(edit).unwrap();
    server.refuses(from);
    server.refuses(to);
    let (_, damaged) = server.verify();
    assert!(
        damaged.contains(&(from.path.clone(), "missing".to_owned())),
        "{damaged:?}"
    );
    assert!(
        damaged.contains(&(to.path.clone(), "altered".to_owned())),
        "{damaged:?}"
    );
    assert_eq!(damaged.len(), 2, "{damaged:?}");
}

#[test]
fn whole_rows_swapped_between_mounts_do_not_open() {
    let store = Store::new();
    let (a, b) = (store.secret("one", 7), store.secret("three", 7));
    let remount = |key: &[u8], mount: &[u8]| [&key[..1], mount, &key[9..]].concat();
    let edit = |db: &Connection| {
        for (a, b) in [
            (a.value_row(), b.value_row()),
            (a.listing_row(), b.listing_row()),
        ] {
            let (x, y) = (value_of(db, a), value_of(db, b));
            delete(db, a);
            delete(db, b);
            put(db, &remount(a, &b[1..9]), &(1, x));
            put(db, &remount(b, &a[1..9]), &(1, y));
        }
    };
    let server = store.edited(edit).unwrap();
    server.refuses(a);
    server.refuses(b);
    assert!(!server.verify().0);
    server.sweep();
}

#[test]
fn deleted_value_is_an_error_and_not_a_404() {
    let store = Store::new();
    for at in [0, 11, 30] {
        let secret = store.secret("three", at);
        let server = store.edited(|db| delete(db, secret.value_row())).unwrap();
        server.refuses(secret);
        server.finds_exactly(&secret.path, "missing");
        server.refuses(secret);
        assert_eq!(server.sweep(), 1);
    }
}

#[test]
fn deleted_listing_is_named_and_its_directory_does_not_list() {
    let store = Store::new();
    let secret = store.secret("one", 9);
    let server = store.edited(|db| delete(db, secret.listing_row())).unwrap();
    assert_eq!(server.read(secret).status, 200);
    server.finds_exactly(&secret.path, "unlisted");
    assert_eq!(server.lists(), 1);
}

#[test]
fn value_and_listing_deleted_together_are_not_a_404() {
    let store = Store::new();
    for at in [4, 21] {
        let secret = store.secret("one", at);
        let edit = |db: &Connection| secret.rows.iter().for_each(|key| delete(db, key));
        let server = store.edited(edit).unwrap();
        // Before anybody has asked for a verification.
        server.refuses(secret);
        assert!(!server.verify().0);
        server.refuses(secret);
    }
}

#[test]
fn all_rows_of_a_versioned_secret_deleted_are_not_a_404() {
    let store = Store::new();
    let secret = store.secret("two", 12);
    assert!(secret.rows.len() >= 2, "{}", secret.rows.len());
    let edit = |db: &Connection| secret.rows.iter().for_each(|key| delete(db, key));
    let server = store.edited(edit).unwrap();
    server.refuses(secret);
    assert!(!server.verify().0);
}

#[test]
fn deleted_policy_is_not_taken_for_an_absent_one() {
    let mut vault = Vault::ready_with(Options::plain());
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    vault
        .root("POST", "one/a", json!({"value": "1"}))
        .expect(204);
    let allow = json!({"policy": "path \"one/*\" { capabilities = [\"read\"] }"});
    vault
        .root("POST", "sys/policies/acl/allow", allow)
        .expect(204);
    let before = rows(&database(vault.dir.path()));
    let deny = json!({"policy": "path \"one/a\" { capabilities = [\"deny\"] }"});
    vault
        .root("POST", "sys/policies/acl/deny-a", deny)
        .expect(204);
    let after = rows(&database(vault.dir.path()));
    let token = vault
        .root(
            "POST",
            "auth/token/create",
            json!({"policies": ["allow", "deny-a"]}),
        )
        .expect(200);
    let token = token.body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(vault.call("GET", "one/a", Some(&token), None).status, 403);
    vault.terminate();
    let db = Connection::open(database(vault.dir.path())).unwrap();
    let new = after
        .keys()
        .filter(|key| matches!(key[0], b'V' | b'L') && !before.contains_key(*key));
    new.for_each(|key| delete(&db, key));
    drop(db);
    vault.restart_unsealed();
    let answer = vault.call("GET", "one/a", Some(&token), None);
    assert_ne!(answer.status, 200, "a deleted policy no longer denies");
}

#[test]
fn older_copy_of_a_row_is_named_and_from_then_on_an_error() {
    let store = Store::new();
    let secret = &store.secrets[store.updated];
    let key = secret.value_row();
    let server = store.edited(|db| put(db, key, &store.older[key])).unwrap();
    server.finds_exactly(&secret.path, "outdated");
    server.refuses(secret);
    assert_eq!(server.sweep(), 1);
    // Nor can it be hidden by writing over it.
    let over = Request::new("POST", &secret.api)
        .token(&store.root)
        .json(&json!({"value": "new"}));
    assert_eq!(server.endpoint.send(&over).unwrap().status, 500);
}

#[test]
fn older_copy_of_a_row_is_found_in_the_background() {
    let store = Store::new();
    let secret = &store.secrets[store.updated];
    let key = secret.value_row();
    let server = store.edited(|db| put(db, key, &store.older[key])).unwrap();
    let named = until(Duration::from_secs(20), || {
        server.process.log().contains(&secret.path).then_some(())
    });
    assert!(named.is_some(), "{}", server.process.log());
    server.refuses(secret);
}

#[test]
fn deleted_row_that_was_put_back_is_foreign() {
    let store = Store::new();
    let secret = store.secret("three", 20);
    let kept = rows(&store.whole);
    let server = store.edited(|_| {}).unwrap();
    assert_eq!(server.send("DELETE", &secret.path).status, 204);
    assert_eq!(server.read(secret).status, 404);
    let mut process = server.process;
    assert!(process.terminate().success());
    let db = Connection::open(database(&store.home())).unwrap();
    let back = [secret.value_row(), secret.listing_row()];
    back.iter().for_each(|key| put(&db, key, &kept[*key]));
    drop(db);
    let server = Server::start(&store).unwrap();
    let (healthy, damaged) = server.verify();
    assert!(!healthy);
    assert!(
        damaged.contains(&(secret.path.clone(), "foreign".to_owned())),
        "{damaged:?}"
    );
    server.refuses(secret);
}

#[test]
fn sums_put_back_together_with_the_row_that_they_count_are_found() {
    let store = Store::new();
    let secret = &store.secrets[store.updated];
    let sums: Vec<&Vec<u8>> = store.older.keys().filter(|key| key[0] == b'P').collect();
    assert_eq!(sums.len(), 33);
    let header = *sums.last().unwrap();
    // Rows of sums that changed since, without the header; then with it.
    for kept in [Some(header), None] {
        let edit = |db: &Connection| {
            put(db, secret.value_row(), &store.older[secret.value_row()]);
            for key in sums.iter().filter(|key| Some(**key) != kept) {
                put(db, key, &store.older[*key]);
            }
        };
        match (store.edited(edit), kept) {
            (None, Some(_)) => {}
            (Some(_), Some(_)) => panic!("unsealed on sums of two moments"),
            // Everything of the store is as it was: that is the whole file put back.
            (server, None) => assert!(server.is_some()),
        }
    }
}

#[test]
fn no_name_value_policy_or_token_is_in_the_files() {
    let mut vault = Vault::ready_with(Options::plain());
    vault
        .root(
            "POST",
            &format!("sys/mounts/{MARKER}mount"),
            json!({"type": "kv"}),
        )
        .expect(204);
    vault
        .root(
            "POST",
            &format!("{MARKER}mount/{MARKER}dir/{MARKER}name"),
            json!({"k": format!("{MARKER}value")}),
        )
        .expect(204);
    let policy =
        json!({"policy": format!("path \"{MARKER}mount/*\" {{ capabilities = [\"read\"] }}")});
    vault
        .root("POST", &format!("sys/policies/acl/{MARKER}policy"), policy)
        .expect(204);
    let token = vault.root(
        "POST",
        "auth/token/create",
        json!({"policies": [format!("{MARKER}policy")], "meta": {"m": MARKER}}),
    );
    let token = token.expect(200).body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let search = |vault: &Vault, text: &str| -> Vec<String> {
        let files = std::fs::read_dir(vault.data())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let holds =
            |path: &PathBuf| path.is_file() && find(&std::fs::read(path).unwrap(), text.as_bytes());
        files
            .filter(holds)
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    for _ in 0..2 {
        // Controls: the path is in the audit log, and the seal record is in the database.
        assert_eq!(search(&vault, &format!("{MARKER}dir")), ["audit.log"]);
        assert!(
            search(&vault, "S/seal")
                .iter()
                .any(|name| name.starts_with("vaultd.db"))
        );
        assert!(search(&vault, &format!("{MARKER}value")).is_empty());
        for text in [
            MARKER,
            token.as_str(),
            &token[4..20],
            vault.root.as_str(),
            vault.keys[0].as_str(),
        ] {
            let found = search(&vault, text);
            assert!(found.iter().all(|name| name == "audit.log"), "{found:?}");
        }
        for secret in [token.as_str(), vault.root.as_str(), vault.keys[0].as_str()] {
            assert!(search(&vault, secret).is_empty());
        }
        // Again with everything moved from the log into the database.
        vault.terminate();
    }
}

fn find(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn verification_during_writes_gives_no_false_alarm() {
    let vault = Vault::ready_with(Options::plain());
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (vault, stop) = (&vault, &stop);
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(std::sync::atomic::Ordering::Acquire) {
                        break;
                    }
                    let path = format!("one/w{worker}/{}", number % 50);
                    vault.root("POST", &path, json!({"value": "v"})).expect(204);
                }
            });
        }
        let healthy: Vec<Value> = (0..30)
            .map(|_| vault.root("POST", "sys/integrity/verify", Value::Null))
            .map(|answer| answer.body["data"].clone())
            .collect();
        stop.store(true, std::sync::atomic::Ordering::Release);
        let alarm = healthy.iter().find(|data| data["healthy"] != json!(true));
        assert!(alarm.is_none(), "{alarm:?}");
    });
}
