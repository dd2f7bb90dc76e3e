//! What `vaultctl run` adds to a job that needs 20 secrets, over TLS, with policies and audit: its
//! time less that of the command alone. Printed, not judged: the machine decides.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use vault_tests::{Vault, program};

const ROUNDS: usize = 40;
const SECRETS: usize = 20;

fn main() {
    let vault = Vault::ready();
    let body = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", body).expect(204);
    let mut references = Vec::new();
    for number in 0..SECRETS {
        let data = json!({"data": {"value": format!("secret number {number}")}});
        let path = format!("kv/data/app/s{number}");
        vault.root("POST", &path, data).expect(200);
        references.extend(["-s".to_owned(), format!("S{number}=kv/app/s{number}#value")]);
    }
    let run = |options: &[&str]| {
        let mut command = Command::new(program("vaultctl"));
        command
            .env("VAULT_ADDR", &vault.addr)
            .env("VAULT_CACERT", vault.ca())
            .env("VAULT_TOKEN", &vault.root)
            .arg("run")
            .args(options)
            .args(&references)
            .args(["--", "true"]);
        command
    };
    let alone = median(|| Command::new("true"));
    println!("{SECRETS} secrets, medians of {ROUNDS} runs");
    println!("the command alone           {:6.1} ms", millis(alone));
    for (name, options) in [
        ("run adds", &[][..]),
        ("run --mask adds", &["--mask"][..]),
        ("run --file adds", &["--file", "F=kv/app/s0#value"][..]),
    ] {
        let added = median(|| run(options)).saturating_sub(alone);
        println!("{name:27} {:6.1} ms", millis(added));
    }
}

fn median(command: impl Fn() -> Command) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let status = command().status().unwrap();
            assert!(status.success());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
