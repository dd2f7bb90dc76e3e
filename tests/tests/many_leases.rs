//! Leases in numbers: unsealing and memory do not depend on how many there are, and many that end at
//! once do not hold up requests. The figures of the README come from
//!
//! ```text
//! LEASES=1000,100000,1000000 cargo test --release -p vault-tests --test many_leases -- --ignored --nocapture
//! ```
//!
//! Leases are written into the store by the server's own code, but not one by one over HTTP.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use vault_crypto::{Random, System};
use vault_proto::path::ApiPath;
use vault_tests::process::until;
use vault_tests::{Options, Vault};
use vaultd::audit::Broker;
use vaultd::barrier::{Engine, Sqlite};
use vaultd::core::body::Body;
use vaultd::core::issue::SystemTtl;
use vaultd::core::request::{Request, Verb};
use vaultd::core::token::{Token, plus};
use vaultd::core::{Clock, Core, Settings};

/// Tokens in one commit.
const TOGETHER: u64 = 10;
const WRITERS: u64 = 16;

/// Initialised, with a secret to read, and stopped.
fn stopped() -> Vault {
    let mut vault = Vault::ready_with(Options::plain());
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    vault.root("POST", "kv/a", json!({"k": "v"})).expect(204);
    vault.terminate();
    vault
}

/// The server's core over the data of a stopped server.
async fn core(data: PathBuf, key: &str) -> Arc<Core> {
    let clock: Clock = Arc::new(now);
    let settings = Settings {
        compat_version: "1.16.3".to_owned(),
        storage_type: "sqlite",
        cluster_name: "many".to_owned(),
        ttl: SystemTtl {
            default: 3600,
            max: 3600,
        },
        allow_generate_root: false,
        audit_folder: None,
        hooks: Default::default(),
    };
    let engine = Arc::new(Engine::Sqlite(Sqlite::open(&data).unwrap()));
    let audit = Arc::new(Broker::discard(Arc::clone(&clock)));
    let random: Arc<dyn Random> = Arc::new(System);
    let core = Arc::new(Core::new(engine, audit, clock, random, settings));
    let mut body = Body::default();
    body.set("key", &json!(key));
    let unseal = Request {
        id: "unseal".to_owned(),
        verb: Verb::Write,
        path: ApiPath::from_plain("sys/unseal").unwrap(),
        body,
        token: None,
        wrap_ttl: None,
        remote: [127, 0, 0, 1].into(),
        now: now(),
        help: false,
        head: false,
        content_type: String::new(),
        client_chain: Default::default(),
        standing: Default::default(),
    };
    assert!(core.handle(&unseal).await.is_ok());
    core
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// Adds so many leases of tokens to a stopped server, all with the same end.
fn add_leases(vault: &Vault, count: u64, end: Timestamp) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let core = core(vault.data(), &vault.keys[0]).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let core = Arc::clone(&core);
                let share = count / WRITERS + u64::from(writer < count % WRITERS);
                tokio::spawn(async move { write(&core, share, end).await })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        core.seal().await;
        core.close_storage().await;
    });
}

async fn write(core: &Core, mut left: u64, end: Timestamp) {
    let vault = core.gate.enter().unwrap();
    while left > 0 {
        let mut tx = vault.barrier.begin();
        let some = left.min(TOGETHER);
        for _ in 0..some {
            let mut token = Token::new(now());
            token.path = "auth/token/create".to_owned();
            token.display_name = "many".to_owned();
            token.creation_ttl = 3600;
            token.expires = Some(end);
            let issued = vault.tokens.issue(&mut tx, token, None, vault.random());
            assert!(issued.await.is_ok());
        }
        // Another writer's commit may have been first.
        if tx.commit().await.is_ok() {
            left -= some;
        }
    }
}

/// Resident memory of the server in MiB.
fn resident(vault: &Vault) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", vault.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .unwrap();
    kib / 1024
}

fn read(vault: &Vault) -> Duration {
    let start = Instant::now();
    vault.root("GET", "kv/a", Value::Null).expect(200);
    start.elapsed()
}

