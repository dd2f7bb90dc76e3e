//! A store of 200,000 rows: neither verification nor the first "not found" grows with it as a whole.
//! Bounds are set by comparison on the same machine, so that a busy one does not matter.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_crypto::{AnyShare, Share, System, combine};
use vault_tests::process::until;
use vault_tests::{Options, Vault};
use vaultd::barrier::{Barrier, Engine, SealRecord, Sqlite};
use vaultd::core::mount::MountTable;

const DIRECTORIES: usize = 10;
/// Two rows each: the value and its entry.
const EACH: usize = 10_000;
/// Written by one transaction.
const AT_ONCE: usize = 25;

fn name(number: usize) -> String {
    format!("name-{number:05}")
}

/// Writes behind the stopped server's back, as it would itself.
async fn fill(vault: &Vault) {
    let storage = Arc::new(Engine::Sqlite(Sqlite::open(&vault.data()).unwrap()));
    let record = SealRecord::load(&storage).await.unwrap().unwrap();
    let share = hex::decode(&vault.keys[0]).unwrap();
    let AnyShare::Tagged(share) = Share::parse(&share).unwrap() else {
        panic!("not a share of ours")
    };
    let unseal = combine(&[share]).unwrap();
    let root = record.open(unseal.expose()).unwrap();
    let barrier = Barrier::open(storage, &record, &root, Arc::new(System))
        .await
        .unwrap();
    let mounts = MountTable::load(&mut barrier.begin()).await.unwrap();
    let number = mounts.resolve("many/").unwrap().0.number;
    let value = json!({"value": "x".repeat(400)});
    for directory in 0..DIRECTORIES {
        let mut writing = tokio::task::JoinSet::new();
        for first in (0..EACH).step_by(AT_ONCE) {
            let (barrier, value) = (Arc::clone(&barrier), value.clone());
            // The first makes the directory; after that they do not touch each other.
            if first == AT_ONCE {
                writing.join_next().await.unwrap().unwrap();
            }
            writing.spawn(async move {
                let mut tx = barrier.begin();
                for at in first..first + AT_ONCE {
                    let path = format!("d{directory}/{}", name(at));
                    tx.view(number).put(&path, &value).await.unwrap();
                }
                tx.commit().await.unwrap();
            });
        }
        while let Some(done) = writing.join_next().await {
            done.unwrap();
        }
    }
    let committer = barrier.take_committer().unwrap();
    drop(barrier);
    committer.await.unwrap();
}

fn ready() -> Vault {
    let vault = Vault::ready_with(Options::plain());
    let kv1 = json!({"type": "kv", "options": {"version": "1"}});
    vault.root("POST", "sys/mounts/many", kv1).expect(204);
    vault
}

/// The most memory that the server has had, in KiB.
fn peak(vault: &Vault) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", vault.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

fn verified(vault: &Vault) -> (u64, Duration) {
    let start = Instant::now();
    let answer = vault
        .root("POST", "sys/integrity/verify", Value::Null)
        .expect(200);
    assert_eq!(answer.data()["healthy"], json!(true), "{}", answer.text);
    (answer.data()["rows"].as_u64().unwrap(), start.elapsed())
}

fn keys(vault: &Vault, path: &str) -> Vec<String> {
    let answer = vault.root("LIST", path, Value::Null).expect(200);
    let keys = answer.data()["keys"].as_array().unwrap().iter();
    keys.map(|key| key.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_store_of_200_000_rows_is_verified_in_little_memory_and_misses_at_once() {
    let small = ready();
    verified(&small);
    let base = peak(&small);
    drop(small);

    let mut vault = ready();
    vault.terminate();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill(&vault));
    drop(runtime);
    let file = std::fs::metadata(vault.data().join("vaultd.db"))
        .unwrap()
        .len()
        / 1024;

    vault.restart_unsealed();
    let start = Instant::now();
    vault.root("GET", "many/d3/never", Value::Null).expect(404);
    let miss = start.elapsed();
    let (rows, whole) = verified(&vault);
    assert!(rows >= 200_000, "{rows}");
    let peak = peak(&vault);
    eprintln!("first miss {miss:?}, whole verification {whole:?}");
    eprintln!("peak {peak} KiB, of a small store {base} KiB, the file {file} KiB");
    assert!(miss * 4 < whole, "{miss:?} of {whole:?}");
    // Beyond the page caches of a few connections, nothing grows with the store.
    assert!(peak < base + file / 2, "{peak} of {base} and {file}");

    let start = Instant::now();
    let all = keys(&vault, "many/d3");
    eprintln!("a list of {} names {:?}", all.len(), start.elapsed());
    assert_eq!(all, (0..EACH).map(name).collect::<Vec<_>>());
    assert_eq!(keys(&vault, "many/d3?limit=3"), all[..3]);
    assert_eq!(
        keys(&vault, "many/d3?after=name-09997&limit=100"),
        all[9_998..]
    );
    let before = keys(&vault, "many/d3?after=name-04999&limit=1000");
    assert_eq!(before, all[5_000..6_000]);
    gives_way_to_sealing(&vault, whole);
}

/// Sealing does not wait for a verification under way.
fn gives_way_to_sealing(vault: &Vault, whole: Duration) {
    let took = std::thread::scope(|scope| {
        let verify = || vault.root("POST", "sys/integrity/verify", Value::Null);
        let verifying = scope.spawn(move || verify().status);
        let runs = || {
            let running = vault.root("GET", "sys/in-flight-req", Value::Null);
            running.text.contains("integrity")
        };
        until(Duration::from_secs(60), || runs().then_some(())).unwrap();
        let start = Instant::now();
        vault.root("PUT", "sys/seal", Value::Null).expect(204);
        assert_ne!(verifying.join().unwrap(), 200);
        start.elapsed()
    });
    assert!(took < whole, "{took:?} of {whole:?}");
    assert!(vault.log().contains("sealed: all keys are wiped"));
}
