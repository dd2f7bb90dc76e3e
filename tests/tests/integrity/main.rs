//! Somebody edits the database file while the server is stopped. Every read then gives the right
//! value or an error: never wrong data, never a silent "not found"; and verification names what is
//! damaged.
#![expect(clippy::unwrap_used, reason = "tests")]

mod altered;
mod deleted;
mod files;
mod older;

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
        // The record that says which shares are its own may be what was altered.
        let is_stranger = answer.status == 400 && answer.text.contains("another set of shares");
        let expected = matches!(answer.status, 200 | 500) || is_stranger;
        assert!(expected, "{}", answer.text);
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
