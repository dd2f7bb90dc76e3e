//! After sealing, the memory of the server holds no secret: not the values, not the tokens, not the
//! shares, not the keys.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use vault_crypto::{Aad, AnyShare, Label, RecordKey, Share, combine, derive};
use vault_tests::{Options, Vault};
use vaultd::barrier::SealRecord;

/// Found by name, so that a failure says what survived.
struct Wanted {
    name: String,
    bytes: Vec<u8>,
}

impl Wanted {
    fn all(name: &str, raw: &[u8]) -> Vec<Wanted> {
        let one = |form: &str, bytes: Vec<u8>| Wanted {
            name: format!("{name} ({form})"),
            bytes,
        };
        vec![
            one("raw", raw.to_vec()),
            one("hex", hex::encode(raw).into_bytes()),
            one("base64", STANDARD_NO_PAD.encode(raw).into_bytes()),
        ]
    }

    fn text(name: &str, text: &str) -> Wanted {
        Wanted {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }
}

/// Where in the writable memory of a process the bytes are found; `None` if it may not be read.
fn search(pid: u32, wanted: &[Wanted]) -> Option<Vec<String>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = Vec::new();
    let mut searched = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, mode) = (fields.next()?, fields.next()?);
        if !mode.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-')?;
        let (start, end) = (
            u64::from_str_radix(start, 16).ok()?,
            u64::from_str_radix(end, 16).ok()?,
        );
        let place = fields
            .next_back()
            .filter(|name| name.starts_with(['/', '[']))
            .unwrap_or("anonymous");
        for (at, chunk) in chunks(&memory, start, end) {
            searched += chunk.len();
            for one in wanted {
                for inside in positions(&chunk, &one.bytes) {
                    let address = at + inside as u64;
                    found.push(format!("{} at {address:#x} in {place}", one.name));
                }
            }
        }
    }
    (searched > 0).then_some(found)
}

/// What is not all zeros, with its address. Chunks overlap, so that what lies across a border is found.
fn chunks(memory: &File, start: u64, end: u64) -> impl Iterator<Item = (u64, Vec<u8>)> {
    const STEP: usize = 1 << 20;
    const OVERLAP: u64 = 1 << 12;
    let zeros = vec![0; STEP + OVERLAP as usize];
    (start..end).step_by(STEP).filter_map(move |at| {
        let mut chunk = vec![0; (end.min(at + STEP as u64 + OVERLAP) - at) as usize];
        // Guard pages and the kernel's own cannot be read.
        memory.read_exact_at(&mut chunk, at).ok()?;
        (chunk != zeros[..chunk.len()]).then_some((at, chunk))
    })
}

fn positions(hay: &[u8], needle: &[u8]) -> Vec<usize> {
    let first = needle[0];
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = hay[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if hay[at..].starts_with(needle) {
            found.push(at);
        }
        from = at + 1;
    }
    found
}