fn live(vault: &Vault) -> u64 {
    let counted = vault.root("GET", "sys/leases/count", Value::Null);
    counted.expect(200).data()["lease_count"].as_u64().unwrap()
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// What a server with so many leases was seen to need.
struct Seen {
    unseal: Duration,
    first_read: Duration,
    unsealed_mib: u64,
    /// The highest, while all rows were verified.
    verified_mib: u64,
    verified: Duration,
    page: Duration,
}

fn look(vault: &mut Vault) -> Seen {
    let verifications = |vault: &Vault| vault.log().matches("stored data verified").count();
    vault.restart();
    let before = verifications(vault);
    let start = Instant::now();
    vault.unseal();
    let unseal = start.elapsed();
    let first_read = read(vault);
    let unsealed_mib = resident(vault);
    let mut verified_mib = unsealed_mib;
    until(Duration::from_secs(1200), || {
        verified_mib = verified_mib.max(resident(vault));
        (verifications(vault) > before).then_some(())
    })
    .unwrap();
    let verified = start.elapsed();
    let start = Instant::now();
    let page = vault.root("LIST", "auth/token/accessors?limit=100", Value::Null);
    assert_eq!(
        page.expect(200).data()["keys"].as_array().unwrap().len(),
        100
    );
    Seen {
        unseal,
        first_read,
        unsealed_mib,
        verified_mib,
        verified,
        page: start.elapsed(),
    }
}

/// Starts a server on which so many leases are due, and reads until they are gone: how long that
/// took, and how long each read.
fn all_end(vault: &mut Vault) -> (Duration, Vec<Duration>) {
    vault.restart();
    let start = Instant::now();
    vault.unseal();
    let mut took = Vec::new();
    let mut looked = Instant::now();
    loop {
        took.push(read(vault));
        if looked.elapsed() > Duration::from_secs(1) {
            if live(vault) == 0 {
                break;
            }
            looked = Instant::now();
        }
        assert!(
            start.elapsed() < Duration::from_secs(1200),
            "{}",
            vault.log()
        );
    }
    took.sort();
    (start.elapsed(), took)
}

#[test]
fn many_leases_that_end_at_once_all_go_and_do_not_hold_up_requests() {
    let mut vault = stopped();
    add_leases(&vault, 2000, plus(now(), 3600));
    add_leases(&vault, 2000, now());
    vault.restart_unsealed();
    // One of them has a child, and something in its cubbyhole.
    let parent = vault.root(
        "POST",
        "auth/token/create",
        json!({"ttl": "2s", "policies": "root"}),
    );
    let parent = parent.expect(200).body["auth"]["client_token"].clone();
    let child = vault.call(
        "POST",
        "auth/token/create",
        parent.as_str(),
        Some(&json!({"ttl": "1h", "policies": "default"})),
    );
    assert_eq!(child.status, 200, "{}", child.text);
    let child = child.body["auth"]["client_token"].clone();
    vault
        .call(
            "POST",
            "cubbyhole/x",
            parent.as_str(),
            Some(&json!({"k": "v"})),
        )
        .expect(204);
    let gone = until(Duration::from_secs(120), || {
        read(&vault);
        (live(&vault) == 2000).then_some(())
    });
    assert!(gone.is_some(), "{} are left", live(&vault));
    let seen = vault.call("GET", "auth/token/lookup-self", child.as_str(), None);
    seen.expect(403);
    let checked = vault
        .root("POST", "sys/integrity/verify", json!({}))
        .expect(200);
    assert_eq!(checked.data()["healthy"], json!(true));

    // Pages of a long directory are sorted, and together they are all of it.
    for path in [
        "sys/leases/lookup/auth/token/create",
        "auth/token/accessors",
    ] {
        let whole = vault.root("LIST", path, Value::Null).expect(200);
        let whole = whole.data()["keys"].as_array().unwrap().clone();
        assert!(whole.is_sorted_by_key(|key| key.as_str().unwrap().to_owned()));
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            let page = vault.root(
                "LIST",
                &format!("{path}?limit=700&after={after}"),
                Value::Null,
            );
            if page.status == 404 {
                break;
            }
            let keys = page.expect(200).data()["keys"].as_array().unwrap().clone();
            assert!(keys.len() <= 700);
            after = keys[keys.len() - 1].as_str().unwrap().to_owned();
            paged.extend(keys);
        }
        assert_eq!(paged, whole, "{path}");
    }
}

#[test]
#[ignore = "measures; needs minutes"]
fn figures() {
    let counts = std::env::var("LEASES").unwrap_or_else(|_| "1000,100000".to_owned());
    for count in counts.split(',').map(|count| count.trim().parse().unwrap()) {
        let mut vault = stopped();
        let start = Instant::now();
        add_leases(&vault, count, plus(now(), 24 * 3600));
        println!("{count} leases, written in {:.1?}", start.elapsed());
        let seen = look(&mut vault);
        println!(
            "  unseal {:.1?}, first read {:.1?}, {} MiB; verified after {:.1?}, at most {} MiB; page of 100 accessors {:.1?}",
            seen.unseal,
            seen.first_read,
            seen.unsealed_mib,
            seen.verified,
            seen.verified_mib,
            seen.page
        );
    }
    let ending = std::env::var("ENDING").map_or(100_000, |count| count.parse().unwrap());
    let mut vault = stopped();
    vault.restart_unsealed();
    let mut calm: Vec<Duration> = (0..2000).map(|_| read(&vault)).collect();
    calm.sort();
    vault.terminate();
    add_leases(&vault, ending, now());
    let (all, took) = all_end(&mut vault);
    println!("{ending} leases end at once: gone after {all:.1?}");
    for (name, took) in [("before", &calm), ("meanwhile", &took)] {
        println!(
            "  a read {name}: median {:.1?}, 99 of 100 within {:.1?}, slowest {:.1?}",
            percentile(took, 50),
            percentile(took, 99),
            took[took.len() - 1]
        );
    }
}
