//! How long `vaultctl scan` takes for 100 MB, with the values of 1000 secrets to look for.
//!
//! `cargo build --release --bins && cargo bench -p vault-tests --bench scan`

#![expect(
    clippy::unwrap_used,
    reason = "a bench stops at what it does not expect"
)]

use std::fs;
use std::time::Instant;

use serde_json::json;
use vault_crypto::{Random, System, random_base62};
use vault_tests::{Options, Vault, Vaultctl};

const SECRETS: usize = 1000;
const FILES: usize = 100;
const FILE: usize = 1_000_000;

/// Lines like those of programs, never the same.
fn source(random: &dyn Random) -> String {
    let mut text = String::with_capacity(FILE + 200);
    while text.len() < FILE {
        let name = random_base62(12, random).to_lowercase();
        text.push_str("    let ");
        text.push_str(&name);
        text.push_str(" = postgres::connect(\"https://example.org/api/v1/items\")?; // ");
        text.push_str(&random_base62(24, random));
        text.push('\n');
    }
    text
}

fn main() {
    let vault = Vault::ready_with(Options::memory());
    let mount = json!({"type": "kv", "options": {"version": "2"}});
    vault.root("POST", "sys/mounts/kv", mount).expect(204);
    let mut last = String::new();
    for number in 0..SECRETS {
        last = random_base62(32, &System);
        let path = format!("kv/data/app/{number}");
        let data = json!({"data": {"password": last}});
        vault.root("POST", &path, data).expect(200);
    }
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..FILES {
        let mut text = source(&System);
        if number == 50 {
            text.push_str(&last);
        }
        fs::write(tree.join(format!("{number}.rs")), text).unwrap();
    }
    let vaultctl = Vaultctl::new(dir.path(), &vault.addr).env("VAULT_TOKEN", &vault.root);
    for round in 1..=3 {
        let start = Instant::now();
        let said = vaultctl.run(&["scan", "tree"], "");
        let all = start.elapsed();
        assert_eq!(said.code, 3, "{said:?}");
        let start = Instant::now();
        vaultctl.run(&["scan", "--shapes-only", "tree"], "");
        println!(
            "round {round}: 100 MB in {:.2} s, with fetching fingerprints of {SECRETS} secrets; shapes alone {:.2} s",
            all.as_secs_f64(),
            start.elapsed().as_secs_f64()
        );
    }
}