/// A server that has handled every kind of secret, with what to look for.
fn used(options: Options) -> (Vault, Vec<Wanted>) {
    let mut vault = Vault::start(options);
    let init = vault.init(3, 2);
    vault.unseal();
    let mut wanted = vec![Wanted::text("root token", &init.root_token)];
    let mut shares = Vec::new();
    for (number, key) in init.keys.iter().enumerate() {
        let bytes = hex::decode(key).unwrap();
        wanted.extend(Wanted::all(&format!("share {}", number + 1), &bytes));
        // The part that is the secret, without its frame.
        wanted.extend(Wanted::all(
            &format!("points of share {}", number + 1),
            &bytes[10..42],
        ));
        match Share::parse(&bytes).unwrap() {
            AnyShare::Tagged(share) => shares.push(share),
            AnyShare::Plain(_) => unreachable!("init gives tagged shares"),
        }
    }
    shares.truncate(2);
    let unseal = combine(&shares).unwrap();
    wanted.extend(Wanted::all("unseal key", unseal.expose()));
    wanted.extend(keys(&vault, unseal.expose()));

    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    vault
        .root(
            "POST",
            "sys/mounts/two",
            json!({"type": "kv", "options": {"version": "2"}}),
        )
        .expect(204);
    let policy =
        json!({"policy": "path \"*\" { capabilities = [\"create\", \"read\", \"update\"] }"});
    vault
        .root("POST", "sys/policies/acl/all", policy)
        .expect(204);
    for number in 0..5 {
        let made = vault
            .root("POST", "auth/token/create", json!({"policies": ["all"]}))
            .expect(200);
        let token = made.body["auth"]["client_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let value = format!("canary-{number}-{}", "Kx7".repeat(10 + number * 40));
        for mount in ["one", "two/data"] {
            let path = format!("{mount}/canary{number}");
            let plain = json!({"value": value});
            let body = if mount == "one" {
                plain
            } else {
                json!({"data": plain})
            };
            let wrote = vault.call("POST", &path, Some(&token), Some(&body)).status;
            assert!(matches!(wrote, 200 | 204));
            for _ in 0..10 {
                assert!(
                    vault
                        .call("GET", &path, Some(&token), None)
                        .expect(200)
                        .text
                        .contains(&value)
                );
            }
        }
        wanted.push(Wanted::text(&format!("client token {number}"), &token));
        wanted.push(Wanted::text(&format!("value {number}"), &value[..30]));
    }
    (vault, wanted)
}

/// A connection that stays open after a request: its buffers outlive the request.
fn hold(vault: &Vault) -> TcpStream {
    let mut stream = TcpStream::connect(&vault.endpoint.address).unwrap();
    let request = format!(
        "GET /v1/one/canary0 HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {}\r\n\r\n",
        vault.root
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 ");
    stream
}

/// The keys that the shares protect: read from the database as a thief with the shares would.
fn keys(vault: &Vault, unseal: &[u8]) -> Vec<Wanted> {
    let db = rusqlite::Connection::open(vault.data().join("vaultd.db")).unwrap();
    let row = |key: &[u8]| -> Vec<u8> {
        db.query_row("SELECT v FROM kv WHERE k = ?1", [key], |row| row.get(0))
            .unwrap()
    };
    let record: SealRecord = serde_json::from_slice(&row(b"S/seal")).unwrap();
    let root = record.open(unseal).unwrap();
    let salt = record.cluster.as_bytes();
    let wrapping = RecordKey::new(derive::<32>(root.expose(), salt, Label::KeyringWrap, &[]));
    let aad = Aad::new("vaultd keyring").field(salt).u64(1);
    let keyring = wrapping.open(aad.as_bytes(), &row(b"S/keyring")).unwrap();
    let keyring: Value = serde_json::from_slice(&keyring).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let (base, term) = (bytes(&keyring["base"]), bytes(&keyring["terms"][0]["key"]));
    let mut wanted = Wanted::all("root key", root.expose());
    wanted.extend(Wanted::all("base key", &base));
    wanted.extend(Wanted::all("term key", &term));
    let records = derive::<32>(&term, salt, Label::Records, &[]);
    wanted.extend(Wanted::all("record key", records.expose()));
    for (name, label) in [
        ("audit signing key", Label::AuditSign),
        ("batch token key", Label::Batch),
    ] {
        wanted.extend(Wanted::all(
            name,
            derive::<32>(&base, salt, label, &[]).expose(),
        ));
    }
    wanted.extend(Wanted::all(
        "name key",
        derive::<64>(&base, salt, Label::Names, &[]).expose(),
    ));
    wanted
}

fn nothing_survives_sealing(options: Options) {
    let (vault, wanted) = used(options);
    // The control: what the server needs is there while it is unsealed.
    if let Some(found) = search(vault.pid(), &wanted) {
        for name in ["root key (raw)", "record key (raw)", "base key (raw)"] {
            assert!(
                found.iter().any(|one| one.starts_with(name)),
                "the search is blind for the {name}"
            );
        }
    }
    let held = vault.addr.starts_with("http://").then(|| hold(&vault));
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    // Idle connections are closed right after.
    std::thread::sleep(Duration::from_millis(200));
    drop(held);
    let Some(found) = search(vault.pid(), &wanted) else {
        eprintln!("skipped: the memory of another process may not be read here (needs root)");
        return;
    };
    assert!(
        found.is_empty(),
        "{} survive:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn search_finds_secrets_that_are_there() {
    // Planted in this very process: the search must see it.
    let planted = Wanted::text("planted", &format!("planted-{}", std::process::id()));
    match search(std::process::id(), std::slice::from_ref(&planted)) {
        None => eprintln!("skipped: /proc/self/mem may not be read here"),
        Some(found) => assert!(!found.is_empty()),
    }
}

#[test]
fn keys_are_in_memory_while_unsealed() {
    // The control for the other tests: a server that is asked to hold a share does hold it.
    let mut vault = Vault::start(Options::plain());
    let init = vault.init(3, 2);
    let body = json!({"key": init.keys[0]});
    vault
        .call("PUT", "sys/unseal", None, Some(&body))
        .expect(200);
    let share = hex::decode(&init.keys[0]).unwrap();
    let wanted = Wanted::all("points of share 1", &share[10..42]);
    match search(vault.pid(), &wanted) {
        None => {
            eprintln!("skipped: the memory of another process may not be read here (needs root)")
        }
        Some(found) => assert!(!found.is_empty(), "the search is blind"),
    }
    // And forgets it again.
    vault
        .call("PUT", "sys/unseal", None, Some(&json!({"reset": true})))
        .expect(200);
    if let Some(found) = search(vault.pid(), &wanted) {
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn no_secret_survives_sealing_over_plain_http() {
    nothing_survives_sealing(Options::plain());
}

#[test]
fn no_secret_survives_sealing_over_tls() {
    nothing_survives_sealing(Options::default());
}
