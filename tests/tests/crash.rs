//! The program, killed under load: what was acknowledged over HTTP is there after the restart, what
//! was not is there as a whole or not at all, revoked stays revoked, and no effect is without its
//! audit record. (Loss of power is another matter: see `power_loss`.)
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../crash/ledger.rs"]
mod ledger;
#[path = "../crash/server.rs"]
mod server;

use std::path::Path;
use std::time::Duration;

use ledger::{Ledger, Requests};
use serde_json::json;
use server::{Keys, Server};
use tempfile::TempDir;

const WRITERS: usize = 6;

fn prepare(dir: &Path) -> (Keys, Vec<Ledger>) {
    let server = Server::start(dir).unwrap();
    let keys = Keys::init(&server).unwrap();
    keys.unseal(&server).unwrap();
    let mut client = server.client(&keys.token).unwrap();
    client
        .call("POST", "sys/mounts/plain", json!({ "type": "kv" }))
        .unwrap();
    client
        .call(
            "POST",
            "sys/mounts/versioned",
            json!({ "type": "kv", "options": { "version": "2" } }),
        )
        .unwrap();
    server.kill().unwrap();
    (keys, (0..WRITERS).map(Ledger::new).collect())
}

/// Load on a fresh process until it is killed after `time`.
fn load(dir: &Path, keys: &Keys, ledgers: &mut [Ledger], time: Duration) {
    let server = Server::start(dir).unwrap();
    keys.unseal(&server).unwrap();
    let address = server.address;
    std::thread::scope(|scope| {
        for ledger in ledgers {
            scope.spawn(move || {
                ledger
                    .write(&mut server::Client::connect(address, &keys.token).unwrap())
                    .unwrap()
            });
        }
        std::thread::sleep(time);
        server.kill().unwrap();
    });
}

fn check(dir: &Path, keys: &Keys, ledgers: &mut [Ledger]) -> anyhow::Result<()> {
    let server = Server::start(dir)?;
    keys.unseal(&server)?;
    let audit = Requests::read(dir)?;
    let mut client = server.client(&keys.token)?;
    ledgers
        .iter_mut()
        .try_for_each(|ledger| ledger.check(&mut client, &audit))
}

fn acknowledged(ledgers: &[Ledger]) -> u64 {
    ledgers.iter().map(Ledger::acknowledged).sum()
}

#[test]
fn kill_nine_loses_nothing_acknowledged() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("data");
    let (keys, mut ledgers) = prepare(&dir);
    for round in 0..8u64 {
        let before = acknowledged(&ledgers);
        load(
            &dir,
            &keys,
            &mut ledgers,
            Duration::from_millis(150 + round * 173 % 400),
        );
        println!(
            "round {round}: {} acknowledged",
            acknowledged(&ledgers) - before
        );
        check(&dir, &keys, &mut ledgers).unwrap();
    }
    assert!(
        acknowledged(&ledgers) > 200,
        "too little load to mean anything"
    );
}

#[test]
fn the_ledger_notices_missing_audit_records() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("data");
    let (keys, mut ledgers) = prepare(&dir);
    load(&dir, &keys, &mut ledgers, Duration::from_millis(150));
    let server = Server::start(&dir).unwrap();
    keys.unseal(&server).unwrap();
    let mut client = server.client(&keys.token).unwrap();
    let found = ledgers[0]
        .check(&mut client, &Requests::default())
        .unwrap_err();
    assert!(found.to_string().contains("audit records"), "{found:#}");
}

/// The ledger must be able to fail: the files are put back to an earlier moment.
#[test]
fn the_ledger_notices_lost_writes() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("data");
    let (keys, mut ledgers) = prepare(&dir);
    load(&dir, &keys, &mut ledgers, Duration::from_millis(200));
    check(&dir, &keys, &mut ledgers).unwrap();
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        std::fs::create_dir(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    let earlier = parent.path().join("earlier");
    copy(&dir, &earlier);
    load(&dir, &keys, &mut ledgers, Duration::from_millis(200));
    copy(&earlier, &dir);
    let found = check(&dir, &keys, &mut ledgers).unwrap_err();
    println!("{found:#}");
}
